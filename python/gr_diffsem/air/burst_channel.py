# SPDX-License-Identifier: GPL-3.0-or-later
"""A live air for a stream of bursts: fading, noise, carrier offset, loss, each of them changed at any time.

Each burst, known by the silence before it, has a fading of its own. Noise fills the silence too.
"""

import numpy as np

from ..base.errors import UserError
from .fading import SEMANTIC_LINK, paths
from .impairments import carrier_turn, noise, noise_per_sample
from .multipath import taps

SILENCE = 64  #: zero samples that part two bursts
HALF = 16  #: half the length of the interpolating filter, samples
LENGTH = 2 * HALF + 18  #: of the filter: the longest path lies 16 samples late, and a part of one
SETTINGS = {
    "snr": (-30.0, 100.0, "Es/N0 of a data carrier, dB"),
    "offset": (-2.0, 2.0, "carrier offset, carrier spacings"),
    "loss": (0.0, 1.0, "share of the bursts that are lost"),
}


class BurstChannel:
    """The channel itself: complex64 arrays in, the same number of samples out.

    snr: for samples of unit mean power. fading: one of fading.SEMANTIC_LINK. offset: carrier spacings of 1/64 of
    the rate. loss: probability that a burst is silent. seed: of everything random.
    """

    def __init__(self, snr=10.0, fading="tdl", offset=0.0, loss=0.0, seed=1):
        self._rng, self._noise = (np.random.default_rng([seed, i]) for i in range(2))
        self.settings = {}
        for name, value in {"snr": snr, "fading": fading, "offset": offset, "loss": loss}.items():
            self.set(name, value)
        self.samples = self.bursts = self.lost = 0
        self._zeros, self._phase = SILENCE, 0.0
        self._taps = np.ones(1)
        self._keep = True
        self._tail = np.zeros(0, complex)

    def set(self, name, value):
        """Change one setting; UserError names it and its range."""
        if name == "fading":
            if value not in SEMANTIC_LINK:
                raise UserError(f"fading '{value}': choose one of {', '.join(SEMANTIC_LINK)}")
            self.settings[name] = value
            return
        if not isinstance(name, str) or name not in SETTINGS:
            raise UserError(f"there is no '{name}': choose one of fading, {', '.join(SETTINGS)}")
        low, high, what = SETTINGS[name]
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not low <= number <= high:
            raise UserError(f"{name} '{value}': {what}; give {low:g} to {high:g}")
        self.settings[name] = number

    def counts(self):
        """{"samples", "bursts", "lost"} so far."""
        return {"samples": self.samples, "bursts": self.bursts, "lost": self.lost}

    def __call__(self, x):
        """complex [n] -> complex64 [n]."""
        x = np.asarray(x, complex)
        out = np.zeros(x.size + 4 * HALF + 32, complex)
        out[: self._tail.size] += self._tail
        for first, last in self._pieces(x):
            if self._keep:
                piece = np.convolve(x[first:last], self._taps)
                out[first : first + piece.size] += piece
        self._tail = out[x.size :].copy()
        offset = self.settings["offset"] / 64
        out = out[: x.size] * carrier_turn(x.size, offset, self._phase)
        self._phase = (self._phase + 2 * np.pi * offset * x.size) % (2 * np.pi)
        self.samples += x.size
        out += noise(self._noise, x.size, noise_per_sample(self.settings["snr"]))
        return out.astype(np.complex64)

    def _pieces(self, x):
        """Ranges of x under one channel; where a burst begins, the next one is drawn before its range is given."""
        live = np.flatnonzero(x)
        if live.size == 0:
            self._zeros += x.size
            return
        before = np.diff(live, prepend=-1) - 1
        before[0] += self._zeros
        starts = live[before >= SILENCE]
        self._zeros = x.size - 1 - live[-1]
        edges = [0, *starts.tolist(), x.size]
        for i, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            if i:
                self._draw()
            if last > first:
                yield first, last

    def _draw(self):
        self.bursts += 1
        self._keep = self._rng.random() >= self.settings["loss"]
        self.lost += not self._keep
        delays, gains = paths(self.settings["fading"], self._rng, 1)
        self._taps = taps(delays[0], gains[0], HALF, LENGTH)
