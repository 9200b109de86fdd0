# SPDX-License-Identifier: GPL-3.0-or-later
"""Pilots of NR against Sionna's: the uplink's have the downlink's places and sequence (TS 38.211 6.4.1.1, 7.4.1.1)."""

import numpy as np
import pytest
from gr_diffsem.base.pilot_patterns import pilots

nr = pytest.importorskip("sionna.phy.nr")


@pytest.mark.parametrize(
    ("config_type", "port", "additional", "length"),
    [(1, 0, 1, 1), (1, 3, 3, 1), (2, 3, 2, 1), (1, 6, 1, 2), (2, 9, 0, 2)],
)
def test_nr_demodulation_reference(config_type, port, additional, length):
    said = nr.PUSCHConfig()
    said.carrier.n_size_grid = 11
    said.carrier.slot_number = 3
    said.carrier.n_cell_id = 77
    said.dmrs.config_type = config_type
    said.dmrs.additional_position = additional
    said.dmrs.length = length
    said.dmrs.dmrs_port_set = [port]
    said.dmrs.n_id = 77
    grid = np.asarray(said.dmrs_grid)[0]  # [carriers, 14]
    pattern = pilots(
        "nr_dmrs",
        resource_blocks=11,
        config_type=config_type,
        port=port,
        scrambling_id=77,
        additional=additional,
        double=length == 2,
    )
    factor = set()
    for l in range(14):
        carriers, values = pattern[3 * 14 + l]
        sent = grid[:, l]
        assert (np.flatnonzero(np.abs(sent) > 1e-6) - 66).tolist() == carriers
        if carriers:
            ratio = sent[np.array(carriers) + 66] / values
            factor.add(complex(np.round(ratio.mean(), 4)))
            assert np.allclose(ratio, ratio.mean(), atol=1e-4)
    assert len(factor) == 1  # Sionna's power is another
