# SPDX-License-Identifier: GPL-3.0-or-later
"""The header of a frame: 40 bits as 96 strongly coded symbols, in front of the payload.

    4 content id | 14 OFDM symbols of the whole picture | 9 index | 5 digital size | 8 CRC

Each field has its least significant bit first. From the second field and the frame length that both
sides know follow the number of frames and the length of each. Code: tail-biting K=7 (133, 171), so that no
symbol goes into a tail; its 80 bits are sent 2.4 times, scattered over 96 QPSK symbols.
"""

from dataclasses import dataclass

import numpy as np

from ..phy import constellation, convolutional, viterbi
from .digital_part import hash32, scatter

FIELDS = {"id": 4, "total": 14, "index": 9, "digital": 5}
BITS = 40
CODED = 2 * BITS
SYMBOLS = 96  #: channel uses of one header
#: Nats by which a decoded header must beat random bits; the best of all code words in noise has about 15.
CLEAR = 22.0
CLEAR_CHANGE = 28.0  #: where it begins another picture than the one that is known
MAX_TOTAL = 2 ** FIELDS["total"] - 1
MAX_FRAMES = 2 ** FIELDS["index"]
#: Frames of the next picture that are looked for; prior that its digital part has the same size; of any frame.
FIRST_FRAMES, SAME_SIZE, ANY = 4, 0.5, 1e-3
TOGETHER = 6  #: headers at most that are read as one

_PLACE = scatter(2 * SYMBOLS, 0x20001) % CODED
#: Turns the code word of a header of zeros into something without peaks after the IFFT.
_FLIP = (hash32(np.arange(2 * SYMBOLS, dtype=np.uint32) + np.uint32(0x30001)) & 1).astype(np.uint8)


@dataclass(frozen=True)
class Header:
    """id: content, 0..15. total: OFDM symbols of the picture, 1..16383. index: of the frame, 0..511.
    digital: size of the digital part, an index into digital_part.SIZES."""

    id: int
    total: int
    index: int
    digital: int

    def __post_init__(self):
        for name, bits in FIELDS.items():
            value = getattr(self, name)
            if not 0 <= value < 2**bits:
                raise ValueError(f"{name}: {value} does not fit into {bits} bits of the header")


def crc8(bits):
    """CRC x^8 + x^2 + x + 1 of bits in sending order, the register starting with ones: 0..255."""
    register = 0xFF
    for bit in bits:
        register = (register << 1) ^ (0x07 if (register >> 7) ^ int(bit) else 0)
        register &= 0xFF
    return register


def pack(header):
    """Header -> uint8 [40], bits in sending order."""
    bits = [getattr(header, name) >> i & 1 for name, n in FIELDS.items() for i in range(n)]
    check = crc8(bits)
    return np.array(bits + [check >> i & 1 for i in range(8)], np.uint8)


def unpack(bits):
    """uint8 [40] -> Header, or None if the CRC does not hold."""
    values = {}
    at = 0
    for name, n in FIELDS.items():
        values[name] = int(sum(int(b) << i for i, b in enumerate(bits[at : at + n])))
        at += n
    check = int(sum(int(b) << i for i, b in enumerate(bits[at:])))
    return Header(**values) if crc8(bits[:at]) == check else None


def modulate(header):
    """Header -> complex64 [96], QPSK of unit power."""
    bits = pack(header)
    # Six bits of run-up put the encoder into the state that it ends in.
    coded = convolutional.encode(np.concatenate([bits[-6:], bits]))[12:]
    return constellation.qpsk(coded[_PLACE] ^ _FLIP)


def decode(soft, clear=CLEAR):
    """Soft bits of headers (`soft_demap.qpsk`), float [n, 192] -> list of n Headers or Nones.

    None where the CRC fails, and where it holds but the code word is not clearly in the soft bits: `clear` nats.
    """
    soft = np.asarray(soft, np.float32)
    code = np.zeros((soft.shape[0], CODED), np.float32)
    np.add.at(code, (slice(None), _PLACE), soft * (1 - 2 * _FLIP.astype(np.float32)))
    # Three times around the circle: the middle is decoded with its past and its future.
    bits = viterbi.decode(np.tile(code, (1, 3)), [3 * BITS] * len(code)) if len(code) else []
    headers = [unpack(b[BITS : 2 * BITS]) for b in bits]
    return [h if h and evidence(s, h) > clear else None for h, s in zip(headers, soft, strict=True)]


def evidence(soft, header):
    """Log-likelihood ratio, in nats, of this header against random bits: soft bits [192] -> float."""
    half = 0.5 * np.asarray(soft, np.float64)
    sign = np.sign(modulate(header).view(np.float32))
    return float(np.sum(sign * half - np.logaddexp(half, -half) + np.log(2)))


def _turn(index_bits):
    """Signs by which the soft bits of a header differ from those of one whose index differs in these bits."""
    one, other = modulate(Header(0, 0, int(index_bits), 0)), modulate(Header(0, 0, 0, 0))
    return np.sign(one.view(np.float32)) * np.sign(other.view(np.float32))


def _picture(header):
    return header.id, header.total, header.digital


class Tracker:
    """Decodes the headers of frames as they come, and knows which ones to expect.

    Frames of one picture differ in their index alone, and that counts up. Where it ends, the picture begins again
    (a carousel), or the next one does: the next id, mostly the same size. So once a header was decoded, another
    whose CRC fails in a fade is looked for among those few by a likelihood test against "anything else", and is
    accepted where its posterior probability exceeds 1 - DOUBT, or 1 - DOUBT_CHANGE for another picture.
    """

    DOUBT, DOUBT_CHANGE = 1e-2, 1e-3
    OTHER = 0.05  #: prior probability that a frame is of another picture, or none
    SKIP = 0.5  #: of one more frame missed, for each

    def __init__(self, frame_symbols):
        self.frame_symbols = frame_symbols
        self.last = None

    def decode(self, soft):
        """Soft bits [192] of one frame's header -> Header or None."""
        return self.choose(soft, decode(np.asarray(soft)[None])[0])

    def choose(self, soft, decoded):
        """The same with `decode`'s answer already there."""
        if decoded is not None and not self._possible(soft, decoded):
            decoded = None
        if decoded is None and self.last is not None:
            decoded = self._expected(soft)
        if decoded is not None:
            self.last = decoded
        return decoded

    def _possible(self, soft, header):
        count = -(-header.total // self.frame_symbols)
        if header.index >= count or count > MAX_FRAMES:
            return False
        last = self.last
        if last is None or (header.id, header.total, header.digital) == (last.id, last.total, last.digital):
            return True
        return evidence(soft, header) > CLEAR_CHANGE  # one false header must not end the picture that is known

    def _candidates(self):
        """([Header], prior of each): of this picture; or the next one's first frames, where this one's end is near."""
        last = self.last
        count = -(-last.total // self.frame_symbols)
        headers, prior = [], []
        for s in range(count):
            headers.append(Header(last.id, last.total, (last.index + 1 + s) % count, last.digital))
            prior.append(self.SKIP**s + ANY)
        sizes = 2 ** FIELDS["digital"]
        for index in range(min(count, FIRST_FRAMES)):
            missed = count - 1 - last.index + index
            for size in range(sizes):
                headers.append(Header((last.id + 1) % 16, last.total, index, size))
                share = SAME_SIZE if size == last.digital else (1 - SAME_SIZE) / (sizes - 1)
                prior.append((self.SKIP**missed + ANY) * share)
        return headers, np.array(prior) / np.sum(prior)

    def before(self, soft, later):
        """The header of a frame that came before `later` and could not be read alone, or None."""
        count = -(-later.total // self.frame_symbols)
        headers = [Header(later.id, later.total, (later.index - 1 - s) % count, later.digital) for s in range(count)]
        prior = np.array([self.SKIP**s + ANY for s in range(count)])
        return self._likeliest(soft, headers, prior / prior.sum(), self.DOUBT)

    def together(self, soft, offset):
        """Headers of frames of one picture that none of them tells alone, or None; then the last is one to follow.

        Their code words differ by what their indices differ by, which is known (offset: index of each beyond the
        first one's), so that they add up: soft [n, 192]. What the indices differ in depends on few of the first one's
        bits, where a carry begins and where it ends.
        """
        soft, offset = np.asarray(soft, np.float32)[-TOGETHER:], np.asarray(offset)
        first = offset[-TOGETHER:][0]
        apart = offset[-TOGETHER:] - first
        index = np.arange(MAX_FRAMES - apart[-1])
        bits = np.unique(index[:, None] ^ (index[:, None] + apart), axis=0)
        sums = np.array([sum(s * _turn(b) for s, b in zip(soft, row, strict=True)) for row in bits])
        best = (-np.inf, None)
        for header, row in zip(decode(sums, 0.0), bits, strict=True):
            if header is None or header.index + apart[-1] >= -(-header.total // self.frame_symbols):
                continue
            each = [Header(header.id, header.total, header.index + int(a), header.digital) for a in apart]
            if not np.array_equal(header.index ^ (header.index + apart), row):
                continue
            best = max(best, (sum(evidence(s, h) for s, h in zip(soft, each, strict=True)), header), key=lambda b: b[0])
        found, header = best
        if header is None or header.index < first - offset[0]:
            return None
        same = self.last is None or (header.id, header.total, header.digital) == _picture(self.last)
        if found < (CLEAR if same else CLEAR_CHANGE) + np.log(len(bits)):
            return None
        at = header.index - int(first)
        headers = [Header(header.id, header.total, at + int(o), header.digital) for o in offset]
        self.last = headers[-1]
        return headers

    def _expected(self, soft):
        headers, prior = self._candidates()
        best = self._likeliest(soft, headers, prior, self.DOUBT_CHANGE)
        if best is not None or self.last is None:
            return best
        best = self._likeliest(soft, headers, prior, self.DOUBT)
        return best if best is not None and _picture(best) == _picture(self.last) else None

    def _likeliest(self, soft, headers, prior, doubt):
        score = np.array([evidence(soft, h) for h in headers]) + np.log(prior * (1 - self.OTHER))
        best = int(np.argmax(score))
        rest = np.logaddexp.reduce(np.append(np.delete(score, best), np.log(self.OTHER)))
        return headers[best] if score[best] - rest > -np.log(doubt) else None
