# SPDX-License-Identifier: GPL-3.0-or-later
"""The signal convention, in one place (twin of `core/base/signal.h`).

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


def noise32(rng, like):
    """Noise of unit variance per element, of the shape and domain of `like`: complex64, or of real data float32."""
    return complex_noise32(rng, like.shape) if np.iscomplexobj(like) else rng.standard_normal(like.shape, np.float32)


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
