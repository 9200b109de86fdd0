# SPDX-License-Identifier: GPL-3.0-or-later
"""Wi-Fi recordings that begin or end anywhere, of channels of 10 and 5 MHz, and with a mirrored spectrum."""

import json
import os

import numpy as np
import pytest
from gr_diffsem.apps import cli
from gr_diffsem.eval import wifi_scores
from gr_diffsem.receivers.wifi import wifi_phy, wifi_simulate
from gr_diffsem.receivers.wifi.wifi_capture import Capture
from gr_diffsem.receivers.wifi.wifi_truth import from_receiver, from_truth_file

PACKETS = wifi_simulate.packet_list(3, np.random.default_rng(4), (6, 24, 54), (60,))
GAP = 500
AIR, TRUTH = wifi_simulate.recording(PACKETS, wifi_simulate.Conditions(gap=GAP, cfo_hz=3e4, delay_spread=1.0), 3)


def evaluate(capsys, *words):
    """(exit code, report or None, the last line of what was said)."""
    code = cli.main(["eval", "wifi", *map(str, words), "--methods", "ls", "--snr", "15", "--json"])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, json.loads(out) if out else None, err.strip().splitlines()[-1]


@pytest.mark.parametrize("ahead", [0, 1, 2, -1, -5, -40])
def test_a_recording_may_begin_with_its_first_packet(tmp_path, capsys, ahead):
    """So many samples before the packet, or inside its short training field: its place may be found as -1."""
    AIR[GAP - ahead :].tofile(tmp_path / "x.cf32")
    code, report, said = evaluate(capsys, tmp_path / "x.cf32")
    assert code == 0, said
    assert report["packets"] == report["fcs_ok_clean"] == 3
    assert -30 < report["methods"]["ls"]["nmse_db"][0] < -10


def test_the_noise_of_a_place_below_zero_is_its_own():
    packets, _ = from_receiver(InMemory(AIR[GAP + 5 :]), [])
    assert packets[0].name[1] < 0
    added = [wifi_scores.add_noise(p, 10, 1) - p.samples for p in packets]
    assert np.isfinite(added[0]).all() and not np.allclose(added[0][:400], added[1][:400])


class InMemory:
    """A recording in memory."""

    path, width = "x", 20e6

    def __init__(self, x):
        self._x = x

    def __len__(self):
        return len(self._x)

    def chunks(self):
        yield 0, len(self._x), self._x


@pytest.mark.parametrize("end", [TRUTH[2]["start"] - 150, TRUTH[2]["start"] + 60, TRUTH[2]["start"] + 250])
def test_a_recording_may_end_inside_a_packet(tmp_path, capsys, end):
    AIR[:end].tofile(tmp_path / "x.cf32")
    code, report, said = evaluate(capsys, tmp_path / "x.cf32")
    assert code == 0 and report["packets"] == 2, said


def test_one_packet_alone_is_enough(tmp_path, capsys):
    mbps, psdu, seed = PACKETS[0]
    AIR[GAP : GAP + len(wifi_phy.transmit(psdu, mbps, seed))].tofile(tmp_path / "x.cf32")
    code, report, said = evaluate(capsys, tmp_path / "x.cf32")
    assert code == 0 and report["packets"] == 1, said


@pytest.mark.parametrize(
    ("samples", "words"), [(0, "it is empty"), (1, "no legacy 802.11"), (100, "no legacy 802.11"), (900, "no legacy")]
)
def test_shorter_than_a_packet_is_a_sentence(tmp_path, capsys, samples, words):
    AIR[GAP : GAP + samples].tofile(tmp_path / "x.cf32")
    code, _, said = evaluate(capsys, tmp_path / "x.cf32")
    assert code == 2 and words in said


def test_what_is_no_file_is_a_sentence(tmp_path, capsys):
    os.mkfifo(tmp_path / "x.cf32")
    assert "x.cf32: is a pipe" in evaluate(capsys, tmp_path / "x.cf32")[2]
    (tmp_path / "y.sc16").mkdir()
    os.mkfifo(tmp_path / "t")
    assert "--truth " in (said := evaluate(capsys, tmp_path / "none.cf32", "--truth", tmp_path / "t")[2])
    assert said.endswith("t: is a pipe")
    assert "y.sc16: is a folder" in evaluate(capsys, tmp_path / "y.sc16")[2]
    (tmp_path / "t.json").mkdir()
    assert "t.json: is a folder" in evaluate(capsys, tmp_path / "none.cf32", "--truth", tmp_path / "t.json")[2]


# --- narrower channels, mirrored spectra --------------------------------------------------------------------


def sigmf(path, x, rate):
    x.astype(np.complex64).tofile(path.with_suffix(".sigmf-data"))
    about = {"core:datatype": "cf32_le", "core:sample_rate": rate, "core:version": "1.0.0"}
    path.with_suffix(".sigmf-meta").write_text(json.dumps({"global": about, "captures": [], "annotations": []}))
    return path.with_suffix(".sigmf-meta")


@pytest.mark.parametrize("width", [10e6, 5e6])
def test_a_narrower_channel_is_read_and_hinted_at(tmp_path, capsys, width):
    """The same samples, said to come at the channel's rate."""
    path = sigmf(tmp_path / "x", AIR, width)
    code, _, said = evaluate(capsys, path)
    assert code == 2 and f"is {width / 1e6:g} MS/s" in said and f"give --channel-width {width / 1e6:g}e6" in said
    code, report, said = evaluate(capsys, path, "--channel-width", f"{width:g}")
    assert code == 0 and report["packets"] == report["fcs_ok_clean"] == 3, said
    AIR.tofile(tmp_path / "wide.cf32")
    same = evaluate(capsys, tmp_path / "wide.cf32")[1]
    assert report["methods"]["ls"]["nmse_db"] == pytest.approx(same["methods"]["ls"]["nmse_db"], abs=1)
    raw = tmp_path / "raw.cf32"
    AIR.tofile(raw)
    assert evaluate(capsys, raw, "--channel-width", f"{width:g}")[1]["packets"] == 3


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("width", [20e6, 10e6, 5e6])
def test_twenty_megasamples_of_a_narrower_or_mirrored_channel(tmp_path, capsys, width, inverted):
    from scipy.signal import resample_poly

    x = resample_poly(AIR, int(20e6 / width), 1)
    path = sigmf(tmp_path / "x", x.conj() if inverted else x, 20e6)
    options = [f"--channel-width {width / 1e6:g}e6"] * (width < 20e6) + ["--inverted"] * inverted
    if options:
        code, _, said = evaluate(capsys, path)
        assert (
            code == 2 and f"there are 3 at its beginning if it is read otherwise: give {' and '.join(options)}" in said
        )
    code, report, said = evaluate(capsys, path, *" ".join(options).split())
    assert code == 0 and report["packets"] == 3, said


def test_no_hint_where_there_is_nothing(tmp_path, capsys):
    noise = np.random.default_rng(1).normal(size=(20000, 2)).astype(np.float32)
    noise.tofile(tmp_path / "x.cf32")
    assert "check --format and --sample-rate" in evaluate(capsys, tmp_path / "x.cf32")[2]


def test_a_width_that_is_none_is_a_sentence(tmp_path, capsys):
    AIR.tofile(tmp_path / "x.cf32")
    assert (
        "--channel-width 8e6: give 20e6, 10e6, 5e6"
        in evaluate(capsys, tmp_path / "x.cf32", "--channel-width", "8e6")[2]
    )
    assert "--channel-width 10: give 5e6 to 2e7 Hz" in evaluate(capsys, tmp_path / "x.cf32", "--channel-width", "10")[2]


def test_a_truth_file_says_offsets_on_the_air(tmp_path):
    AIR.tofile(tmp_path / "x.cf32")
    entries = [{k: v for k, v in t.items() if k != "h"} | {"cfo_hz": t["cfo_hz"] / 2} for t in TRUTH]
    notes = []
    capture = Capture(tmp_path / "x.cf32", channel_width=10e6)
    assert len(from_truth_file(capture, {"x.cf32": entries}, notes)) == 3 and not notes
