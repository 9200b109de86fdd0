# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval lte`: on cells of our own simulator, and on real ones where DIFFSEM_DATA has them."""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base.errors import Failed, UserError
from gr_diffsem.base.signal import db_to_linear
from gr_diffsem.eval import lte_eval, lte_scores
from gr_diffsem.receivers.lte import lte_frontend, lte_receiver, lte_simulate
from gr_diffsem.receivers.lte.lte_capture import Capture
from gr_diffsem.receivers.lte.lte_pbch import Mib
from gr_diffsem.receivers.lte.lte_simulate import Conditions, Station
from gr_diffsem.receivers.wifi import wifi_simulate

DATA = Path(os.environ.get("DIFFSEM_DATA") or Path(__file__).parents[3] / "shared" / "data") / "lte"
AIR = Conditions(25, 4e3, spread=3e-7, doppler_hz=20)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cell of 3 MHz, as a file and received."""
    path = tmp_path_factory.mktemp("lte") / "cell.sc16"
    x = lte_simulate.recording(Station(identity=7, mib=Mib(15, "normal", "1", 5)), 3, AIR, None, 4)
    wifi_simulate.write(path, x, "sc16")
    return path, lte_receiver.receive(Capture(path, None, 3.84e6), lte_scores.linear)


def options(*words):
    parser = argparse.ArgumentParser()
    lte_eval.add_arguments(parser)
    return parser.parse_args([str(w) for w in words])


def test_every_second_tone_is_held_out(made):
    port = lte_scores.Port(made[1], 0)
    observed = port.tones.observed
    assert abs(port.kept.sum() / observed.sum() - 0.5) < 0.01 and not (port.kept & ~observed).any()
    # Each column that has tones is seen in some rows and held out in others.
    columns = observed.any(0)
    assert port.kept[:, columns].any(0).all() and (observed & ~port.kept)[:, columns].any(0).all()
    tiles = port.tiles()
    assert len(tiles) == 30 * 4 // 16
    patterns = {port.kept[t].tobytes() for t in tiles}
    assert len(patterns) == 1


def test_scores_are_what_they_say(made):
    """Who answers with the truth has no error; who answers nothing has all of it."""
    ports = [lte_scores.Port(made[1], p) for p in (0, 1)]
    power = np.mean([p.power for p in ports])
    methods = {"nothing": lambda y, seen, nv: np.zeros_like(y), "linear": lte_scores.linear}
    error, energy = lte_scores.held_out(ports, methods, 0.0, power, np.random.default_rng(1), lambda n: None)
    assert np.allclose(error["nothing"], energy)
    held = sum((p.tones.observed & ~p.kept)[t].sum() for p in ports for t in p.tiles())
    assert abs(energy.sum() / held / power - 1) < 0.3
    # Linear interpolation over twice the distance, at 0 dB: error 2/3 of the noise's, or a little more.
    assert 0.4 < error["linear"].sum() / energy.sum() < 1.2
    quiet = lte_scores.held_out(ports, methods, 60.0, power, np.random.default_rng(1), lambda n: None)[0]
    assert quiet["linear"].sum() < 0.2 * error["linear"].sum()


def test_broadcast_channel_is_counted(made):
    got = made[1]
    broadcasts = lte_scores.Broadcasts(got)
    assert len(broadcasts.frames) == 3
    power = lte_scores.Port(got, 0).power
    methods = {"linear": lte_scores.linear}
    at = {
        snr: broadcasts.decoded(methods, power / db_to_linear(snr), 4, np.random.default_rng(2))["linear"]
        for snr in (-25, 15)
    }
    assert at[-25].sum() <= 1 and at[15].all() and at[15].size == 12
    z = broadcasts.equalised(lte_scores.linear, power / db_to_linear(20), np.random.default_rng(3))
    assert np.median(np.abs(np.abs(z.real) - np.sqrt(0.5))) < 0.3


def test_report(made, tmp_path, monkeypatch):
    """Of a closed form in the core: the network takes seconds to load."""
    pytest.importorskip("gnuradio.diffsem")
    monkeypatch.setattr(lte_scores, "OURS", "ofdm_grid/robust")
    words = ("--fs", 3.84e6, "--snr", -10, -4, 4, "--draws", 2, "--frames", 2)
    args = options(
        made[0], *words, "--methods", "linear", "wiener", "ofdm_grid/robust", "--picture", tmp_path / "p.png"
    )
    report = json.loads(json.dumps(lte_eval.run(args)))
    assert (report["pci"], report["ports"], report["mib"]["resource_blocks"]) == (7, 2, 15)
    assert (report["mib"]["frame"], report["mib_of"], report["prefix"]) == (5, 4, "normal")
    assert (tmp_path / "p.png").stat().st_size > 10000
    for m in report["methods"].values():
        assert m["snr_db"] == [-10, -4, 4] and len(m["heldout_nmse_db"]) == len(m["mib_ok"]) == 3
        assert m["heldout_nmse_db"][0] > m["heldout_nmse_db"][2] and m["mib_ok"][2] == 4
    ours, linear = report["methods"]["ofdm_grid/robust"], report["methods"]["linear"]
    for better, worse in zip(ours["heldout_nmse_db"], linear["heldout_nmse_db"], strict=True):
        assert better < worse - 1.5
    assert sum(ours["mib_ok"]) >= sum(linear["mib_ok"])
    assert report["against"]["linear"]["interval"][0][1] < -1.5
    shown = lte_eval.table(report)
    assert "cell 7, 2 ports, 15 resource blocks" in shown and "decodes earlier" in shown


def test_refusals(made, tmp_path, monkeypatch):
    monkeypatch.setattr(lte_receiver, "PLACES", 1)
    monkeypatch.setattr(lte_eval, "USUAL_RATES", (30.72e6, 3.84e6))
    for words, said in (
        ((tmp_path / "none.bin",), "no such file"),
        ((tmp_path / "x.unknown",), "give --format"),
        ((made[0], "--fs", 3.84e6, "--methods", "nonsense"), "--methods nonsense"),
        ((made[0], "--picture", tmp_path / "no" / "p.png"), "there is no folder"),
        ((made[0], "--picture", tmp_path), "is a folder"),
        ((made[0], "--picture", ""), "is empty"),
        ((made[0], "--picture", tmp_path / "p.xyz"), "pictures are written as .png"),
    ):
        with pytest.raises(UserError, match=said):
            lte_eval.run(options(*words))
    with pytest.raises(Failed, match=r"cell 7 if it is read otherwise: give --fs 3.84e6"):
        lte_eval.run(options(made[0], "--methods", "linear", "--fs", 5e6))
    with pytest.raises(Failed, match=r"there is cell 7 if it is read otherwise: give no --inverted"):
        lte_eval.run(options(made[0], "--methods", "linear", "--fs", 3.84e6, "--inverted"))


def test_half_success():
    good = np.array([[0, 0, 1, 1], [0, 1, 1, 1]], float)
    assert lte_scores._half([-6, -4, -2, 0], good) == -4
    assert np.isnan(lte_scores._half([-6, -4], np.ones((3, 2)))) and np.isnan(lte_scores._half([0], np.zeros((0, 1))))


# --- real cells -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "frame"), [("hackrf-2", 688), ("hackrf-3", 335)])
def test_recorded_cell(name, frame):
    path = DATA / f"f1815.3_s19.2_bw20_0.08s_{name}.bin"
    if not path.is_file():
        pytest.skip(f"no recording {path} (set DIFFSEM_DATA)")
    got = lte_receiver.receive(Capture(path), lte_scores.linear, 3)
    assert (got.cell.identity, got.ports, got.cell.prefix.name) == (301, 2, "normal")
    assert got.mib == Mib(100, "normal", "1", frame) and got.blocks == 100
    read = lte_receiver.decode_frames(got.grid, got.cell, 2, lte_scores.linear)
    assert [m.frame for *_, m in read] == [frame, frame + 1, frame + 2]
    ports = [lte_scores.Port(got, p) for p in (0, 1)]
    power = np.mean([p.power for p in ports])
    for p in ports:  # weaker than the reference signals
        assert 0.02 * power < p.noise[p.tones.observed].mean() < power
    methods = lte_scores.make_methods(["linear", "wiener"])
    error, energy = lte_scores.held_out(ports, methods, 10.0, power, np.random.default_rng(1), lambda n: None)
    assert error["wiener"].sum() < 0.2 * error["linear"].sum() < 0.2 * energy.sum()
    assert lte_frontend.subframes(Capture(path).seconds, got.cell, 1000) >= 71


def test_the_prior_on_a_recorded_cell():
    """Three frames at 5 dB; and a broadcast channel that linear interpolation loses. Seconds go into loading it."""
    pytest.importorskip("gnuradio.diffsem")
    path = DATA / "f1815.3_s19.2_bw20_0.08s_hackrf-3.bin"
    if not path.is_file():
        pytest.skip(f"no recording {path} (set DIFFSEM_DATA)")
    got = lte_receiver.receive(Capture(path), lte_scores.linear, 3)
    methods = lte_scores.make_methods(["linear", "wiener", lte_scores.OURS])
    report = lte_scores.evaluate(got, methods, (-4, 5), 3)
    against = report["against"]
    assert against["wiener"]["interval"][1][1] < -0.5 and against["linear"]["interval"][1][1] < -1.5
    good = {name: m["mib_ok"][0] for name, m in report["methods"].items()}
    assert report["mib_of"] == 9 and good[lte_scores.OURS] >= 8 and good["linear"] <= 5
