# SPDX-License-Identifier: GPL-3.0-or-later
"""The air between `send` and `receive`, and where samples go: ranges, counts, what is random and what is not."""

import json

import numpy as np
import pytest
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps import channel, transport
from gr_diffsem.base.errors import UserError


def bursts(n, length=400, gap=100, seed=1):
    rng = np.random.default_rng(seed)
    x = (rng.standard_normal((n, length, 2)) @ [1, 1j]) * np.sqrt(0.5)
    return np.concatenate([np.concatenate([np.zeros(gap), b]) for b in x] + [np.zeros(gap)])


@pytest.mark.parametrize("chunk", [37, 450, 1001])
def test_chunks_do_not_matter(chunk):
    x = bursts(6)
    whole = BurstChannel(15.0, "tdl_c", 0.4, 0.3, seed=2)
    parts = BurstChannel(15.0, "tdl_c", 0.4, 0.3, seed=2)
    y = np.concatenate([parts(x[i : i + chunk]) for i in range(0, x.size, chunk)])
    np.testing.assert_allclose(y, whole(x), atol=1e-5)
    assert parts.counts() == whole.counts()
    assert whole.bursts == 6


def test_noise_is_what_snr_says_and_offset_turns():
    air = BurstChannel(10.0, "awgn")
    noise = air(np.zeros(200_000))
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(64 / 52 * 0.1, rel=0.02)
    air = BurstChannel(100.0, "awgn", offset=1.0)
    y = air(np.concatenate([np.zeros(100), np.ones(2000)]))[300:1900]
    np.testing.assert_allclose(y[64:], y[:-64], atol=1e-3)
    assert np.angle(y[1] / y[0]) == pytest.approx(2 * np.pi / 64, abs=1e-3)


def test_fading_has_unit_mean_power_and_loss_its_share():
    air = BurstChannel(100.0, "tdl", loss=0.25, seed=5)
    x = bursts(1500, 200, 100)
    y = air(x)
    assert air.lost / air.bursts == pytest.approx(0.25, abs=0.04)
    assert np.sum(np.abs(y) ** 2) / np.sum(np.abs(x) ** 2) == pytest.approx(0.75, abs=0.1)


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"nonsense", "no JSON"),
        (b'["set", "snr"]', "set NAME VALUE"),
        (b'["set", "snr", "loud"]', "snr 'loud'"),
        (b'["set", "loss", 2]', "0 to 1"),
        (b'["set", "fading", "x"]', "choose one of awgn"),
        (b'["set", "gain", 2]', "there is no 'gain'"),
        (b'{"a": 1}', "set NAME VALUE"),
    ],
)
def test_wrong_requests_change_nothing(request_, words):
    air = BurstChannel()
    before = dict(air.settings)
    assert words in channel.answer(air, request_)["error"]
    assert air.settings == before


def test_set_is_live():
    air = BurstChannel(snr=10.0)
    assert channel.answer(air, b'["set", "snr", "5"]')["snr"] == 5.0
    assert np.mean(np.abs(air(np.zeros(100_000))) ** 2) == pytest.approx(64 / 52 * 10**-0.5, rel=0.03)


@pytest.mark.parametrize("text", ["", "zmq", "zmq://host", "zmq://:5", "zmq://a:99999", "file:", "ftp://x", "uhd"])
def test_wrong_places_are_named(text):
    with pytest.raises(UserError, match="--to"):
        transport.place(text, "--to")


def test_recordings_describe_themselves(tmp_path):
    at = transport.place(f"file:{tmp_path}/air.sigmf-data", "--to")
    out = transport.writer(at, 1e6, 433.92e6)
    out.write(np.arange(5) * (1 + 1j))
    out.close()
    meta = json.loads((tmp_path / "air.sigmf-meta").read_text())
    assert meta["global"]["core:datatype"] == "cf32_le" and meta["captures"][0]["core:frequency"] == 433.92e6
    assert (np.fromfile(tmp_path / "air.sigmf-data", np.complex64) == np.arange(5) * (1 + 1j)).all()
