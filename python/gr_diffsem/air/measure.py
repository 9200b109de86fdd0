# SPDX-License-Identifier: GPL-3.0-or-later
"""What a denoiser is shown: clean signals, complex or real, turned into (state, level of every element).

The net sees exactly what the C++ runtime feeds it (docs/model_contract.md): the gain is measured
from the noisy elements, an unobserved element is zero at the largest level, and the noise variance
is the receiver's own estimate. Besides plain measurements y = M(h + n) there are the states of a
sampler: one level for all elements (the prior alone), and measurement and state combined, where
element i has level (1/s^2 + m_i/sigma_i^2)^(-1/2).
"""

from dataclasses import dataclass

import numpy as np

from ..base.signal import noise32
from . import tdl

SIGMA_RANGE = (0.003, 30.0)


@dataclass
class Batch:
    """n training pairs. clean, state: [n, *shape] complex64 (of real data float32), both divided by the measured gain;
    sigma: [n, *shape] float32, noise deviation per (complex) element (as the receiver believes);
    observed: [n, *shape] bool, elements with a measurement or a state."""

    clean: np.ndarray
    state: np.ndarray
    sigma: np.ndarray
    observed: np.ndarray


@dataclass
class ConditionedBatch(Batch):
    """The same with what a conditional net is told of each: {name: array [n, ...]}, ordered as `Scheme.condition`."""

    condition: dict


def conditioned(batch, condition):
    """The batch with its conditions; where there are none, as it is."""
    return ConditionedBatch(**vars(batch), condition=condition) if condition else batch


def measured_power(y, noise_variance, observed):
    """Signal power [n] as the runtime measures it, over the observed elements only.

    P = max(mean |y|^2 - mean nv, mean nv / sqrt(number observed)). The floor is one standard
    deviation of the noise power's mean: below it there is no telling how weak the signal is."""
    axes = tuple(range(1, y.ndim))
    count = np.maximum(observed.sum(axes), 1)
    power = np.sum(np.abs(y) ** 2 * observed, axis=axes) / count
    noise = np.sum(noise_variance * observed, axis=axes) / count
    return np.maximum(np.maximum(power - noise, noise / np.sqrt(count)), 1e-30).astype(np.float32)


def observe(h, noise_variance, believed, observed, rng, gain="measured"):
    """Measure clean signals: [n, *shape] with true noise variance and believed noise variance
    (broadcastable to [n, *shape]). Returns a Batch; gain as `signal.gain` of the contract."""
    nv = np.broadcast_to(np.asarray(noise_variance, np.float32), h.shape)
    seen = np.broadcast_to(np.asarray(believed, np.float32), h.shape)
    y = h + np.sqrt(nv) * noise32(rng, h)
    power = measured_power(y, seen, observed) if gain == "measured" else np.ones(len(h), np.float32)
    power = power.reshape(-1, *[1] * (h.ndim - 1))
    scale = 1 / np.sqrt(power)
    sigma = np.where(observed, np.sqrt(seen / power), SIGMA_RANGE[1])
    sigma = np.clip(sigma, *SIGMA_RANGE).astype(np.float32)
    return Batch(h * scale, np.where(observed, y * scale, 0), sigma, observed)


def noise_states(clean, ln_level, rng):
    """States of a sampler that starts in noise, nothing measured: a Batch of clean signals [n, *shape], each with
    one level whose logarithm is normal, ln_level = (mean, deviation)."""
    level = np.exp(rng.normal(*ln_level, (len(clean), *[1] * (clean.ndim - 1))))
    level = level.clip(*SIGMA_RANGE).astype(np.float32)
    state = clean + level * noise32(rng, clean)
    return Batch(clean, state, np.broadcast_to(level, clean.shape), np.ones(clean.shape, bool))


def as_prior_state(batch, share, rng, gain_over=None):
    """Turn the last `share` of a batch's rows into states of a sampler at one level s.

    Half of these rows keep their measurement and combine it with the state; for the other half
    the prior is alone, and the clean signal has unit mean power over `gain_over` (a bool mask)."""
    n = len(batch.clean)
    first = n - int(share * n)
    middle = (first + n) // 2
    shape = batch.clean[first:].shape
    level = np.exp(rng.uniform(*np.log(SIGMA_RANGE), n - first)).astype(np.float32)
    level = level.reshape(-1, *[1] * (len(shape) - 1))
    clean = batch.clean[first:]
    alone = slice(middle - first, None)
    if gain_over is not None:
        used = clean[alone][..., gain_over]
        power = np.mean(np.abs(used) ** 2, axis=tuple(range(1, used.ndim)), keepdims=True)
        clean[alone] /= np.sqrt(power)
    state = clean + level * noise32(rng, clean)
    precision = batch.observed[first:] / batch.sigma[first:] ** 2
    precision[alone] = 0
    total = precision + 1 / level**2
    batch.state[first:] = (batch.state[first:] * precision + state / level**2) / total
    batch.sigma[first:] = np.clip(1 / np.sqrt(total), *SIGMA_RANGE)
    batch.observed[first:] = True
    return batch


def wifi_mask(n_fft=64):
    """The 52 carriers of 802.11a/g, and gr-digital's 64-carrier default: -26..26 without 0."""
    k = tdl.carriers(n_fft)
    return (np.abs(k) <= 26) & (k != 0)


def draw_masks(rng, n):
    """Random sets of observed carriers [n, 64]: four in ten the ones that most receivers have, else `draw_layouts`."""
    k = tdl.carriers(64)
    usual = wifi_mask()
    masks = np.repeat(usual[None], n, axis=0)
    u = rng.random(n)
    at = 0.27
    for share, mask in (
        (0.08, usual & (k % 2 == 0)),
        (0.02, usual & (k % 2 != 0)),
        (0.03, (np.abs(k) <= 28) & (k != 0)),
        (0.02, np.abs(k) <= 26),
        (0.02, np.ones(64, bool)),
    ):
        masks[(u >= at) & (u < at + share)] = mask
        at += share
    rest = np.flatnonzero(u >= at)
    masks[rest] = draw_layouts(rng, len(rest))
    return masks


def draw_layouts(rng, n, fewest=12):
    """n sets [n, 64] of at least `fewest` observed carriers, as an allocation or a pilot pattern may leave them: a
    block, one side of DC, two edges, a comb, a band with gaps, carriers at random. Half of them spare DC."""
    k = tdl.carriers(64)
    masks = np.zeros((n, 64), bool)
    todo = np.arange(n)
    while len(todo):
        kind = rng.integers(6, size=(len(todo), 1))
        edge = 32 - np.floor(21 * rng.random((len(todo), 2)) ** 2)  # carriers 11..32 away from DC, most of them far
        low, high = -edge[:, :1], edge[:, 1:] - 1
        band = (k >= low) & (k <= high)
        width = rng.integers(fewest, 65, (len(todo), 1))
        first = -32 + np.floor(rng.random(width.shape) * (65 - width))
        block = (k >= first) & (k < first + width)
        inner = rng.integers(1, 22, (len(todo), 2))
        side = np.where(rng.random(width.shape) < 0.5, band & (k >= inner[:, :1]), band & (k <= -inner[:, 1:]))
        edges = band & ((k >= inner[:, :1]) | (k <= -inner[:, 1:]))
        step = rng.integers(2, 6, width.shape)
        teeth = k % step == rng.integers(5, size=width.shape) % step
        comb = np.where(rng.random(width.shape) < 0.5, band, block) & teeth
        gaps = band.copy()
        for _ in range(3):
            hole = rng.integers(-32, 32, width.shape)
            gaps &= (k < hole) | (k >= hole + rng.integers(1, 16, width.shape))
        order = np.argsort(np.argsort(np.where(band, rng.random(band.shape), 2.0), 1), 1)
        scattered = order < fewest + np.floor(rng.random(width.shape) * (band.sum(1, keepdims=True) - fewest + 1))
        drawn = np.choose(kind, (block, side, edges, comb, gaps, scattered))
        drawn &= (k != 0) | (rng.random(width.shape) < 0.5)
        enough = drawn.sum(1) >= fewest
        masks[todo[enough]] = drawn[enough]
        todo = todo[~enough]
    return masks


def draw_noise(rng, n, snr_db=(-12.0, 36.0)):
    """Noise variance [n, 64] relative to unit signal power, and what the receiver believes it is.

    Mostly equal on all carriers; some rows have a tilt, a few interfered tones. The belief is off
    by the chi-square error of an estimate from 20 to 60 complex samples."""
    nv = 10 ** (-rng.uniform(*snr_db, (n, 1)) / 10)
    shape = np.ones((n, 64))
    tilted = rng.random(n) < 0.08
    slope = rng.normal(0, 2, (n, 1)) * tdl.carriers(64) / 32
    shape[tilted] = 10 ** (slope[tilted] / 10)
    hit = (rng.random((n, 1)) < 0.08) & (rng.random((n, 64)) < 0.15)
    shape = np.where(hit, shape * 10 ** (rng.uniform(0, 2, (n, 64))), shape)
    dof = rng.integers(20, 60, (n, 1))
    error = rng.gamma(dof, 1 / dof) ** (rng.random((n, 1)) < 0.7)
    true = (nv * shape).astype(np.float32)
    return true, (true * error).astype(np.float32)
