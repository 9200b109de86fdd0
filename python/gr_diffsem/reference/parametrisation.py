# SPDX-License-Identifier: GPL-3.0-or-later
"""How networks are told the signal and what they answer, written from the equations: the twin of the core's wrapper."""

import numpy as np

from ..base.signal import linear_to_db, sigma_to_alpha_bar


def sigma_to_flow_time(sigma):
    """t of the linear flow x_t = (1 - t) x0 + t n with relative noise sigma: t = sigma/(1+sigma)."""
    sigma = np.asarray(sigma, dtype=float)
    return sigma / (1.0 + sigma)


def to_planes(x, component_std=1.0):
    """Complex (..., *shape) at unit power -> real (..., 2, last axis) with the given component std.

    The complex axis becomes two planes just before the last axis' data: x of [B, N] gives [B, 2, N].
    """
    scale = np.sqrt(2.0) * component_std
    return scale * np.stack([x.real, x.imag], axis=1)


def from_planes(planes, component_std=1.0):
    """The inverse of `to_planes`: real [B, 2, ...] -> complex [B, ...]."""
    scale = np.sqrt(2.0) * component_std
    return (planes[:, 0] + 1j * planes[:, 1]) / scale


def input_scale(sigma, scaling="vp"):
    """Factor from x = x0 + sigma n to what a net sees: `ve` 1, `vp` sqrt(rho/(1+rho)), `flow` 1-t."""
    sigma = np.asarray(sigma, dtype=float)
    if scaling == "ve":
        return np.ones_like(sigma)
    if scaling == "vp":
        return 1.0 / np.sqrt(1.0 + sigma**2)
    if scaling == "flow":
        return 1.0 / (1.0 + sigma)
    raise ValueError(f"input scaling '{scaling}' is not one of ve, vp, flow")


def to_x0(prediction, scaling, x, sigma, out, to_data=False):
    """A net's output -> D(x, sigma) = E[x0 | x], by the table of docs/model_contract.md.

    prediction: x0, eps, v, score or flow; scaling: ve, vp or flow (what the net saw);
    x = x0 + sigma n in VE coordinates; out: the net's output, in the scale of x. All broadcast. to_data: a flow whose
    time runs from noise to data, so that its velocity is x0 - n.
    """
    sigma = np.asarray(sigma, dtype=float)
    alpha_bar = sigma_to_alpha_bar(sigma)
    t = sigma_to_flow_time(sigma)
    if prediction == "x0":
        return out
    if prediction == "eps":
        return x - sigma * out
    if prediction == "v":  # v = sqrt(ab) n - sqrt(1-ab) x0 (Salimans and Ho 2022, eq. 10)
        return alpha_bar * x - np.sqrt(1.0 - alpha_bar) * out
    if prediction == "flow":  # v = n - x0 on x_t = (1-t) x0 + t n
        return (1.0 - t) * x + (t * out if to_data else -t * out)
    if prediction == "score":  # Tweedie: score = -(noise std of the input) * eps / (that std)^2
        std = {"ve": sigma, "vp": np.sqrt(1.0 - alpha_bar), "flow": t}[scaling]
        return x - sigma * (-std * out)
    raise ValueError(f"prediction '{prediction}' is not one of x0, eps, v, score, flow")


def nmse_db(estimate, truth):
    """10 log10 (sum |e|^2 / sum |h|^2) over everything given."""
    error = np.sum(np.abs(np.asarray(estimate) - truth) ** 2)
    return float(linear_to_db(error / np.sum(np.abs(truth) ** 2)))
