# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as they come -> passes over contents, and what is known of a content before its pass has ended.

A pass ends when all frames of the content or the last of them arrived, when its indices begin again, when frames of
another content arrive (two, since one header in some hundred bad ones looks good), or when the caller says so. What is
known then is handed on; copies in later passes are combined with it. Frames of one content are never mixed with those
of another (frames.py).
"""

import logging
from dataclasses import dataclass

import numpy as np

from . import frames
from .frame_header import Header

log = logging.getLogger("gr_diffsem.semantic_decoder")
#: A sender that repeats a picture is combined over this many of its passes.
PASSES = 8


@dataclass
class Known:
    """What is known of a content: octets of its digital part, symbols [N], their noise variances (infinite: lost)."""

    id: int
    data: bytes
    symbols: np.ndarray
    noise_var: np.ndarray
    snr_db: float
    frames: int
    frames_lost: int


class Passes:
    """Collects; not thread safe. layout: (carriers, frame_symbols). ended(Known): called at the end of each pass whose
    digital part could be decoded. count(name, by): called for frames `dropped` and contents `undecoded`.
    """

    def __init__(self, layout, ended, count):
        self._layout, self._ended, self._count = layout, ended, count
        self._forget()

    def _forget(self):
        self._collector, self._before, self._data = None, [], None
        self._last, self._passes, self._snrs, self._others = -1, 0, [], []

    def take(self, frame, snr_db):
        """A frames.Received."""
        if self._collector is None:
            self._begin(frame, snr_db)
        elif self._collector.matches(frame.header):
            self._others = []
            if frame.header.index <= self._last:
                self.end()
            self._add(frame, snr_db)
        else:
            self._meet_other(frame, snr_db)

    def decodable(self):
        """Whether end() would hand something on."""
        return self._collector is not None and self._collector.data() is not None

    def so_far(self):
        """A Preview of the pass that goes on, or None where it has no frame that the content's last picture had not."""
        if self._collector is None:
            return None
        seen = {index for index, *_ in self._before}
        if all(index in seen for index, *_ in self._collector.arrived):
            return None
        return Preview(self._collector, self._before, self._data, float(np.mean(self._snrs)))

    def end(self):
        """Hand on what is known, and begin again; without a digital part go on collecting."""
        collector = self._collector
        self._last = -1
        if collector is None or not collector.arrived:
            return
        self._passes += 1
        fresh = len(collector.arrived)
        data = collector.data()
        if data is None:
            self._count("undecoded", 1)
            if self._passes >= PASSES:
                self._count("dropped", fresh)
                self._forget()
            return
        if data == self._data:
            collector.arrived[:0] = self._before
        dropped = collector.dropped
        known = _known(collector, float(np.mean(self._snrs)))
        self._count("dropped", collector.dropped - dropped)
        self._data, self._before = data, collector.arrived[-PASSES * collector.count :]
        header = Header(collector.key[0], collector.key[1], 0, collector.key[2])
        self._collector = frames.Collector(header, *self._layout)
        self._passes, self._snrs = 0, []
        self._ended(known)

    def _meet_other(self, frame, snr_db):
        """A frame of another content; the second of one ends this one."""
        head = frame.header
        same = [(f, s) for f, s in self._others if self._same(f.header, head)]
        single = frames.frame_count(head.total * self._layout[0], *self._layout) == 1
        self._count("dropped", len(self._others) - len(same))
        self._others = [*same, (frame, snr_db)]
        if len(self._others) > 1 or single:
            others = self._others
            self.end()
            self._forget()
            for other, snr in others:
                if self._collector is None:
                    self._begin(other, snr)
                else:
                    self._add(other, snr)

    @staticmethod
    def _same(a, b):
        return (a.id, a.total, a.digital) == (b.id, b.total, b.digital)

    def _begin(self, frame, snr_db):
        try:
            self._collector = frames.Collector(frame.header, *self._layout)
        except ValueError as e:
            self._count("dropped", 1)
            log.warning("frame dropped: %s", e)
            return
        self._add(frame, snr_db)

    def _add(self, frame, snr_db):
        if not self._collector.add(frame):
            self._count("dropped", 1)
            return
        self._last = frame.header.index
        self._snrs.append(snr_db)
        if self._collector.received == self._collector.count or self._last == self._collector.count - 1:
            self.end()


class Preview:
    """A pass that goes on, as it was when this was made; asked in any thread, it leaves the pass as it is."""

    def __init__(self, collector, before, data, snr_db):
        self._of, self._before, self._data, self._snr_db = collector, list(before), data, snr_db
        self._collector = collector.copy()
        self.id = collector.key[0]

    def known(self):
        """Known, with infinite noise where nothing came yet (`frames_lost` of them), or None while the digital part
        cannot be decoded."""
        collector = self._collector
        collector.early = data = collector.data() if collector.early is None else collector.early
        self._of.early = data  # the pass itself decodes what it has when it ends
        if data is None:
            return None
        if data == self._data:
            collector.arrived[:0] = self._before
        return _known(collector, self._snr_db, data)


def _known(collector, snr_db, data=None):
    data, symbols, noise_var = collector.result(data)
    lost = collector.count - collector.received
    return Known(collector.key[0], data, symbols, noise_var, snr_db, collector.received, lost)
