# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel estimator on part of the band is never worse than least squares (bench/layouts.py has the long run)."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.air import measure

diffsem = pytest.importorskip("gnuradio.diffsem")
SOURCE = Path(__file__).resolve().parents[2] / "bench" / "layouts.py"


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_layouts", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ratios(bench, mask, kind, count=200):
    h = bench.channels(kind, count, seed=31)
    found = bench.ratios(diffsem.scheme("ofdm_chanest"), h, mask, np.random.default_rng(32))
    return dict(zip(bench.SNR_DB, found[:, 0], strict=True))


@pytest.mark.parametrize("place", range(9))
def test_named_layouts(bench, place):
    """Where few carriers or one side are observed the estimate was up to 34 dB worse than least squares (35 dB, four
    taps, both edges); every fourth carrier 1.2 dB."""
    assert len(bench.NAMED) == 9
    name, mask = list(bench.NAMED.items())[place]
    for snr, ratio in ratios(bench, mask, "taps").items():
        assert ratio < bench.NEVER, f"{name} at {snr} dB"
        if snr <= bench.GAIN_AT:
            assert ratio < bench.GAIN or name == "every 4th", f"{name} at {snr} dB"


@pytest.mark.parametrize("kind", ["taps", "paths", "bank"])
def test_random_layouts(bench, kind):
    for mask in measure.draw_layouts(np.random.default_rng(33), 12):
        for snr, ratio in ratios(bench, mask, kind).items():
            assert ratio < bench.NEVER, f"{np.flatnonzero(mask) - 32} at {snr} dB"
