# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures from files and to files, by PyAV (FFmpeg's libraries). Sound is left out.

Frames go at a constant rate. A file whose frames do not is played by its own clock at its mean rate: at each tick the
frame that a player would show. Frames are turned as the file's rotation says, and brought to 8 bits of RGB.
"""

import itertools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import regular_file
from .errors import UserError

ENDINGS = (".mp4", ".avi", ".mkv", ".mov", ".webm", ".ogv", ".mpg", ".mpeg", ".m4v", ".ts", ".wmv", ".flv", ".y4m")
LEAST, MOST_SIDE = 16, 8192  #: pixels a side
RATES = (0.1, 240.0)  #: frames a second that a file may have
UNEVEN = 0.5  #: of a frame's time, that a frame may come early or late at a constant rate
QUALITY = "18"  #: x264's, of what is written: nothing of it is seen
FRAGMENT = 2.0  #: seconds of what is written that are lost when its writer is killed

log = logging.getLogger("gr_diffsem.video_files")


def pyav():
    """The library, or UserError where it is not installed."""
    try:
        import av
    except ImportError:
        raise UserError("moving pictures need PyAV, which is not installed: pip install av") from None
    av.logging.set_level(av.logging.FATAL)  # what goes wrong comes as an exception too
    return av


def files(paths):
    """Files of moving pictures: each path, or what a folder has of them, by name."""
    out = []
    for path in map(Path, paths):
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in ENDINGS)
            if not found:
                raise UserError(f"{path}: holds no moving pictures; they end in {', '.join(ENDINGS)}")
            out += found
        else:
            out.append(path)
    return out


def is_clip(path):
    """Whether a path ends as files of moving pictures do."""
    return Path(path).suffix.lower() in ENDINGS


@dataclass(frozen=True)
class Timing:
    """rate: frames a second. even: whether the file's frames come at it. count: of them, by its packets."""

    rate: float
    even: bool
    count: int


class Video:
    """A file's frames: for frame in Video(path, 320): ..., uint8 [H, W, 3] at `rate` frames a second.

    max_side: larger frames are reduced to it; None: as they are. say: called with what a user should know. UserError
    where the file has no frames that can be had; one that ends in its middle gives those before.
    """

    def __init__(self, path, max_side=None, say=log.info):
        self._av, self._path, self._say = pyav(), str(path), say
        with self._open() as container:
            stream = self._stream(container)
            w, h = stream.codec_context.width, stream.codec_context.height
            if not LEAST <= min(w, h) <= max(w, h) <= MOST_SIDE:
                raise UserError(f"{path}: {w} x {h} pixels; a side may have {LEAST} to {MOST_SIDE}")
            self._timing = self._time(container, stream)
        self.rate, self.count = self._timing.rate, self._timing.count
        if not self._timing.even:
            say(f"{path}: its frames come unevenly; sent at their mean rate, {self.rate:.3g} a second")
        self._max_side = max_side
        first = next(iter(self._decoded()), None)
        if first is None:
            raise UserError(f"{path}: none of its frames can be decoded")
        self.shape = picture(first, max_side).shape[:2]

    def _open(self):
        fault = regular_file.fault(self._path)
        if fault:
            raise UserError(f"{self._path}: {fault}; give a file of moving pictures")
        try:
            return self._av.open(self._path)
        except (self._av.error.FFmpegError, OSError, ValueError) as e:
            raise UserError(f"{self._path}: no file of moving pictures ({_reason(e)})") from None

    def _stream(self, container):
        if not container.streams.video:
            what = "sound only" if container.streams.audio else "nothing to see"
            raise UserError(f"{self._path}: holds {what}; give a file with a video stream")
        stream = container.streams.video[0]
        if stream.codec_context is None:
            raise UserError(f"{self._path}: its pictures are in a format that this FFmpeg does not know: convert it")
        # One thread: a flowgraph has one for each block already, and pools that spin keep it from them.
        stream.codec_context.thread_count = 1
        return stream

    def _time(self, container, stream):
        """The Timing, by the packets' times: a cut file's header may promise more than it holds."""
        times = []
        try:
            for packet in container.demux(stream):
                if packet.size and packet.pts is not None:
                    times.append(float(packet.pts * packet.time_base))
        except self._av.error.FFmpegError as e:
            self._say(f"{self._path}: ends in its middle ({_reason(e)})")
        nominal = float(stream.average_rate or stream.guessed_rate or 0)
        times = np.unique(times)
        rate = (len(times) - 1) / (times[-1] - times[0]) if len(times) > 1 else nominal
        if not RATES[0] <= rate <= RATES[1]:
            raise UserError(f"{self._path}: {rate:.3g} frames a second; {RATES[0]:g} to {RATES[1]:g} can be sent")
        even = not len(times) or np.max(np.abs((times - times[0]) * rate - np.arange(len(times)))) < UNEVEN
        return Timing(rate, bool(even), max(len(times), 1))

    def _decoded(self):
        with self._open() as container:
            stream = self._stream(container)
            try:
                yield from container.decode(stream)
            except self._av.error.FFmpegError as e:
                self._say(f"{self._path}: the rest cannot be decoded ({_reason(e)})")

    def __iter__(self):
        if self._timing.even:
            yield from map(self._fitting, self._decoded())
            return
        begin, tick, last = None, 0, None
        for frame in self._decoded():
            at = float(frame.time or 0)
            begin = at if begin is None else begin
            while last is not None and begin + tick / self.rate < at - 1e-9:
                yield last
                tick += 1
            last = self._fitting(frame)
        if last is not None:
            yield last

    def _fitting(self, frame):
        """A frame in the first one's size: a file may change it."""
        found = picture(frame, self._max_side)
        if found.shape[:2] == self.shape:
            return found
        from PIL import Image

        return np.asarray(Image.fromarray(found).resize(self.shape[::-1], Image.LANCZOS))

    def first(self, n):
        """The first n frames, or all, uint8 [n, H, W, 3]."""
        return np.array(list(itertools.islice(self, n)))


class Writer:
    """writer = Writer(path, (H, W), rate); writer.add(frame); ...; writer.close(). H.264 in whatever the path's ending
    says; a side of an odd number of pixels is continued by one. OSError where it cannot be written."""

    def __init__(self, path, shape, rate):
        from fractions import Fraction

        av = self._av = pyav()
        try:
            # An .mp4 in fragments can be played though its writer was killed.
            options = {"movflags": "frag_keyframe+empty_moov"} if str(path).endswith((".mp4", ".mov")) else {}
            self._container = av.open(str(path), "w", options=options)
        except av.error.FFmpegError as e:
            raise OSError(e.errno, _reason(e), str(path)) from None
        self._stream = self._container.add_stream("libx264", Fraction(rate).limit_denominator(1001))
        self._odd = [(0, n % 2) for n in shape] + [(0, 0)]
        self._stream.height, self._stream.width = (n + n % 2 for n in shape)
        self._stream.pix_fmt, self._stream.codec_context.thread_count = "yuv420p", 1
        self._stream.codec_context.gop_size = max(round(FRAGMENT * rate), 1)
        self._stream.options = {"crf": QUALITY, "preset": "fast"}
        self.count = 0

    def add(self, frame):
        """uint8 [H, W, 3]."""
        wide = np.pad(frame, self._odd, mode="edge")
        self._put(to_yuv(np.ascontiguousarray(wide)))
        self.count += 1

    def _put(self, frame):
        try:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)
        except self._av.error.FFmpegError as e:
            raise OSError(e.errno, _reason(e)) from None

    def close(self):
        """Write what is left."""
        try:
            if self.count:
                self._put(None)
        finally:
            self._container.close()


def picture(frame, max_side):
    """av.VideoFrame -> uint8 [H, W, 3], turned as its rotation says, no side longer than max_side (None: any)."""
    turned = np.rot90(to_rgb(frame), round((frame.rotation or 0) / 90) % 4)  # both anticlockwise
    h, w = turned.shape[:2]
    if max_side and max(h, w) > max_side:
        from PIL import Image

        scale = max_side / max(h, w)
        size = max(round(w * scale), LEAST), max(round(h * scale), LEAST)
        return np.asarray(Image.fromarray(np.ascontiguousarray(turned)).resize(size, Image.LANCZOS))
    return np.ascontiguousarray(turned)


def to_rgb(frame):
    """av.VideoFrame -> uint8 [H, W, 3]."""
    return frame.reformat(format="rgb24", threads=1).to_ndarray()


def to_yuv(picture):
    """uint8 [H, W, 3] of even sides -> av.VideoFrame, as H.264 wants it."""
    return pyav().VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p", threads=1)


def _reason(error):
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
