# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem send` and `receive` beside the plain photograph: texts, arrays, other weights, what cannot be sent, and
the window of `receive --view`."""

import json
import os
import socket

import numpy as np
import pytest
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps import window
from gr_diffsem.apps.cli import main
from gr_diffsem.base import picture_files
from PIL import Image

pytest.importorskip("gnuradio.diffsem")


@pytest.fixture
def photograph(tmp_path):
    x = next(iter(picture_files.bundled(96, 1).values()))
    Image.fromarray(x).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def sent(tmp_path, *words, snr_db=12.0):
    """A recording of what `send` sends, with noise."""
    air = tmp_path / "air.cf32"
    assert main(["send", *map(str, words), "--to", f"file:{air}", "--cbr", "1/3"]) == 0
    BurstChannel(snr_db, "awgn", offset=-0.2)(np.fromfile(air, np.complex64)).tofile(air)
    return air


def received(tmp_path, air, *words):
    """{name of a file: its JSON}."""
    out = tmp_path / "out"
    words = ["--scheme", "linear", *words]
    assert main(["receive", "--from", f"file:{air}", "--out", str(out), *words]) == 0
    files = [f for f in sorted(out.iterdir()) if f.suffix != ".json"]
    return {f.name: json.loads(f.with_suffix(".json").read_text()) for f in files}


def test_a_text_an_array_and_a_photograph_share_a_link(tmp_path, photograph, capsys):
    rng = np.random.default_rng(3)
    csi = (rng.standard_normal((4, 30)) + 1j * rng.standard_normal((4, 30))).astype(np.complex64)
    real = rng.standard_normal((5, 6, 7)).astype(np.float32) + 3
    np.save(tmp_path / "csi.npy", csi)
    np.save(tmp_path / "real.npy", real)
    files = [tmp_path / "csi.npy", photograph, tmp_path / "real.npy"]
    air = sent(tmp_path, "--text", "de Ångström", "--text", "", *files, "--domain", "csi", snr_db=20.0)
    got = received(tmp_path, air)
    assert list(got) == ["0000_0.txt", "0001_1.txt", "0002_2.npy", "0003_3.png", "0004_4.npy"]
    out = tmp_path / "out"
    assert (out / "0000_0.txt").read_text(encoding="utf-8") == "de Ångström" and not (out / "0001_1.txt").read_text()
    assert got["0002_2.npy"]["domain"] == "csi" and got["0003_3.png"]["kind"] == "photograph"
    for name, values in (("0002_2.npy", csi), ("0004_4.npy", real)):
        found = np.load(out / name)
        assert found.shape == values.shape and found.dtype == values.dtype
        error = np.mean(np.abs(found - values) ** 2)
        assert error < 0.03 and got[name]["mean_variance"] == pytest.approx(error, rel=0.5)
    said = capsys.readouterr().out
    assert "'de Ångström'" in said and "csi, 4 x 30 values" in said and "received 5 contents" in said


@pytest.mark.parametrize(
    ("make", "words", "message"),
    [
        (lambda p: p.write_bytes(b"no picture"), (), "not a picture that can be read"),
        (lambda p: Image.new("1", (20000, 9000)).save(p, "PNG"), (), "scale it down first"),
        (lambda p: Image.new("RGB", (1, 1)).save(p, "PNG"), (), "needs 16 a side"),
        (
            lambda p: Image.new("RGB", (900, 900)).save(p, "PNG"),
            ("--cbr", "1", "--max-side", "900"),
            "give --max-side 511",
        ),
        (None, (), "send what?"),
        (None, ("--text", "x" * 2000), "--text: text: 2000 octets"),
        (None, ("none.npy", "--domain", "csi"), "none.npy: no array"),
    ],
)
def test_what_cannot_be_sent_is_one_line(tmp_path, make, words, message, capsys):
    files = [tmp_path / "x.png"] if make else []
    if make:
        make(files[0])
    assert main(["send", *map(str, files), *words, "--to", f"file:{tmp_path / 'air.cf32'}"]) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("gr-diffsem: ") and message in said


def test_arrays_that_cannot_be_sent(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.ones(4))
    np.save(tmp_path / "nan.npy", np.array([1.0, np.nan]))
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    (tmp_path / "pickle.npy").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    to = ["--to", f"file:{tmp_path / 'air.cf32'}"]
    assert main(["send", str(tmp_path / "a.npy"), *to]) == 2 and "needs --domain" in capsys.readouterr().err
    for name in ("nan", "words", "pickle"):
        assert main(["send", str(tmp_path / f"{name}.npy"), "--domain", "x", *to]) == 2
        assert "no array that can be sent" in capsys.readouterr().err


def test_transparent_and_deep_pictures_are_sent(tmp_path):
    alpha = np.full((120, 160, 4), 90, np.uint8)
    alpha[:60, :, 3] = 0
    Image.fromarray(alpha).save(tmp_path / "a.png")
    Image.fromarray(np.full((120, 160), 0x5A00, np.uint16)).save(tmp_path / "b.png")
    got = received(tmp_path, sent(tmp_path, tmp_path / "a.png", tmp_path / "b.png"))
    one, two = (np.asarray(Image.open(tmp_path / "out" / name)).astype(float) for name in got)
    assert abs(one[:50].mean() - 255) < 12 and abs(two.mean() - 0x5A) < 6


def test_other_weights_are_said(tmp_path, photograph, capsys):
    air = sent(tmp_path, photograph, "--scheme", "photo_mmse")
    (said,) = received(tmp_path, air, "--scheme", "photo_posterior").values()
    assert said["scheme_match"] is False and said["scheme"] == "photo_posterior"
    assert "sent for other weights than those here" in capsys.readouterr().out
    (*_, said) = received(tmp_path, air, "--scheme", "photo_mmse").values()
    assert said["scheme_match"] is True and "other weights" not in capsys.readouterr().out


# The window


@pytest.fixture
def windows(monkeypatch):
    """The windows that are made, without a screen."""
    pytest.importorskip("PyQt5.QtWidgets")
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    made, real = [], window.Window.__init__

    def make(self, title):
        real(self, title)
        made.append(self)

    monkeypatch.setattr(window.Window, "__init__", make)
    return made


def test_view_shows_what_comes(tmp_path, photograph, windows):
    got = received(tmp_path, sent(tmp_path, photograph), "--view")
    (picture, said) = windows[0].view.latest[0]
    assert windows[0].open and said["id"] == 0 and "partial" not in said
    np.testing.assert_array_equal(picture, np.asarray(Image.open(tmp_path / "out" / next(iter(got)))))
    windows[0].close()


def test_closing_the_window_ends(tmp_path, windows, monkeypatch, capsys):
    """Nobody sends."""
    real = window.Window.process

    def process(self):
        real(self)
        self.close()

    monkeypatch.setattr(window.Window, "process", process)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["receive", "--from", f"zmq://127.0.0.1:{port}", "--out", str(tmp_path), "--scheme", "linear", "--view"]
    assert main(words) == 0
    assert "received 0 contents" in capsys.readouterr().out and not windows[0].open


@pytest.mark.parametrize("why", ["no PyQt5", "no screen"])
def test_without_a_window_the_remedy_is_said(tmp_path, why, monkeypatch, capsys):
    pytest.importorskip("PyQt5.QtWidgets")
    if why == "no PyQt5":
        (tmp_path / "PyQt5").mkdir()
        (tmp_path / "PyQt5" / "__init__.py").write_text("raise ModuleNotFoundError('PyQt5', name='PyQt5')")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    else:
        monkeypatch.setenv("QT_QPA_PLATFORM", "nonesuch")
    (tmp_path / "air.cf32").write_bytes(bytes(800))
    words = ["receive", "--from", f"file:{tmp_path / 'air.cf32'}", "--out", str(tmp_path / "out"), "--view"]
    assert main(words) == 2
    remedy = "apt install python3-pyqt5" if why == "no PyQt5" else "log in with a screen, or leave --view out"
    assert remedy in capsys.readouterr().err
