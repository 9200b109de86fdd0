# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise variances of a picture's symbols, found from the symbols: where the SNR or |h| is not known, or not believed.

A slot (half a symbol) is y = g x + n, and the spectrum that came digitally says E (g x)^2 = S. So y has the variance
S + v, and faint slots, whose S is small, say what v is. `likeliest` is the maximum of that likelihood by Fisher
scoring, for all symbols up to one factor, or for each fade, the symbols of one carrier of one frame, of which only that
is believed how their variances compare with each other: what an impulse hit is known to be worse. Once a picture was
inferred, `refined` is a step of expectation maximisation: v is what is left of y behind it, and what it is unsure of.
"""

import numpy as np

from ..base.picture_bands import SCALE

KINDS = ("told", "scaled", "estimated")  #: every variance is known; up to one factor; nothing is known
ROUNDS = 12  #: of Fisher scoring
FAINTEST = 0.1  #: of the picture's noise: less is not believed of one fade
LEAST = 1e-4  #: nor of all symbols, whose power was 1 when they were sent
BELIEF = 4  #: slots that the whole's noise counts for in a fade's


def likeliest(plan, symbols, told, kind, fades=None):
    """Noise variance of each symbol, float32 [N], under the plan's spectrum. symbols complex64 [N]; told [N]: variances
    as stated, infinite: lost, which stays. kind: one of KINDS. fades int [N]: which symbols faded alike; None: all."""
    if kind == "told":
        return told
    slots = _Slots(plan, symbols, told, kind, fades)
    gain, coefficient = plan.gains[slots.rank], plan.order[slots.rank]
    return slots.fitted(slots.value**2, gain**2 * plan.variances.reshape(-1)[coefficient])


def refined(plan, symbols, told, kind, mean, variance, fades=None):
    """The same once the coefficients are known as mean, variance [3, H, W], in units of x (picture_bands.SCALE)."""
    if kind == "told":
        return told
    slots = _Slots(plan, symbols, told, kind, fades)
    gain, coefficient = plan.gains[slots.rank], plan.order[slots.rank]
    left = (slots.value - gain / SCALE * mean.reshape(-1)[coefficient]) ** 2
    return slots.mean(left + (gain / SCALE) ** 2 * variance.reshape(-1)[coefficient])


class _Slots:
    """Both slots [2, K] of the K symbols that arrived: value, rank among the coefficients that are sent, and the noise
    that is taken for one, up to a factor."""

    def __init__(self, plan, symbols, told, kind, fades):
        symbols, self.told = np.asarray(symbols), np.asarray(told)
        self.here = np.isfinite(self.told) & np.isfinite(symbols)
        here = symbols[self.here]
        self.value = np.stack((here.real, here.imag)).astype(np.float64)
        places = plan.places[self.here]
        self.rank = plan.slots[np.stack((places, plan.n_symbols + places))]
        stated = self.told[self.here].astype(np.float64) / 2
        self.by_fade = kind == "estimated"
        self.fades = np.asarray(fades)[self.here] if self.by_fade and fades is not None else np.zeros(stated.size, int)
        self.noise = stated
        if self.by_fade and stated.size:  # over what is usual in its fade
            precision = 1 / np.maximum(stated, 1e-30)
            usual = np.bincount(self.fades, precision) / np.maximum(np.bincount(self.fades), 1)
            self.noise = stated * usual[self.fades]
        self.floor = LEAST / (2 * max(np.median(self.noise) if stated.size else 1.0, 1e-12))  # of a factor

    def _sums(self, values, groups, count):
        return np.bincount(groups, values.sum(0), count)

    def fitted(self, power, signal):
        """Factors of the noise by Fisher scoring, from `power` of slots whose signal has the variance `signal`."""

        def score(factor, groups, count, belief, whole):
            weight = (self.noise / (signal + factor[groups] * self.noise)) ** 2
            gain = self._sums(weight * (power - signal) / self.noise, groups, count)
            return (gain + belief / whole) / (self._sums(weight, groups, count) + belief / whole**2)

        groups, count = self.fades, int(self.fades.max(initial=0)) + 1
        if not power.size:
            return self._applied(np.ones(count), groups)
        one = np.maximum([np.mean(power / self.noise) / 2], self.floor)
        for _ in range(ROUNDS):
            one = np.maximum(score(one, np.zeros_like(groups), 1, 0.0, 1.0), self.floor)
        each = np.full(count, one[0])
        for _ in range(ROUNDS if count > 1 else 0):
            each = np.maximum(score(each, groups, count, BELIEF, one[0]), FAINTEST * one[0])
        return self._applied(each, groups)

    def mean(self, left):
        """Factors that make `left` of slots the noise, in the mean."""
        groups, count = self.fades, int(self.fades.max(initial=0)) + 1
        whole = max(float((left / self.noise).mean()) if left.size else 1.0, self.floor)
        number = 2 * np.bincount(groups, minlength=count)
        belief = BELIEF if count > 1 else 0
        each = (self._sums(left / self.noise, groups, count) + belief * whole) / np.maximum(number + belief, 1)
        return self._applied(np.maximum(each, max(self.floor, FAINTEST * whole)), groups)

    def _applied(self, factors, groups):
        out = np.full(self.told.shape, np.inf, np.float32)
        out[self.here] = 2 * factors[groups] * self.noise
        return out
