# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical link that the semantic one is measured against: octets, a channel code, BPSK, QPSK or 16-QAM.

The octets are cut into blocks, each with CRC-32 and a code of its own. Blocks and frames of the air are the
same ("frame"), or all coded bits of the picture are scattered over all frames ("picture"), which lets a
code see through a frame that faded. The whole file counts: one block that fails, and nothing is delivered.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..codec import frames
from ..codec.digital_part import scatter
from ..codec.frame_header import Header
from ..phy import constellation, convolutional, ldpc, ldpc_table, soft_demap, viterbi
from ..phy.convolutional import TAIL

BITS = {"bpsk": 1, "qpsk": 2, "16qam": 4}
RATES = {"1/2": (1, 2), "3/4": (3, 4)}
CRC_OCTETS = 4
LDPC_BITS = 3000  #: about this many to a code word


@dataclass(frozen=True)
class Mode:
    """modulation: key of BITS. rate: key of RATES. span: "frame" or "picture", what a block is scattered over.
    code: "k7" or "ldpc"."""

    modulation: str
    rate: str
    span: str = "frame"
    code: str = "k7"

    def __str__(self):
        return f"{self.modulation} {self.rate}" + (", interleaved over the picture" if self.span == "picture" else "")


def modes(code, spans=("frame",)):
    """All modes of one code."""
    return [Mode(m, r, span, code) for span in spans for m in BITS for r in RATES]


def modulate(bits, modulation):
    """Bits [n] -> complex64 symbols of unit mean power, the first bit of an axis 0 on its positive side."""
    return -constellation.modulate(bits, BITS[modulation]).astype(np.complex64)


def information(soft, sent):
    """What soft bits really tell of the bits that were sent, in bits per bit: 1 - mean log2(1 + exp(-L s))."""
    return 1 - float(np.mean(np.logaddexp(0, np.where(sent, soft, -soft), dtype=np.float64))) / np.log(2)


def total_symbols(uses):
    """OFDM symbols of a picture's frames that spend `uses` channel uses, headers included."""
    count = -(-uses // (frames.FRAME_SYMBOLS * frames.CARRIERS + frames.HEADER_USES))
    return max((uses - frames.HEADER_USES * count) // frames.CARRIERS, 0)


class Link:
    """How a file of a fixed number of octets is laid on the frames of `uses` channel uses in one mode."""

    def __init__(self, mode, uses):
        self.mode = mode
        self.total = total_symbols(uses)
        if self.total < 1:
            raise ValueError(f"uses: {uses} channel uses hold no frame beside its header")
        self.borders = np.cumsum(np.r_[0, frames.lengths(self.total) * frames.CARRIERS])
        per_symbol = BITS[mode.modulation]
        capacity = np.diff(self.borders) * per_symbol
        if mode.span == "picture":
            capacity = np.array([capacity.sum()])
        self.blocks, self.place = [], []  # (information octets, coded bits, code's parameter) and where the bits go
        start = 0
        for room in capacity:
            blocks = self._cut(int(room))
            self.blocks += blocks
            self.place.append(start + scatter(int(room), 0x40001)[: sum(b[1] for b in blocks)])
            start += room
        self.place = np.concatenate(self.place) if self.blocks else np.zeros(0, int)
        self.octets = sum(b[0] for b in self.blocks)
        self._split = np.cumsum([b[1] for b in self.blocks])[:-1]

    def _cut(self, room):
        """Blocks for `room` coded bits."""
        rate = RATES[self.mode.rate]
        if self.mode.code == "ldpc":
            count = max(round(room / LDPC_BITS), 1)
            z, k = ldpc.circulant(rate, room // count)
            size = k // 8 - CRC_OCTETS
            return [(size, ldpc.COLUMNS * z, z)] * count if size > 0 else []
        count = len(frames.lengths(self.total)) if self.mode.span == "picture" else 1
        size = (room // count * rate[0] // rate[1] - TAIL) // 8 - CRC_OCTETS
        return [(size, _coded(size, rate), 0)] * count if size > 0 else []

    def encode(self, data):
        """Octets, at most self.octets -> list of frames.Frame."""
        if len(data) > self.octets:
            raise ValueError(f"data: {len(data)} octets, this link takes {self.octets}")
        bits = _filler(self.borders[-1] * BITS[self.mode.modulation]).copy()
        coded = self.code_words(data)
        if coded:
            bits[self.place] ^= np.concatenate(coded)  # the filler scrambles
        symbols = modulate(bits, self.mode.modulation)
        pieces = np.split(symbols, self.borders[1:-1])
        return [frames.Frame(Header(0, self.total, f, 0), piece) for f, piece in enumerate(pieces)]

    def code_words(self, data):
        """Code bits of every block, a list of uint8 arrays."""
        data = bytes(data) + bytes(self.octets - len(data))
        coded, at = [], 0
        for size, _, z in self.blocks:
            part = data[at : at + size]
            at += size
            block = np.frombuffer(part + zlib.crc32(part).to_bytes(CRC_OCTETS, "little"), np.uint8)
            coded.append(self._encode(np.unpackbits(block, bitorder="little"), z))
        return coded

    def _encode(self, block, z):
        rate = RATES[self.mode.rate]
        if self.mode.code == "ldpc":
            k = (ldpc.COLUMNS - ldpc.ROWS[rate]) * z
            return ldpc.encode(np.r_[block, np.zeros(k - block.size, np.uint8)], rate, z)
        return convolutional.puncture(convolutional.encode(np.r_[block, np.zeros(TAIL, np.uint8)]), rate)

    def soft(self, received):
        """frames.Received of one picture -> soft code bits, one array for each block."""
        per_symbol = BITS[self.mode.modulation]
        llr = np.zeros(self.borders[-1] * per_symbol, np.float32)
        for frame in received:
            f = frame.header.index
            if frame.header.total != self.total or f + 1 >= len(self.borders):
                continue
            a, b = self.borders[f : f + 2]
            if len(frame.symbols) == b - a:
                llr[a * per_symbol : b * per_symbol] = soft_demap.exact(frame.symbols, frame.noise_var, per_symbol)
        sign = 1 - 2 * _filler(llr.size).astype(np.float32)
        return np.split((llr * sign)[self.place], self._split) if self.blocks else []


def _coded(size, rate):
    mother = 2 * (8 * (size + CRC_OCTETS) + TAIL)
    return int(convolutional.sent(mother, rate).sum())


@lru_cache(maxsize=16)
def _filler(n):
    """Pseudo-random bits: whiten what is sent, fill what is left."""
    return np.random.default_rng(0).integers(0, 2, int(n), dtype=np.uint8)


def arrived(items):
    """Whether the files came through, of pictures sent in one mode, [(Link, soft bits, file)]: bool [n].

    A block that its soft bits tell far too little of, or (LDPC) amply enough, is not decoded: these are nearly all, and
    decoding is slow. The others are.
    """
    out, open_blocks, sent = np.zeros(len(items), bool), {}, {}
    for p, (link, soft, file) in enumerate(items):
        if (link, file) not in sent:  # one file comes in many trials
            sent[link, file] = link.code_words(file)
        out[p], open_blocks[p] = _settled(link, soft, sent[link, file])
    for part in (slice(1), slice(1, None)):  # the worst first: mostly that is enough
        jobs = [(p, i) for p, found in open_blocks.items() if out[p] for i in found[part]]
        blocks = [(items[p][1][i], items[p][0].blocks[i]) for p, i in jobs]
        for (p, _), data in zip(jobs, decode_blocks(items[0][0].mode, blocks) if jobs else [], strict=True):
            out[p] &= data is not None
    return out


def blocks_arrived(items):
    """As `arrived`, of every block by itself: a list of bool arrays."""
    out, jobs = [], []
    for n, (link, soft, file) in enumerate(items):
        sent = link.code_words(file)
        told, low, high = _told(link, soft, sent)
        out.append(told >= low)
        jobs += [(n, i) for i in range(len(sent)) if low[i] <= told[i] <= high[i]]
    blocks = [(items[n][1][i], items[n][0].blocks[i]) for n, i in jobs]
    for (n, i), data in zip(jobs, decode_blocks(items[0][0].mode, blocks) if jobs else [], strict=True):
        out[n][i] = data is not None
    return out


def _settled(link, soft, sent):
    """(Whether no block of a picture is surely lost, the blocks of which only decoding can tell, worst first.)

    Surely lost is less information than the code's rate, by the converse of the coding theorem; more is known of LDPC
    (ldpc_table.py).
    """
    if not sent:
        return False, []
    told, low, high = _told(link, soft, sent)
    return not np.any(told < low), [i for i in np.argsort(told) if told[i] <= high[i]]


def _told(link, soft, sent):
    """(What the soft bits of each block tell of it, below what it is surely lost, above what it surely arrives.)"""
    rate = RATES[link.mode.rate]
    low, high = np.full(len(sent), rate[0] / rate[1]), np.full(len(sent), np.inf)
    if link.mode.code == "ldpc":
        least, most = ldpc_table.SIZES
        known = [least <= z <= most for _, _, z in link.blocks]
        low[known], high[known] = ldpc_table.INFORMATION[link.mode.rate]
    return np.array([information(*pair) for pair in zip(soft, sent, strict=True)]), low, high


def decode_blocks(mode, jobs):
    """Blocks of one mode, [(soft bits, entry of Link.blocks)] -> the octets of each, None where its CRC fails."""
    rate = RATES[mode.rate]
    if mode.code == "ldpc":
        out = [None] * len(jobs)
        for z in {block[2] for _, block in jobs}:
            here = [j for j, (_, block) in enumerate(jobs) if block[2] == z]
            for part in np.array_split(here, -(-len(here) // 64)):
                bits, _ = ldpc.decode(np.stack([jobs[j][0] for j in part]), rate, z)
                for j, b in zip(part, bits, strict=True):
                    out[j] = b[: 8 * (jobs[j][1][0] + CRC_OCTETS)]
        return [_checked(b) for b in out]
    llrs, lengths = [], []
    for soft, (size, _, _) in jobs:
        n = 8 * (size + CRC_OCTETS) + TAIL
        llrs.append(convolutional.depuncture(soft, rate, 2 * n))
        lengths.append(n)
    return [_checked(b[:-TAIL]) for b in viterbi.decode(llrs, lengths)]


def _checked(bits):
    block = np.packbits(bits, bitorder="little").tobytes()
    part = block[:-CRC_OCTETS]
    return part if zlib.crc32(part).to_bytes(CRC_OCTETS, "little") == block[-CRC_OCTETS:] else None
