# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames as they come -> passes over contents, and what is known of a content before its pass has ended.

Contents that come at the same time, from one sender or from several, are kept apart (collector.py), each on a strand of
its own. A pass ends when all frames of the content or the last of them arrived, when its indices begin again, when so
many frames of others have come that its own will not (two at least, since one header in some hundred bad ones looks
good), or when the caller says so. What is known then is handed on; copies in later passes are combined with it, and so
is what comes later in a pass that was thought to have ended.
"""

import logging
from dataclasses import dataclass

import numpy as np

from . import content
from .collector import Collector, claim
from .frame_header import Header

log = logging.getLogger("gr_diffsem.semantic_decoder")
#: A sender that repeats a picture is combined over this many of its passes.
PASSES = 8
FEW = 4  #: frames of a content that one of them shows
STRANDS = 6  #: contents that are collected at the same time


@dataclass
class Known:
    """What is known of a content: octets of its digital part, symbols [N], their noise variances (infinite: lost), the
    call sign of its sender or "", which symbols faded alike (Collector.fades; None: not known)."""

    id: int
    data: bytes
    symbols: np.ndarray
    noise_var: np.ndarray
    snr_db: float
    frames: int
    frames_lost: int
    call_sign: str = ""
    fades: np.ndarray | None = None


class Strand:
    """What is collected of one content: the frames of this pass, those `before` it once it is decoded (`data`), `last`
    index of this pass, ended `passes` without an answer, frames of `others` since its own."""

    def __init__(self, collector):
        self.collector, self.before, self.data = collector, [], None
        self.last, self.passes, self.snrs, self.others = -1, 0, [], 0

    @property
    def believed(self):
        """Whether it is more than the header of a single frame, which is mostly one that noise made: two frames, or all
        that there are; or, of few, one whose digital part decodes."""
        received, count = self.collector.received, self.collector.count
        return received > 1 or received == count or (count <= FEW and self.collector.data() is not None)

    @property
    def owed(self):
        """Frames of this pass that are still to come."""
        return self.collector.count - 1 - self.last


class Passes:
    """Collects; not thread safe. layout: (carriers, frame_symbols). ended(Known): called at the end of each pass whose
    digital part could be decoded. count(name, by): called for frames `dropped` and contents `undecoded`.
    """

    def __init__(self, layout, ended, count):
        self._layout, self._ended, self._count = layout, ended, count
        self._strands = []  # the newest last

    def take(self, frame, snr_db):
        """A frames.Received."""
        strand = self._place(frame)
        if strand is None:
            self._count("dropped", 1)
            return
        strand.last, strand.others = frame.header.index, 0
        strand.snrs.append(snr_db)
        self._strands.remove(strand)
        self._strands.append(strand)
        self._settle(strand)
        if strand.collector.received == strand.collector.count or strand.owed == 0:
            self._end(strand)
        for other in self._strands[:-1]:
            other.others += 1
            if other.last >= 0 and other.others >= max(2, other.owed):
                self._end(other)
                if other.data is None:
                    self._forget(other)
        while len(self._strands) > STRANDS:
            self._forget(self._strands[0])

    def _place(self, frame):
        """The strand that took a frame, or None where it is of none and begins none."""
        same = [s for s in reversed(self._strands) if s.collector.matches(frame.header)]
        if same:
            entry = same[0].collector.entry(frame)
            if entry is None:
                return None
            strand = max(same, key=lambda s: s.collector.likeness(entry))
            if strand.collector.likeness(entry) >= 0:
                if frame.header.index <= strand.last:
                    self._end(strand)  # its indices begin again
                if strand in self._strands and strand.collector.take(entry):
                    return strand
        try:
            strand = Strand(Collector(frame.header, *self._layout))
        except ValueError as e:
            log.warning("frame dropped: %s", e)
            return None
        if not strand.collector.add(frame):
            return None
        self._strands.append(strand)
        return strand

    def _settle(self, strand):
        """Frames that turned out to be another sender's go to where they belong."""
        collector = strand.collector
        while collector.refused:
            entry = collector.refused.pop(0)
            same = [s for s in self._strands if s is not strand and s.collector.key == collector.key]
            taker = max(same, key=lambda s: s.collector.likeness(entry), default=None)
            if taker is None or not taker.collector.take(entry):
                taker = Strand(Collector(self._header(collector), *self._layout))
                taker.collector.take(entry)
                self._strands.insert(0, taker)
            taker.last = max(taker.last, entry[0])
            taker.snrs.append(float(np.mean(strand.snrs)) if strand.snrs else np.nan)

    @staticmethod
    def _header(collector):
        return Header(collector.key[0], collector.key[1], 0, collector.key[2])

    def decodable(self):
        """Whether end() would hand something on."""
        return any(s.collector.arrived and s.believed and s.collector.data() is not None for s in self._strands)

    def so_far(self):
        """A Preview of the pass that goes on, or None where it has no frame that the content's last picture had not."""
        strand = self._strands[-1] if self._strands else None
        if strand is None:
            return None
        seen = {index for index, *_ in strand.before}
        if all(index in seen for index, *_ in strand.collector.arrived):
            return None
        return Preview(strand)

    def end(self):
        """Hand on what is known, and begin again; without a digital part go on collecting."""
        for strand in list(self._strands):
            self._end(strand)

    def close(self):
        """end(), and let go of the rest, counted."""
        self.end()
        for strand in list(self._strands):
            self._forget(strand)

    def _forget(self, strand):
        self._count("dropped", len(strand.collector.arrived))
        self._strands.remove(strand)

    def _end(self, strand):
        collector = strand.collector
        strand.last = -1
        if not collector.arrived:
            return
        if not strand.believed:
            return
        data = collector.data()
        self._settle(strand)
        if data is None:
            strand.passes += 1
            self._count("undecoded", 1)
            if strand.passes >= PASSES:
                self._forget(strand)
            return
        if not collector.arrived:
            return
        for other in self._strands:
            if other is not strand and other.data is None and claim(collector, other.collector):
                self._settle(other)
        own = collector.arrived
        if data == strand.data:
            for entry in strand.before:
                collector.take(entry)
        known = _known(collector, data, strand.snrs)
        strand.data, strand.before = data, (strand.before + own)[-PASSES * collector.count :]
        strand.collector = Collector(self._header(collector), *self._layout, data=data)
        strand.passes, strand.snrs = 0, []
        if known is not None:
            self._ended(known)


class Preview:
    """A pass that goes on, as it was when this was made; asked in any thread, it leaves the pass as it is."""

    def __init__(self, strand):
        self._of, self._before, self._data = strand.collector, list(strand.before), strand.data
        self._snrs, self._collector = list(strand.snrs), strand.collector.copy()
        self.id = strand.collector.key[0]

    def known(self):
        """Known, with infinite noise where nothing came yet (`frames_lost` of them), or None while the digital part
        cannot be decoded."""
        collector = self._collector
        collector.early = data = collector.data() if collector.early is None else collector.early
        self._of.early = data  # the pass itself decodes what it has when it ends
        if data is None:
            return None
        if data == self._data:
            for entry in self._before:
                collector.take(entry)
        return _known(collector, data, self._snrs)


def _known(collector, data, snrs):
    """Known, or None, with a line in the log, where the octets are no content's."""
    data, symbols, noise_var = collector.result(data)
    lost = collector.count - collector.received
    try:
        call_sign, inner = content.opened(data)
    except content.ContentError as e:
        log.warning("content %d dropped: %s", collector.key[0], e)
        return None
    snr_db = float(np.mean(snrs)) if snrs else np.nan
    came = collector.received, lost, call_sign, collector.fades()
    return Known(collector.key[0], inner, symbols, noise_var, snr_db, *came)
