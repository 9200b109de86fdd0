# SPDX-License-Identifier: GPL-3.0-or-later
"""What radio amateurs asked for: a call sign in every pass, a preview while tuning in late, a lead and a tail; and
gaps of a stream that are counted."""

import json
import os
import time

import numpy as np
import pmt
import pytest

pytest.importorskip("gnuradio.diffsem")

from gr_diffsem.apps import receive_chain
from gr_diffsem.apps.cli import main
from gr_diffsem.base import picture_files
from gr_diffsem.codec import content
from PIL import Image


@pytest.fixture
def photograph(tmp_path):
    x = next(iter(picture_files.bundled(128, 1).values()))
    Image.fromarray(x).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def sent(tmp_path, *words):
    air = tmp_path / "air.cf32"
    assert main(["send", *map(str, words), "--to", f"file:{air}", "--cbr", "1/4"]) == 0
    return np.fromfile(air, np.complex64)


def received(tmp_path, samples, *words, capsys=None):
    """(JSON of each content, report)."""
    samples.tofile(tmp_path / "heard.cf32")
    out = tmp_path / f"out{time.monotonic_ns()}"
    words = ["--from", f"file:{tmp_path / 'heard.cf32'}", "--out", str(out), "--scheme", "linear", "--json", *words]
    if capsys:
        capsys.readouterr()
    assert main(["receive", *map(str, words)]) == 0
    report = json.loads(capsys.readouterr().out) if capsys else None
    return [json.loads(f.read_text()) for f in sorted(out.glob("*.json"))], report


def test_a_call_sign_rides_with_everything(tmp_path, photograph):
    np.save(tmp_path / "a.npy", np.arange(20.0))
    samples = sent(tmp_path, "--text", "cq", photograph, tmp_path / "a.npy", "--domain", "x", "--callsign", "n0call/p")
    said, _ = received(tmp_path, samples)
    assert [s["kind"] for s in said] == ["text", "photograph", "array"]
    assert [s["callsign"] for s in said] == ["N0CALL/P"] * 3
    said, _ = received(tmp_path, sent(tmp_path, photograph))
    assert "callsign" not in said[0]


def test_call_signs_come_back_as_they_were():
    for sign in ("AAA", "9A1/OE3XYZ", "DL1ABC/P", "///////", "0000000000", "W1AW", "9999999999"):
        data = content.encode_text("73", content.call_sign(sign))
        found, inner = content.opened(data)
        assert found == sign and content.decode_text(inner) == "73"
        assert len(data) - len(inner) <= 8
    assert content.opened(content.encode_text("73")) == ("", content.encode_text("73"))
    for wrong in ("AB", "ABCDEFGHIJK", "ÄÖÜ", "A B C", "N0CALL-9"):
        with pytest.raises(content.ContentError, match="give 3 to 10 letters"):
            content.call_sign(wrong)
    with pytest.raises(content.ContentError, match="no call sign"):
        content.opened(content.call_sign("N0CALL"))  # and nothing behind it


def test_damaged_octets_are_refused():
    """As a checksum that holds by chance would bring them."""
    rng = np.random.default_rng(5)
    signed = content.encode_text("73", content.call_sign("9A1/OE3XYZ"))
    for _ in range(3000):
        data = bytearray(signed)
        data[rng.integers(len(data))] = rng.integers(256)
        try:
            sign, inner = content.opened(bytes(data[: rng.integers(1, len(data) + 1)]))
        except content.ContentError:
            continue
        assert inner and (not sign or content.CALL.fullmatch(sign))


def test_a_wrong_call_sign_is_a_sentence(tmp_path, photograph, capsys):
    words = ["send", str(photograph), "--to", f"file:{tmp_path / 'air'}", "--callsign", "no sign"]
    assert main(words) == 2 and "--callsign 'NO SIGN': give 3 to 10" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--callsign", ""], "--callsign is empty"),
        (["--callsign", "  "], "--callsign is empty"),
        (["--carrier"], "give one of them"),
        (["--to", "file:air.wav"], "cf32 is written"),
        (["--to", "file:air.cf64"], "cf32 is written"),
    ],
)
def test_what_would_go_wrong_without_a_word(photograph, capsys, words, says):
    assert main(["send", str(photograph), "--cbr", "1/6", "--to", "file:/nowhere/air", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_format_is_of_a_file(tmp_path, capsys):
    words = ["receive", "--from", "zmq://127.0.0.1:9", "--out", str(tmp_path), "--format", "sc16"]
    assert main(words) == 2 and "leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("value", [1e300, 3e38, -1e19, 1e25j])
def test_arrays_beyond_what_floats_hold(value):
    with pytest.raises(content.ContentError, match="another unit"):
        content.encode_array(np.full((4, 4), value), "csi")


def test_an_older_format_is_named():
    """Of the format before this one, and of one to come."""
    for first in (0b110_00000, 0b101_00000):  # kinds 1 and 2, inverted
        with pytest.raises(content.ContentError, match="update it, or the sender"):
            content.check_kind(bytes([first, 0, 0]))


def test_lead_and_tail(tmp_path, photograph):
    plain = sent(tmp_path, photograph)
    rate = 1e5
    more = ["--rate", rate, "--lead", 0.5, "--tail", 0.25]
    silent, carrier = sent(tmp_path, photograph, *more), sent(tmp_path, photograph, *more, "--carrier")
    lead, tail = int(0.5 * rate), int(0.25 * rate)
    for x, power in ((silent, 0), (carrier, 1)):
        assert x.size == plain.size + lead + tail
        assert np.all(np.abs(x[:lead]) ** 2 == power) and np.all(np.abs(x[-tail:]) ** 2 == power)
        np.testing.assert_array_equal(x[lead:-tail], plain)
    rng = np.random.default_rng(1)
    noise = (rng.standard_normal((2, carrier.size)) * 0.07).astype(np.float32)  # 20 dB
    said, _ = received(tmp_path, carrier + noise[0] + 1j * noise[1])  # and a receiver is not troubled by it
    assert said[0]["frames_lost"] == 0


def test_a_preview_is_written_while_a_picture_comes(tmp_path, photograph, monkeypatch):
    """Of one that is tuned in late: the first half is missing."""
    samples = sent(tmp_path, photograph)
    seen, real = [], os.replace

    class Watched(receive_chain._Preview):
        def take(self, message):
            super().take(message)
            seen.append(self._path.exists() and Image.open(self._path).size)

    monkeypatch.setattr(receive_chain, "_Preview", Watched)
    slow = receive_chain.Chain._behind
    monkeypatch.setattr(receive_chain.Chain, "_behind", lambda self: (time.sleep(0.02), slow(self))[1])
    said, _ = received(tmp_path, samples[samples.size // 2 :], "--preview", 1e-3)
    assert len(said) == 1 and said[0]["frames_lost"] > 0
    assert seen[-1] is False and (128, 128) in seen[:-1]
    assert real is os.replace


def test_gaps_are_counted(tmp_path, photograph, capsys):
    """363 of each 7,001 samples lost, as by a radio that overflows."""
    samples = sent(tmp_path, photograph, "--repeat", 3)
    kept = samples[np.arange(samples.size) % 7001 >= 363]
    _, whole = received(tmp_path, samples, capsys=capsys)
    said, holes = received(tmp_path, kept, capsys=capsys)
    assert (whole["missed"], whole["gaps"], whole["samples_lost"]) == (0, 0, 0)
    lost = samples.size - kept.size
    assert 0.15 * lost < holes["samples_lost"] <= lost and holes["gaps"] > 1 and holes["missed"] > 0


def test_gaps_by_the_clock_of_a_radio():
    """As UHD tags them: a time at the first sample, and another where it goes on after an overflow."""

    class Tag:
        def __init__(self, offset, whole, part):
            self.offset, self.value = offset, pmt.make_tuple(pmt.from_uint64(whole), pmt.from_double(part))

    tags = [Tag(0, 10, 0.25), Tag(1_000_000, 11, 0.2505), Tag(3_000_000, 13, 0.2505), Tag(3_500_000, 14, 0.2505)]
    assert receive_chain.lost_by_time(tags, 1e6) == {"gaps": 2, "samples_lost": 500 + 500_000}
    assert receive_chain.lost_by_time(tags[:1], 1e6) == {}
    bad = Tag(0, 0, 0.0)
    bad.value = pmt.intern("no time")
    assert receive_chain.lost_by_time([bad, *tags], 1e6)["gaps"] == 2
