#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/data/goldens: a toy package and what the NumPy twin says of it.

    PYTHONPATH=python python3 tests/data/make_goldens.py

Running it again changes nothing beyond rounding: everything follows from SEED.
goldens.json lists the cases, with where each begins in the flat arrays y, noise_var, mean and variance;
the C++ tests and pytest read the same files.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
from gr_diffsem.base import philox
from gr_diffsem.reference import priors, scheme

SEED = 20240601
SIZE, ROWS, ITEMS = 8, 5, 6
FOLDER = Path(__file__).resolve().parent / "goldens"
OBSERVED = [1, 1, 0, 1, 0, 1, 1, 0]

# name: (spec within the package, what else the estimator is told)
CASES = {
    "lmmse": ("lmmse", {}),
    "diagonal": ("diagonal", {}),
    "gmm": ("gmm", {}),
    "gmm_diagonal": ("gmm_diagonal", {}),
    "lmmse_mask": ("lmmse", {"observed": OBSERVED}),
    "gmm_mask": ("gmm", {"observed": OBSERVED}),
    "lmmse_noise_per_element": ("lmmse", {"noise": "map"}),
    "gmm_noise_per_element": ("gmm", {"noise": "map", "observed": OBSERVED}),
    "lmmse_gain": ("lmmse:gain=measured", {"scale": 3.0, "observed": OBSERVED}),
    "gmm_gain_weak": ("gmm:gain=measured", {"noise": "high"}),
    "posterior_mean": ("gmm:sampler=posterior_mean,steps=5", {}),
    "posterior_mean_mask": ("gmm:sampler=posterior_mean,steps=5", {"observed": OBSERVED}),
    "posterior_mean_map": ("gmm:sampler=posterior_mean,steps=4", {"noise": "map"}),
    "plan_karras": ("gmm:sampler=posterior_mean,plan=karras,steps=6,rho=5", {}),
    "plan_linear_vp": ("gmm:sampler=posterior_mean,plan=linear_vp,steps=100", {}),
    "plan_linear_vp_thinned": ("gmm:sampler=posterior_mean,plan=linear_vp,steps=7", {}),
    "plan_cosine": ("gmm:sampler=posterior_mean,plan=cosine,steps=9", {}),
    "plan_sigma_min": ("gmm:sampler=posterior_mean,steps=5,sigma_min=0.1", {}),
    "ddim": ("gmm:sampler=ddim,steps=5", {}),
    "ddim_eta": ("gmm:sampler=ddim,steps=5,eta=0.5", {"seed": 3}),
    "ddpm": ("gmm:sampler=ddpm,steps=5", {"seed": 3}),
    "ddpm_stream": ("gmm:sampler=ddpm,steps=5", {"seed": 3, "stream": 2, "first": 1000}),
    "euler": ("gmm:sampler=euler,steps=5", {}),
    "heun": ("gmm:sampler=heun,steps=5", {}),
    "heun_map": ("gmm:sampler=heun,steps=5", {"noise": "map"}),
    "dpmpp_2m": ("gmm:sampler=dpmpp_2m,steps=5", {}),
    "dpmpp_2m_map": ("gmm:sampler=dpmpp_2m,steps=5", {"noise": "map"}),
    "noise_start": ("gmm:start=noise,sampler=ddim,steps=8,sigma_max=20", {"seed": 7, "observed": OBSERVED}),
    "noise_start_ddpm": ("gmm:start=noise,sampler=ddpm,steps=8,sigma_max=20", {"seed": 7}),
    "noise_start_mean": ("gmm:start=noise,sampler=posterior_mean,steps=6", {"observed": OBSERVED}),
    "noise_start_one": ("lmmse:start=noise", {"observed": OBSERVED}),
    "ddim_mask": ("gmm:sampler=ddim,steps=6,sigma_max=20", {"observed": OBSERVED}),
    "ddpm_mask": ("gmm:sampler=ddpm,steps=6,sigma_max=20", {"observed": OBSERVED, "seed": 5}),
    "level": ("gmm:start=level,sampler=posterior_mean,steps=4,sigma_max=0.7", {}),
    "renoise": ("gmm:start=renoise,sampler=ddim,steps=4,sigma_max=0.7", {"seed": 5, "observed": OBSERVED}),
    "matrix_one": ("matrix_gmm:start=noise,sampler=one_step", {}),
    "matrix_gain": ("matrix_lmmse:start=noise,sampler=posterior_mean,gain=measured", {"scale": 2.0}),
    "matrix_renoise": ("matrix_gmm:start=renoise,sampler=ddim,steps=4,sigma_max=0.7", {"seed": 5}),
    "matrix_lmmse": ("matrix_lmmse:start=noise,sampler=ddim,steps=8,sigma_max=20", {"seed": 9}),
    "matrix_gmm": ("matrix_gmm:start=noise,sampler=ddpm,steps=8,sigma_max=20", {"seed": 9}),
    "noise_updates": ("gmm:noise_updates=1", {}),
    "noise_updates_map": ("gmm:noise_updates=3,sampler=ddim,steps=5", {"noise": "map", "observed": OBSERVED}),
    "noise_updates_gain": (
        "gmm:gain=measured,noise_updates=2,sampler=posterior_mean,steps=5",
        {"scale": 3.0, "observed": OBSERVED},
    ),
}
# Float against double, and as many roundings as there are steps. Where the first level is 20, so is the
# size of what cancels.
TOLERANCE, TOLERANCE_NOISE_START = 5e-6, 1e-4


def toy():
    """(tensors {file: array}, members) of the toy package: unit power, correlated, three components."""
    rng = np.random.default_rng(SEED)
    roots = rng.standard_normal((3, SIZE, SIZE)) + 1j * rng.standard_normal((3, SIZE, SIZE))
    covariances = roots @ roots.conj().transpose(0, 2, 1) / SIZE + 0.05 * np.eye(SIZE)
    means = 0.3 * (rng.standard_normal((3, SIZE)) + 1j * rng.standard_normal((3, SIZE)))
    mixture = priors.Mixture([0.5, 0.3, 0.2], means, covariances)
    second_moment = np.real(np.diag(mixture.covariance())) + np.abs(mixture.weights @ means) ** 2
    power = second_moment.mean()
    tensors = {
        "weights.npy": mixture.weights.astype(np.float32),
        "means.npy": (means / np.sqrt(power)).astype(np.complex64),
        "covariances.npy": (covariances / power).astype(np.complex64),
        "variances.npy": rng.uniform(0.3, 1.5, (3, SIZE)).astype(np.float32),
        "covariance.npy": (mixture.covariance() / power).astype(np.complex64),
        "variance.npy": np.linspace(0.2, 1.8, SIZE).astype(np.float32),
        "matrix.npy": (
            (rng.standard_normal((ROWS, SIZE)) + 1j * rng.standard_normal((ROWS, SIZE))) / np.sqrt(2 * SIZE)
        ).astype(np.complex64),
    }
    gmm = {"type": "gmm", "weights": "weights.npy", "means": "means.npy", "covariances": "covariances.npy"}
    lmmse = {"type": "gaussian", "covariance": "covariance.npy"}
    matrix = {"type": "matrix", "matrix": "matrix.npy"}
    priors_of = {
        "lmmse": lmmse,
        "gmm": gmm,
        "diagonal": {"type": "gaussian", "variance": "variance.npy"},
        "gmm_diagonal": {
            "type": "gmm",
            "weights": "weights.npy",
            "means": "means.npy",
            "variances": "variances.npy",
        },
        "matrix_lmmse": lmmse,
        "matrix_gmm": gmm,
    }
    members = {
        name: {
            "prior": prior,
            "operator": matrix if name.startswith("matrix") else {"type": "mask"},
            "start": {"type": "matched"},
            "sampler": {"type": "one_step"},
            "plan": {"type": "geometric", "steps": 10, "sigma_min": 0.01},
        }
        for name, prior in priors_of.items()
    }
    return tensors, members


def override(member, spec):
    """(member, gain) after the `key=value` list of a spec."""
    member = json.loads(json.dumps(member))
    gain = "unit"
    for key, value in (item.split("=") for item in spec.split(",") if item):
        if key == "gain":
            gain = value
        elif key == "eta":
            member["sampler"][key] = float(value)
        elif key == "noise_updates":
            member["start"][key] = int(value)
        elif key in ("sampler", "start", "plan"):
            member[key] = {**member[key], "type": value}
        else:
            member["plan"][key] = float(value) if "." in value else int(value)
    if member["start"]["type"] in ("level", "renoise"):
        member["start"]["sigma"] = member["plan"]["sigma_max"]
    return member, gain


def save(name, array):
    np.save(FOLDER / name, np.ascontiguousarray(array))


def measurement(prior, options, matrix, k):
    """(y [ITEMS, M], noise variance [ITEMS, M] or [ITEMS, 1]) of the k-th case."""
    rng = np.random.default_rng([SEED, k])
    truth = prior.draw(rng, ITEMS)
    clean = truth if matrix is None else truth @ matrix.T
    noise_var = 10.0 ** (-np.linspace(-5, 20, ITEMS)[:, None] / 10)
    if options.get("noise") == "map":
        noise_var = noise_var * rng.uniform(0.2, 3.0, clean.shape)
    if options.get("noise") == "high":
        noise_var = 30.0 * np.ones((ITEMS, 1))
    noise = philox.complex_normals(clean.shape[1], k, np.arange(ITEMS), SEED)
    scale = options.get("scale", 1.0)
    return scale * (clean + noise * np.sqrt(noise_var)), scale**2 * noise_var


def case(k, name, tensors, members, arrays):
    """Runs the twin on one case, appends to the flat arrays, returns its entry."""
    spec, options = CASES[name]
    member_name, _, keys = spec.partition(":")
    member, gain = override(members[member_name], keys)
    matrix = tensors["matrix.npy"] if member["operator"]["type"] == "matrix" else None
    source = scheme.load_prior(members["gmm"]["prior"], FOLDER / "toy")
    y, noise_var = measurement(source, options, matrix, k)
    y, noise_var = y.astype(np.complex64), noise_var.astype(np.float32)
    observed = np.array(options["observed"], bool) if "observed" in options else None
    counters = {key: options.get(key, 0) for key in ("seed", "stream", "first")}
    prior = scheme.load_prior(member["prior"], FOLDER / "toy")
    mean, variance, steps = scheme.estimate(
        prior, y, noise_var, member, observed=observed, matrix=matrix, gain=gain, **counters
    )
    parts = {"y": y, "noise_var": noise_var, "mean": mean, "variance": variance}
    at = {key: sum(part.size for part in arrays[key]) for key in parts}
    for key, part in parts.items():
        arrays[key].append(part.ravel())
    tolerance = TOLERANCE_NOISE_START if "sigma_max=20" in spec else TOLERANCE
    entry = {"name": name, "spec": spec, "at": at, "items": ITEMS, "rows": y.shape[1]}
    entry.update(noise_stride=noise_var.shape[1], observed=options.get("observed", []), **counters)
    return {**entry, "steps": steps.tolist(), "tolerance": tolerance * options.get("scale", 1.0)}


def main():
    """Writes everything."""
    package = FOLDER / "toy"
    package.mkdir(parents=True, exist_ok=True)
    tensors, members = toy()
    for name, array in tensors.items():
        np.save(package / name, array)
    manifest = {
        "diffsem.contract": 1,
        "name": "toy",
        "title": "Gaussians for the tests",
        "version": "1",
        "licence": "GPL-3.0-or-later",
        "signal": {"domain": "complex", "shape": [SIZE], "axes": ["element"], "gain": "unit"},
        "default": "gmm",
        "members": members,
        "files": {n: hashlib.sha256((package / n).read_bytes()).hexdigest() for n in sorted(tensors)},
    }
    (package / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")
    normals = philox.complex_normals(9, 4, [0, 1, 2**33 + 5], seed=2**63 + 11, stream=3)
    save("philox.npy", normals.astype(np.complex64))
    arrays = {"y": [], "noise_var": [], "mean": [], "variance": []}
    cases = [case(k, name, tensors, members, arrays) for k, name in enumerate(CASES)]
    for name, parts in arrays.items():
        flat = np.concatenate(parts)
        save(f"{name}.npy", flat.astype(np.complex64 if np.iscomplexobj(flat) else np.float32))
    goldens = {"generator": "tests/data/make_goldens.py", "seed": SEED, "package": "toy", "cases": cases}
    goldens["philox"] = {
        "seed_minus_2_to_63": 11,
        "stream": 3,
        "step": 4,
        "items_high": [0, 0, 2],
        "items_low": [0, 1, 5],
    }
    (FOLDER / "goldens.json").write_text(json.dumps(goldens, indent=1) + "\n")
    print(f"{len(cases)} cases in {FOLDER}")


if __name__ == "__main__":
    sys.exit(main())
