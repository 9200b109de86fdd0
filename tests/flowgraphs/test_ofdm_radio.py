# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM through the simulated radio: carrier offset, 20 ppm of clock, noise and a 12-bit converter between."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("gnuradio.diffsem")
pytestmark = pytest.mark.timing
ROOT = Path(__file__).parents[2]
PLUGIN = Path(os.environ.get("BUILD_DIR", ROOT / "build")) / "cmake" / "tests" / "soapy"
numbers = itertools.count()


def over_radio(what, arguments):
    assert (PLUGIN / "diffsemsim.so").exists(), (
        f"no simulated radio in {PLUGIN}: apt install libsoapysdr-dev, make build"
    )
    env = {**os.environ, "SOAPY_SDR_PLUGIN_PATH": str(PLUGIN)}
    env["PYTHONPATH"] = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    script = Path(__file__).with_name("ofdm_over_radio.py")
    command = [sys.executable, str(script), what, f"ofdm-{os.getpid()}-{next(numbers)}", arguments]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-1000:] + done.stderr[-3000:]
    return json.loads(lines[-1][7:])


def test_packets_of_128_carriers_under_the_prior_over_the_grid():
    got = over_radio("packets", "snr=25,offset=1500,ppm=20")
    assert got["ours"] >= got["stock"] and got["ours"] > 0.8 * got["sent"], got


@pytest.mark.parametrize("arguments", ["snr=15,offset=1500,ppm=20", "snr=8,offset=-2000,ppm=-20"])
def test_the_channel_between_pilots_is_known_better_than_by_lines(arguments):
    got = over_radio("grid", arguments)
    ours, lines = got["ours"], got["lines"]
    assert ours["symbols"] == lines["symbols"] > 800
    assert ours["in"] == ours["out"] + ours["dropped"] and ours["out"] == ours["symbols"]
    assert ours["evm_db"] < lines["evm_db"] - 0.5, got
