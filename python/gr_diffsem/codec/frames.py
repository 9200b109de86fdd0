# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a picture into frames, and collecting what arrives.

A picture is one stream of symbols: the digital part, then the analogue symbols in sending order. The
stream is dealt out to the frames one symbol at a time, so that every frame holds the same share of the
digital part and of every layer: a lost or faded frame costs 1/F of each, and never the digital part,
whose code repairs that. A sender may repeat a picture for ever; copies of a frame are combined, and a
receiver may join at any frame.

No picture is ever mixed from two: frames whose header differs in anything but the index are of another
picture; and once the digital part is decoded it is known which symbols each frame must begin with, so that a
frame of an earlier picture with the same header (a sender that was started again) is found and dropped.
"""

import copy
from dataclasses import dataclass

import numpy as np

from ..phy import soft_demap
from ..phy.ofdm_layout import LAYOUT_64
from . import digital_part
from . import frame_header as head
from .frame_header import Header

CARRIERS = len(LAYOUT_64.data)  #: data carriers of an OFDM symbol
FRAME_SYMBOLS = 50  #: OFDM symbols of the payload of a full frame, unless said otherwise
HEADER_USES = head.SYMBOLS
#: A frame is tested for being of this picture if its digital symbols carry this much energy over noise.
TEST_ENERGY = 30.0


@dataclass(frozen=True)
class Frame:
    """A frame as sent: symbols complex64 [n], whole OFDM symbols."""

    header: Header
    symbols: np.ndarray


@dataclass(frozen=True)
class Received:
    """A frame as received: equalised symbols complex64 [n], the noise variance of each float32 [n]."""

    header: Header
    symbols: np.ndarray
    noise_var: np.ndarray


def lengths(total, frame_symbols=FRAME_SYMBOLS):
    """OFDM symbols of each frame of a picture of `total`: int [F], which differ by at most one."""
    count = -(-total // frame_symbols)
    return total // count + (np.arange(count) < total % count)


def frame_count(n_symbols, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Frames that a stream of `n_symbols` takes."""
    return -(-n_symbols // (carriers * frame_symbols))


def analogue_symbols(uses, n_bytes, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Analogue symbols that are left of `uses` channel uses beside headers and a digital part of `n_bytes`.

    All uses are spent, except where one more frame would pay for little but its header: then up to
    HEADER_USES are left over. ValueError if nothing is left.
    """
    full = carriers * frame_symbols
    count = -(-uses // (full + HEADER_USES))
    stream = max(uses - HEADER_USES * count, full * (count - 1))
    left = stream - digital_part.uses(n_bytes)
    if left < 1:
        raise ValueError(
            f"uses: {uses} channel uses are too few for headers ({HEADER_USES * count}) and a digital part of "
            f"{n_bytes} octets ({digital_part.uses(n_bytes)}); spend more, or send less side information"
        )
    return left


def _deal(total, carriers, frame_symbols):
    """Where the stream's symbols go: (order, borders), stream = concatenated frames[order]."""
    n = lengths(total, frame_symbols) * carriers
    borders = np.concatenate([[0], np.cumsum(n)])
    frame = np.repeat(np.arange(n.size), n)
    place = np.arange(borders[-1]) - borders[frame]
    return np.lexsort((frame, place)), borders


def cut(data, symbols, content_id, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Octets and analogue symbols [N] of one picture -> list of Frames.

    content_id: any integer; its lowest four bits are sent. ValueError if the picture is too large for the
    header: at most 16383 OFDM symbols and 512 frames.
    """
    stream = np.concatenate([digital_part.modulate(data), np.asarray(symbols, np.complex64)])
    total = -(-stream.size // carriers)
    count = frame_count(stream.size, carriers, frame_symbols)
    if total > head.MAX_TOTAL or count > head.MAX_FRAMES:
        raise ValueError(
            f"symbols: {stream.size} make {total} OFDM symbols in {count} frames; a picture may have "
            f"{head.MAX_TOTAL} in {head.MAX_FRAMES}: send it smaller, at a lower rate, or in longer frames"
        )
    order, borders = _deal(total, carriers, frame_symbols)
    dealt = np.zeros(borders[-1], np.complex64)
    dealt[order[: stream.size]] = stream
    size = digital_part.size_index(len(data))
    return [Frame(Header(content_id % 16, total, f, size), dealt[borders[f] : borders[f + 1]]) for f in range(count)]


class Collector:
    """Collects the frames of one picture, in any order, with gaps and copies.

    collector = Collector(first.header); collector.add(first); ...; collector.result()
    """

    def __init__(self, header, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
        if header.total < 1:
            raise ValueError(f"header: {header} is of a picture without symbols")
        self.key = (header.id, header.total, header.digital)
        self.size = header.digital
        self.order, self.borders = _deal(header.total, carriers, frame_symbols)
        self.count = self.borders.size - 1
        self.digital_uses = digital_part.uses(digital_part.SIZES[self.size])
        if not 1 <= self.count <= head.MAX_FRAMES or self.digital_uses > self.borders[-1]:
            raise ValueError(f"header: {header} leaves no room for its own digital part")
        self.arrived = []  # (index, symbols, variance), in order of arrival
        self.dropped = 0  #: frames that turned out to be of another picture
        self._data = None
        self.early = None  #: the digital part as a preview found it (passes.py); no answer depends on it

    def copy(self):
        """The same frames, to be asked beside this one."""
        other = copy.copy(self)
        other.arrived = list(self.arrived)
        return other

    def matches(self, header):
        """Whether a frame with this header can be of this picture."""
        return (header.id, header.total, header.digital) == self.key and header.index < self.count

    def add(self, frame):
        """Take a Received frame; False (and nothing done) if it is not of this picture or not whole."""
        index = frame.header.index
        if not self.matches(frame.header):
            return False
        n = self.borders[index + 1] - self.borders[index]
        if len(frame.symbols) != n or len(frame.noise_var) != n:
            return False
        variance = np.where(np.isfinite(frame.symbols), frame.noise_var, np.inf)
        variance = np.where(variance > 0, variance, np.inf)  # NaN and nonsense: lost
        self.arrived.append((index, np.where(np.isfinite(variance), frame.symbols, 0), variance))
        return True

    @property
    def received(self):
        """Number of frames of which there is at least one copy."""
        return len({index for index, _, _ in self.arrived})

    def _stream(self, skip=0):
        """The copies combined, each weighted by 1 / noise: (symbols, noise_var) in stream order."""
        value = np.zeros(self.borders[-1], np.complex64)
        weight = np.zeros(self.borders[-1], np.float32)
        for index, symbols, variance in self.arrived[skip:]:
            span = slice(self.borders[index], self.borders[index + 1])
            value[span] += symbols / variance
            weight[span] += 1 / variance
        seen = weight > 0
        value[seen] /= weight[seen]
        variance = np.full(value.shape, np.inf, np.float32)
        variance[seen] = 1 / weight[seen]
        return value[self.order], variance[self.order]

    def data(self):
        """The digital part's octets once they can be decoded, else None."""
        if self._data is None:
            # What came first may be of another picture with the same header.
            for skip in dict.fromkeys(round(share * len(self.arrived)) for share in (0, 0.25, 0.5, 0.75)):
                symbols, variance = self._stream(skip)
                n = self.digital_uses
                self._data = digital_part.decode(soft_demap.qpsk(symbols[:n], variance[:n]), self.size)
                if self._data is not None:
                    break
        return self._data

    def result(self, data=None):
        """(data or None, symbols complex64 [N], noise_var float32 [N]): the analogue part as far as it is
        known, infinite variance where lost; N includes up to 47 symbols of padding. data: if known already."""
        data = data or self.data()
        if data is not None:
            self._drop_foreign(digital_part.modulate(data))
        symbols, variance = self._stream()
        return data, symbols[self.digital_uses :], variance[self.digital_uses :]

    def _drop_foreign(self, known):
        """Remove the copies that do not begin with the symbols of this picture's digital part."""
        stream = np.zeros(self.borders[-1], np.complex64)
        stream[self.order[: known.size]] = known
        good = [
            (index, *copy)
            for index, *copy in self.arrived
            if not _foreign(stream[self.borders[index] : self.borders[index + 1]], *copy)
        ]
        self.dropped += len(self.arrived) - len(good)
        self.arrived = good


def _foreign(expected, symbols, variance):
    """Whether received symbols are not the expected ones, plus noise of this variance.

    The matched filter gives on average `energy` for the expected symbols and 0 for others, with a deviation of
    about sqrt(energy) at low SNR: half of it lies more than 2.7 deviations from either.
    """
    at = expected != 0
    energy = np.sum(1 / variance[at])
    found = np.sum((np.conj(expected[at]) * symbols[at]).real / variance[at])
    return bool(energy > TEST_ENERGY and found < 0.5 * energy)


def collect(received, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Received frames -> the Collector of the picture that most of them belong to, or None without any.

    (One header in some hundred that fail passes the CRC by chance, and belongs to no picture.)
    """
    counts = {}
    for frame in received:
        header = frame.header
        key = (header.id, header.total, header.digital)
        counts[key] = counts.get(key, 0) + 1
    for key in sorted(counts, key=counts.get, reverse=True):
        first = next(f.header for f in received if (f.header.id, f.header.total, f.header.digital) == key)
        try:
            collector = Collector(first, carriers, frame_symbols)
        except ValueError:
            continue
        if sum(collector.add(frame) for frame in received):
            return collector
    return None
