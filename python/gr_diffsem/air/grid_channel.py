# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels over time and frequency: H[symbol, carrier], constant within a symbol.

A channel is a few or many paths: H[s, k] = sum over paths of g_p[s] exp(-2j pi k d_p), d_p in symbols (the useful part,
1/spacing of carriers), k counted from the middle. Each g_p fades by itself with Clarke's spectrum (W. C. Jakes,
Microwave Mobile Communications, 1974, eq. 1.2-11: correlation J0(2 pi f t)), the same largest Doppler f for all; a line
of sight is one more wave at one Doppler. f is in cycles a symbol period, with its guard interval.
"""

from dataclasses import dataclass

import numpy as np

from ..base.signal import complex_noise32

KINDS = ("exponential", "few paths", "line of sight")
RMS = (0.003, 0.06)  # rms delay spread, in symbols
DOPPLER = (0.001, 0.1)  # largest Doppler, cycles a symbol
FIRST = (-1 / 32, 1 / 32)  # delay of the first path, in symbols: where the window of the FFT begins
LAST = 7 / 32  # no path lies later: all lie within a quarter of a symbol, which every fourth carrier can tell apart
PATHS = 20
WAVES = 32  # of each path's fading; more than 2 pi DOPPLER symbols + 10, so that their sum has J0 to rounding
RICE_DB = (0.0, 15.0)  # line of sight over all else


@dataclass
class Profiles:
    """What n channels are drawn from: delays, powers [n, P] of the paths that fade (powers of a channel, with the line
    of sight, sum to 1); doppler [n]; sight [n]: power of the line of sight, at the delay of the first path and at the
    Doppler sight_doppler [n]."""

    delays: np.ndarray
    powers: np.ndarray
    doppler: np.ndarray
    sight: np.ndarray
    sight_doppler: np.ndarray

    def rms(self):
        """Rms delay spread [n], in symbols, of all that arrives."""
        powers = self.powers.copy()
        powers[:, 0] += self.sight
        mean = (powers * self.delays).sum(1)
        return np.sqrt((powers * (self.delays - mean[:, None]) ** 2).sum(1))

    def of(self, which):
        """Those at indices or of a mask."""
        return Profiles(*(values[which] for values in vars(self).values()))


@dataclass
class Channels(Profiles):
    """Profiles, and n draws from them: response [n, S, K] complex64, E|H|^2 = 1."""

    response: np.ndarray


def middle(carriers):
    """Carriers as they lie about DC: -n//2 .. n - n//2 - 1."""
    return np.arange(carriers) - carriers // 2


def profiles(rng, n, doppler=DOPPLER, kinds=KINDS):
    """n `Profiles` of the kinds, equally often; rms delay and Doppler uniform in their logarithms."""
    kind = rng.integers(len(kinds), size=n)
    few = np.array([k == "few paths" for k in kinds])[kind]
    seen = np.array([k == "line of sight" for k in kinds])[kind]
    rms = np.exp(rng.uniform(*np.log(RMS), n))[:, None]
    first = rng.uniform(*FIRST, (n, 1))
    excess = rng.random((n, PATHS)) * np.minimum(6 * rms, LAST - first)
    excess[:, 0] = 0
    powers = np.exp(-excess / rms)
    # Few paths: two to six, anywhere within four times the spread, each with its own 4 dB deviation from the profile.
    number = rng.integers(2, 7, (n, 1))
    uneven = powers * 10 ** (0.4 * rng.standard_normal(powers.shape)) * (np.arange(PATHS) < number)
    powers = np.where(few[:, None], uneven, powers)
    powers /= powers.sum(1, keepdims=True)
    rice = 10 ** (rng.uniform(*RICE_DB, n) / 10)
    sight = np.where(seen, rice / (1 + rice), 0.0)
    powers *= (1 - sight)[:, None]
    fastest = np.exp(rng.uniform(*np.log(doppler), n))
    sight_doppler = fastest * np.cos(2 * np.pi * rng.random(n))
    return Profiles(first + excess, powers, fastest, sight, sight_doppler)


def draw(rng, n, symbols, carriers, doppler=DOPPLER, kinds=KINDS):
    """n `Channels`, as `profiles` draws them."""
    return fade(rng, profiles(rng, n, doppler, kinds), symbols, carriers)


def fade(rng, profiles, symbols, carriers):
    """A draw of each of the `Profiles`: `Channels`."""
    n = len(profiles.doppler)
    # Waves at equal angles, turned at random for each path, with independent complex Gaussian amplitudes.
    angles = 2 * np.pi * (np.arange(WAVES) / WAVES + rng.random((n, 1, 1)) / WAVES)
    time = np.arange(symbols) - (symbols - 1) / 2
    turn = np.exp(2j * np.pi * profiles.doppler[:, None, None] * np.cos(angles).transpose(0, 2, 1) * time)  # [n, W, S]
    amplitudes = complex_noise32(rng, (n, PATHS, WAVES)) / np.sqrt(WAVES, dtype=np.float32)
    gains = (amplitudes * np.sqrt(profiles.powers)[:, :, None]) @ turn.astype(np.complex64)
    wave = np.exp(2j * np.pi * (profiles.sight_doppler[:, None] * time + rng.random((n, 1))))
    gains[:, 0] += np.sqrt(profiles.sight)[:, None] * wave
    phase = np.exp(-2j * np.pi * profiles.delays[:, :, None] * middle(carriers))
    response = gains.transpose(0, 2, 1) @ phase.astype(np.complex64)
    return Channels(**vars(profiles), response=response.astype(np.complex64))


def patterns(symbols=16, carriers=48):
    """{name: [S, K] bool}: the five ways in which pilots lie that estimators over the grid are measured with."""
    s, k = np.mgrid[:symbols, :carriers]
    comb = k % 4 == 0
    lte = ((s % 7 == 0) & (k % 6 == 0)) | ((s % 7 == 4) & (k % 6 == 3))
    return {
        "LTE cell reference": lte,
        "DVB-T scattered": k % 12 == 3 * (s % 4),
        "every 4th carrier": comb,
        "two whole symbols": (s == 3) | (s == 12),
        "preamble and 4 pilots": (s < 2) | (k % 12 == 6),
    }
