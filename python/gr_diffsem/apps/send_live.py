# SPDX-License-Identifier: GPL-3.0-or-later
"""A camera, a screen or a clip on the air as it happens: groups are encoded in a thread while those before are sent,
and how much air each gets follows the latency asked for (codec/video_pace.py).
"""

import queue
import secrets
import threading
import time
from collections import namedtuple

import numpy as np

from ..base import live_pictures, video_files
from ..base.errors import UserError
from ..codec import frame_layout, frames, video_pace, video_sender

IDLE = 0.02  #: seconds of nothing that are sent at a time while no group is ready
LATENCY = 3.0  #: seconds

#: samples of a frame of the link; name: of its content, None: nothing; number of `of`: which of its frames it is.
Piece = namedtuple("Piece", "samples name number of")


def add_arguments(parser, real, whole):
    """Options of `gr-diffsem send` that are about moving pictures as they happen."""
    text = "from a frame of a camera, screen or clip to its being shown; a clip then goes at its own pace (cameras 3)"
    real(parser, "--latency", "seconds", above=0, most=60, metavar="S", help=text)
    low, high = live_pictures.RATES
    real(parser, "--fps", "frames a second", least=low, most=high, default=10.0, help="of a camera or screen (10)")
    whole(parser, "--frames", default=0, metavar="N", help="of a camera, screen or clip that are sent, 0: all (0)")


def wanted(args):
    """The camera, screen or clip that goes out as it happens, or None. UserError where something else goes with it."""
    live = [f for f in args.files if live_pictures.is_live(f)]
    clips = [f for f in args.files if video_files.is_clip(f)] if args.latency else []
    if not live + clips:
        if args.latency:
            raise UserError("--latency is for a camera, a screen or a clip; leave it out")
        return None
    if len(args.files) + len(args.text) > 1:
        raise UserError(f"{(live + clips)[0]} is sent as it happens, so nothing else can be: give it alone")
    if args.repeat != 1:
        raise UserError("--repeat is for what is stored: leave it out with a camera, a screen or --latency")
    return (live + clips)[0]


class LiveProgram:
    """program = LiveProgram(...); for piece in program: ... Pieces come until its source ends, or close().

    burst: makes samples of a frame of the link, with its gap of `gap` samples. sample_rate: of the air. say: told what
    a user should know.
    """

    def __init__(self, where, args, burst, gap, sample_rate, scheme=0, sign=b"", say=print):
        latency = args.latency or LATENCY
        if live_pictures.is_live(where):
            self._source = live_pictures.Live(where, args.fps, args.max_side, say)
        else:
            self._source = video_files.Video(where, args.max_side, say)
        form, self._burst, self._sample_rate = frame_layout.Layout(), burst, sample_rate
        size = frames.CARRIERS * frames.FRAME_SYMBOLS + frames.HEADER_USES
        per_use = (form.air_samples_per_use + gap / size) / sample_rate
        most = int(3 * self._source.shape[0] * self._source.shape[1] * args.cbr)
        try:
            self.pace = video_pace.VideoPace(latency, self._source.rate, most, per_use)
            how = {"length": self.pace.length, "stream": secrets.randbelow(256), "scheme_hash": scheme, "before": sign}
            self._sender = video_sender.VideoSender(most, self._source.rate, **how)
        except (UserError, ValueError) as e:
            raise UserError(f"--{e}") from None
        self._name, self._frames = str(where), args.frames or np.inf
        self._ready, self._waiting, self._lock = queue.Queue(), 0, threading.Lock()
        self._closed, self.failed = threading.Event(), None
        self.taken = self.left_out = self._groups = 0
        self.began = None
        self._thread = threading.Thread(target=self._encode, daemon=True)
        self._thread.start()

    def __iter__(self):
        idle = np.zeros(int(IDLE * self._sample_rate), np.complex64)
        while True:
            try:
                piece = self._ready.get_nowait()
            except queue.Empty:
                yield Piece(idle, None, 0, 0)
                continue
            if piece is None:
                return
            yield piece
            with self._lock:
                self._waiting -= piece.samples.size

    def close(self):
        """What waits is not sent any more."""
        self._closed.set()
        if hasattr(self._source, "close"):
            self._source.close()
        self._thread.join()

    def report(self):
        """What became of the frames; began: when the first was taken, seconds since 1970."""
        return {"pictures": self.taken, "left_out": self.left_out, "group": self.pace.length, "began": self.began}

    @property
    def buffer(self):
        """Seconds of air that wait."""
        with self._lock:
            return self._waiting / self._sample_rate

    def _encode(self):
        try:
            for number, frame in self._numbered():
                if self._closed.is_set() or number >= self._frames:
                    break
                self._take(number, frame)
            self._put(self._sender.flush())
        except Exception as e:  # in a thread of its own: whoever sends is told at the end
            self.failed = e
        self._ready.put(None)

    def _take(self, number, frame):
        if self._sender.empty:
            while self._sender.number < number:  # frames that there was no time for
                self._sender.leave_out()
                self.left_out += 1
            self._sender.uses = self.pace.uses(self.buffer)
            if not self._sender.uses:
                self._sender.leave_out()
                self.left_out += 1
                return
        self.taken += 1
        self._put(self._sender.take(frame))

    def _put(self, made):
        for encoded in made:
            cut = frames.cut(encoded.digital, encoded.symbols, self._groups % 16)
            self._groups += 1
            for i, frame in enumerate(cut):
                x = self._burst(frame)
                with self._lock:
                    self._waiting += x.size
                self._ready.put(Piece(x, self._name, i + 1, len(cut)))

    def _numbered(self):
        """(number by the clock, frame) as they happen."""
        begin, self.began = time.monotonic(), time.time()
        if live_pictures.is_live(self._name):
            yield from self._source.until(self._closed)
            return
        for number, frame in enumerate(self._source):
            late = time.monotonic() - begin - number / self._source.rate
            if self._closed.wait(max(-late, 0)):
                return
            if late < self.pace.latency or not self._sender.empty:
                yield number, frame
