# SPDX-License-Identifier: GPL-3.0-or-later
"""The digital part where interference hits some carriers and the stated noise does not tell of it: soft bits are
limited, so the hit ones cannot outweigh the others."""

import numpy as np
import pytest
from gnuradio.diffsem import core
from gr_diffsem.codec import digital_part
from gr_diffsem.phy import soft_demap

STATED, HIT = 10 ** (-13 / 10), 10 ** (5 / 10)  #: what was measured beside a DC of -10 dB at half a carrier's offset


@pytest.mark.parametrize("carriers", [2, 4, 6])
def test_hit_carriers_do_not_cost_the_digital_part(carriers):
    for seed in range(5):
        rng = np.random.default_rng([seed, carriers])
        data = rng.bytes(150)
        sent = digital_part.modulate(data)
        variance = np.where(np.arange(sent.size) % 48 < carriers, HIT, STATED)
        noise = rng.standard_normal((sent.size, 2)) @ [1, 1j] * np.sqrt(variance / 2)
        assert digital_part.demodulate(sent + noise, STATED, len(data)) == data
        twin = core.DigitalCode(digital_part.size_index(len(data)))
        assert twin.decode(soft_demap.qpsk(sent + noise, STATED)) == data


def test_the_limit_costs_nothing_where_the_code_is_needed():
    """At 0 dB, 3 dB above where it begins to fail, with the true noise."""
    arrived = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        data = rng.bytes(150)
        sent = digital_part.modulate(data)
        noise = rng.standard_normal((sent.size, 2)) @ [1, 1j] * np.sqrt(0.5)
        arrived += digital_part.demodulate(sent + noise, 1.0, len(data)) == data
    assert arrived == 10
