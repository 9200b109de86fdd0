# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws of a generator of channels as the taps of a filter that moves: what the block `channel_model_cc` computes.

A draw becomes a *tap frame* [instants, taps]. Frames overlap by half: over the overlap the earlier one falls as a
cosine and the later one rises as a sine, so that taps are continuous and, the frames being independent, have the same
power at every instant. The correlation R(k) of a tap becomes R(k) cos(pi k / (2 instants)) or so: a Doppler line is
widened by about 1/(2 instants). Between two instants taps go on a straight line.
"""

import math

import numpy as np

from .windowed_sinc import windowed_sinc

STILL = 32  #: instants of a frame whose draw does not move: half of them fade to the next one
HALF = 8  #: of the kernel that puts a path between two taps
TIMES, CARRIERS, DELAYS = ("time", "symbol"), ("carrier",), ("delay", "tap")
KINDS = "[time], [carrier], [delay], [symbol, carrier], [time, delay] or [delay, time]"


class TapLayout:
    """How draws of a shape with these axes become tap frames.

    shape, axes: of one draw. delays [L] samples, gains [L]: the paths, each of which has a draw of its own, of a
    generator of one tap over time; other generators have their own. taps: length of the filter, 0: as long as it has to
    be. `items`: draws of one frame; `instants` and `taps` of a frame. Raises ValueError.
    """

    def __init__(self, shape, axes, delays=(0.0,), gains=(1.0,), taps=0):
        self.shape, self.axes = tuple(shape), tuple(axes)
        kinds = tuple(_kind(axis) for axis in self.axes)
        if (
            not kinds
            or len(kinds) != len(self.shape)
            or None in kinds
            or len(set(kinds)) < len(kinds)
            or len(kinds) > 2
        ):
            raise ValueError(f"axes are {list(axes)}, of which no taps are made: give a generator over {KINDS}")
        if set(kinds) == {"carrier", "delay"}:
            raise ValueError(f"axes are {list(axes)}, the same thing twice: give a generator over {KINDS}")
        self._kinds = kinds
        paths = kinds == ("time",)
        self.items = len(delays) if paths else 1
        self.instants = self.shape[kinds.index("time")] if "time" in kinds else STILL
        if self.instants < 4:
            raise ValueError(f"a draw has {self.instants} instants: give a generator of 4 or more")
        if paths:
            self.taps = taps or _reach(delays)
            place = np.arange(self.taps)[:, None] - np.asarray(delays, float)
            weight = windowed_sinc(place, HALF)
            weight[np.abs(weight) < 1e-9] = 0  # of whole samples: what is 0 costs nothing
            self._paths = (weight * np.asarray(gains, float)).T  # [paths, taps]
        else:
            own = self.shape[0] if "time" not in kinds else self.shape[1 - kinds.index("time")]
            self.taps = min(taps, own) if taps else own

    @property
    def still(self):
        """Whether a draw does not move: all rows of its frame are the same."""
        return "time" not in self._kinds

    @property
    def hop(self):
        """Instants that a frame adds to the stream."""
        return self.instants // 2

    def frame(self, draws):
        """complex [items, elements] -> complex64 [instants, taps]."""
        draws = np.asarray(draws, np.complex64).reshape(self.items, *self.shape)
        if self._kinds == ("time",):
            return (draws.T @ self._paths).astype(np.complex64)
        h = draws[0]
        if "time" not in self._kinds:
            h = np.repeat(h[None], self.instants, 0)
        elif self._kinds.index("time") == 1:
            h = h.T
        if "carrier" in self._kinds:  # carriers in the order of their frequencies, DC in the middle
            h = np.fft.ifft(np.fft.ifftshift(h, axes=1), axis=1)
        return h[:, : self.taps].astype(np.complex64)

    def blended(self, before, after):
        """The second half of a frame passing into the first half of the next: [hop, taps]."""
        turn = (np.pi / 2) * (np.arange(self.hop, dtype=np.float32)[:, None] + 0.5) / self.hop
        first = before[self.instants - self.hop :]
        return (np.cos(turn) * first + np.sin(turn) * after[: self.hop]).astype(np.complex64)


def _kind(axis):
    for name, members in (("time", TIMES), ("carrier", CARRIERS), ("delay", DELAYS)):
        if axis in members:
            return name
    return None


def _reach(delays):
    """Taps that hold all paths; those that lie between two samples have a kernel about them."""
    between = any(abs(d - round(d)) > 1e-9 for d in delays)
    return math.ceil(max(delays)) + 1 + (HALF if between else 0)


class MovingFilter:
    """y[n] = sum_l h_l(n) x[n - l] with taps that move from one row to the next in `interval` samples.

    y = sum_l a_l x_l + f sum_l d_l x_l, with a the row before, d the difference to the next and f the way between.
    """

    def __init__(self, taps, interval):
        self.taps, self.interval = taps, interval
        self._at = 0  # samples since the row `_now`
        self._now = self._next = None

    def begin(self, rows):
        """The first two rows [2, taps]."""
        self._now, self._next = rows

    def last(self):
        """The row that the taps are on the way to."""
        return self._next

    def set_interval(self, interval):
        """Another number of samples between rows; what is left of this one is scaled."""
        self._at = min(self._at * interval // self.interval, interval - 1)
        self.interval = interval

    def needs(self, samples):
        """Rows that so many samples more take."""
        return (self._at + samples) // self.interval

    def run(self, x, rows, y):
        """x [taps - 1 + n], the last n of which are new; rows [needs(n), taps]; writes y [n]."""
        n = len(y)
        path = np.concatenate((self._now[None], self._next[None], rows))
        steps = np.diff(path, axis=0)
        live = np.flatnonzero(np.any(path != 0, 0))
        first, segment = 0, 0
        while first < n:
            left = self.interval - self._at
            if self._at or n - first < self.interval:  # a part of an interval
                size, count = min(left, n - first), 1
            else:
                count = (n - first) // self.interval
                size = self.interval
            way = (np.arange(size, dtype=np.float32) + self._at) / np.float32(self.interval)
            at = slice(segment, segment + count)
            last = first + size * count
            self._piece(x[first : last + self.taps - 1], path[at], steps[at], way, live, y[first:last])
            self._at += size
            if self._at >= self.interval:
                self._at, segment = 0, segment + count
            first = last
        self._now, self._next = path[segment], path[segment + 1]

    def _piece(self, x, rows, steps, way, live, y):
        """`len(rows)` equal segments."""
        shape = (len(rows), len(way))
        still, moving = np.zeros((2, *shape), np.complex64)
        scratch = np.empty(shape, np.complex64)
        for l in live:
            late = x[self.taps - 1 - l :][: len(y)].reshape(shape)
            still += np.multiply(late, rows[:, l, None], out=scratch)
            moving += np.multiply(late, steps[:, l, None], out=scratch)
        moving *= way
        np.add(still, moving, out=y.reshape(shape))
