# SPDX-License-Identifier: GPL-3.0-or-later
"""Real recordings, where DIFFSEM_DATA (default ../shared/data beside the checkout) has them.

The conducted recordings are a test set: only the receiver and the classical references, which
have nothing to tune, are run on them here.
"""

import os
from pathlib import Path

import pytest
from gr_diffsem.eval import wifi_scores
from gr_diffsem.receivers.wifi import wifi_finder, wifi_truth
from gr_diffsem.receivers.wifi.wifi_capture import Capture

DATA = Path(os.environ.get("DIFFSEM_DATA") or Path(__file__).parents[3] / "shared" / "data")
CONDUCTED, WLAN = DATA / "wifi_conducted", DATA / "wlan_cf32"


def need(folder):
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder} (set DIFFSEM_DATA)")


@pytest.fixture(scope="module")
def conducted():
    need(CONDUCTED)
    entries = wifi_truth.load_truth(CONDUCTED / "truth.json")
    captures = {name: Capture(CONDUCTED / name) for name in entries}
    notes = []
    packets = [p for c in captures.values() for p in wifi_truth.from_truth_file(c, entries, notes)]
    assert notes == []
    return captures, entries, packets


def test_conducted_with_truth(conducted):
    packets = conducted[2]
    assert len(packets) == 229
    out = wifi_scores.evaluate(packets, {"ls": wifi_scores.least_squares})
    assert out["fcs_ok_clean"] >= 226
    # Published beside the recordings: -3.9 -8.8 -13.9 -18.8 -23.5 dB.
    for got, expected in zip(out["methods"]["ls"]["nmse_db"], (-3.9, -8.8, -13.9, -18.8, -23.5), strict=True):
        assert abs(got - expected) < 0.3
    assert out["methods"]["ls"]["fcs_ok"][-1] >= 226


def test_conducted_with_our_own_synchroniser(conducted):
    captures, entries, _ = conducted
    found = 0
    for name, capture in captures.items():
        items = list(wifi_finder.receive(capture))
        good = {i.result.psdu.hex() for i in items if i.result.fcs_ok}
        legacy = [e for e in entries[name] if not e.get("ht")]
        assert len(items) == len(entries[name])
        assert sum(i.result.ht for i in items) == len(entries[name]) - len(legacy)
        found += sum(e["psdu"] in good for e in legacy)
    assert found >= 226


@pytest.mark.parametrize(("name", "n"), [("bpsk-1-2-15db.cf32", 17), ("bpsk-3-4-30db.cf32", 1)])
def test_float_recordings(name, n):
    need(WLAN)
    items = list(wifi_finder.receive(Capture(WLAN / name)))
    assert sum(i.result.fcs_ok for i in items) == len(items) == n
