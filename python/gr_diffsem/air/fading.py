# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of fading that links are measured in, one table, and the paths of a channel of each kind.

Delays are in samples; their names speak of 20 MS/s, where a sample is 50 ns.
"""

from dataclasses import dataclass

import numpy as np

from . import tdl


@dataclass(frozen=True)
class Fading:
    """profile: of `tdl`. spread: RMS delay spread in samples: a number, or a pair that it is drawn between, uniform.
    title: in words."""

    profile: str
    spread: object
    title: str

    def spreads(self, rng, shape=()):
        """Delay spreads of this shape; the generator is only asked where there is a pair."""
        return rng.uniform(*self.spread, shape) if isinstance(self.spread, tuple) else self.spread


#: All paths lie inside the cyclic prefix of 16. The stock detector begins its FFT window about 8 samples early,
#: though: behind it the tail of `long` reaches into the next symbol, that of `medium` does not. (A pair of equal
#: numbers is drawn from too: published seeds go on meaning the same channels.)
KINDS = {
    "tdl": Fading("A", (0.6, 1.5), "TDL-A, 30 to 75 ns at 20 MS/s"),
    "tdl_c": Fading("C", (1.5, 1.5), "TDL-C, 75 ns at 20 MS/s"),
    "rayleigh": Fading("A", 0.0, "one Rayleigh path, another each frame"),
    "short": Fading("A", 1.0, "TDL-A, 50 ns RMS at 20 MS/s (1 sample, last path at 9.7)"),
    "medium": Fading("B", 1.5, "TDL-B, 75 ns RMS at 20 MS/s (1.5 samples, last path at 7.2)"),
    "long": Fading("B", 3.0, "TDL-B, 150 ns RMS at 20 MS/s (3 samples, last path at 14.4)"),
}
PACKET_LINK = ("short", "medium", "long")  #: what the packet link of `eval ofdm_link` is measured in
SEMANTIC_LINK = ("awgn", "rayleigh", "tdl", "tdl_c")  #: and the semantic link; awgn: one path and a random phase
LONGEST = 16.0  #: samples, where a drawn path would lie behind the prefix


def check(kind, known):
    """ValueError unless `kind` is among the known ones."""
    if kind not in known:
        raise ValueError(f"kind: '{kind}' is no channel; choose one of {', '.join(known)}")


def paths(kind, rng, n):
    """(delays [n, L] in samples, gains [n, L]) of n channels of a kind, "awgn" too; the sampling phase is random, but
    for "awgn". No delay is longer than LONGEST."""
    check(kind, ("awgn", *KINDS))
    if kind == "awgn":
        return np.zeros((n, 1)), np.exp(2j * np.pi * rng.random((n, 1)))
    fading = KINDS[kind]
    delays = tdl.profile(fading.profile).delays * fading.spreads(rng, (n, 1)) + rng.random((n, 1))
    return np.minimum(delays, LONGEST), tdl.gains(fading.profile, rng, n)
