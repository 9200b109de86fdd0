# SPDX-License-Identifier: GPL-3.0-or-later
"""What an OFDM symbol of DVB-T holds (ETSI EN 300 744 V1.6.2). Carriers are counted as there: k = 0 .. Kmax."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...base.errors import UserError
from ...base.pilot_patterns import dvbt

RATE = 64e6 / 7  #: samples a second in a channel of 8 MHz
SYMBOLS, FRAMES = 68, 4  #: of a frame; of a superframe
MODES = {"2k": 2048, "8k": 8192}
GUARDS = {"1/32": 32, "1/16": 16, "1/8": 8, "1/4": 4}
#: Carriers of transmission parameters in 2k; in 8k they lie there too, and again every 1704 carriers (table 8).
TPS_2K = (34, 50, 209, 346, 413, 569, 595, 688, 790, 901, 1073, 1219, 1262, 1286, 1469, 1594, 1687)


@dataclass(frozen=True)
class Layout:
    """mode, guard: of the tables above; UserError names what is none."""

    mode: str = "2k"
    guard: str = "1/8"

    def __post_init__(self):
        for name, value, known in (("mode", self.mode, MODES), ("guard", self.guard, GUARDS)):
            if value not in known:
                raise UserError(f"{name} is {value!r}: give {', '.join(known)}")

    @property
    def fft_len(self):
        return MODES[self.mode]

    @property
    def guard_len(self):
        """Samples."""
        return self.fft_len // GUARDS[self.guard]

    @property
    def symbol(self):
        """Samples of a symbol with its guard interval."""
        return self.fft_len + self.guard_len

    @property
    def carriers(self):
        return 1704 * (self.fft_len // 2048) + 1

    @property
    def data_len(self):
        """Carriers of payload in each symbol."""
        return 1512 * (self.fft_len // 2048)

    @property
    def from_dc(self):
        """The carriers, counted from DC: [carriers]."""
        return np.arange(self.carriers) - self.carriers // 2

    @cached_property
    def pilots(self):
        """Carriers of scattered and continual pilots, ascending, of the symbols number 0 .. 3, and so on again."""
        return [np.add(carriers, self.carriers // 2) for carriers, _ in dvbt(self.mode)]

    def data(self, symbol):
        """Carriers of the payload of the symbol of this number, ascending."""
        tps = np.add.outer(1704 * np.arange(self.fft_len // 2048), TPS_2K).ravel()
        return np.setdiff1d(np.arange(self.carriers), np.concatenate([tps, self.pilots[symbol % 4]]))
