# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal convention, in one place (twin of `core/signal.h`).

x is complex with E|x|^2 = 1 per complex element; y = x + n; rho = E|x|^2 / E|n|^2 per complex
element; sigma = sqrt(1 / rho) is the noise standard deviation per complex element.

Networks see real planes. Scaled to unit variance per real component (by sqrt(2)), the noise has
standard deviation sigma *per real component* too: the relative level does not change. Forgetting
this factor is the 3 dB mistake that the tests are made to catch.
"""

import numpy as np


def db_to_linear(db):
    """10^(dB / 10): a power ratio."""
    return 10.0 ** (np.asarray(db, dtype=float) / 10.0)


def linear_to_db(ratio):
    """10 log10 of a power ratio; -inf for 0."""
    with np.errstate(divide="ignore"):
        return 10.0 * np.log10(np.asarray(ratio, dtype=float))


def snr_db_to_sigma(snr_db):
    """SNR per complex element in dB -> noise standard deviation at unit signal power."""
    return db_to_linear(snr_db) ** -0.5


def sigma_to_alpha_bar(sigma):
    """Cumulative alpha_bar of the variance-preserving step that has relative noise sigma.

    sigma^2 = (1 - alpha_bar) / alpha_bar, so alpha_bar = 1 / (1 + sigma^2) (DDPM, eq. 4, rescaled).
    """
    return 1.0 / (1.0 + np.asarray(sigma, dtype=float) ** 2)


def alpha_bar_to_sigma(alpha_bar):
    """The inverse of `sigma_to_alpha_bar`."""
    alpha_bar = np.asarray(alpha_bar, dtype=float)
    return np.sqrt((1.0 - alpha_bar) / alpha_bar)


def sigma_to_flow_time(sigma):
    """t of the linear flow x_t = (1 - t) x0 + t n with relative noise sigma: t = sigma/(1+sigma)."""
    sigma = np.asarray(sigma, dtype=float)
    return sigma / (1.0 + sigma)


def complex_noise(rng, shape, variance=1.0):
    """Circular complex Gaussian noise of `variance` per complex element (variance/2 per component).

    rng: numpy Generator. variance: broadcastable to shape.
    """
    unit = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return unit * np.sqrt(np.asarray(variance) / 2.0)


def complex_noise32(rng, shape):
    """The same of unit variance in single precision, complex64, drawn as such: for training, where it takes time."""
    n = np.empty(shape, np.complex64)
    n.real = rng.standard_normal(shape, dtype=np.float32)
    n.imag = rng.standard_normal(shape, dtype=np.float32)
    n *= np.float32(np.sqrt(0.5))
    return n


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


def to_x0(prediction, scaling, x, sigma, out):
    """A net's output -> D(x, sigma) = E[x0 | x], by the table of docs/model_contract.md.

    prediction: x0, eps, v, score or flow; scaling: ve, vp or flow (what the net saw);
    x = x0 + sigma n in VE coordinates; out: the net's output, in the scale of x. All broadcast.
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
        return (1.0 - t) * x - t * out
    if prediction == "score":  # Tweedie: score = -(noise std of the input) * eps / (that std)^2
        std = {"ve": sigma, "vp": np.sqrt(1.0 - alpha_bar), "flow": t}[scaling]
        return x - sigma * (-std * out)
    raise ValueError(f"prediction '{prediction}' is not one of x0, eps, v, score, flow")


def measured_power(y, noise_var, observed=None):
    """Signal power of each item: mean |y|^2 over observed elements less the noise, but at least

    noise / sqrt(number observed): about the deviation of the measured noise power, below which there
    is no telling how weak the signal is. y: complex [B, N]; noise_var broadcasts; observed: bool [N]
    or None. Returns [B, 1].
    """
    observed = np.ones(y.shape[-1], bool) if observed is None else np.asarray(observed, bool)
    noise = np.broadcast_to(noise_var, y.shape)[:, observed].mean(axis=1, keepdims=True)
    power = np.mean(np.abs(y[:, observed]) ** 2, axis=1, keepdims=True) - noise
    return np.maximum(np.maximum(power, noise / np.sqrt(observed.sum())), 1e-30)


def nmse_db(estimate, truth):
    """10 log10 (sum |e|^2 / sum |h|^2) over everything given."""
    error = np.sum(np.abs(np.asarray(estimate) - truth) ** 2)
    return float(linear_to_db(error / np.sum(np.abs(truth) ** 2)))
