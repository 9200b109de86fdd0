# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole scheme in NumPy: the five nouns of a manifest's member put together, item by item.

Only closed-form priors: a network is the business of the core and of ONNX Runtime.
"""

from pathlib import Path

import numpy as np

from .operators import Identity, Mask, Matrix
from .philox import Rng
from .plans import Plan
from .posterior import condition
from .priors import DiagonalGaussian, Gaussian, Mixture
from .samplers import SAMPLERS
from .signal import measured_power


def load_prior(description, folder, real=False):
    """The prior of a manifest (docs/model_contract.md), its tensors read from `folder`."""

    def tensor(key):
        name = description.get(key)
        return None if name is None else np.load(Path(folder) / name)

    kind = description["type"]
    if kind == "gaussian":
        mean = tensor("mean")
        if description.get("covariance"):
            return Gaussian(tensor("covariance"), mean)
        return DiagonalGaussian(tensor("variance"), 0.0 if mean is None else mean)
    if kind == "gmm":
        spread = tensor("covariances") if description.get("covariances") else tensor("variances")
        weights = tensor("weights").astype(float)
        return Mixture(weights / weights.sum(), tensor("means"), spread, real)
    raise ValueError(f"prior '{kind}' has no twin in NumPy")


def estimate(prior, y, noise_var, member=None, observed=None, matrix=None, gain="unit", seed=0, stream=0, first=0):
    """(mean [B, N], variance [B, N], steps [B]) of measurements y [B, M].

    member: {"start", "sampler", "plan"} as in a manifest. noise_var: broadcasts to y. gain: `unit`, or
    `measured`: y is divided by its measured amplitude first. first: index of the first item.
    """
    member = member or {}
    y = np.asarray(y)
    noise_var = np.broadcast_to(np.asarray(noise_var, float), y.shape)
    amplitude = np.ones((len(y), 1))
    if gain == "measured":
        amplitude = np.sqrt(measured_power(y, noise_var, observed))
    results = [
        _item(
            prior, y[b : b + 1] / a, noise_var[b : b + 1] / a**2, member, observed, matrix, Rng(seed, stream, first + b)
        )
        for b, a in enumerate(amplitude[:, 0])
    ]
    mean = np.concatenate([r[0] for r in results]) * amplitude
    variance = np.concatenate([r[1] for r in results]) * amplitude**2
    return mean, variance, np.array([r[2] for r in results])


def _item(prior, y, noise, member, observed, matrix, rng):
    """One item at unit power: y [1, M], noise [1, M] variances."""
    operator = Identity()
    if matrix is not None:
        operator = Matrix(matrix)
    elif observed is not None:
        operator = Mask(observed)
        y, noise = operator.apply(y), operator.noise_map(noise, y.shape)
    sampler = member.get("sampler", {"type": "one_step"})
    plan = Plan(member.get("plan"))
    denoiser, x, levels = start(prior, operator, y, noise, member.get("start", {}), plan, rng)
    variance = denoiser(x, levels[0])[1]
    options = {"eta": float(sampler.get("eta", 0.0))} if sampler["type"] == "ddim" else {}
    mean = SAMPLERS[sampler["type"]](denoiser, x, levels, rng, **options)
    evaluations = 1 if sampler["type"] == "one_step" else len(levels) - 1
    return mean, variance, evaluations


def start(prior, operator, y, noise, description, plan, rng):
    """(denoiser, x, levels): where inference begins, and under which denoiser.

    `matched`: y itself is the state, at its own levels, so the prior alone is asked; `noise`: pure
    noise at the plan's first level, and the measurement comes in by conditioning; `level` and
    `renoise`: a fixed level instead of the measurement's own.
    """
    kind = description.get("type", "matched")
    if kind == "matched" and not isinstance(operator, Matrix):
        return prior, y, [v[None] for v in plan.element_levels(np.sqrt(noise[0]))]
    size = operator.matrix.shape[1] if isinstance(operator, Matrix) else y.shape[1]
    posterior = condition(prior, operator, y, noise)
    if kind in ("noise", "matched"):
        level = plan.sigma_max
        return posterior, level * rng.start((1, size)), list(plan.levels(level))
    raise ValueError(f"start '{kind}' has no twin in NumPy")
