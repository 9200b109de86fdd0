# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures from a file, a camera or a screen, as content for a semantic encoder."""

import logging
import time

import pmt
from gnuradio import gr

from .own_thread import OwnThread
from .video_frames import to_content

log = logging.getLogger("gr_diffsem.video_source")


class video_source(OwnThread, gr.basic_block):
    """PDUs of frames out (port ``content``): a dictionary (``kind`` "video", ``shape`` H, W, ``rate`` frames a second,
    ``stream``, ``number``, ``last`` on the last one) and H x W x 3 octets RGB.

    path: a file that FFmpeg's libraries know; or ``camera:`` (V4L2; ``camera:2``, ``camera:/dev/video2``) or
    ``screen:`` (X11; ``screen::1``). max_side: larger frames are reduced to this many pixels, 0: as they are.
    paced: frames come at the file's rate; else as fast as they are taken in. repeat: begin again behind the last,
    with frames that are numbered on. stream: 0 .. 255, so that a receiver tells this one from others. fps: frames a
    second of a camera or screen, which numbers them by the clock; one that is unplugged is waited for.

    Sound is left out. Frames are turned as the file's rotation says, and reduced to 8 bits; uneven ones come at their
    mean rate. A file that ends in its middle gives the frames before.

    Port ``stats``: ``out``. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, path, max_side=320, paced=True, repeat=False, stream=0, fps=10.0):
        gr.basic_block.__init__(self, name="video_source", in_sig=None, out_sig=None)
        from gr_diffsem.base import live_pictures, video_files
        from gr_diffsem.base.errors import UserError

        if max_side and max_side < video_files.LEAST:
            raise ValueError(f"max_side is {max_side}: give {video_files.LEAST} pixels or more, or 0")
        if not 0 <= stream <= 255:
            raise ValueError(f"stream is {stream}: must lie in 0 .. 255")
        if repeat and not paced:
            raise ValueError("repeat without paced would never pause: let frames come at the file's rate")
        low, high = live_pictures.RATES
        if not low <= fps <= high:
            raise ValueError(f"fps is {fps}: give frames a second of a camera or screen, {low:g} to {high:g}")
        live = live_pictures.is_live(path)
        try:
            if live:
                self._video = live_pictures.Live(path, float(fps), int(max_side) or None)
            else:
                self._video = video_files.Video(path, int(max_side) or None)
        except UserError as e:
            raise ValueError(f"path: {e}") from None
        self._paced, self._repeat, self._stream = bool(paced), bool(repeat), int(stream)
        self._out = 0
        self.own(self._send_live if live else self._send_all)
        self.message_port_register_out(pmt.intern("content"))
        self.message_port_register_out(pmt.intern("stats"))

    @property
    def rate(self):
        """Frames a second."""
        return self._video.rate

    def counts(self):
        """What the port ``stats`` says."""
        return {"out": self._out}

    def _send_all(self):
        number, waiting, begin = 0, None, time.monotonic()
        while not self._stopped.is_set():
            for frame in self._video:
                if waiting is not None:
                    self._send(waiting, number)
                    number += 1
                waiting = frame
                late = begin + number / self.rate - time.monotonic()
                if self._stopped.wait(max(late, 0) if self._paced else 0):
                    return
            if not self._repeat:
                break
        if waiting is not None:
            self._send(waiting, number, last=True)

    def _send_live(self):
        for number, frame in self._video.until(self._stopped):
            self._send(frame, number)

    def _send(self, frame, number, last=False):
        self._out += 1
        self.message_port_pub(pmt.intern("content"), to_content(frame, self.rate, self._stream, number, last))
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))
