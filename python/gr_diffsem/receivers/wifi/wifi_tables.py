# SPDX-License-Identifier: GPL-3.0-or-later
"""Constants of the legacy OFDM PHY (IEEE 802.11-2016 clause 17, 20 MHz channel spacing)."""

from dataclasses import dataclass

import numpy as np

from ...base.pilot_patterns import WIFI_LONG_TRAINING, WIFI_PILOT_VALUES
from ...phy.ofdm_layout import LAYOUT_64

SAMPLE_RATE = 20e6
N_FFT = LAYOUT_64.fft_len
N_CP = LAYOUT_64.cp_len
N_SYM = LAYOUT_64.symbol
DC = N_FFT // 2  # index of carrier 0 in an ascending carrier array

#: A window that starts this many samples before the first path still lies in the guard interval.
WINDOW_ADVANCE = 3

STF_LEN = 160
LTF_GUARD = 32
#: Samples from the start of the STF to the first long training symbol.
LTF_OFFSET = STF_LEN + LTF_GUARD
#: Samples from the first long training symbol to the useful part of the SIGNAL symbol.
SIGNAL_OFFSET = 2 * N_FFT + N_CP
PREAMBLE_LEN = LTF_OFFSET + 2 * N_FFT

MAX_LENGTH = 4095
SERVICE_BITS = 16
TAIL_BITS = 6


@dataclass(frozen=True)
class Rate:
    """One row of Table 17-4: modulation-dependent parameters."""

    mbps: int
    signal: tuple  # R1..R4, Table 17-6
    n_bpsc: int  # coded bits per carrier
    coding: tuple  # (k, n) of the punctured code

    @property
    def n_cbps(self):
        """Coded bits per OFDM symbol."""
        return 48 * self.n_bpsc

    @property
    def n_dbps(self):
        """Data bits per OFDM symbol."""
        return self.n_cbps * self.coding[0] // self.coding[1]

    def n_symbols(self, length):
        """DATA symbols that carry a PSDU of `length` octets (17-11)."""
        bits = SERVICE_BITS + 8 * length + TAIL_BITS
        return -(-bits // self.n_dbps)


RATES = {
    r.mbps: r
    for r in (
        Rate(6, (1, 1, 0, 1), 1, (1, 2)),
        Rate(9, (1, 1, 1, 1), 1, (3, 4)),
        Rate(12, (0, 1, 0, 1), 2, (1, 2)),
        Rate(18, (0, 1, 1, 1), 2, (3, 4)),
        Rate(24, (1, 0, 0, 1), 4, (1, 2)),
        Rate(36, (1, 0, 1, 1), 4, (3, 4)),
        Rate(48, (0, 0, 0, 1), 6, (2, 3)),
        Rate(54, (0, 0, 1, 1), 6, (3, 4)),
    )
}
RATE_BY_SIGNAL = {r.signal: r for r in RATES.values()}

MAX_PACKET_LEN = PREAMBLE_LEN + N_SYM * (1 + RATES[6].n_symbols(MAX_LENGTH))

PILOTS = LAYOUT_64.pilot_bins
DATA = LAYOUT_64.data_bins
USED = LAYOUT_64.carrier_bins
#: True on the 52 carriers that the long training symbol observes.
USED_MASK = np.zeros(N_FFT, bool)
USED_MASK[USED] = True

#: Pilot values on carriers -21, -7, 7, 21 before the polarity (17-24).
PILOT_VALUES = np.array(WIFI_PILOT_VALUES, float)


def _stf():
    """Short training sequence S_{-26..26} (17-6), scaled to the mean power of a data symbol."""
    plus, minus = (-24, -16, -4, 12, 16, 20, 24), (-20, -12, -8, 4, 8)
    x = np.zeros(N_FFT, complex)
    x[np.array(plus) + DC] = 1 + 1j
    x[np.array(minus) + DC] = -1 - 1j
    return np.sqrt(13 / 6) * x


#: Long training sequence (17-8).
LTF = np.pad(np.array(WIFI_LONG_TRAINING, float), (DC - 26, N_FFT - DC - 27))
STF = _stf()
