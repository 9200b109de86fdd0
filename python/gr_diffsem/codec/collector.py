# SPDX-License-Identifier: GPL-3.0-or-later
"""Collecting the frames of one content, in any order, with gaps and copies, and never any of another sender.

Frames whose header differs in anything but the index are of another content. Two senders may give theirs the same
header, though, one after the other or at the same time. So each frame is compared with those that are there, symbol by
symbol where they carry the same symbols of the digital part: copies of a frame do, and so do neighbours (frames.py).
Frames that agree make a run; one that contradicts is refused, and what nothing can be said of makes a run of its own.
Once the digital part is decoded, from all runs or from one, each frame is compared with that.
"""

import copy
from dataclasses import dataclass

import numpy as np

from ..phy import soft_demap
from . import digital_part, frames
from . import frame_header as head

#: Deviations by which symbols must agree, or disagree, and how many must be compared.
SURE = 3.7
LEAST = 16
#: Runs that are tried alone where all of them together do not decode.
TRIED = 4
#: Bits that must have come, over those that are to be decoded: below it no code could.
HOPE = 0.9


@dataclass
class Run:
    """Frames of one sender: entries [(index, symbols, variance)]; weighted sum and weight of each digital symbol."""

    entries: list
    value: np.ndarray
    weight: np.ndarray

    def join(self, other):
        self.entries += other.entries
        self.value += other.value
        self.weight += other.weight


class Collector:
    """collector = Collector(first.header); collector.add(first); ...; collector.result()

    refused: entries that were taken and turned out to be of another sender; whoever asks takes them away.
    """

    def __init__(self, header, carriers=frames.CARRIERS, frame_symbols=frames.FRAME_SYMBOLS, data=None):
        if header.total < 1:
            raise ValueError(f"header: {header} is of a picture without symbols")
        self.key = (header.id, header.total, header.digital)
        self.size = header.digital
        self.order, self.borders = frames.deal(header.total, carriers, frame_symbols)
        self.carriers = carriers
        self.count = self.borders.size - 1
        self.block = digital_part.uses(digital_part.SIZES[self.size])
        self.digital_uses = frames.digital_symbols(self.block, self.count, carriers, frame_symbols)
        if not 1 <= self.count <= head.MAX_FRAMES or self.digital_uses > self.borders[-1]:
            raise ValueError(f"header: {header} leaves no room for its own digital part")
        place = np.full(self.borders[-1], -1)
        place[self.order[: self.digital_uses]] = frames.repeats(self.block, self.digital_uses, self.count)
        self._place = np.split(place, self.borders[1:-1])  # of each frame: the digital symbol that a symbol is, or -1
        self.runs, self.refused = [], []
        self._data = None
        self.early = None  #: the digital part as a preview found it (passes.py); no answer depends on it
        if data is not None:
            self._know(data)

    def copy(self):
        """The same frames, to be asked beside this one."""
        other = copy.copy(self)
        other.runs = [Run(list(r.entries), r.value.copy(), r.weight.copy()) for r in self.runs]
        other.refused = []
        return other

    @property
    def arrived(self):
        """[(index, symbols, variance)] of all frames."""
        return [entry for run in self.runs for entry in run.entries]

    @property
    def received(self):
        """Number of frames of which there is at least one copy."""
        return len({index for index, *_ in self.arrived})

    def matches(self, header):
        """Whether a frame with this header can be of this picture."""
        return (header.id, header.total, header.digital) == self.key and header.index < self.count

    def add(self, frame):
        """Take a Received frame; False (and nothing done) if it is not of this picture, not whole, or of another
        sender."""
        entry = self.entry(frame)
        return entry is not None and self.take(entry)

    def entry(self, frame):
        """(index, symbols, variance) of a Received frame, None where it is not of this picture or not whole."""
        index = frame.header.index
        if not self.matches(frame.header):
            return None
        n = self.borders[index + 1] - self.borders[index]
        if len(frame.symbols) != n or len(frame.noise_var) != n:
            return None
        variance = np.where(np.isfinite(frame.symbols), frame.noise_var, np.inf)
        variance = np.where(variance > 0, variance, np.inf)  # NaN and nonsense: lost
        return index, np.where(np.isfinite(variance), frame.symbols, 0), variance

    def likeness(self, entry):
        """1: what `entry` gave is of the sender that these frames are of; -1: it is not; 0: nothing can be said."""
        return self._likeness(self._run(entry))[0]

    def _likeness(self, fresh):
        """(that, what each run says)."""
        if self._data is not None:
            return self._agree(self._known, fresh), []
        said = [self._agree(run, fresh) for run in self.runs]
        return (1 if 1 in said else min(said, default=0)), said

    def take(self, entry):
        """Take what `entry` gave; False if it is of another sender."""
        fresh = self._run(entry)
        likeness, said = self._likeness(fresh)
        if likeness < 0:
            return False
        kept = []
        for run, agrees in zip(self.runs, said or [1] * len(self.runs), strict=True):
            if agrees > 0:
                run.join(fresh)
                fresh = run
            elif agrees < 0:
                self.refused += run.entries
            else:
                kept.append(run)
        self.runs = [*kept, fresh]
        return True

    def _run(self, entry):
        index, symbols, variance = entry
        place = self._place[index]
        at = place >= 0
        weight = 1 / variance[at]
        run = Run([entry], np.zeros(self.block, complex), np.zeros(self.block))
        np.add.at(run.value, place[at], symbols[at] * weight)
        np.add.at(run.weight, place[at], weight)
        return run

    @staticmethod
    def _agree(one, other):
        """1: the digital symbols that both have are the same; -1: they are not; 0: too few, or too noisy, to say.

        The product of two estimates has the mean 1 if they are of one symbol, and 0 if they are of two. How far it
        scatters is taken from the products themselves: the noise may be more than it is said to be.
        """
        at = (one.weight > 0) & (other.weight > 0)
        if np.count_nonzero(at) < LEAST:
            return 0
        a, b = one.weight[at], other.weight[at]
        product = (np.conj(one.value[at]) * other.value[at]).real / (a * b)
        weight = a * b / ((1 + a) * (1 + b))
        total = weight.sum()
        found = np.sum(weight * product) / total
        deviation = np.sqrt(np.sum((weight * (product - found)) ** 2)) / total
        if found > 0.5:
            return int(found > SURE * deviation)
        return -int(1 - found > SURE * deviation)

    def data(self):
        """The digital part's octets once they can be decoded, else None."""
        if self._data is None:
            tried = [self.runs]
            if len(self.runs) > 1:
                tried += [[run] for run in sorted(self.runs, key=lambda r: -r.weight.sum())[:TRIED]]
            for runs in tried:
                data = self._decoded(runs)
                if data is not None:
                    self._know(data)
                    break
        return self._data

    def _decoded(self, runs):
        if not runs:
            return None
        value, weight = sum(r.value for r in runs), sum(r.weight for r in runs)
        bits = 8 * (digital_part.SIZES[self.size] + digital_part.OVERHEAD)
        if np.sum(np.minimum(np.log2(1 + weight), 2)) < HOPE * bits:
            return None
        seen = weight > 0
        symbols, variance = np.zeros(self.block, np.complex64), np.full(self.block, np.inf, np.float32)
        symbols[seen], variance[seen] = value[seen] / weight[seen], 1 / weight[seen]
        return digital_part.decode(soft_demap.qpsk(symbols, variance), self.size)

    def _know(self, data):
        """From here on each frame is compared with these octets; those that are there too."""
        self._data = data
        sent = digital_part.modulate(data)
        surely = np.full(self.block, 1e6)
        self._known = Run([], sent * surely, surely)
        entries, self.runs = self.arrived, []
        for entry in entries:
            if not self.take(entry):
                self.refused.append(entry)

    def result(self, data=None):
        """(data or None, symbols complex64 [N], noise_var float32 [N]): the analogue part as far as it is
        known, infinite variance where lost; N includes up to 47 symbols of padding. data: if known already."""
        data = data or self.data()
        if data is not None and self._data is None:
            self._know(data)
        value = np.zeros(self.borders[-1], np.complex64)
        weight = np.zeros(self.borders[-1], np.float32)
        for index, symbols, variance in self.arrived:
            span = slice(self.borders[index], self.borders[index + 1])
            value[span] += symbols / variance
            weight[span] += 1 / variance
        seen = weight > 0
        value[seen] /= weight[seen]
        variance = np.full(value.shape, np.inf, np.float32)
        variance[seen] = 1 / weight[seen]
        rest = self.order[self.digital_uses :]
        return data, value[rest], variance[rest]

    def fades(self):
        """Which carrier of which frame each analogue symbol came on, int [N]: symbols of one faded alike."""
        at = self.order[self.digital_uses :]
        frame = np.searchsorted(self.borders, at, side="right") - 1
        return frame * self.carriers + (at - self.borders[frame]) % self.carriers


def collect(received, carriers=frames.CARRIERS, frame_symbols=frames.FRAME_SYMBOLS):
    """Received frames -> the Collector of the picture that most of them belong to, or None without any.

    (One header in some hundred that fail passes the CRC by chance, and belongs to no picture.)
    """
    found, open_ = [], []
    for frame in sorted(received, key=lambda f: f.header.index):  # neighbours know each other
        place(found, frame, carriers, frame_symbols)
    while len(open_) < len(found):
        collector = max((c for c in found if c not in open_), key=lambda c: len(c.arrived))
        open_.append(collector)
        if collector.data() is not None:
            settle(found, collector)
            for other in found:
                if other is not collector and other.data() is None and claim(collector, other) and other in open_:
                    open_.remove(other)  # it may decode without those
    found = [c for c in found if c.arrived]
    return max(found, key=lambda c: (c.data() is not None, len(c.arrived)), default=None)


def claim(collector, other):
    """Take those frames from another collector that are of this one's picture, which is decoded; how many."""
    if other.key != collector.key:
        return 0
    entries, other.runs = other.arrived, []
    mine = [entry for entry in entries if collector.likeness(entry) > 0]
    for entry in mine:
        collector.take(entry)
    for entry in entries:
        if not any(entry is m for m in mine) and not other.take(entry):
            other.refused.append(entry)
    return len(mine)


def place(collectors, frame, carriers, frame_symbols):
    """Put a frame where it belongs, into one of the collectors or a new one; where it is nobody's, nowhere."""
    same = [c for c in collectors if c.matches(frame.header)]
    if same:
        entry = same[0].entry(frame)
        if entry is None:
            return
        best = max(same, key=lambda c: c.likeness(entry))
        if best.take(entry):
            settle(collectors, best)
            return
    try:
        collector = Collector(frame.header, carriers, frame_symbols)
    except ValueError:
        return
    if collector.add(frame):
        collectors.append(collector)


def settle(collectors, collector):
    """What a collector has refused goes to another of the same picture, or to a new one."""
    while collector.refused:
        entry = collector.refused.pop(0)
        others = [c for c in collectors if c is not collector and c.key == collector.key]
        best = max(others, key=lambda c: c.likeness(entry), default=None)
        if best is None or not best.take(entry):
            fresh = copy.copy(collector)
            fresh.runs, fresh.refused, fresh._data, fresh.early = [], [], None, None
            fresh.take(entry)
            collectors.append(fresh)
