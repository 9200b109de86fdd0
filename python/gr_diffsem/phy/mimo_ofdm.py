# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet of two streams over OFDM, from two transmit antennas to two receive antennas.

52 of 64 carriers are used, as in IEEE 802.11a. The first symbol of a packet holds pilots: on each carrier one antenna
sends and the other is silent, so that antennas are orthogonal in frequency. With pilots `all` the 52 carriers alternate
between the antennas (spacing 2); with `half` each has every fourth carrier, the odd ones (spacing 4, which a guard
interval of 16 samples of 64 just bears: 64 / 4), and the even ones carry data. All other symbols carry data: both
antennas send 16-QAM on all 52 carriers. Antennas have unit power on a carrier that they use.
"""

import numpy as np

from ..base.errors import unknown
from ..base.pilot_patterns import WIFI_LONG_TRAINING
from . import constellation
from .ofdm_layout import OfdmLayout

ANTENNAS = 2
BITS = 4  # of a 16-QAM symbol
USED = tuple(k for k in range(-26, 27) if k)
LAYOUT = OfdmLayout(64, 16, USED, ())
PILOTS = ("all", "half")


def _carriers(n_fft):
    return np.arange(n_fft) - n_fft // 2


def pilot_mask(pilots="all"):
    """[2, 64] bool: carriers where each antenna's pilots lie. Raises UserError for a name not in PILOTS."""
    if pilots not in PILOTS:
        raise unknown("pilots", pilots, PILOTS)
    k = _carriers(LAYOUT.fft_len)
    used = np.isin(k, USED)
    if pilots == "all":
        return np.stack([used & (k % 2 == antenna) for antenna in range(ANTENNAS)])
    return np.stack([used & (k % 4 == 1 + 2 * antenna) for antenna in range(ANTENNAS)])


def observed(pilots="all"):
    """[4, 64] bool: elements of the channel that pilots show, links as `link_order` has them."""
    return np.concatenate([pilot_mask(pilots)] * ANTENNAS)
