# SPDX-License-Identifier: GPL-3.0-or-later
"""What is missing of a stream: frames, by their numbers, and samples, by where the frames lie.

A sender's frames follow each other at one distance, whatever it is, and their headers say how long each is. So two
frames of one picture, or of it and the next one, tell how many samples should lie between them; fewer were lost on
the way (a radio that overflows, a disk too slow). The distance is what it often is at its widest: where samples are
lost between any two frames, fewer are counted than are lost. Where frames of two senders lie between each other's,
nobody can tell: no gaps are counted.
"""

import numpy as np

from . import frames
from .frame_layout import SYNC_SYMBOLS

TOLERANCE = 16.0  #: samples by which two distances may differ
MOST = 2000  #: distances that are kept
CONTENTS = 64  #: pictures whose latest frame is remembered
NEAR = 3  #: frames on at most, where a picture goes on


class FrameClock:
    """form: the Layout. take() each frame as it comes; counts() at any time."""

    def __init__(self, form):
        self._form, self._last, self._missed = form, None, 0
        self._left = {}  # index of the latest frame of each picture
        self._several = False  # senders, whose frames lie between each other's
        self._rests = []  # between two frames in a row: (how many on, samples beyond them, whether of one picture)

    def take(self, header, start):
        """A frame whose first sample is sample `start` of the stream."""
        before, self._last = self._last, (header, start)
        self._several = self._several or self._goes_on(header, before)
        if before is None:
            return
        between = self._between(before[0], header)
        if between is None or start <= before[1]:
            return
        samples = sum(SYNC_SYMBOLS + self._form.header_symbols + n for n in between) * self._form.symbol
        inside = before[0].id == header.id and before[0].index < header.index
        if not inside and start - before[1] < samples / 2:
            self._several = True
            return  # too soon for the next pass: another sender, whose headers follow or are the same
        self._missed += len(between) - 1
        if len(self._rests) < MOST:
            self._rests.append((len(between), start - before[1] - samples, inside))

    def _goes_on(self, header, before):
        """Whether a picture goes on where it was left for another's frame, which one sender's does not."""
        content, other = ((h.id, h.total, h.digital) for h in (header, before[0] if before else header))
        left = self._left.get(content, header.index)
        if len(self._left) >= CONTENTS:
            self._left.clear()
        self._left[content] = header.index
        return content != other and left < header.index <= left + NEAR

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

    def counts(self):
        """{"missed": frames, "gaps", "samples_lost"}."""
        apart = np.array(self._rests, float).reshape(-1, 3)
        gaps = samples = 0
        if len(apart) and not self._several:
            idle = (apart[:, 1] / apart[:, 0])[apart[:, 2] > 0]
            often = np.sum(np.abs(idle[:, None] - idle) <= TOLERANCE / 2, axis=1) >= max(2, 0.05 * len(idle))
            usual = np.max(idle[often], initial=0.0)  # frames do not overlap
            lost = usual * apart[:, 0] - apart[:, 1]
            gaps, samples = int(np.sum(lost > TOLERANCE)), int(round(lost[lost > TOLERANCE].sum()))
        return {"missed": self._missed, "gaps": gaps, "samples_lost": samples}
