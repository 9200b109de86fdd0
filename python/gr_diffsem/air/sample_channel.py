# SPDX-License-Identifier: GPL-3.0-or-later
"""The air between two antennas, for frames of any length: fading, timing, carrier and clock offset, noise.

The frames go through `link.channel.multipath`, where an OFDM signal is a continuous one, so that paths lie
between samples. SNR: Es/N0 of a carrier in use behind the receiver's FFT, averaged over the fading.
"""

from dataclasses import dataclass

import numpy as np

from . import tdl
from .packet_channel import multipath, noise_per_sample
from .symbol_channel import KINDS


@dataclass(frozen=True)
class Reception:
    """samples: complex64, what the antenna gives. start: int [frames], sample of each frame's first prefix, for the
    path of delay zero. offset: [frames], carrier spacings. delays, gains: [frames, paths]."""

    samples: np.ndarray
    start: np.ndarray
    offset: np.ndarray
    delays: np.ndarray
    gains: np.ndarray


def paths(kind, rng, n):
    """(delays [n, L] in samples, gains [n, L]) of n frames; the sampling phase is random, but for "awgn"."""
    if kind == "awgn":
        return np.zeros((n, 1)), np.exp(2j * np.pi * rng.random((n, 1)))
    name, spreads, _ = KINDS[kind]
    delays = tdl.profile(name).delays * rng.uniform(*spreads, (n, 1)) + rng.random((n, 1))
    return np.minimum(delays, 16.0), tdl.gains(name, rng, n)


def send(frames, kind, snr_db, rng, max_offset=2.0, gap=(0, 300), clock_ppm=0.0, lead=600):
    """Frames, complex [n, S] of unit mean power, through the air -> Reception.

    kind: "awgn" or a key of air.KINDS; each frame has its own channel. max_offset: carrier offsets are uniform
    within +- this many carrier spacings. gap: samples of noise alone between frames, uniform. clock_ppm: the
    receiver's sampling clock is slow by this much. lead: samples before the first frame.
    """
    n = len(frames)
    delays, gains = paths(kind, rng, n)
    received = np.concatenate(
        [multipath(frames[i : i + 64], delays[i : i + 64], gains[i : i + 64]) for i in range(0, n, 64)]
    )
    length, sent = received.shape[1], frames.shape[1]
    offset = rng.uniform(-max_offset, max_offset, n)
    received = received * np.exp(2j * np.pi * offset[:, None] * np.arange(length) / 64)
    gaps = rng.integers(gap[0], gap[1] + 1, n)
    start = lead + np.arange(n) * sent + np.cumsum(gaps) - gaps[0]
    air = np.zeros(start[-1] + length + 1000, complex)
    for i in range(n):
        air[start[i] : start[i] + length] += received[i]
    if clock_ppm:
        air = resample(air, 1 + 1e-6 * clock_ppm)
        start = np.round(start / (1 + 1e-6 * clock_ppm)).astype(int)
    noise = rng.standard_normal(air.size) + 1j * rng.standard_normal(air.size)
    air += np.sqrt(noise_per_sample(snr_db) / 2) * noise
    return Reception(air.astype(np.complex64), start, offset, delays, gains)


def resample(x, ratio, half=16):
    """x at times 0, ratio, 2 ratio, ... by a windowed sinc of 2 half taps."""
    times = np.arange(int((x.size - 2 * half) / ratio)) * ratio
    out = np.zeros(times.size, complex)
    for first in range(0, times.size, 1 << 18):
        t = times[first : first + (1 << 18)]
        base = np.floor(t).astype(int)
        for k in range(1 - half, half + 1):
            distance = t - base - k
            weight = np.sinc(distance) * np.cos(np.pi * distance / (2 * half + 2)) ** 2
            out[first : first + t.size] += weight * x[np.clip(base + k, 0, x.size - 1)]
    return out
