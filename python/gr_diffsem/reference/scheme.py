# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole scheme in NumPy: the five nouns of a manifest's member put together, item by item.

Only closed-form priors: a network is the business of the core and of ONNX Runtime.
"""

from pathlib import Path

import numpy as np

from ..base.philox import Rng
from ..base.signal import measured_power
from .operators import OPERATORS, Identity, Mask
from .plans import Plan
from .posterior import STEPS, condition
from .priors import DiagonalGaussian, Gaussian, Mixture
from .qam import Qam
from .samplers import SAMPLERS

PRIORS = ("onnx", "gaussian", "gmm", "qam", "none")
STARTS = ("matched", "noise", "level", "renoise")


def load_prior(description, folder, real=False):
    """The prior of a manifest (docs/model_contract.md), its tensors read from `folder`."""

    def tensor(key):
        name = description.get(key)
        return None if name is None else np.load(Path(folder) / name)

    kind = description["type"]
    if kind == "gaussian":
        mean = tensor("mean")
        if description.get("kronecker"):
            return Gaussian(np.kron(tensor("covariance"), tensor("kronecker")), mean)
        if description.get("covariance"):
            return Gaussian(tensor("covariance"), mean)
        return DiagonalGaussian(tensor("variance"), 0.0 if mean is None else mean)
    if kind == "gmm":
        spread = tensor("covariances") if description.get("covariances") else tensor("variances")
        weights = tensor("weights").astype(float)
        return Mixture(weights / weights.sum(), tensor("means"), spread, real)
    if kind == "qam":
        return Qam(description.get("order", 4))
    raise ValueError(f"prior '{kind}' has no twin in NumPy")


def estimate(
    prior,
    y,
    noise_var,
    member=None,
    observed=None,
    matrix=None,
    gain="unit",
    seed=0,
    stream=0,
    first=0,
    size=None,
    real=False,
):
    """(mean [B, N], variance [B, N], steps [B]) of measurements y [B, M].

    member: {"operator", "start", "guidance", "sampler", "plan"} as in a manifest. size: N, where it is not M.
    noise_var: broadcasts to y. real: of real data, so that its noise is. gain: `unit`, or `measured`: y is divided by
    its measured amplitude first. first: index of the first item.
    """
    member = member or {}
    y = np.asarray(y)
    noise_var = np.broadcast_to(np.asarray(noise_var, float), y.shape)
    start_ = dict(member.get("start", {}))
    updates = start_.pop("noise_updates", 0)
    settings = {"observed": observed, "gain": gain}
    for _ in range(updates):  # expectation maximisation for a factor of each item's noise
        mean, variance, _ = estimate(prior, y, noise_var, {"start": start_}, **settings)
        seen = slice(None) if observed is None else np.asarray(observed, bool)
        square = (np.abs(y - mean) ** 2 + variance) / noise_var
        noise_var = noise_var * square[:, seen].mean(1, keepdims=True)
    member = {**member, "start": start_}
    amplitude = np.ones((len(y), 1))
    if gain == "measured":
        white = 1.0 if matrix is None else np.sum(np.abs(matrix) ** 2) / len(matrix)
        amplitude = np.sqrt(measured_power(y, noise_var, observed) / white)
    results = [
        _item(
            prior,
            y[b : b + 1] / a,
            noise_var[b : b + 1] / a**2,
            member,
            observed,
            matrix,
            Rng(seed, stream, first + b, real),
            size,
        )
        for b, a in enumerate(amplitude[:, 0])
    ]
    mean = np.concatenate([r[0] for r in results]) * amplitude
    variance = np.concatenate([r[1] for r in results]) * amplitude**2
    return mean, variance, np.array([r[2] for r in results]) + updates


def _item(prior, y, noise, member, observed, matrix, rng, size):
    """One item at unit power: y [1, M], noise [1, M] variances."""
    keys = {key: value for key, value in member.get("operator", {}).items() if key != "matrix"}  # given here
    kind = keys.pop("type", "identity" if matrix is None else "matrix")
    operator = OPERATORS["mask" if observed is not None else kind](size or y.shape[1], observed, matrix, **keys)
    if isinstance(operator, Mask):
        y, noise = operator.apply(y), operator.noise_map(noise, y.shape)
    description = member.get("sampler", {"type": "one_step"})
    name, eta = description["type"], float(description.get("eta", 0.0))
    denoiser, x, levels = start(prior, operator, y, noise, member, name, eta, rng)
    variance = denoiser(x, levels[0])[1]
    given = member.get("sampler", {})
    options = {
        key: given[key] for key in {"ddim": ("clip",), "ddpm": ("large_variance",)}.get(name, ()) if key in given
    }
    options |= {"eta": eta} if name == "ddim" else {}
    mean = SAMPLERS[name](denoiser, x, levels, rng, **options)
    return mean, variance, evaluations(name, len(levels) - 1) * each_costs(member)


def evaluations(sampler, steps):
    """Denoiser evaluations of a sampler over `steps` steps, the last of which goes to level 0."""
    if sampler == "one_step":
        return 1
    return {"heun": 2 * steps - 1, "posterior_draw": 2 * steps}.get(sampler, steps)


def each_costs(member):
    """Evaluations of the prior for one of the posterior."""
    kind, steps = _guidance(member)
    if kind not in STEPS:
        return 1
    return (steps or STEPS[kind]) + (kind in ("pigdm", "dps"))  # which begin with one


def _guidance(member):
    """(name, steps) that a manifest's member chooses; None where it does not."""
    given = member.get("guidance", {})
    given = {"type": given} if isinstance(given, str) else given
    return given.get("type"), given.get("guidance_steps")


def start(prior, operator, y, noise, member, sampler, eta, rng):
    """(denoiser, x, levels): where inference begins, and under which denoiser.

    `matched`: y itself is the state, at its own levels, so the prior alone is asked; `level`: the same
    at a level that is given. `noise`: nothing is known but y, which comes in by conditioning;
    `renoise`: a coarse estimate plus noise of a given level, likewise.

    An element of which nothing is known has level infinity where the sampler seeks the mean. The
    others need a state: noise at the plan's first level, or its mean 0 where the walk draws none.
    """
    description, plan = member.get("start", {}), Plan(member.get("plan"))
    kind, sigma = description.get("type", "matched"), description.get("sigma")
    seeks_mean, draws = sampler in ("one_step", "posterior_mean"), sampler in ("ddpm", "posterior_draw") or eta > 0
    if kind in ("matched", "level"):
        levels = np.sqrt(noise[0])
        if kind == "level":
            levels = np.where(np.isfinite(levels), float(sigma), np.inf)
        unknown, x = np.isinf(levels), y
        if unknown.any() and not seeks_mean:
            levels = np.where(unknown, plan.sigma_max, levels)
            if draws:
                x = np.where(unknown, plan.sigma_max * rng.start(y.shape), y)
        return prior, x, [v[None] for v in plan.element_levels(levels)]

    posterior = condition(prior, operator, y, noise, *_guidance(member))
    size = getattr(operator, "size", y.shape[1])
    if kind == "noise" and seeks_mean:
        return posterior, np.zeros((1, size), y.dtype), [np.inf, *plan.levels(plan.sigma_max)[1:]]
    if kind == "noise":
        level, coarse = plan.sigma_max, 0.0
    elif not isinstance(operator, (Identity, Mask)):  # linear MMSE under a white prior of unit power
        level, coarse = float(sigma), operator.prox(np.zeros((1, size)), 1.0, y, noise)
    else:
        level, coarse = float(sigma), operator.adjoint(y)
    deviation = np.hypot(1.0, level) if description.get("full_power") else level
    return posterior, coarse + deviation * rng.start((1, size)), list(plan.levels(level))
