# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem send` and `receive` through recordings: a picture comes, worse with noise, and never half of another."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps import receive_chain
from gr_diffsem.apps.cli import main
from gr_diffsem.base import picture_files, picture_metrics
from PIL import Image

pytest.importorskip("gnuradio.diffsem")
pmt = pytest.importorskip("pmt")


@pytest.fixture
def photograph(tmp_path):
    x = next(iter(picture_files.bundled(160, 1).values()))
    Image.fromarray(x).save(tmp_path / "photo.png")
    return x


def received(tmp_path, recording, name):
    """(report's pictures [array], their JSON) of a recording."""
    out = tmp_path / name
    assert main(["receive", "--from", f"file:{recording}", "--out", str(out), "--scheme", "linear"]) == 0
    files = sorted(out.glob("*.png"))
    return [np.asarray(Image.open(f)) for f in files], [json.loads(f.with_suffix(".json").read_text()) for f in files]


def test_a_photograph_crosses_a_recording(tmp_path, photograph):
    air = tmp_path / "air.sigmf-data"
    assert main(["send", str(tmp_path / "photo.png"), "--to", f"file:{air}", "--cbr", "1/8"]) == 0
    clean, said = received(tmp_path, air, "clean")
    assert len(clean) == 1 and said[0]["frames_lost"] == 0
    best = picture_metrics.psnr(photograph, clean[0])
    samples = np.fromfile(air, np.complex64)
    noisy = tmp_path / "noisy.cf32"
    BurstChannel(5.0, "awgn", offset=0.3)(samples).tofile(noisy)
    worse, said = received(tmp_path, noisy, "noisy")
    # the symbol-level chain (symbol_channel.apply_channel, picture_codec.linear) gives 22.5 dB
    # (photo_mmse has learned from noisier links, and does not like a clean one)
    assert 21.5 < picture_metrics.psnr(photograph, worse[0]) < best
    assert said[0]["snr_db"] == pytest.approx(5, abs=1)
    samples[: samples.size // 2].tofile(tmp_path / "half.cf32")
    half, said = received(tmp_path, tmp_path / "half.cf32", "half")
    assert all(
        s["frames_lost"] > 0 and picture_metrics.psnr(photograph, x) < best for x, s in zip(half, said, strict=True)
    )


def test_count_is_exact(tmp_path, photograph):
    air = tmp_path / "air.cf32"
    words = [str(tmp_path / "photo.png"), "--to", f"file:{air}", "--cbr", "1/8", "--repeat", "3"]
    assert main(["send", *words]) == 0
    out = tmp_path / "one"
    words = ["--from", f"file:{air}", "--out", str(out), "--scheme", "linear", "--count", "1"]
    assert main(["receive", *words]) == 0
    assert len(list(out.glob("*.png"))) == 1


def test_wrong_recordings_are_named(tmp_path, capsys):
    (tmp_path / "empty.cf32").write_bytes(b"")
    for source, words in [
        ("file:" + str(tmp_path / "none.cf32"), "no such file"),
        ("file:" + str(tmp_path / "empty.cf32"), "no samples"),
        ("file:" + str(tmp_path / "none.sigmf-data"), "no SigMF description"),
        ("soapy:driver=hackrf", "needs --freq"),
    ]:
        assert main(["receive", "--from", source, "--out", str(tmp_path / "out")]) == 2
        assert words in capsys.readouterr().err


def test_a_file_waits_for_the_inference(tmp_path, monkeypatch):
    """Thirty contents that come faster than they are inferred: none is dropped, and few wait at any time."""
    from gnuradio import diffsem

    slow, waiting = diffsem.semantic_decoder._infer, []

    def infer(self, known, arrived):
        time.sleep(0.03)
        waiting.append(self.nmsgs(pmt.intern("frames")))
        slow(self, known, arrived)

    monkeypatch.setattr(diffsem.semantic_decoder, "_infer", infer)
    monkeypatch.setattr(receive_chain, "BEHIND", 4)
    air = tmp_path / "air.cf32"
    texts = [word for i in range(30) for word in ("--text", f"number {i}" * 40)]
    assert main(["send", *texts, "--to", f"file:{air}"]) == 0
    out = tmp_path / "out"
    assert main(["receive", "--from", f"file:{air}", "--out", str(out), "--scheme", "linear"]) == 0
    assert len(list(out.glob("*.txt"))) == 30
    assert max(waiting) < 20


def test_a_receiver_needs_no_home(tmp_path):
    """As a service has none: GNU Radio's FFT would end it with a traceback."""
    np.random.default_rng(8).standard_normal(20_000).astype(np.float32).tofile(tmp_path / "air.cf32")
    words = ["receive", "--from", f"file:{tmp_path / 'air.cf32'}", "--out", str(tmp_path / "out"), "--scheme", "linear"]
    for home in (tmp_path / "none" / "home", "/proc"):
        environ = dict(os.environ, HOME=str(home), TMPDIR=str(tmp_path))
        ran = subprocess.run(
            [sys.executable, "-m", "gr_diffsem", *words], env=environ, capture_output=True, text=True, timeout=120
        )
        assert ran.returncode == 0 and "received 0 contents" in ran.stdout, ran.stderr
        assert f"HOME is {home}, where nothing can be written" in ran.stderr and str(tmp_path) in ran.stderr
