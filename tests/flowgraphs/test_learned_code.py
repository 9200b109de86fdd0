# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned code of photographs from `send --codec jscc` to `receive`, which is told nothing of it."""

import json

import numpy as np
import pytest
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps.cli import main
from gr_diffsem.base import picture_files, picture_metrics
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import learned_code, picture_codec
from PIL import Image

pytest.importorskip("gnuradio.diffsem")
PICTURE = next(iter(picture_files.bundled(224, 1).values()))


@pytest.fixture(scope="module")
def code():
    return learned_code.LearnedCode("jscc")


@pytest.fixture(scope="module")
def air(tmp_path_factory):
    """A recording of a photograph sent by the learned code, at 8 dB."""
    folder = tmp_path_factory.mktemp("air")
    Image.fromarray(PICTURE).save(folder / "photo.png")
    path = folder / "air.cf32"
    assert main(["send", str(folder / "photo.png"), "--codec", "jscc", "--to", f"file:{path}", "--cbr", "1/8"]) == 0
    BurstChannel(8.0, "awgn", offset=0.3)(np.fromfile(path, np.complex64)).tofile(path)
    return path


def received(air, folder, *words):
    assert main(["receive", "--from", f"file:{air}", "--out", str(folder), *words]) == 0
    (said,) = (json.loads(path.read_text()) for path in folder.glob("*.json"))
    return np.asarray(Image.open(next(folder.glob("*.png")))), said


def test_the_receiver_takes_the_code_s_own_network(air, tmp_path, capsys):
    image, said = received(air, tmp_path / "own")
    assert (said["scheme"], said["codec"], said["scheme_match"], said["evaluations"]) == ("jscc", "jscc", True, 1)
    assert "sent by jscc" in capsys.readouterr().out
    linear, told = received(air, tmp_path / "linear", "--scheme", "linear")
    assert told["scheme"] == "linear" and told["scheme_match"] is False and "codec" not in told
    _, told = received(air, tmp_path / "map", "--scheme", "linear", "--uncertainty")
    assert "expected_psnr" not in told and not list((tmp_path / "map").glob("*.uncertainty.png"))
    own, plain = (picture_metrics.psnr(PICTURE, x) for x in (image, linear))
    assert own > 24 and plain > 18 and own > plain + 0.5


def test_the_sender_takes_the_better_code(code, monkeypatch):
    """The learned one here; where the encoder spoils the picture the linear one, for the receiver asked for."""
    uses = PICTURE.size // 8
    made = code.encode(PICTURE, uses, scheme_hash=0x1234)
    assert made.learned and made.gain_db > 0 and made.encoded.plan.is_for(code.hash)
    plain = picture_codec.encode(PICTURE, uses, scheme_hash=0x1234)
    assert len(made.encoded.symbols) == pytest.approx(len(plain.symbols), rel=0.05)
    assert np.mean(np.abs(made.encoded.symbols) ** 2) == pytest.approx(1, abs=0.02)
    monkeypatch.setattr(code, "encoder", lambda x, level: (np.flip(x, 0), None))
    spoilt = code.encode(PICTURE, uses, scheme_hash=0x1234)
    assert not spoilt.learned and spoilt.gain_db < 0 and spoilt.encoded.plan.is_for(0x1234)
    np.testing.assert_array_equal(spoilt.encoded.symbols, plain.symbols)
    for broken in (np.nan, 1e30):  # what cannot be sent at all
        monkeypatch.setattr(code, "encoder", lambda x, level, broken=broken: (x * broken, None))
        assert not code.encode(PICTURE, uses, scheme_hash=0x1234).learned


def test_a_linear_picture_is_not_for_the_code_s_network(tmp_path):
    """Nor does a receiver whose own scheme is the learned code take it for its own."""
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    path = tmp_path / "air.cf32"
    assert main(["send", str(tmp_path / "photo.png"), "--to", f"file:{path}", "--cbr", "1/8"]) == 0
    BurstChannel(8.0, "awgn", offset=0.3)(np.fromfile(path, np.complex64)).tofile(path)
    _, said = received(path, tmp_path / "out", "--scheme", "jscc")
    assert said["scheme"] == "photo_mmse" and said["scheme_match"] is True and "codec" not in said


def test_broken_packages_of_others_cost_no_picture(air, tmp_path, monkeypatch):
    """A manifest that is nonsense, and an encoder outside its package, are no codes, and nothing else fails."""
    outside = '"default": "n", "members": {"n": {"encoder": "../x.bin"}}'
    for name, member in (("odd", '"default": [], "members": {}'), ("out", outside)):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "manifest.json").write_text("{" + member + "}")
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path / "models"))
    assert "jscc" in learned_code.codes() and not {"odd", "out"} & set(learned_code.codes())
    with pytest.raises(UserError, match="no encoder"):
        learned_code.make(str(tmp_path / "models" / "out"))
    _, said = received(air, tmp_path / "out")
    assert said["scheme"] == "jscc"


def test_what_is_no_code_is_refused_with_those_that_are(tmp_path):
    assert learned_code.make("linear") is None and learned_code.make("") is None
    for spec in ("photo_mmse", "jscc/nothing"):
        with pytest.raises(UserError, match="no encoder of photographs; choose one of linear, jscc"):
            learned_code.make(spec)
    from gnuradio import diffsem

    with pytest.raises(ValueError, match="photo_mmse.*no encoder"):
        diffsem.semantic_encoder(codec="photo_mmse")
    Image.fromarray(PICTURE).save(tmp_path / "photo.png")
    words = ["send", str(tmp_path / "photo.png"), "--codec", "photo_mmse", "--to", f"file:{tmp_path / 'a.cf32'}"]
    assert main(words) == 2 and not (tmp_path / "a.cf32").exists()
