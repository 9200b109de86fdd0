# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting a picture into frames, and collecting what arrives.

A picture is one stream of symbols: the digital part, some of its symbols once more, then the analogue symbols in
sending order. The stream is dealt out to the frames one symbol at a time, so that every frame holds the same share of
the digital part and of every layer: a lost or faded frame costs 1/F of each, and never the digital part, whose code
repairs that. A sender may repeat a picture for ever; copies of a frame are combined, and a receiver may join at any
frame (collector.py).

What is sent once more serves twice. It carries the digital part through fading, which a mean SNR does not tell: without
it nothing at all would be known of a picture where the symbols that arrive are still good for one. And each frame
repeats symbols of the frame before, so that a receiver can tell frames of one sender from those of another whose
headers are the same.
"""

from dataclasses import dataclass

import numpy as np

from ..phy.ofdm_layout import LAYOUT_64
from . import digital_part
from . import frame_header as head
from .frame_header import Header

CARRIERS = len(LAYOUT_64.data)  #: data carriers of an OFDM symbol
FRAME_SYMBOLS = 50  #: OFDM symbols of the payload of a full frame, unless said otherwise
HEADER_USES = head.SYMBOLS
#: Symbols of a digital part that are sent once more, beside half of it.
AGAIN = 512
#: Digital symbols that a frame holds at least, by which it is known.
MARKS = 24


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


def digital_symbols(block, count, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Symbols of a stream of `count` frames whose digital part takes `block`, with those that are sent again.

    Half of them are, and AGAIN more: a short one lies in few frames, which fade alike more often.
    """
    marks = min(MARKS, carriers * frame_symbols // 8)
    return block + max(-(-block // 2) + AGAIN, marks * count - block)


def repeats(block, total, count):
    """Which symbol of a digital part each of the first `total` of the stream is, int [total]: behind the `block` itself
    each frame has symbols of the frame before it."""
    at = np.arange(total)
    return np.where(at < block, at, (at - 1 - block + block % count) % block)


def analogue_symbols(uses, n_bytes, carriers=CARRIERS, frame_symbols=FRAME_SYMBOLS):
    """Analogue symbols that are left of `uses` channel uses beside headers and a digital part of `n_bytes`.

    All uses are spent, except where one more frame would pay for little but its header: then up to
    HEADER_USES are left over. ValueError if nothing is left.
    """
    full = carriers * frame_symbols
    count = -(-uses // (full + HEADER_USES))
    stream = max(uses - HEADER_USES * count, full * (count - 1))
    block = digital_part.uses(n_bytes)
    digital = digital_symbols(block, max(-(-stream // full), 1), carriers, frame_symbols)
    left = stream - digital
    if left < 1:
        raise ValueError(
            f"uses: {uses} channel uses are too few for headers ({HEADER_USES * count}) and a digital part of "
            f"{n_bytes} octets ({digital}); spend more, or send less side information"
        )
    return left


def deal(total, carriers, frame_symbols):
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
    block = digital_part.modulate(data)
    count, before = 1, 0
    while count > before:  # each frame more has its marks
        before = count
        digital = digital_symbols(block.size, count, carriers, frame_symbols)
        count = frame_count(digital + len(symbols), carriers, frame_symbols)
    again = block[repeats(block.size, digital, count)]
    stream = np.concatenate([again, np.asarray(symbols, np.complex64)])
    total = -(-stream.size // carriers)
    if total > head.MAX_TOTAL or count > head.MAX_FRAMES:
        raise ValueError(
            f"symbols: {stream.size} make {total} OFDM symbols in {count} frames; a picture may have "
            f"{head.MAX_TOTAL} in {head.MAX_FRAMES}: send it smaller, at a lower rate, or in longer frames"
        )
    order, borders = deal(total, carriers, frame_symbols)
    dealt = np.zeros(borders[-1], np.complex64)
    dealt[order[: stream.size]] = stream
    size = digital_part.size_index(len(data))
    return [Frame(Header(content_id % 16, total, f, size), dealt[borders[f] : borders[f + 1]]) for f in range(count)]
