# SPDX-License-Identifier: GPL-3.0-or-later
"""What a packet of the simulated link looks like; the same on both sides.

    sync word 1 | sync word 2 | 2 header symbols | 9 payload symbols        each 16 + 64 samples

64 carriers in gr-digital's default layout (48 data, 4 pilots, DC empty). Code: convolutional, K = 7,
rate 1/2, polynomials 109 and 79, and a block interleaver. Payload: number (2 bytes) + random bytes +
CRC-32, coded (terminated), QPSK or 16-QAM. Header: the 48 bits of gr-digital's `packet_header_ofdm`,
coded, BPSK. (gr-digital sends them uncoded, in one symbol: in a fading channel that symbol alone would
lose one packet in ten up to 20 dB and hide the payload. The code is truncated, not terminated: the
last 16 of the 48 bits carry nothing.)
"""

from dataclasses import dataclass

import numpy as np

from ..base.pilot_patterns import WIFI_PILOT_SIGNS, WIFI_PILOT_VALUES
from . import constellation
from .convolutional import TAIL
from .ofdm_layout import LAYOUT_64 as LAYOUT

PAYLOAD_SYMBOLS = 9
SYNC_SYMBOLS = 2
HEADER_SYMBOLS = 2
FRAME_SYMBOLS = HEADER_SYMBOLS + PAYLOAD_SYMBOLS  #: behind the sync words
PACKET_SYMBOLS = SYNC_SYMBOLS + FRAME_SYMBOLS
PACKET_SAMPLES = PACKET_SYMBOLS * LAYOUT.symbol

INTERLEAVER_ROWS = 27
HEADER_BITS = 48
HEADER_CODED = HEADER_SYMBOLS * len(LAYOUT.data)

PACKET_LEN = "packet_len"  #: tag: items of a packet
FRAME_LEN = "frame_len"  #: tag: OFDM symbols of a frame
PACKET_NUM = "packet_num"


def occupied_carriers():
    """gr-digital's nested tuple of data carriers."""
    return (LAYOUT.data,)


def pilot_carriers():
    """gr-digital's nested tuple of pilot carriers: as many sets as `pilot_symbols` has.

    (The allocator goes through both lists in turn; the equalisers count the carriers' sets only, so
    with one set of carriers and many of symbols the two sides would disagree.)
    """
    return (LAYOUT.pilots,) * len(WIFI_PILOT_SIGNS)


def pilot_symbols():
    """One set of pilots per symbol, +-(1, 1, 1, -1)."""
    return tuple(tuple(s * value for value in WIFI_PILOT_VALUES) for s in WIFI_PILOT_SIGNS)


def sync_words():
    """(word 1, word 2), complex [64] each, DC in the middle; E|.|^2 = 1 per carrier in both.

    Word 1 has only odd carriers (two equal halves in time, Schmidl & Cox 1997), scaled by sqrt(2);
    word 2 has all 52, and is what channels are estimated from. BPSK, fixed seed.
    """
    rng = np.random.default_rng(1997)
    first, second = np.zeros(LAYOUT.fft_len, complex), np.zeros(LAYOUT.fft_len, complex)
    for carrier in LAYOUT.carriers:
        if carrier % 2:
            first[carrier + LAYOUT.fft_len // 2] = np.sqrt(2) * (1 - 2 * rng.integers(2))
        second[carrier + LAYOUT.fft_len // 2] = 1 - 2 * rng.integers(2)
    return first, second


def interleaver(size, rows):
    """Permutation p [size] of a block written by rows, read by columns: out[i] = in[p[i]]."""
    return np.arange(size).reshape(rows, -1).T.ravel()


def header_interleaver():
    """That of the coded header, [96]: neighbours 12 bits apart, so 12 carriers."""
    return interleaver(HEADER_CODED, 12)


@dataclass(frozen=True)
class Format:
    """The sizes that follow from the modulation's bits per symbol (2: QPSK, 4: 16-QAM)."""

    bits: int

    @property
    def coded_bits(self):
        """Bits on the air of one payload, a whole number of OFDM symbols."""
        return PAYLOAD_SYMBOLS * len(LAYOUT.data) * self.bits

    @property
    def coded_bytes(self):
        """The same in bytes: the length that the header announces."""
        return self.coded_bits // 8

    @property
    def payload_symbols(self):
        """Data symbols of one payload: what gr-digital's header parser calls the packet length."""
        return PAYLOAD_SYMBOLS * len(LAYOUT.data)

    @property
    def info_bits(self):
        """Bits into the encoder, CRC included, tail excluded: a whole number of bytes."""
        return (self.coded_bits // 2 - TAIL) // 8 * 8

    @property
    def code_bits(self):
        """Bits out of the encoder, tail included; the rest up to `coded_bits` is filled with zeros."""
        return 2 * (self.info_bits + TAIL)

    @property
    def payload_bytes(self):
        """Bytes of one payload without its CRC."""
        return self.info_bits // 8 - 4

    def points(self):
        """Constellation, complex [2^bits], unit power."""
        return constellation.points(self.bits)

    def interleaver(self):
        """Permutation p [coded_bits], out[i] = in[p[i]].

        Neighbours of the coded stream come to lie 27 bits apart: 13.5 carriers for QPSK, 6.75 for
        16-QAM, never on the same one, and each time on another bit of the label.
        """
        return interleaver(self.coded_bits, INTERLEAVER_ROWS)


FORMATS = {"qpsk": Format(2), "16qam": Format(4)}


def payloads(fmt, packets, seed):
    """uint8 [packets, payload_bytes]: the packet's number (big endian), then random bytes."""
    rng = np.random.default_rng([seed, fmt.bits, 1])
    data = rng.integers(0, 256, (packets, fmt.payload_bytes), dtype=np.uint8)
    number = np.arange(packets)
    data[:, 0], data[:, 1] = number >> 8, number & 255
    return data
