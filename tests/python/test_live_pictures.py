# SPDX-License-Identifier: GPL-3.0-or-later
"""Cameras and screens, through a library in FFmpeg's place; and the pace at which what they see is sent."""

import itertools
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from gr_diffsem.base import live_pictures, video_files
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.live_pictures import Live
from gr_diffsem.codec.video_pace import PROCESSING, VideoPace

av = pytest.importorskip("av")


class Camera:
    """What av.open gives: frames numbered on, at 50 a second, until it is unplugged."""

    def __init__(self, number, unplugged):
        self._number, self._unplugged = number, unplugged

    def decode(self, video):
        for n in self._number:
            time.sleep(0.02)
            if self._unplugged.is_set():
                raise av.error.OSError(19, "No such device")
            yield av.VideoFrame.from_ndarray(np.full((48, 64, 3), n % 256, np.uint8), format="rgb24")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture
def plugged(monkeypatch):
    """(its number of open calls, event: unplugged) of a camera in place of the real ones."""
    number, unplugged, opened = itertools.count(), threading.Event(), []

    def open_(device, **how):
        opened.append((device, how["format"]))
        if unplugged.is_set():
            raise av.error.OSError(19, "No such device")
        return Camera(number, unplugged)

    monkeypatch.setattr(av, "open", open_)
    monkeypatch.setattr(live_pictures, "AGAIN", 0.05)
    return SimpleNamespace(opened=opened, unplugged=unplugged)


def test_frames_come_at_the_rate_asked_for_and_are_the_newest(plugged):
    live = Live("camera:2", 10.0, 32)
    begin = time.monotonic()
    seen = [frame[0, 0, 0] for frame in itertools.islice(live, 5)]
    took = time.monotonic() - begin
    live.close()
    assert plugged.opened == [("/dev/video2", "video4linux2,v4l2")] and live.shape == (24, 32)
    assert 0.35 < took < 2 and np.all(np.diff(np.array(seen, int)) >= 2)  # those in between are left out


def test_an_unplugged_camera_is_said_and_waited_for(plugged):
    said = []
    live = Live("camera:", 20.0, say=said.append)
    frames = iter(live)
    next(frames)
    plugged.unplugged.set()
    end = time.monotonic() + 5
    while not said and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)
    plugged.unplugged.clear()
    seen = [next(frames)[0, 0, 0] for _ in range(3)]
    live.close()
    assert "no frames come any more" in said[0] and "No such device" in said[0] and "is back" in said[1]
    assert len(plugged.opened) > 3 and len(set(map(int, seen))) == 3


def test_a_source_that_stays_away_ends_when_it_is_told_to(plugged):
    live = Live("camera:", 20.0, say=lambda _: None)
    plugged.unplugged.set()
    ended = threading.Event()
    threading.Timer(0.3, ended.set).start()
    assert len(list(live.until(ended))) < 10
    live.close()


@pytest.mark.parametrize(
    "where, rate, says",
    [
        ("camera:99", 10, "no camera is at '/dev/video99'"),
        ("camera:/no/device", 10, "no camera is at '/no/device'"),
        ("screen::99999", 10, "no screen can be seen at ':99999'"),
        ("camera:", 1000, "0.5 to 60"),
    ],
)
def test_what_is_not_there_gets_a_sentence(where, rate, says):
    with pytest.raises(UserError, match=says):
        Live(where, rate)


def test_a_screen_without_a_display(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(UserError, match=r"there is no \$DISPLAY"):
        Live("screen:")


def test_names():
    assert live_pictures.is_live("camera:") and live_pictures.is_live("screen::0")
    assert not live_pictures.is_live("clip.mp4") and not live_pictures.is_live("camera")
    assert video_files.is_clip("a.MKV") and not video_files.is_clip("a.png")


def test_the_latency_says_how_long_groups_are():
    def length(latency):
        return VideoPace(latency, 10.0, 10000, 1e-6).length

    assert [length(s) for s in (1.0, 1.7, 1.9, 3.3, 3.5)] == [4, 4, 8, 8, 16]
    with pytest.raises(UserError, match="latency: 0.5 s, groups of 4 frames at 10 a second take 1 s"):
        VideoPace(0.5, 10.0, 10000, 1e-6)


def test_the_rate_follows_the_buffer():
    pace = VideoPace(2.0, 10.0, 10000, 1e-5)  # 0.1 s of air a frame: all that there is
    assert pace.length == 8
    assert pace.uses(0.0) == 10000  # min(0.8, 2 - 0.8 - 0.2) of air
    room = 2.0 - 0.8 - PROCESSING
    assert pace.uses(room - 0.4) == pytest.approx(5000, abs=1)
    assert pace.uses(room - 0.03) == 0 == pace.uses(9.0)
    assert VideoPace(2.0, 10.0, 10000, 4e-5).uses(0.0) == 2500  # an air four times too slow
    assert VideoPace(2.0, 10.0, 10000, 1e-6).uses(0.5) == 10000  # one that has room


def test_the_buffer_stays_within_the_latency():
    """A link of half the speed that is asked for, 200 groups: what waits never passes what the latency leaves."""
    pace = VideoPace(2.0, 10.0, 10000, 2e-5)
    buffer, sent = 0.0, 0
    for _ in range(200):
        uses = pace.uses(buffer)
        buffer += uses * pace.length * pace.per_use
        assert buffer <= 2.0 - 0.8 - PROCESSING + 1e-9
        buffer = max(buffer - 0.8, 0)
        sent += uses
    assert sent > 0.99 * 200 * 5000
