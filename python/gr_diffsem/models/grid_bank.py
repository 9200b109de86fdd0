# SPDX-License-Identifier: GPL-3.0-or-later
"""Classical estimators over a grid [S, K] of symbols and carriers, seen at `observed` (bool) with one noise variance.

All but the first are Gaussian: H^ = C_hy (C_yy + s^2 I)^-1 y, with a covariance of their own (P. Hoeher, S. Kaiser,
P. Robertson, "Two-dimensional pilot-symbol-aided channel estimation by Wiener filtering", ICASSP 1997). Each takes
y complex [n, S, K] and gives [n, S, K]. A covariance is a Kronecker product over symbols and carriers.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..air import grid_channel

RMS = (0.004, 0.008, 0.015, 0.025, 0.04, 0.06)  # of the bank: rms delays,
FIRST = tuple(np.linspace(*grid_channel.FIRST, 5))  # first delays,
DOPPLER = (0.002, 0.008, 0.02, 0.04, 0.065, 0.095)  # and Dopplers


def bessel0(x):
    """J0 by Bessel's integral, with as many angles as its argument needs."""
    x = np.asarray(x, float)
    angles = np.pi * (np.arange(256) + 0.5) / 256
    return np.mean(np.cos(x[..., None] * np.sin(angles)), -1)


def over_time(symbols, doppler):
    """Clarke's correlation [S, S] at a Doppler in cycles a symbol."""
    apart = np.subtract.outer(np.arange(symbols), np.arange(symbols))
    return bessel0(2 * np.pi * doppler * apart)


def evenly(low, high, symbols):
    """Correlation [S, S] where every Doppler (or delay, over carriers) between two has the same power."""
    apart = np.subtract.outer(np.arange(symbols), np.arange(symbols))
    return np.sinc((high - low) * apart) * np.exp(1j * np.pi * (high + low) * apart)


def over_carriers(carriers, delays, powers):
    """Correlation [K, K] of paths at delays [P] in symbols with powers [P]."""
    phase = np.exp(-2j * np.pi * np.outer(grid_channel.middle(carriers), delays))
    return (phase * powers) @ phase.conj().T


def exponential(carriers, rms, first):
    """Correlation [K, K] of an exponential profile that ends where the last path may lie."""
    delays = np.linspace(0, min(6 * rms, grid_channel.LAST - first), 200)
    powers = np.exp(-delays / rms)
    return over_carriers(carriers, first + delays, powers / powers.sum())


@dataclass
class Gaussian:
    """A zero-mean Gaussian of covariance time [S, S] kron carrier [K, K]."""

    time: np.ndarray
    carrier: np.ndarray

    def at(self, rows, columns):
        """Covariance between elements given as (symbols, carriers): [len(rows), len(columns)]."""
        return self.time[np.ix_(rows[0], columns[0])] * self.carrier[np.ix_(rows[1], columns[1])]


def posterior(gaussian, y, observed, noise_var):
    """(mean [n, S, K], log likelihood [n]) of a Gaussian (an object with at()), observed where the mask [S, K] says."""
    places = np.nonzero(observed)
    everywhere = np.nonzero(np.ones(observed.shape, bool))
    seen = y[:, observed]
    factor = np.linalg.cholesky(gaussian.at(places, places) + noise_var * np.eye(len(places[0])))
    whiten = np.linalg.inv(factor)
    white = whiten @ seen.T
    mean = gaussian.at(everywhere, places) @ (whiten.conj().T @ white)
    likelihood = -np.sum(np.abs(white) ** 2, 0) - 2 * np.sum(np.log(np.abs(np.diag(factor))))
    return mean.T.reshape(y.shape), likelihood


class Bank:
    """The posterior mean under a mixture of equally likely Gaussians; `likeliest`: that of the likeliest alone."""

    def __init__(self, members, likeliest=False):
        self.members, self.likeliest = members, likeliest

    def __call__(self, y, observed, noise_var):
        answers = [posterior(member, y, observed, noise_var) for member in self.members]
        score = np.array([likelihood for _, likelihood in answers])
        if self.likeliest:
            weight = (np.arange(len(score))[:, None] == score.argmax(0)).astype(float)
        else:
            weight = np.exp(score - score.max(0))
            weight /= weight.sum(0)
        return sum(w[:, None, None] * mean for w, (mean, _) in zip(weight, answers, strict=True))


def bank_of_180(symbols, carriers):
    """6 rms delays x 5 first delays x 6 Dopplers, exponential profiles under Clarke's fading."""
    times = [over_time(symbols, f) for f in DOPPLER]
    shapes = [exponential(carriers, rms, first) for rms in RMS for first in FIRST]
    return Bank([Gaussian(t, c) for c in shapes for t in times])


def adaptive(symbols, carriers):
    """The likeliest of 16 Wiener filters: four Dopplers, four widths of the window of delays, all from the earliest."""
    begin, end = grid_channel.FIRST[0], grid_channel.LAST
    widths = [begin + share * (end - begin) for share in (0.3, 0.45, 0.7, 1.0)]
    shapes = [evenly(-w, -begin, carriers) for w in widths]
    return Bank([Gaussian(over_time(symbols, f), c) for f in (0.003, 0.015, 0.045, 0.1) for c in shapes], True)


def robust(symbols, carriers):
    """Wiener for the whole window of delays and the largest Doppler (Y. Li et al., IEEE Trans. Comm. 46(7), 1998)."""
    begin, end = grid_channel.FIRST[0], grid_channel.LAST
    fastest = grid_channel.DOPPLER[1]
    return Bank([Gaussian(evenly(-fastest, fastest, symbols), evenly(-end, -begin, carriers))])


class Average:
    """LMMSE with the average statistics: those of `channels` drawn for it."""

    def __init__(self, channels):
        h = channels.response.reshape(len(channels.response), -1)
        self.carriers = channels.response.shape[2]
        self.covariance = h.T @ h.conj() / len(h)

    def at(self, rows, columns):
        return self.covariance[np.ix_(rows[0] * self.carriers + rows[1], columns[0] * self.carriers + columns[1])]

    def __call__(self, y, observed, noise_var):
        return posterior(self, y, observed, noise_var)[0]


@dataclass
class Known:
    """The Gaussian of one channel whose delays, powers and Doppler are known: `Channels` and which of them."""

    channels: grid_channel.Channels
    item: int

    @cached_property
    def factors(self):
        c, i = self.channels, self.item
        symbols, carriers = c.response.shape[1:]
        fading = Gaussian(over_time(symbols, c.doppler[i]), over_carriers(carriers, c.delays[i], c.powers[i]))
        shift = c.sight_doppler[i]
        first = over_carriers(carriers, c.delays[i, :1], c.sight[i : i + 1])
        return fading, Gaussian(evenly(shift, shift, symbols), first)

    def at(self, rows, columns):
        return sum(factor.at(rows, columns) for factor in self.factors)


def genie(channels):
    """What is told the delays, powers and Doppler of every channel; nobody can do better on average."""

    def estimate(y, observed, noise_var):
        known = (Known(channels, i) for i in range(len(y)))
        return np.concatenate([posterior(k, y[i : i + 1], observed, noise_var)[0] for i, k in enumerate(known)])

    return estimate


def interpolate(y, observed, noise_var=None):
    """Least squares at the pilots, linear between them: along carriers in each symbol that has two and more, then along
    symbols at each carrier; beyond the last pilot the nearest one's."""
    carriers, symbols = np.arange(observed.shape[1]), np.arange(observed.shape[0])
    full = [s for s in symbols if observed[s].sum() > 1]
    lines = np.stack([between(carriers, np.flatnonzero(observed[s]), y[:, s, observed[s]]) for s in full], 2)
    return between(symbols, np.array(full), lines).transpose(0, 2, 1)


def between(places, known, values):
    """Linear interpolation of values [..., len(known)] to `places`, constant beyond the ends."""
    if len(known) == 1:
        return np.repeat(values, len(places), -1)
    right = np.clip(np.searchsorted(known, places), 1, len(known) - 1)
    left = right - 1
    share = np.clip((places - known[left]) / (known[right] - known[left]), 0, 1)
    return values[..., left] * (1 - share) + values[..., right] * share
