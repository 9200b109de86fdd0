# SPDX-License-Identifier: GPL-3.0-or-later
"""A MIMO channel estimator in a flowgraph: vectors of antennas in, the block `estimate` by name, estimates out."""

import numpy as np
import pytest
from gr_diffsem.base.signal import complex_noise32

pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")

from gr_diffsem.base import model_packages
from gr_diffsem.eval import scheme_runner
from gr_diffsem.schemes import mimo_chanest


@pytest.mark.parametrize("size, rx, gain_db", [("64x1", 1, 5.0), ("16x64", 16, 6.0)])
def test_estimate_in_a_flowgraph(size, rx, gain_db):
    """At 0 dB the block's estimate is `gain_db` better than what goes in, and the core's own."""
    h = mimo_chanest.draw("3gpp", np.random.default_rng(8), 80, rx, 64).reshape(80, -1)
    y = h + complex_noise32(np.random.default_rng(9), h.shape)
    package, _ = model_packages.locate(f"mimo_chanest_{size}", checkout_first=True)
    mean, _, steps, _ = scheme_runner.estimate(str(package), y, 1.0, chain="block")
    assert steps == 1
    assert np.sum(np.abs(mean - h) ** 2) < np.sum(np.abs(y - h) ** 2) * 10 ** (-gain_db / 10)
    direct = scheme_runner.estimate(str(package), y, 1.0)[0]
    assert np.abs(mean - direct).max() < 1e-3
