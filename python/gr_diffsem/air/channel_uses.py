# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels as a learned end-to-end code meets them: what one use of a channel makes of what was sent; and a tap of
Clarke's model over time.

Kim, Fritschek and Schaefer ("Robust generation of channel distributions with diffusion models", 2023) learn such
channels. Their numbers are kept: Eb/N0 of 5 dB (AWGN), 12 dB (Rayleigh), 8 dB (SSPA), 16 messages in 8 real uses,
hence a rate of 1/2 bit a real use and a noise variance of 1/(2 R Eb/N0) a real use of unit power.
"""

from functools import lru_cache

import numpy as np

from ..base.signal import complex_noise

KINDS = ("awgn", "rayleigh", "sspa")
USES = 8  #: real uses, pairs of which are complex ones: reals first, then imaginary parts
RATE = 0.5  #: bits a real use
EBN0_DB = {"awgn": 5.0, "rayleigh": 12.0, "sspa": 8.0}
SSPA_ORDER, SSPA_LIMIT, SSPA_GAIN = 3.0, 1.5, 5.0  #: p, A0, v of Rapp's model


def noise_variance(kind, ebn0_db=None):
    """Of one real use, for a sent power of 1 each; ebn0_db: Eb/N0 in dB, None: the kind's own."""
    return 1 / (2 * RATE * 10 ** ((EBN0_DB[kind] if ebn0_db is None else ebn0_db) / 10))


def sent(rng, n):
    """What is sent: [n, 8] float32 of power 1 a use, normalised over each item as a code's words are."""
    x = rng.standard_normal((n, USES))
    return (x * np.sqrt(USES / np.sum(x**2, 1, keepdims=True))).astype(np.float32)


def rapp(x):
    """Rapp's solid-state amplifier on complex pairs of [..., 8], an array or a tensor:
    A -> v A / (1 + (v A / A0)^(2p))^(1/(2p))."""
    pairs = x.reshape(*x.shape[:-1], 2, USES // 2)
    driven = (SSPA_GAIN / SSPA_LIMIT) ** 2 * (pairs**2).sum(-2)
    gain = SSPA_GAIN / (1 + driven**SSPA_ORDER) ** (1 / (2 * SSPA_ORDER))
    return (pairs * gain[..., None, :]).reshape(x.shape)


def chance(kind, rng, shape):
    """What chance adds to x [..., 8] of this shape: noise of unit variance, and the gains of Rayleigh fading, one in
    each use, E h^2 = 1, or None."""
    if kind not in KINDS:
        raise ValueError(f"kind: '{kind}' is no channel; choose one of {', '.join(KINDS)}")
    noise = rng.standard_normal(shape)
    return noise, np.hypot(*rng.standard_normal((2, *shape))) / np.sqrt(2) if kind == "rayleigh" else None


def passed(kind, x, gain=None):
    """What a kind of channel makes of x [..., 8] before the noise, an array or a tensor; gain: of `chance`."""
    return rapp(x) if kind == "sspa" else x if gain is None else x * gain


def received(kind, x, rng, ebn0_db=None):
    """y [n, 8] float32 of one kind of channel for x [n, 8]. rayleigh: a real gain of E h^2 = 1 in each use. ebn0_db: as
    `noise_variance` has it."""
    noise, gain = chance(kind, rng, x.shape)
    return (passed(kind, x, gain) + np.sqrt(noise_variance(kind, ebn0_db)) * noise).astype(np.float32)


def clarke_correlation(length, doppler):
    """J0(2 pi f k), k = 0 .. length-1: correlation of a tap in Clarke's model; doppler f in cycles per instant."""
    angle = 2 * np.pi * (np.arange(4096) + 0.5) / 4096  # the mean over arrivals from everywhere is J0
    return np.mean(np.cos(2 * np.pi * doppler * np.arange(length)[:, None] * np.cos(angle)), 1)


@lru_cache(maxsize=4)
def _clarke_root(length, doppler):
    covariance = clarke_covariance(length, doppler)
    values, vectors = np.linalg.eigh(covariance)
    kept = values > 1e-9 * values[-1]
    return vectors[:, kept] * np.sqrt(values[kept])


def clarke_covariance(length, doppler):
    """E[h h^H] [length, length], real."""
    lag = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    return clarke_correlation(length, doppler)[lag]


def clarke(rng, n, length, doppler):
    """n taps over `length` instants, complex64 [n, length], Gaussian with Clarke's correlation exactly, E|h|^2 = 1."""
    root = _clarke_root(length, doppler)
    return (complex_noise(rng, (n, root.shape[1])) @ root.T).astype(np.complex64)
