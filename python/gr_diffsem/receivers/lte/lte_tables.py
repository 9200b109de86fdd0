# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of the LTE downlink. Clauses are those of 3GPP TS 36.211.

Times are counted in samples at 30.72 MS/s, the standard's T_s; carriers of a spectrum are in ascending frequency,
DC left out, as the downlink leaves it.
"""

from dataclasses import dataclass

import numpy as np

from ...base.pilot_patterns import lte_crs
from ...base.sequences import shift_register

RATE = 30.72e6  #: samples a second that times are counted in
SPACING = 15e3  #: of carriers, Hz
USEFUL = 2048  #: of a symbol, without its prefix
SLOT = 15360
SUBFRAME = 2 * SLOT
FRAME = 10 * SUBFRAME
MIDDLE = 6  #: resource blocks about DC: what a receiver can read before it knows the bandwidth
RESOURCE_BLOCKS = (6, 15, 25, 50, 75, 100)  #: by the number that the master information has
#: Points of the usual transform for each of these.
USUAL_FFT = dict(zip(RESOURCE_BLOCKS, (128, 256, 512, 1024, 1536, 2048), strict=True))


@dataclass(frozen=True)
class Prefix:
    """A cyclic prefix: its name, symbols a slot, and length before each of them (6.12)."""

    name: str
    lengths: tuple

    @property
    def symbols(self):
        """Of a slot."""
        return len(self.lengths)

    @property
    def extended(self):
        return self.name == "extended"

    def begins(self):
        """Where the useful part of each symbol of a frame begins: int [20 symbols]."""
        in_slot = np.cumsum(self.lengths) + USEFUL * np.arange(self.symbols)
        return (SLOT * np.arange(20)[:, None] + in_slot).ravel()


NORMAL = Prefix("normal", (160, 144, 144, 144, 144, 144, 144))
EXTENDED = Prefix("extended", (512,) * 6)
PREFIXES = (NORMAL, EXTENDED)


def carriers(blocks):
    """Carriers of a spectrum of so many resource blocks, counted from DC: int [12 blocks]."""
    k = np.arange(12 * blocks) - 6 * blocks
    return k + (k >= 0)


def primary(second):
    """Values of the primary synchronisation signal on the 62 carriers about DC (6.11.1); second: 0 .. 2."""
    root, n = (25, 29, 34)[second], np.arange(62)
    return np.exp(-1j * np.pi * root * (n + (n > 30)) * (n + 1 + (n > 30)) / 63)


def secondary():
    """Signs of the secondary synchronisation signal (6.11.2) [168, 3, 2, 62]: by the first and the second part of the
    cell's identity, in subframes 0 and 5."""
    start = [0, 0, 0, 0, 1]
    s, c, z = (1 - 2 * shift_register(taps, start, 31) for taps in ((3, 5), (2, 5), (1, 3, 4, 5)))
    out = np.empty((168, 3, 2, 62))
    n = np.arange(31)
    for first in range(168):
        q = first // 30
        q = (first + q * (q + 1) // 2) // 30
        m = first + q * (q + 1) // 2
        m0, m1 = m % 31, (m % 31 + m // 31 + 1) % 31
        for second in range(3):
            c0, c1 = c[(n + second) % 31], c[(n + second + 3) % 31]
            for half, (even, odd) in enumerate(((m0, m1), (m1, m0))):
                out[first, second, half, 0::2] = s[(n + even) % 31] * c0
                out[first, second, half, 1::2] = s[(n + odd) % 31] * c1 * z[(n + even % 8) % 31]
    return out


def reference(cell, blocks, port, prefix):
    """Cell reference signals of a port [symbols of a frame, 12 blocks]: their values, 0 where none are. Of a wider
    cell these are the ones in the middle: the sequence is counted from DC (6.10.1.2)."""
    out = np.zeros((20 * prefix.symbols, 12 * blocks), complex)
    for row, (places, values) in zip(out, lte_crs(blocks, cell, port, prefix.extended), strict=True):
        k = np.array(places, int)
        row[k - (k > 0) + 6 * blocks] = values
    return out
