# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of moving pictures at their own pace: a decoder gives a whole group at once."""

import logging
import queue
import time

import pmt
from gnuradio import gr

from .own_thread import OwnThread
from .video_frames import from_content

log = logging.getLogger("gr_diffsem.video_player")
MOST_WAITING = 1024  #: frames; what comes beyond them is dropped, and counted
OUT_OF_STEP = 2.0  #: seconds late or early from which the clock is set anew
TICK = 0.1


class video_player(OwnThread, gr.basic_block):
    """PDUs of frames in (port ``content``), the same out (port ``content``), each when its number and rate say so.

    delay: seconds that the first frame of a stream is held back, so that groups may be late by as much. A stream that
    is further out of step, or another one, sets the clock anew. Frames that the decoder generated for a group that was
    missing are left out where they come late: what they stand for is over. Contents of other kinds pass at once.

    Port ``stats``: ``in``, ``out``, ``dropped`` (malformed, generated and late, or too many wait), ``late`` (of those
    out). Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, delay=0.5):
        gr.basic_block.__init__(self, name="video_player", in_sig=None, out_sig=None)
        if not 0 <= delay <= 60:
            raise ValueError(f"delay is {delay}: give seconds, 0 to 60")
        self._delay = float(delay)
        self._counts = dict.fromkeys(("in", "out", "dropped", "late"), 0)
        self._queue = queue.Queue(MOST_WAITING)
        self.own(self._play)
        self._key, self._begin = None, 0.0
        self.message_port_register_in(pmt.intern("content"))
        for port in ("content", "stats"):
            self.message_port_register_out(pmt.intern(port))
        self.set_msg_handler(pmt.intern("content"), self.take)

    def counts(self):
        """What the port ``stats`` says."""
        return dict(self._counts)

    def take(self, message):
        """Play a PDU of content, as if it had come in at the port."""
        self._counts["in"] += 1
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self._counts["dropped"] += 1

    def _play(self):
        while not self._stopped.is_set():
            try:
                message = self._queue.get(timeout=TICK)
            except queue.Empty:
                continue
            try:
                due = self._wait(message)
                if due < 0 and _generated(message):
                    self._counts["dropped"] += 1
                    continue
                self._counts["late"] += due < 0
                if self._stopped.wait(max(due, 0)):
                    return
            except Exception as e:  # whatever it is, the block lives on
                self._counts["dropped"] += 1
                log.warning("frame dropped: %.200s", e)
                continue
            self._counts["out"] += 1
            self.message_port_pub(pmt.intern("content"), message)
            self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def _wait(self, message):
        """Seconds until a message is due, negative where it is late."""
        kind = pmt.dict_ref(pmt.car(message), pmt.intern("kind"), pmt.PMT_NIL)
        if not pmt.eq(kind, pmt.intern("video")):
            return 0.0
        frame, said = from_content(message)
        key, at, now = (said["stream"], said["rate"], frame.shape), said["number"] / said["rate"], time.monotonic()
        due = self._begin + at - now
        if key != self._key or abs(due) > OUT_OF_STEP + self._delay:
            self._key, self._begin = key, now + self._delay - at
            return self._delay
        return due


def _generated(message):
    return pmt.to_python(pmt.dict_ref(pmt.car(message), pmt.intern("generated"), pmt.PMT_F)) is True
