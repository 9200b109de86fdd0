# SPDX-License-Identifier: GPL-3.0-or-later
"""`diffsem.ofdm_rx` in the place of `digital.ofdm_rx`: the same packets and more, on the same samples."""

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")

from gnuradio import diffsem, digital
from gnuradio.digital import ofdm_txrx

ROOT = Path(__file__).parents[2]


def bench():
    spec = importlib.util.spec_from_file_location("moving_channel", ROOT / "bench" / "moving_channel.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


moving = bench()


def packets(doppler, snr_db, mode="qpsk", count=60, octets=96, paths=4, seed=3, **more):
    """(decoded by stock, decoded by ours): bool [count] each."""
    rng = np.random.default_rng(seed)
    payload = rng.integers(0, 256, (count, octets), dtype=np.uint8)
    payload[:, 0], payload[:, 1] = np.divmod(np.arange(count), 256)
    bits = moving.MODES[mode]
    settings = {"bps_payload": bits, "scramble_bits": True}
    samples = moving.fade(moving.send(payload, octets, **settings), paths, doppler, snr_db, rng)
    return (
        moving.receive(samples, payload, digital.ofdm_rx(**settings)),
        moving.receive(samples, payload, diffsem.ofdm_rx(**settings, **more)),
    )


@pytest.mark.parametrize("mode", ["bpsk", "qpsk", "8psk"])
@pytest.mark.parametrize("snr_db", [20, 30])
def test_a_still_channel_loses_no_packet_to_stock(mode, snr_db):
    stock, ours = packets(0.0, snr_db, mode)
    assert ours.sum() >= stock.sum() and ours.any()


@pytest.mark.parametrize("doppler", [0.01, 0.036, 0.1])
def test_a_moving_channel_is_followed(doppler):
    """Frames of 480 octets, 35 dB (bench/moving_channel.py has the table)."""
    stock, ours = packets(doppler, 35, octets=480)
    assert ours.sum() >= stock.sum() and ours.mean() > 0.5


@pytest.mark.parametrize(
    "mode, octets, symbols, doppler, snr_db, clock",
    [("bpsk", 2994, 500, 0.0, 35, 40), ("bpsk", 2994, 500, 0.005, 25, -40), ("qpsk", 4090, 342, 0.005, 30, 40)],
)
def test_long_frames_and_a_clock_that_is_wrong(tmp_path, mode, octets, symbols, doppler, snr_db, clock):
    """500 symbols of payload (of QPSK the header can announce no more than 342), over which 40 ppm move the window by
    1.6 samples: no fewer packets than stock's, on the same samples. In a process whose buffers hold such frames."""
    words = f"--packets 14 --mode {mode} --octets {octets} --snr {snr_db} --clock {clock} --seed 3 --doppler {doppler}"
    command = [sys.executable, ROOT / "bench" / "moving_channel.py", *words.split(), "--json", tmp_path / "arrived"]
    env = {**os.environ, "GR_CONF_DEFAULT_BUFFER_SIZE": str(1 << 22)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-2000:]
    (got,) = json.loads((tmp_path / "arrived").read_text())
    assert got["symbols"] == symbols + 3  # sync words and header
    stock, ours = np.array(got["stock"]), np.array(got["ours"])
    assert ours.sum() >= stock.sum() and ours.mean() > 0.4, (stock.sum(), ours.sum())


def test_least_squares_with_tracking_is_no_worse_either():
    stock, ours = packets(0.036, 35, octets=480, scheme="ls")
    assert ours.sum() >= stock.sum()


def test_is_called_as_gr_digitals():
    """Every parameter of `digital.ofdm_rx`, in its place; defaults are its own, or None, which stands for them."""
    theirs = list(inspect.signature(digital.ofdm_rx.__init__).parameters.values())
    ours = list(inspect.signature(diffsem.ofdm_rx.__init__).parameters.values())
    assert [p.name for p in ours[: len(theirs)]] == [p.name for p in theirs]
    for mine, their in zip(ours[1:], theirs[1:], strict=False):
        assert mine.default is None or mine.default == their.default, mine.name
    stock, made = digital.ofdm_rx(), diffsem.ofdm_rx(scheme="ls")
    np.testing.assert_array_equal(made.sync_word1, stock.sync_word1)
    np.testing.assert_array_equal(made.sync_word2, stock.sync_word2)
    assert made.occupied_carriers == ofdm_txrx._def_occupied_carriers


def test_other_carriers_and_length():
    """128 carriers of the sender's choosing, without noise."""
    layout = {
        "fft_len": 128,
        "cp_len": 32,
        "occupied_carriers": ([k for k in range(-50, 51) if k and k % 10],),
        "pilot_carriers": ([k for k in range(-50, 51, 10) if k],),
        "pilot_symbols": ([1] * 10,),
        "bps_payload": 2,
    }
    payload = np.random.default_rng(4).integers(0, 256, (5, 120), dtype=np.uint8)
    payload[:, 0], payload[:, 1] = 0, np.arange(5)
    sent = moving.send(payload, 120, **layout).ravel()
    samples = np.concatenate([np.zeros(500), sent, np.zeros(5000)]).astype(np.complex64)
    assert moving.receive(samples, payload, diffsem.ofdm_rx(**layout, scheme="ls")).all()


def test_what_is_inside_is_written_on_request(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    diffsem.ofdm_rx(scheme="ls", debug_log=True)
    names = {p.name for p in tmp_path.iterdir()}
    assert {"freq-offset.dat", "channel-estimate.dat", "post-payload-eq.dat", "post-payload-crc.dat"} <= names


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"cp_len": 0}, "cp_len is 0"),
        ({"bps_header": 4}, "bps_header is 4"),
        ({"bps_payload": 0}, "bps_payload is 0"),
        ({"sync_word1": [1, 2]}, "sync_word1 has 2 values"),
        ({"sync_word2": [1, 2]}, "sync_word2 has 2 values"),
        ({"threshold": 1.0}, "threshold is 1.0"),
        ({"scheme": "lss"}, "ls"),
        ({"pilot_symbols": [[1, 1]]}, r"pilot_symbols\[0\] has 2 values"),
    ],
)
def test_wrong_parameters_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        diffsem.ofdm_rx(**arguments)
