# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a member of a package over arrays: through the C++ core, or through a block in a flowgraph."""

import contextlib

import numpy as np

from ..base.errors import UserError
from .flowgraph import through_block

CHAINS = ("core", "block")
_kept = None  # {spec: scheme} within kept()


@contextlib.contextmanager
def kept():
    """Within it a scheme that was loaded once is not loaded again: its package must not change meanwhile."""
    global _kept
    before, _kept = _kept, {} if _kept is None else _kept
    try:
        yield
    finally:
        _kept = before


def estimate(spec, y, noise_var, observed=None, matrix=None, chain="core", seed=0, condition=None):
    """(mean [R, N], variance [R, N] or None, evaluations, share guarded) of a scheme on y [R, M], complex or real.

    noise_var: variance per (complex) element of y, one number. condition: {name: array [R, ...]}; what the
    scheme's prior takes of it, it is told. `chain` is one of CHAINS. Guarded are the items whose
    estimate contradicted its measurement, so that the scheme's fallback answered.
    Raises UserError when the scheme cannot be had.
    """
    try:
        handle = _scheme(spec)
        said = handle.info()
        real = not np.iscomplexobj(y)
        y = np.ascontiguousarray(y, np.float32 if said["domain"] == "real" else np.complex64)
        taken = {c["name"] for c in said["condition"]}
        condition = {name: values for name, values in (condition or {}).items() if name in taken}
        if chain == "block":
            mean, *rest = _through_block(handle, y, noise_var, observed, matrix, seed, condition)
            return (mean.real if real else mean), *rest
        settings = {"observed": observed, "matrix": matrix, "seed": seed}
        mean, variance, info = handle.estimate(y, np.float32(noise_var), condition=condition, **settings)
        mean = info.get("latent", mean)  # what the test data are of
        mean = mean.real if real else mean  # least squares takes real data as complex
    except ValueError as error:
        raise UserError(str(error)) from None
    failed = np.array(info["bypassed"]) & ~np.array(info["guarded"])
    if failed.any():
        reasons = ", ".join(sorted({text for text in info["reason"] if text}))
        raise UserError(f"{spec} bypassed {int(failed.sum())} items ({reasons})")
    guarded = float(np.mean(info["guarded"]))
    return mean, stated(variance, said), float(np.mean(info["steps"])), guarded


def stated(variance, said):
    """The variance, or None where the scheme states none: its prior has none, or what its guidance makes has none."""
    return variance if said["has_variance"] and np.isfinite(variance).any() else None


def estimate_maps(spec, y, noise_var, condition):
    """(mean, variance) [R, N] of a real scheme on y [R, N] whose elements have noise of their own, noise_var [R, N].

    condition: {name: array [R, ...]}. Raises UserError when the scheme cannot be had, or an item not be inferred.
    """
    try:
        mean, variance, said = _scheme(spec).estimate(y, noise_var, condition=condition)
    except ValueError as error:
        raise UserError(str(error)) from None
    failed = np.array(said["bypassed"]) & ~np.array(said["guarded"])
    if failed.any():
        reasons = ", ".join(sorted({text for text in said["reason"] if text}))
        raise UserError(f"{spec} bypassed {int(failed.sum())} items ({reasons})")
    return mean, variance


def estimate_jointly(spec, y, noise_var, rounds=0, seed=0):
    """(means, variances, info) of a scheme of several unknowns, in the core: dicts by the unknowns' names.

    y: complex [count, *shape]; noise_var: as `diffsem.scheme.estimate` takes it. Raises UserError when the scheme
    cannot be had, or an item could not be inferred.
    """
    try:
        handle = _scheme(spec)
        means, variances, said = handle.estimate(
            np.ascontiguousarray(y, np.complex64), np.asarray(noise_var, np.float32), steps=rounds, seed=seed
        )
    except ValueError as error:
        raise UserError(str(error)) from None
    failed = np.array(said["bypassed"]) & ~np.array(said.get("guarded", False))
    if failed.any():
        reasons = ", ".join(sorted({text for text in said["reason"] if text}))
        raise UserError(f"{spec} bypassed {int(failed.sum())} items ({reasons})")
    return means, variances, said


def info(spec):
    """What a scheme says of itself (the dict of `diffsem.scheme(spec).info()`)."""
    try:
        return _scheme(spec).info()
    except ValueError as error:
        raise UserError(str(error)) from None


def _scheme(spec):
    """The scheme of a spec; ValueError says why it cannot be had."""
    if _kept is None:
        return _module().scheme(spec)
    if spec not in _kept:
        _kept[spec] = _module().scheme(spec)
    return _kept[spec]


def _module():
    try:
        from gnuradio import diffsem
    except ImportError as error:
        raise UserError(f"gnuradio.diffsem cannot be imported ({error}): build it with `make`") from None
    return diffsem


def _through_block(handle, y, noise_var, observed, matrix, seed, condition):
    """The same through the block."""
    mean, variance, failed, guarded = through_block(handle, y, noise_var, observed, matrix, seed, condition=condition)
    if failed:
        raise UserError(f"the flowgraph estimated {len(y) - failed} of {len(y)} items: see its log")
    first = {name: values[:1] for name, values in condition.items()}
    settings = {"observed": observed, "matrix": matrix, "seed": seed, "condition": first}
    one = handle.estimate(y[:1], np.float32(noise_var), **settings)
    return mean, stated(variance, handle.info()), float(one[2]["steps"][0]), guarded / len(y)
