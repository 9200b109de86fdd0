# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing of a stream: frames, by their numbers, and samples, by where the frames lie.

A sender's frames follow each other at one distance, whatever it is, and their headers say how long each is. So two
frames of one picture, or of it and the next one, tell how many samples should lie between them; fewer were lost on
the way (a radio that overflows, a disk too slow). The distance is what it often was at its widest: where samples are
lost between any two frames, fewer are counted than are lost.

Frames of several senders lie between each other's, even under the same headers. So each frame is taken for the next one
of that frame, of those heard of late, that it follows at the distance that is seen most often; only where there is
none, of the latest that it can follow at all, and samples were lost then. Where that one's own sender goes on as if
nothing had been lost, nothing was: the frame was another sender's.
"""

from dataclasses import dataclass

import numpy as np

from . import frames
from .frame_layout import SYNC_SYMBOLS

TOLERANCE = 16.0  #: samples by which two distances may differ
MOST = 2000  #: frames that are looked at together
RECENT = 8  #: of them the latest, which a frame may follow
OFTEN = 0.1  #: of the commonest distance, and two: so many make a usual one


@dataclass
class Way:
    """From one frame to another: which it is, frames on, samples between two of them beyond their own, whether both are
    of one pass over a picture."""

    after: int
    on: int
    idle: float
    inside: bool


class FrameClock:
    """form: the Layout. take() each frame as it comes; counts() at any time."""

    def __init__(self, form):
        self._form, self._heard, self._old = form, [], 0
        self._before = np.zeros(3, int)  # counts of frames that are no longer kept

    def take(self, header, start):
        """A frame whose first sample is sample `start` of the stream."""
        if len(self._heard) == MOST:
            self._before += self._count()
            self._heard, self._old = self._heard[-RECENT:], RECENT
        self._heard.append((header, start))

    def counts(self):
        """{"missed": frames, "gaps", "samples_lost"}."""
        return dict(zip(("missed", "gaps", "samples_lost"), map(int, self._before + self._count()), strict=True))

    def _count(self):
        heard = self._heard
        ways = [
            [w for j in reversed(range(max(0, i - RECENT), i)) if (w := self._way(j, heard[j], heard[i]))]
            for i in range(len(heard))
        ]
        links = _links(ways, Distances(w for found in ways for w in found))
        sender = list(range(len(heard)))
        for i, way in enumerate(links):
            sender[i] = sender[way.after] if way else i
        usual = {s: Distances(w for k, w in zip(sender, links, strict=True) if w and k == s) for s in set(sender)}
        widest = dict.fromkeys(usual, 0.0)  # so far; frames do not overlap
        counts = np.zeros(3, int)
        for i, (way, s) in enumerate(zip(links, sender, strict=True)):
            if not way:
                continue
            own = usual[s].usual(way)  # a sender may begin to send further apart
            lost = way.on * ((usual[s].widest if own is None else widest[s]) - way.idle)
            widest[s] = max(widest[s], own or 0.0)
            if i >= self._old:
                counts += (way.on - 1, lost > TOLERANCE, round(lost) if lost > TOLERANCE else 0)
        return counts

    def _way(self, after, one, other):
        """The Way from frame `after` to another, each (header, start), or None where it cannot follow."""
        (first, began), (second, start) = one, other
        between = self._between(first, second)
        if between is None or start <= began:
            return None
        samples = self._samples(between)
        spare = start - began - samples
        inside = first.id == second.id and first.index < second.index
        if not inside and start - began < samples / 2:
            return None  # too soon for the next pass
        if spare >= self._samples(frames.lengths(first.total, self._form.frame_symbols)) / 2:
            inside = False  # it may be of a later pass
        return Way(after, len(between), spare / len(between), inside)

    def _samples(self, payloads):
        """Of frames of so many OFDM symbols of payload."""
        return sum(SYNC_SYMBOLS + self._form.header_symbols + n for n in payloads) * self._form.symbol

    def _between(self, one, other):
        """OFDM symbols of the payload of each frame from one header to the next, or None where that is not known."""
        first, second = (frames.lengths(h.total, self._form.frame_symbols) for h in (one, other))
        if one.index >= len(first) or other.index >= len(second):
            return None
        same = (one.id, one.total, one.digital) == (other.id, other.total, other.digital)
        if same and other.index > one.index:
            return first[one.index : other.index]
        if same or other.id == (one.id + 1) % 16:
            return np.concatenate([first[one.index :], second[: other.index]])
        return None


class Distances:
    """Those at which frames follow others of their picture. Frames do not overlap: where one is less than 0, samples
    were lost, however often."""

    def __init__(self, ways):
        ways = [w for w in ways if w.inside and w.idle >= -TOLERANCE / 2]
        nearest = min((w.on for w in ways), default=0)  # between the others samples may have been lost
        idle = np.sort([w.idle for w in ways if w.on == nearest])
        groups = np.split(idle, np.flatnonzero(np.diff(idle) > TOLERANCE / 2) + 1)
        least = max(2, OFTEN * max(map(len, groups)))
        self._usual = [g for g in groups if len(g) >= least]

    @property
    def widest(self):
        """The widest usual one, 0 where none is known."""
        return float(np.median(self._usual[-1])) if self._usual else 0.0

    def usual(self, way):
        """The usual distance that a Way's is one of, or None."""
        return next((float(np.median(g)) for g in self._usual if g[0] <= way.idle <= g[-1]), None)

    def often(self, way):
        """How often the distance of a Way is seen where it is a usual one, else 0."""
        return next((len(g) for g in self._usual if g[0] <= way.idle <= g[-1]), 0)


def _links(ways, distances):
    """The Way by which each frame is reached, or None: one leads on from each, and it gives way to a better one."""
    links, nexts = [None] * len(ways), {}
    for i, found in enumerate(ways):
        for way in sorted(found, key=distances.often, reverse=True):  # of equals the latest frame's
            other = nexts.get(way.after)
            if other is None or distances.often(way) and not distances.often(links[other]):
                if other is not None:
                    links[other] = None
                links[i], nexts[way.after] = way, i
                break
    return links
