# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM and its receivers through the simulated radio: carrier offset, 20 ppm of clock, noise and a 12-bit converter."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")
from gr_diffsem.eval import dvbt_link, lte_scores
from gr_diffsem.receivers.dvbt.dvbt_layout import RATE
from gr_diffsem.receivers.lte import lte_receiver, lte_simulate
from gr_diffsem.receivers.lte.lte_capture import Capture
from gr_diffsem.receivers.lte.lte_pbch import Mib
from gr_diffsem.receivers.lte.lte_simulate import Conditions, Station
from gr_diffsem.receivers.wifi import wifi_capture, wifi_simulate, wifi_truth
from simulated_radio import air, environment

pytestmark = pytest.mark.timing


def run(script, *words):
    """What a script of this folder prints, with simulated radios to be found; AIR in its words is one of its own."""
    name = air()
    words = [name if w == "AIR" else str(w) for w in words]
    command = [sys.executable, str(Path(__file__).with_name(script)), *words]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout[-1000:] + done.stderr[-3000:]
    return done.stdout


def over_radio(what, arguments):
    said = run("ofdm_over_radio.py", what, "AIR", arguments)
    return json.loads(next(line for line in said.splitlines() if line.startswith("RESULT "))[7:])


def recorded(folder, x, rate, arguments):
    """What a radio hears of the samples: the path of its recording."""
    x.astype(np.complex64).tofile(folder / "sent.cf32")
    run("through_radio.py", folder / "sent.cf32", folder / "heard.cf32", rate, "AIR", arguments)
    return folder / "heard.cf32"


def test_packets_of_128_carriers_under_the_prior_over_the_grid():
    got = over_radio("packets", "snr=25,offset=1500,ppm=20")
    assert got["ours"] >= got["stock"] and got["ours"] > 0.8 * got["sent"], got


@pytest.mark.parametrize("arguments", ["snr=15,offset=1500,ppm=20", "snr=8,offset=-2000,ppm=-20"])
def test_the_channel_between_pilots_is_known_better_than_by_lines(arguments):
    got = over_radio("grid", arguments)
    ours, lines = got["ours"], got["lines"]
    assert ours["symbols"] == lines["symbols"] > 500
    assert ours["in"] == ours["out"] + ours["dropped"] and ours["out"] == ours["symbols"]
    assert ours["evm_db"] < lines["evm_db"] - 0.5, got


def test_a_broadcast_is_received(tmp_path):
    """DVB-T, 2k: as many transport packets as without a radio, but for the superframe that its beginning costs."""
    pytest.importorskip("gnuradio.dtv")
    sent = dvbt_link.broadcast(0.3)
    heard = np.fromfile(recorded(tmp_path, sent.samples, RATE, "snr=25,offset=1500,ppm=20"), np.complex64)
    got, clean = (dvbt_link.right(dvbt_link.receive(x, sent.mode, "ours", "ours"), sent) for x in (heard, sent.samples))
    assert clean > 600 and got > 0.9 * clean


def test_a_cell_is_read(tmp_path):
    station = Station(identity=7, mib=Mib(15, "normal", "1", 5))
    x = lte_simulate.recording(station, 4, Conditions(40, spread=3e-7, doppler_hz=10), None, 4)
    path = recorded(tmp_path, x, 3.84e6, "snr=20,offset=1500,ppm=20")
    got = lte_receiver.receive(Capture(path, None, 3.84e6), lte_scores.linear)
    assert got.cell.identity == 7 and got.mib.resource_blocks == 15


def test_packets_of_a_network_are_decoded(tmp_path):
    packets = wifi_simulate.packet_list(20, np.random.default_rng(3), (6, 12, 24), (138,))
    x, _ = wifi_simulate.recording(packets, wifi_simulate.Conditions(snr_db=40, delay_spread=1), 5)
    path = recorded(tmp_path, x, 20e6, "snr=25,offset=1500,ppm=20")
    found, counts = wifi_truth.from_receiver(wifi_capture.Capture(path), [])
    assert counts["fcs_ok"] >= 18 and {p.psdu for p in found} <= {psdu for _, psdu, _ in packets}
