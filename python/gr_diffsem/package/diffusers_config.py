# SPDX-License-Identifier: GPL-3.0-or-later
"""What the configuration of a `diffusers` scheduler means here: schedule, prediction, sampler, plan and start.

Pure arithmetic on the JSON of `scheduler_config.json`; the meanings are those of diffusers 0.42.1. Every setting that
changes the result is either taken over or refused with a sentence; tests/lab/test_import.py compares the results.
"""

import numpy as np

from ..base.errors import UserError, unknown

#: Sampler that each scheduler's update rule is.
SCHEDULERS = {"DDIMScheduler": "ddim", "DDPMScheduler": "ddpm", "DPMSolverMultistepScheduler": "dpmpp_2m"}
PREDICTIONS = {"epsilon": "eps", "sample": "x0", "v_prediction": "v"}
#: The smallest alpha_bar of a schedule that ends in pure noise, as DPMSolverMultistepScheduler has it.
LEAST_ALPHA_BAR = 2.0**-24
# Defaults of the schedulers' own constructors, where a configuration does not say.
_COMMON = {
    "num_train_timesteps": 1000,
    "beta_start": 1e-4,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "trained_betas": None,
    "prediction_type": "epsilon",
    "thresholding": False,
    "steps_offset": 0,
    "rescale_betas_zero_snr": False,
}
DEFAULTS = {
    "ddim": {
        **_COMMON,
        "timestep_spacing": "leading",
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "set_alpha_to_one": True,
    },
    "ddpm": {
        **_COMMON,
        "timestep_spacing": "leading",
        "clip_sample": True,
        "clip_sample_range": 1.0,
        "variance_type": "fixed_small",
    },
    "dpmpp_2m": {
        **_COMMON,
        "timestep_spacing": "linspace",
        "solver_order": 2,
        "solver_type": "midpoint",
        "algorithm_type": "dpmsolver++",
        "lower_order_final": True,
        "euler_at_final": False,
        "final_sigmas_type": "zero",
        "lambda_min_clipped": -np.inf,
        "variance_type": None,
        "use_karras_sigmas": False,
    },
}
# Settings of DPM-Solver that draw up other levels or other steps.
_UNKNOWN_TO_US = ("use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas")


def choices(config, sampler=None, steps=50):
    """The choices of a member made of a scheduler's configuration.

    sampler: `ddim`, `ddpm` or `dpmpp_2m` in place of the scheduler's own. Returns {"metadata": {key: value of the
    network's metadata}, "member": {"start", "sampler", "plan"}, "notes": [sentences]}. Raises UserError.
    """
    name = str(config.get("_class_name", ""))
    if sampler is None and name not in SCHEDULERS:
        raise UserError(
            f"the pipeline's scheduler is {name or 'not named'}, which has no twin here: choose what takes its place "
            "with --sampler ddim, ddpm or dpmpp_2m"
        )
    kind = sampler or SCHEDULERS[name]
    if kind not in DEFAULTS:
        raise unknown("sampler", kind, DEFAULTS)
    keys = {**DEFAULTS[kind], **{k: v for k, v in config.items() if not k.startswith("_")}}
    _refuse(keys, kind)
    alphas, schedule = schedule_of(keys)
    if not 1 <= steps <= len(alphas):
        raise UserError(f"--steps {steps}: the schedule has {len(alphas)} steps")
    plan, notes = _plan(keys, kind, alphas, steps)
    member = {"start": {"type": "noise", "full_power": True}, "sampler": {"type": kind}, "plan": plan}
    metadata = {"prediction": PREDICTIONS[keys["prediction_type"]], "schedule": schedule}
    if keys.get("clip_sample") and kind == "ddim":
        member["sampler"]["clip"] = float(keys["clip_sample_range"])
    elif keys.get("clip_sample") and kind == "ddpm":
        metadata["clip"] = float(keys["clip_sample_range"])
    if kind == "ddpm" and keys["variance_type"] == "fixed_large":
        member["sampler"]["large_variance"] = 1
    if kind == "dpmpp_2m" and keys["solver_order"] == 1:
        member["sampler"] = {"type": "euler"}  # the first order of DPM-Solver++ is DDIM without noise
    return {"metadata": metadata, "member": member, "notes": notes}


def _refuse(keys, kind):
    """Sentences for what would give other results here."""
    if keys["prediction_type"] not in PREDICTIONS:
        raise UserError(
            f"prediction_type '{keys['prediction_type']}' is not one of {', '.join(PREDICTIONS)}: such a pipeline "
            "cannot be imported"
        )
    if keys["thresholding"]:
        raise UserError(
            "thresholding: true (dynamic thresholding of each sample by its own quantile) is not supported: set it to "
            "false in scheduler_config.json; clip_sample is"
        )
    variance = keys.get("variance_type")
    if kind == "ddpm" and variance not in ("fixed_small", "fixed_large"):
        raise UserError(f"variance_type '{variance}' is not supported: fixed_small and fixed_large are")
    if kind != "dpmpp_2m":
        return
    for key, known in (("algorithm_type", "dpmsolver++"), ("solver_type", "midpoint"), ("variance_type", None)):
        if keys[key] != known and not (key == "solver_type" and keys["solver_order"] == 1):
            raise UserError(f"{key} '{keys[key]}' of DPM-Solver is not supported, {known} is: or add --sampler ddim")
    if keys["solver_order"] not in (1, 2):
        raise UserError(f"solver_order {keys['solver_order']} is not supported: 1 and 2 are")
    for key in _UNKNOWN_TO_US:
        if keys.get(key):
            raise UserError(f"{key} is not supported: use_karras_sigmas is, and a plan takes any list of levels")


def schedule_of(keys):
    """(alpha_bar [T], the schedule as metadata have it) of a scheduler's configuration."""
    steps, first, last = int(keys["num_train_timesteps"]), float(keys["beta_start"]), float(keys["beta_end"])
    kind = keys["beta_schedule"]
    named = {"steps": steps, "beta_min": first, "beta_max": last}
    if keys["trained_betas"] is not None:
        betas, schedule = np.asarray(keys["trained_betas"], float), None
    elif kind == "linear":
        betas, schedule = np.linspace(first, last, steps), {"type": "linear_vp", **named}
    elif kind == "scaled_linear":
        betas = np.linspace(first**0.5, last**0.5, steps) ** 2
        schedule = {"type": "scaled_linear", **named}
    elif kind == "squaredcos_cap_v2":
        ideal = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        betas, schedule = np.minimum(1 - ideal[1:] / ideal[:-1], 0.999), {"type": "cosine", "steps": steps}
    elif kind == "sigmoid":
        betas, schedule = first + (last - first) / (1 + np.exp(-np.linspace(-6, 6, steps))), None
    else:
        raise UserError(
            f"beta_schedule '{kind}' is not linear, scaled_linear, squaredcos_cap_v2 or sigmoid: give trained_betas"
        )
    alphas = np.cumprod(1 - betas)
    if keys["rescale_betas_zero_snr"]:  # Lin et al. 2024, algorithm 1
        root = np.sqrt(alphas)
        alphas = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
        alphas[-1] = min(LEAST_ALPHA_BAR, alphas[-2] / 4)  # 0 would be infinitely far out
        schedule = None
    if not (np.all(alphas > 0) and np.all(np.diff(alphas) < 0)):
        raise UserError("the scheduler's betas do not give alphas_cumprod that fall from 1 to above 0: correct them")
    return alphas, schedule or {"type": "alphas_cumprod", "alphas_cumprod": [float(a) for a in alphas]}


def _plan(keys, kind, alphas, steps):
    """(plan, sentences): which levels are visited, and where the last step goes."""
    notes = []
    sigma = np.sqrt((1 - alphas) / alphas)
    spacing = keys["timestep_spacing"]
    if spacing not in ("leading", "trailing", "linspace"):
        raise UserError(f"timestep_spacing '{spacing}' is not one of leading, trailing, linspace")
    plan = {"type": "schedule", "steps": steps, "spacing": spacing}
    if spacing == "leading" and keys["steps_offset"]:
        plan["steps_offset"] = int(keys["steps_offset"])
    if kind == "dpmpp_2m":
        plan, notes = _solver_plan(keys, plan, sigma, steps)
    elif kind == "ddim":
        if not keys["set_alpha_to_one"]:
            plan |= {"end": float(sigma[0]), "vp_end": True}
        if spacing != "leading":  # from step t it goes to t - T/N, which need not be the step that it evaluates next
            plan["stride"] = True
    elif keys["variance_type"] == "fixed_large" and (spacing == "trailing" or keys["steps_offset"]):
        notes.append("diffusers' DDPM adds noise after the last evaluation with these settings; here none is added")
    return plan, notes


def _solver_plan(keys, plan, sigma, steps):
    """The same of DPM-Solver."""
    notes = []
    if np.isfinite(float(keys["lambda_min_clipped"])):
        last = int(np.searchsorted(np.log(sigma), -float(keys["lambda_min_clipped"]), side="right"))
        if last < len(sigma):
            raise UserError(
                f"lambda_min_clipped {keys['lambda_min_clipped']} leaves out the schedule's noisiest steps, which is "
                "not supported: give a plan 'list' of your own, or take it out of scheduler_config.json"
            )
    if keys["use_karras_sigmas"]:
        plan = {"type": "karras", "steps": steps, "sigma_max": float(sigma[-1]), "sigma_min": float(sigma[0])}
    elif keys["timestep_spacing"] != "trailing":
        plan["drop_last"] = True
    if keys["final_sigmas_type"] == "sigma_min":
        plan |= {"end": float(sigma[0]), "vp_end": True}
        if plan["type"] == "karras":
            raise UserError(
                "use_karras_sigmas with final_sigmas_type sigma_min ends twice at a level: set that to zero"
            )
        if keys["euler_at_final"] or (keys["lower_order_final"] and steps < 15):
            notes.append("diffusers takes the last step to sigma_min with first order here; ours is of second order")
    elif keys["final_sigmas_type"] != "zero":
        raise UserError(f"final_sigmas_type '{keys['final_sigmas_type']}' is not zero or sigma_min")
    return plan, notes
