# SPDX-License-Identifier: GPL-3.0-or-later
"""Tapped-delay-line channels TDL-A..E of 3GPP TR 38.901, tables 7.7.2-1 to 7.7.2-5, in NumPy.

Delays are in samples of whatever rate the caller works at: a profile's normalised delays times
`delay_spread` (the RMS delay spread in samples). Frequency responses are exact for fractional
delays, H[k] = sum_l a_l exp(-2j pi k tau_l / n_fft), with k = -n_fft/2 .. n_fft/2 - 1 (fftshifted).
Total power is one on average: E|H[k]|^2 = 1.
"""

from dataclasses import dataclass

import numpy as np

from ..base.signal import complex_noise

# name: (line of sight?, normalised delays, powers in dB). With line of sight the first entry is the
# fixed (specular) path, at the same delay as the first Rayleigh tap.
_TABLES = {
    "A": (
        False,
        "0 .3819 .4025 .5868 .4610 .5375 .6708 .5750 .7618 1.5375 1.8978 2.2242 2.1718 2.4942 "
        "2.5119 3.0582 4.0810 4.4579 4.5695 4.7966 5.0066 5.3043 9.6586",
        "-13.4 0 -2.2 -4 -6 -8.2 -9.9 -10.5 -7.5 -15.9 -6.6 -16.7 -12.4 -15.2 -10.8 -11.3 -12.7 "
        "-16.2 -18.3 -18.9 -16.6 -19.9 -29.7",
    ),
    "B": (
        False,
        "0 .1072 .2155 .2095 .2870 .2986 .3752 .5055 .3681 .3697 .5700 .5283 1.1021 1.2756 1.5474 "
        "1.7842 2.0169 2.8294 3.0219 3.6187 4.1067 4.2790 4.7834",
        "0 -2.2 -4 -3.2 -9.8 -1.2 -3.4 -5.2 -7.6 -3 -8.9 -9 -4.8 -5.7 -7.5 -1.9 -7.6 -12.2 -9.8 -11.4 -14.9 -9.2 -11.3",
    ),
    "C": (
        False,
        "0 .2099 .2219 .2329 .2176 .6366 .6448 .6560 .6584 .7935 .8213 .9336 1.2285 1.3083 2.1704 "
        "2.7105 4.2589 4.6003 5.4902 5.6077 6.3065 6.6374 7.0427 8.6523",
        "-4.4 -1.2 -3.5 -5.2 -2.5 0 -2.2 -3.9 -7.4 -7.1 -10.7 -11.1 -5.1 -6.8 -8.7 -13.2 -13.9 "
        "-13.9 -15.8 -17.1 -16 -15.7 -21.6 -22.8",
    ),
    "D": (
        True,
        "0 0 .035 .612 1.363 1.405 1.804 2.596 1.775 4.042 7.937 9.424 9.708 12.525",
        "-.2 -13.5 -18.8 -21 -22.8 -17.9 -20.1 -21.9 -22.9 -27.8 -23.6 -24.8 -30 -27.7",
    ),
    "E": (
        True,
        "0 0 .5133 .5440 .5630 .5440 .7112 1.9092 1.9293 1.9589 2.6426 3.7136 5.4524 12.0034 20.6519",
        "-.03 -22.03 -15.8 -18.1 -19.8 -22.9 -22.4 -18.6 -20.8 -22.6 -22.3 -25.6 -20.2 -29.8 -29.2",
    ),
}

PROFILES = tuple(sorted(_TABLES))


@dataclass(frozen=True)
class Profile:
    """One TDL profile: delays [L] (unit RMS delay spread), mean powers [L] (sum 1), and which tap
    is specular (index 0, constant magnitude and uniform phase) if there is a line of sight."""

    name: str
    delays: np.ndarray
    powers: np.ndarray
    line_of_sight: bool


def profile(name):
    """The profile "A".."E" (also "TDL-A".."TDL-E", either case)."""
    key = str(name).upper().removeprefix("TDL-").removeprefix("TDL_")
    if key not in _TABLES:
        raise ValueError(f"no TDL profile '{name}': choose one of {', '.join(PROFILES)}")
    los, delays, powers = _TABLES[key]
    power = 10.0 ** (np.array(powers.split(), float) / 10.0)
    return Profile(key, np.array(delays.split(), float), power / power.sum(), los)


def carriers(n_fft=64):
    """Carrier indices of an fftshifted symbol: -n_fft/2 .. n_fft/2 - 1."""
    return np.arange(n_fft) - n_fft // 2


def steering(delays, n_fft=64):
    """exp(-2j pi k tau / n_fft): [..., L] delays in samples -> [..., n_fft, L]."""
    delays = np.asarray(delays, float)[..., None, :]
    return np.exp(-2j * np.pi * carriers(n_fft)[:, None] * delays / n_fft)


def gains(name, rng, n):
    """Complex tap gains [n, L]: Rayleigh with the profile's powers; a specular path has its
    power exactly, with a uniform phase."""
    p = profile(name)
    g = complex_noise(rng, (n, p.powers.size), p.powers)
    if p.line_of_sight:
        g[:, 0] = np.sqrt(p.powers[0]) * np.exp(2j * np.pi * rng.random(n))
    return g


def frequency_response(name, delay_spread, n_fft, rng, n, timing=0.0):
    """n independent frequency responses [n, n_fft], fftshifted, E|H|^2 = 1.

    delay_spread: RMS delay spread in samples. timing: delay of the first path in samples as the
    receiver's FFT window sees it (a window that starts m samples inside the cyclic prefix: +m)."""
    delays = profile(name).delays * delay_spread + timing
    return gains(name, rng, n) @ steering(delays, n_fft).T


def covariance(name, delay_spread, n_fft, timing=0.0):
    """E[H H^H] [n_fft, n_fft] of `frequency_response`: what a genie LMMSE estimator knows."""
    p = profile(name)
    e = steering(p.delays * delay_spread + timing, n_fft)
    return (e * p.powers) @ e.conj().T
