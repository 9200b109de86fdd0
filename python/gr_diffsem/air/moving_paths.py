# SPDX-License-Identifier: GPL-3.0-or-later
"""A continuous signal over a few paths that move, each with Clarke's spectrum (`grid_channel` has the reference)."""

from dataclasses import dataclass

import numpy as np
import scipy.fft

WAVES = 32  # of each path
STEP = 256  # samples between which gains are interpolated: far less than a turn

#: Six paths of a typical urban area (COST 207, TU6): delays in seconds, powers in dB.
TU6 = ((0.0, 0.2e-6, 0.5e-6, 1.6e-6, 2.3e-6, 5.0e-6), (-3.0, 0.0, -2.0, -6.0, -8.0, -10.0))


def delayed(x, delays):
    """x, complex [n], once for each delay in samples, which may be fractions: complex64 [P, n]; circular."""
    size = scipy.fft.next_fast_len(len(x) + int(np.ceil(np.max(delays))) + 1)
    spectrum = scipy.fft.fft(np.asarray(x, np.complex64), size)
    frequency = np.fft.fftfreq(size)
    turned = (scipy.fft.ifft(spectrum * np.exp(-2j * np.pi * frequency * d).astype(np.complex64)) for d in delays)
    return np.stack([y[: len(x)] for y in turned])


@dataclass(frozen=True)
class MovingPaths:
    """delays [P] in samples. amplitudes [P, W] complex and speeds [P, W] in cycles a sample: each path's waves."""

    delays: np.ndarray
    amplitudes: np.ndarray
    speeds: np.ndarray

    def gains(self, at):
        """Complex [P, len(at)], at these samples."""
        return np.einsum("pw,pwt->pt", self.amplitudes, np.exp(2j * np.pi * self.speeds[:, :, None] * np.asarray(at)))

    def response(self, at, carriers, fft_len):
        """H at these samples and carriers, counted from DC: complex [len(at), len(carriers)]."""
        return self.gains(at).T @ np.exp(-2j * np.pi * np.outer(self.delays, carriers) / fft_len)

    def through(self, copies, begin=0):
        """The signal behind the paths, complex64 [n]. copies: `delayed(x, self.delays)`; begin: of the first sample."""
        n = copies.shape[1]
        steps = -(-n // STEP)
        gains = self.gains(begin + STEP * np.arange(steps + 1)).astype(np.complex64)
        ramp = np.arange(STEP, dtype=np.float32) / STEP
        out = np.zeros((steps, STEP), np.complex64)
        for gain, copy in zip(gains, copies, strict=True):
            now = gain[:-1, None] + np.diff(gain)[:, None] * ramp
            out += now * np.pad(copy, (0, steps * STEP - n)).reshape(steps, STEP)
        return out.ravel()[:n]


def draw(rng, delays, powers_db, doppler):
    """`MovingPaths` of these delays in samples and mean powers; doppler: the largest, in cycles a sample. The powers
    add up to 1."""
    powers = 10 ** (np.asarray(powers_db, float) / 10)
    powers /= powers.sum()
    shape = (len(powers), WAVES)
    amplitudes = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(powers[:, None] / 2 / WAVES)
    turn = rng.random((len(powers), 1))
    speeds = doppler * np.cos(2 * np.pi * (np.arange(WAVES) + turn) / WAVES)
    return MovingPaths(np.asarray(delays, float), amplitudes, speeds)


def still(delays, gains):
    """`MovingPaths` that stand still, with these complex gains [P]."""
    gains = np.asarray(gains, complex)[:, None]
    return MovingPaths(np.asarray(delays, float), gains, np.zeros(gains.shape))
