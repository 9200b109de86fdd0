# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks of recordings made by our own transmitters: how far they are from the channel is what they say."""

import argparse
import os

import numpy as np
import pytest
from gr_diffsem.base.errors import Failed, UserError
from gr_diffsem.eval import lte_eval, lte_scores, recording_looks, wifi_eval
from gr_diffsem.receivers.lte import lte_capture, lte_receiver, lte_simulate
from gr_diffsem.receivers.lte.lte_pbch import Mib
from gr_diffsem.receivers.lte.lte_simulate import Conditions, Station
from gr_diffsem.receivers.wifi import wifi_simulate
from gr_diffsem.receivers.wifi.wifi_tables import USED


@pytest.fixture(scope="module")
def wifi(tmp_path_factory):
    path = tmp_path_factory.mktemp("looks") / "made.dat"
    packets = wifi_simulate.packet_list(8, np.random.default_rng(3), (12,), (138,))
    air = wifi_simulate.Conditions(snr_db=25, cfo_hz=20e3, delay_spread=1, gain=0.2)
    x, _ = wifi_simulate.recording(packets, air, 5)
    wifi_simulate.write(path, x, "sc16")
    return path


@pytest.fixture(scope="module")
def lte(tmp_path_factory):
    path = tmp_path_factory.mktemp("looks") / "cell.sc16"
    station = Station(identity=7, mib=Mib(15, "normal", "1", 5))
    wifi_simulate.write(path, lte_simulate.recording(station, 3, Conditions(25, 4e3), None, 4), "sc16")
    return path


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


def test_packets_say_their_channels(wifi):
    """The symbols of a packet see one channel: they differ by the noise that is stated, on every carrier alike."""
    (found,) = recording_looks.read([wifi])
    assert len(found) >= 8 and found.y.shape[1:] == (16, 64) and found.source == "made.dat"
    used = np.isfinite(found.noise_var)
    assert used[:, :, USED].any() and not np.delete(used, USED, 2).any()
    whole = used[:, :, USED].all((1, 2))
    y, v = found.y[whole][:, :, USED], found.noise_var[whole][:, :, USED]
    weight = 1 / v
    mean = (y * weight).sum(1, keepdims=True) / weight.sum(1, keepdims=True)
    over = (np.abs(y - mean) ** 2 * weight).sum(1) / 15
    assert len(y) >= 6 and over.mean() == pytest.approx(1, abs=0.15)
    snr_db = 10 * np.log10((np.abs(mean) ** 2).mean() / v[:, 0].mean())
    assert 24 < snr_db < 32  # the training field has two symbols, and 52 of 64 carriers


def test_ports_of_a_cell_become_grids(tmp_path, lte):
    got = call(lte_eval, lte, "--fs", 3.84e6, "--looks", tmp_path / "cell.npz")
    assert got["looks"].endswith("cell.npz") and got["carriers"] == 60 and got["symbols"] == 16 and got["grids"] > 10
    assert "train ofdm_grid --from" in lte_eval.table(got)
    (found,) = recording_looks.read([tmp_path / "cell.npz"])
    there = np.isfinite(found.noise_var)
    assert there.mean() == pytest.approx(0.5, abs=0.01) and found.source == "LTE cell 7, port 0"
    assert 15 < 10 * np.log10((np.abs(found.y[there]) ** 2).mean() / found.noise_var[there].mean()) < 30


def test_each_of_four_ports_has_its_noise(tmp_path):
    """The tones of ports 2 and 3 move from slot to slot."""
    station = Station(identity=7, ports=4, mib=Mib(15, "normal", "1", 5))
    path = tmp_path / "cell.sc16"
    wifi_simulate.write(path, lte_simulate.recording(station, 3, Conditions(20), None, 4), "sc16")
    got = lte_receiver.receive(lte_capture.Capture(path, None, 3.84e6), lte_scores.linear)
    found = recording_looks.of_reception(got, "cell")
    assert len(found) == 4
    for looks in found:
        there = np.isfinite(looks.noise_var)
        snr_db = 10 * np.log10((np.abs(looks.y[there]) ** 2).mean() / looks.noise_var[there].mean())
        assert snr_db == pytest.approx(20, abs=1.5), looks.source


def test_eval_wifi_writes_looks_and_takes_schemes_over_the_grid(tmp_path, wifi):
    got = call(wifi_eval, wifi, "--looks", tmp_path / "x.npz")
    assert got["grids"] >= 8 and "x.npz" in wifi_eval.table(got)
    pytest.importorskip("gnuradio.diffsem")
    report = call(wifi_eval, wifi, "--snr", 10, "--methods", "ls", "ofdm_grid/robust")
    ls, robust = (report["methods"][name]["nmse_db"][0] for name in ("ls", "ofdm_grid/robust"))
    assert robust < ls - 1
    with pytest.raises(UserError, match="--methods: .*ofdm_grid"):
        call(wifi_eval, wifi, "--methods", "ofdm_grid/nothing")
    for name in ("photo_mmse/net", "mimo_chanest_16x64/diffusion"):
        with pytest.raises(UserError, match=f"--methods {name}: its signals are .*; give a prior over 64 carriers"):
            call(wifi_eval, wifi, "--methods", name)
    with pytest.raises(UserError, match="leave one of them out"):
        call(wifi_eval, wifi, "--looks", tmp_path / "x.npz", "--plot", tmp_path / "x.png")


def test_other_recordings_are_refused(tmp_path):
    noise = np.random.default_rng(1).standard_normal(200_000) * 1000
    noise.astype("<i2").tofile(tmp_path / "noise.dat")
    with pytest.raises(Failed, match=r"no 802.11 packet .*, and no LTE cell .*--looks"):
        recording_looks.read([tmp_path / "noise.dat"])
    with pytest.raises(UserError, match="there is no such file"):
        recording_looks.read([tmp_path / "nothing.npz"])
    (tmp_path / "folder.npz").mkdir()
    os.mkfifo(tmp_path / "pipe.npz")
    for path, said in (
        ("x.png", "ends in .npz"),
        (".npz", "ends in .npz"),
        ("nowhere/x.npz", "is no folder"),
        ("folder.npz", "is a folder; give another name"),
        ("pipe.npz", "is a pipe; give another name"),
    ):
        with pytest.raises(UserError, match=said):
            call(wifi_eval, tmp_path / "noise.dat", "--looks", tmp_path / path)
