# SPDX-License-Identifier: GPL-3.0-or-later
"""What an OFDM symbol of DVB-T holds (ETSI EN 300 744 V1.6.2). Carriers are counted as there: k = 0 .. Kmax."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

RATE = 64e6 / 7  #: samples a second in a channel of 8 MHz
SYMBOLS, FRAMES = 68, 4  #: of a frame; of a superframe
#: Continual pilots and TPS carriers of 2k; those of 8k lie there too, and again every 1704 carriers (tables 7, 8).
CONTINUAL_2K = (
    0, 48, 54, 87, 141, 156, 192, 201, 255, 279, 282, 333, 432, 450, 483, 525, 531, 618, 636, 714, 759, 765, 780,
    804, 873, 888, 918, 939, 942, 969, 984, 1050, 1101, 1107, 1110, 1137, 1140, 1146, 1206, 1269, 1323, 1377, 1491,
    1683, 1704,
)  # fmt: skip
TPS_2K = (34, 50, 209, 346, 413, 569, 595, 688, 790, 901, 1073, 1219, 1262, 1286, 1469, 1594, 1687)


def prbs(n):
    """w_k, the sign of each pilot (4.5.2): x^11 + x^2 + 1 from all ones."""
    w = np.ones(n, int)
    for k in range(11, n):
        w[k] = w[k - 11] ^ w[k - 9]
    return w


@dataclass(frozen=True)
class Layout:
    """fft_len 2048 or 8192; guard: samples."""

    fft_len: int
    guard: int

    @property
    def periods(self):
        return self.fft_len // 2048

    @property
    def carriers(self):
        return 1704 * self.periods + 1

    @property
    def symbol(self):
        return self.fft_len + self.guard

    def _repeated(self, places):
        return np.unique(np.add.outer(1704 * np.arange(self.periods), places))

    @cached_property
    def continual(self):
        return self._repeated(CONTINUAL_2K)

    @cached_property
    def tps(self):
        return self._repeated(TPS_2K)

    @cached_property
    def pilot_values(self):
        """What a pilot on each carrier says, [carriers]."""
        return 4 / 3 * 2 * (0.5 - prbs(self.carriers))

    def scattered(self, symbol):
        """Carriers of the scattered pilots in the symbol of this number (4.5.3)."""
        return np.arange(3 * (symbol % 4), self.carriers, 12)

    def data(self, symbol):
        """Carriers of the payload, ascending."""
        taken = np.zeros(self.carriers, bool)
        for places in (self.scattered(symbol), self.continual, self.tps):
            taken[places] = True
        return np.flatnonzero(~taken)

    @property
    def data_len(self):
        return 1512 * self.periods

    @property
    def from_dc(self):
        """The carriers, counted from DC: [carriers]."""
        return np.arange(self.carriers) - (self.carriers - 1) // 2


MODES = {"2k": 2048, "8k": 8192}
GUARDS = {"1/32": 32, "1/16": 16, "1/8": 8, "1/4": 4}


def layout(mode="2k", guard="1/8"):
    """A `Layout` by name; ValueError names what is not known."""
    for name, value, known in (("mode", mode, MODES), ("guard", guard, GUARDS)):
        if value not in known:
            raise ValueError(f"{name}: '{value}' is none of {', '.join(known)}")
    return Layout(MODES[mode], MODES[mode] // GUARDS[guard])
