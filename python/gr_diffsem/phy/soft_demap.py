# SPDX-License-Identifier: GPL-3.0-or-later
"""Equalised symbols -> log-likelihood ratios of their bits, positive for bit 0, in sending order.

`qpsk` and `exact` are for constellations with bit 0 on the positive side (`constellation.qpsk`, and the negative
of `constellation.modulate`); `max_log` is for `constellation.modulate` itself.
"""

import numpy as np

from .constellation import axis_bits, axis_levels


def qpsk(symbols, noise_var):
    """Exact ratios of QPSK: [n] -> float32 [2 n].

    noise_var: per complex symbol, a number or [n]; infinite or NaN = lost (ratio 0). The ratios of several
    copies of one symbol add up.
    """
    symbols = np.asarray(symbols, np.complex64)
    noise_var = np.broadcast_to(np.asarray(noise_var, np.float32), symbols.shape)
    weight = np.zeros(symbols.shape, np.float32)
    good = np.isfinite(noise_var) & np.isfinite(symbols)
    weight[good] = np.float32(2 * np.sqrt(2)) / np.maximum(noise_var[good], 1e-6)
    clean = np.where(good, symbols, 0)
    return np.stack([clean.real * weight, clean.imag * weight], -1).reshape(-1).astype(np.float32)


def exact(symbols, noise_var, bits):
    """Exact ratios for `bits` a symbol: [n] -> float32 [n bits]. noise_var per complex symbol [n], inf = lost."""
    if bits == 2:
        return qpsk(symbols, noise_var)
    lost = ~np.isfinite(noise_var)
    weight = np.where(lost, 0, 1 / np.where(lost, 1, noise_var)).astype(np.float32)
    y = np.where(lost, 0, symbols)
    if bits == 1:
        return (4 * weight * y.real).astype(np.float32)
    pair = np.stack([y.real, y.imag], -1).astype(np.float32)
    levels = -axis_levels(bits).astype(np.float32)
    metric = -weight[:, None, None] * (pair[..., None] - levels) ** 2  # of every level of an axis
    ratios = [
        np.logaddexp.reduce(metric[..., ~one], -1) - np.logaddexp.reduce(metric[..., one], -1)
        for one in _ones(len(levels))
    ]
    return np.stack(ratios, -1).astype(np.float32).ravel()


def max_log(points, weight, bits):
    """Ratios by the nearest point of either kind: points [n, carriers], weight [n or 1, carriers] = 1 / (noise
    variance after equalising) -> float32 [n, carriers * bits], the first half of a symbol's bits on I."""
    levels, half = axis_levels(bits), axis_bits(bits)
    axes = [points.real] if bits == 1 else [points.real, points.imag]
    out = np.empty(points.shape + (bits,), np.float32)
    for a, value in enumerate(axes):
        distance = (value[..., None] - levels) ** 2
        for b, one in enumerate(_ones(len(levels))):
            out[..., a * half + b] = (distance[..., one].min(axis=-1) - distance[..., ~one].min(axis=-1)) * weight
    return out.reshape(points.shape[0], -1)


def _ones(count):
    """Which of an axis's labels have this bit set, for each bit from the most significant: bool [bits, count]."""
    half = count.bit_length() - 1
    return (np.arange(count) >> np.arange(half - 1, -1, -1)[:, None] & 1).astype(bool)
