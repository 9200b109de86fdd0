# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures as they happen, by PyAV: `camera:` (V4L2) and `screen:` (X11).

A thread reads the newest frame; whoever iterates gets it at the rate asked for, so what comes in between is left out. A
camera that is unplugged is said, and looked for again until it is back; meanwhile no frames come.
"""

import os
import threading
import time

from . import video_files
from .errors import UserError

CAMERA, SCREEN = "camera", "screen"
FORMATS = {CAMERA: "video4linux2,v4l2", SCREEN: "x11grab"}
RATES = (0.5, 60.0)  #: frames a second that can be asked for
AGAIN = 1.0  #: seconds until a source that was lost is looked for again
FIRST = 5.0  #: seconds that its first frame may take
TICK = 0.1


def is_live(where):
    """Whether this names a camera or a screen, not a file."""
    return str(where).partition(":")[0] in FORMATS and ":" in str(where) and not os.path.exists(where)


class Live:
    """frames of a camera or screen: for frame in Live("camera:", 10.0, 320): ..., uint8 [H, W, 3], until close().

    where: `camera:` (the first), `camera:2`, `camera:/dev/video2`; `screen:` ($DISPLAY), `screen::1`. rate: frames a
    second, 0.5 to 60. max_side: larger frames are reduced to it; None: as they are. say: called with what a user should
    know. UserError where there is nothing of the kind.
    """

    count = None  #: of frames: without end

    def __init__(self, where, rate=10.0, max_side=None, say=video_files.log.info):
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(f"{where}: {rate:g} frames a second; give {RATES[0]:g} to {RATES[1]:g}")
        self._av, self._where, self.rate, self._max_side, self._say = video_files.pyav(), where, rate, max_side, say
        self._kind, _, rest = str(where).partition(":")
        self._device = _device(self._kind, rest)
        self._newest, self._there, self._closed = None, threading.Condition(), threading.Event()
        container = self._open()
        self._thread = threading.Thread(target=self._read, args=(container,), daemon=True)
        self._thread.start()
        with self._there:
            if not self._there.wait_for(lambda: self._newest is not None, FIRST):
                self.close()
                raise UserError(f"{where}: no frame came in {FIRST:g} s; is another program using it?")
            self.shape = self._newest.shape[:2]

    def __iter__(self):
        """Frames at `rate`; one that is not new is left out."""
        return (frame for _, frame in self.until(self._closed))

    def until(self, ended):
        """(number by the clock, frame) until the threading.Event is set."""
        begin, tick, last = time.monotonic(), 0, None
        while not ended.wait(max(begin + tick / self.rate - time.monotonic(), 0)) and not self._closed.is_set():
            with self._there:
                if not self._there.wait_for(lambda seen=last: self._newest is not seen, TICK):
                    continue
                last = self._newest
            number = int((time.monotonic() - begin) * self.rate)
            tick = max(tick + 1, number)
            yield number, last

    def close(self):
        """No frames come any more."""
        self._closed.set()
        self._thread.join(FIRST)

    def _open(self):
        options = {"framerate": f"{self.rate:g}"}
        try:
            container = self._av.open(self._device, format=FORMATS[self._kind], options=options, timeout=FIRST)
        except (self._av.error.FFmpegError, OSError, ValueError) as e:
            if self._kind == CAMERA and os.path.exists(self._device) and not isinstance(e, PermissionError):
                return self._without_rate(e)
            raise self._missing(e) from None
        return container

    def _without_rate(self, error):
        """A camera that does not know the rate, at its own."""
        try:
            return self._av.open(self._device, format=FORMATS[self._kind], timeout=FIRST)
        except (self._av.error.FFmpegError, OSError, ValueError):
            raise self._missing(error) from None

    def _missing(self, error):
        reason = getattr(error, "strerror", None) or error
        what = "camera is" if self._kind == CAMERA else "screen can be seen"
        return UserError(f"{self._where}: no {what} at '{self._device}' ({reason})")

    def _read(self, container):
        """Keep the newest frame, until closed."""
        while not self._closed.is_set():
            try:
                with container:
                    for frame in container.decode(video=0):
                        picture = video_files.picture(frame, self._max_side)
                        with self._there:
                            if self._newest is None or picture.shape == self._newest.shape:
                                self._newest = picture
                                self._there.notify_all()
                        if self._closed.is_set():
                            return
                reason = "it ended"
            except (self._av.error.FFmpegError, OSError, ValueError, IndexError) as e:
                reason = getattr(e, "strerror", None) or e
            self._say(f"{self._where}: no frames come any more ({reason}); looked for again until they do")
            container = self._again()
            if container is not None:
                self._say(f"{self._where}: is back")

    def _again(self):
        while not self._closed.wait(AGAIN):
            try:
                return self._open()
            except UserError:
                continue
        return None


def _device(kind, rest):
    if kind == CAMERA:
        return f"/dev/video{rest or 0}" if (rest or "0").isdigit() else rest
    display = rest or os.environ.get("DISPLAY", "")
    if not display:
        raise UserError("screen: there is no $DISPLAY; give one, such as screen::0")
    return display
