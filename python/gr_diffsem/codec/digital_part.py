# SPDX-License-Identifier: GPL-3.0-or-later
"""Bytes <-> strongly coded complex symbols: the digital part of a picture on the air.

A block is the data, zero octets up to one of 32 sizes, one octet that counts them, and CRC-32. It is
coded by a systematic irregular repeat-accumulate code (Jin, Khandekar, McEliece 2000): every information
bit is repeated, the repetitions are permuted and accumulated, p_j = p_{j-1} + b_{e(j)} (mod 2). Such a code
goes down to any rate without repeating code bits, and belief propagation decodes it within 1.5 dB of
capacity, where the K=7 convolutional code with repetition would need twice the symbols at -5 dB. Code
bits are scattered over QPSK symbols, so that the bits of one parity check fade apart.

The permutations come from `hash32`, so that the C++ core makes the same code (core/link/digital_code.h).
"""

import zlib
from functools import lru_cache

import numpy as np

from ..phy import constellation, soft_demap

#: Data sizes in octets, steps of 16 %; the 5-bit field of a frame's header is an index into it.
SIZES = tuple(round(12 * 1.16**i) for i in range(32))
#: Octets of a block beside the data: the padding's count and CRC-32.
OVERHEAD = 5
#: Channel symbols of a block of k bits: SYMBOLS_PER_BIT * k + EXTRA; the rest helps short blocks.
SYMBOLS_PER_BIT = 3.2
EXTRA = 80
ITERATIONS = 200
#: Largest soft bit that counts. A symbol may be hit by interference that its noise variance does not tell of: it must
#: not outweigh the others. At the SNRs where the code is needed, none is as large.
MOST_SOFT = 6
#: Every other information bit has this many repetitions, the others share the rest (about twice that).
LIGHT = 3


def hash32(x):
    """A bijection of 32-bit integers that scatters neighbours (xor-shift and multiply), uint32 array."""
    x = np.array(x, np.uint32)
    with np.errstate(over="ignore"):
        x ^= x >> 16
        x *= np.uint32(0x7FEB352D)
        x ^= x >> 15
        x *= np.uint32(0x846CA68B)
        x ^= x >> 16
    return x


def scatter(n, seed):
    """A permutation of 0..n-1 that depends on `n` and `seed` only."""
    return np.argsort(hash32(np.arange(n, dtype=np.uint32) + np.uint32(seed)), kind="stable")


def size_index(n_bytes):
    """Index into SIZES of the smallest block that holds `n_bytes` octets; ValueError if none does."""
    index = int(np.searchsorted(SIZES, n_bytes))
    if n_bytes < 0 or index == len(SIZES):
        raise ValueError(f"n_bytes: {n_bytes} octets, one digital part holds 0 to {SIZES[-1]}; split the data")
    return index


def _uses(size):
    return int(np.ceil(SYMBOLS_PER_BIT * 8 * (SIZES[size] + OVERHEAD))) + EXTRA


def uses(n_bytes):
    """Channel symbols that `n_bytes` octets take. A step function: see SIZES."""
    return _uses(size_index(n_bytes))


@lru_cache(maxsize=8)
def _code(size):
    """(edge, place) of blocks of SIZES[size]: information bit of each check [m], and the code bit at each
    of the 2 * uses places on the air."""
    k = 8 * (SIZES[size] + OVERHEAD)
    n = 2 * _uses(size)
    m = n - k
    degree = np.full(k, LIGHT)
    heavy = np.arange(1, k, 2)
    rest = m - LIGHT * (k - heavy.size)
    degree[heavy] = rest // heavy.size
    degree[heavy[: rest % heavy.size]] += 1
    edge = np.repeat(np.arange(k), degree)[scatter(m, 1)]
    return edge, scatter(n, 0x10001)


def modulate(data):
    """Octets -> complex64 [uses(len(data))], QPSK of unit power."""
    size = size_index(len(data))
    pad = SIZES[size] - len(data)
    block = bytes(data) + bytes(pad) + bytes([pad])
    block += (zlib.crc32(block) & 0xFFFFFFFF).to_bytes(4, "little")
    bits = np.unpackbits(np.frombuffer(block, np.uint8), bitorder="little")
    edge, place = _code(size)
    parity = np.bitwise_xor.accumulate(bits[edge])
    return constellation.qpsk(np.concatenate([bits, parity])[place])


def decode(soft, size):
    """Soft bits (`soft_demap.qpsk`) [2 * uses] of a block of SIZES[size] -> its data without the padding, or None."""
    edge, place = _code(size)
    if len(soft) != place.size:
        raise ValueError(f"soft: {len(soft)} values, a block of {SIZES[size]} octets has {place.size}")
    llr = np.zeros(place.size, np.float32)
    llr[place] = np.clip(soft, -MOST_SOFT, MOST_SOFT)
    bits = _propagate(llr, edge, place.size - edge.size)
    return None if bits is None else _unpack(bits)


def _unpack(bits):
    block = np.packbits(bits, bitorder="little").tobytes()
    body, pad = block[:-4], block[-5]
    good = (zlib.crc32(body) & 0xFFFFFFFF).to_bytes(4, "little") == block[-4:] and pad < len(body)
    return body[: len(body) - 1 - pad] if good else None


def _propagate(llr, edge, k):
    """Sum-product decoding, all checks at once: bits [k] once every check holds, else None.

    Check j joins parity bits j - 1 and j and information bit edge[j]; down, own and info are its three
    messages to them. The parity bit before the first check is a known 0.
    """
    m = edge.size
    own = np.zeros(m, np.float32)
    down = np.zeros(m + 1, np.float32)  # down[j]: to parity bit j - 1; the last parity bit has one check
    info = np.zeros(m, np.float32)
    systematic, parity = llr[:k], llr[k:]
    before = np.empty(m, np.float32)
    for _ in range(ITERATIONS):
        total = (systematic + np.bincount(edge, info, k)).astype(np.float32)
        hard, hard_parity = total < 0, parity + own + down[1:] < 0
        odd = hard[edge] ^ hard_parity
        odd[1:] ^= hard_parity[:-1]
        if not odd.any():
            return hard.astype(np.uint8)
        before[0] = 60
        before[1:] = (parity + own)[:-1]
        a = np.tanh(0.5 * np.clip(total[edge] - info, -30, 30))
        b = np.tanh(0.5 * np.clip(before, -30, 30))
        c = np.tanh(0.5 * np.clip(parity + down[1:], -30, 30))
        info, own, down[:-1] = _atanh2(b * c), _atanh2(a * b), _atanh2(a * c)
    return None


def _atanh2(x):
    return 2 * np.arctanh(np.clip(x, -0.9999999, 0.9999999)).astype(np.float32)


def demodulate(symbols, noise_var, n_bytes):
    """Symbols of a block that held `n_bytes` octets -> the octets, or None if they did not come through.

    symbols [uses(n_bytes)]; noise_var: a number or one for each symbol (infinite = lost), or both with a
    leading axis of received copies [copies, uses], which are combined. Any n_bytes of the same size index
    will do: the data's own length comes with it.
    """
    symbols = np.atleast_2d(symbols)
    noise_var = np.broadcast_to(np.asarray(noise_var, np.float32), symbols.shape)
    soft = sum(soft_demap.qpsk(s, v) for s, v in zip(symbols, noise_var, strict=True))
    return decode(soft, size_index(n_bytes))
