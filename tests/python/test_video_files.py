# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of moving pictures: what is read is what was written, and bad ones get a sentence."""

from fractions import Fraction

import numpy as np
import pytest
from gr_diffsem.base import video_files
from gr_diffsem.base.errors import UserError
from moving_pictures import clip

av = pytest.importorskip("av")


def written(path, pictures, times=None, pix_fmt="yuv420p", codec="libx264"):
    """A file whose frames come at these times, in tenths of a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, 10)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = Fraction(1, 10)
        for t, picture in zip(times or range(len(pictures)), pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = t, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def same(a, b):
    return -10 * np.log10(np.mean((a / 255.0 - b / 255.0) ** 2) + 1e-9)


@pytest.mark.parametrize("shape", [(96, 128), (95, 127)])
def test_frames_come_back(tmp_path, shape):
    pictures = clip(6, *shape)
    writer = video_files.Writer(tmp_path / "a.mp4", shape, 12.5)
    for frame in pictures:
        writer.add(frame)
    writer.close()
    video = video_files.Video(tmp_path / "a.mp4")
    back = video.first(None)
    assert video.rate == pytest.approx(12.5) and len(back) == video.count == 6
    assert back.shape[1] - shape[0] in (0, 1) and same(back[:, : shape[0], : shape[1]], pictures) > 30


def test_larger_frames_are_reduced(tmp_path):
    video = video_files.Video(written(tmp_path / "a.mp4", clip(3, 96, 128)), 64)
    assert video.shape == (48, 64) and next(iter(video)).shape == (48, 64, 3)


def test_uneven_frames_come_at_their_mean_rate(tmp_path):
    said = []
    path = written(tmp_path / "a.mkv", clip(6), [0, 1, 2, 9, 10, 20])
    video = video_files.Video(path, say=said.append)
    assert video.rate == pytest.approx(2.5) and "unevenly" in said[0]
    got = video.first(None)
    assert len(got) == 6 and same(got[3], got[4]) > 40  # what a player shows from 0.9 to 1.9 s


def test_ten_bits_are_read(tmp_path):
    pictures = clip(3)
    path = written(tmp_path / "a.mkv", pictures, pix_fmt="yuv420p10le")
    assert same(video_files.Video(path).first(None), pictures) > 25


def test_a_file_cut_in_its_middle_gives_what_it_has(tmp_path):
    path = written(tmp_path / "a.ts", clip(20, pan=(1, 1)), codec="mpeg2video")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    got = video_files.Video(path).first(None)
    assert 3 < len(got) < 20


def sound(path):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", 8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def test_what_is_no_clip_gets_a_sentence(tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    (tmp_path / "empty.mp4").write_bytes(b"")
    sound(tmp_path / "sound.wav")
    (tmp_path / "folder").mkdir()
    for name, says in [
        ("text.mp4", "no file of moving pictures"),
        ("empty.mp4", "no file of moving pictures"),
        ("sound.wav", "holds sound only; give a file with a video stream"),
        ("folder", "is a folder"),
        ("missing.mp4", "there is no such file"),
    ]:
        with pytest.raises(UserError, match=says) as error:
            video_files.Video(tmp_path / name)
        assert name in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(UserError, match="holds no moving pictures"):
        video_files.files([tmp_path / "folder"])


def test_a_turned_file_is_shown_upright(tmp_path):
    """What a telephone writes: frames on their side, and a note that says so."""
    path = tmp_path / "a.mp4"
    pictures = clip(3, 64, 96)
    pictures[:, :16, :, :] = 255  # white along the top, as coded
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 10)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuv420p"
        stream.set_display_rotation(90)
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    shown = next(iter(video_files.Video(path)))
    assert shown.shape == (96, 64, 3)
    assert shown[:, :12].min() > 200 or shown[:, -12:].min() > 200


def test_a_file_that_cannot_be_written(tmp_path):
    def write():
        writer = video_files.Writer(tmp_path / "no" / "a.mp4", (64, 64), 10)
        for frame in clip(3, 64, 64):
            writer.add(frame)
        writer.close()

    with pytest.raises(OSError, match="No such file"):
        write()
