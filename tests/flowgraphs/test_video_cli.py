# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem send clip.mp4` and `receive`, over samples in a file."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")
pytest.importorskip("av")
from gr_diffsem.apps import cli
from gr_diffsem.base import video_files

sys.path.append(str(Path(__file__).parents[1] / "python"))  # behind the blocks, whose modules may have the same names
from moving_pictures import clip


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """(folder with air.cf32, 10 dB of noise on it, the clip's frames)."""
    folder = tmp_path_factory.mktemp("video")
    writer = video_files.Writer(folder / "a.mp4", (96, 128), 12)
    for frame in clip(12, pan=(1, 1)):
        writer.add(frame)
    writer.close()
    air = folder / "air.cf32"
    assert cli.main(["send", str(folder / "a.mp4"), "--cbr", "1/6", "--to", f"file:{air}", "--callsign", "N0CALL"]) == 0
    x = np.fromfile(air, np.complex64)
    n = np.random.default_rng(1).standard_normal((2, x.size)) * np.sqrt(0.1 * 64 / 52 / 2)
    (x + n[0] + 1j * n[1]).astype(np.complex64).tofile(air)
    return folder, video_files.Video(folder / "a.mp4").first(None)


def test_a_clip_comes_out_as_a_clip(sent):
    folder, truth = sent
    words = ["receive", "--from", f"file:{folder}/air.cf32", "--out", str(folder / "got"), "--scheme", "linear"]
    assert cli.main(words) == 0
    (path,) = (folder / "got").glob("*.mp4")
    said = json.loads(path.with_suffix(".json").read_text())
    assert said["frames"] == 12 and said["rate"] == 12 and said["callsign"] == "N0CALL" and 8 < said["snr_db"] < 12
    back = video_files.Video(path).first(None)
    assert -10 * np.log10(np.mean((back / 255.0 - truth / 255.0) ** 2)) > 23


def test_a_clip_goes_at_its_own_pace(sent, tmp_path, capsys):
    """With --latency, into a file: as much air as its 12 frames take at 12 a second, silence between the groups."""
    air, rate = tmp_path / "air.cf32", 1e6
    words = ["send", str(sent[0] / "a.mp4"), "--latency", "2", "--cbr", "1/6", "--to", f"file:{air}"]
    assert cli.main([*words, "--rate", str(rate), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["pictures"] + said["left_out"] == 12 and said["group"] == 8 and said["samples"] >= rate
    words = ["receive", "--from", f"file:{air}", "--out", str(tmp_path / "got"), "--scheme", "linear", "--json"]
    assert cli.main(words) == 0
    (path,) = (tmp_path / "got").glob("*.mp4")
    got = json.loads(path.with_suffix(".json").read_text())
    assert got["frames"] - got["generated"] == said["pictures"] >= 4


def test_what_happens_now_is_sent_alone(sent, capsys):
    clip = str(sent[0] / "a.mp4")
    for words, says in [
        ([clip, "--latency", "0.1"], "--latency: 0.1 s, groups of 4 frames"),
        (["camera:77"], "camera:77: no camera is at '/dev/video77'"),
        (["camera:", clip], "camera: is sent as it happens, so nothing else can be"),
        ([clip, "--latency", "2", "--repeat", "3"], "--repeat is for what is stored"),
        (["--text", "73", "--latency", "2"], "--latency is for a camera, a screen or a clip"),
    ]:
        assert cli.main(["send", *words, "--to", "file:/tmp/never.cf32"]) != 0
        assert says in capsys.readouterr().err


def test_what_cannot_be_sent_gets_a_sentence(sent, tmp_path, capsys):
    (tmp_path / "a.mp4").write_text("no clip")
    for words, says in [
        ([str(tmp_path / "a.mp4")], "no file of moving pictures"),
        ([str(tmp_path / "b.mp4")], "there is no such file"),
        ([str(sent[0] / "a.mp4"), "--group", "7"], "group: 7 frames; give 4, 8, 16"),
    ]:
        assert cli.main(["send", *words, "--to", f"file:{tmp_path}/air.cf32"]) != 0
        assert says in capsys.readouterr().err
