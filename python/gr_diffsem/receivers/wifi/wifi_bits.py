# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit-level parts of the legacy OFDM PHY beside its code (phy/convolutional.py): scrambler, interleaver, FCS."""

import zlib
from functools import cache, lru_cache

import numpy as np


def bytes_to_bits(data):
    """Octets -> bits, least significant first (clause 17.3.5.2)."""
    return np.unpackbits(np.frombuffer(bytes(data), np.uint8), bitorder="little")


def bits_to_bytes(bits):
    """Bits, least significant first -> octets; a rest shorter than 8 bits is an error."""
    bits = np.asarray(bits, np.uint8)
    if bits.size % 8:
        raise ValueError(f"bits: {bits.size} bits are not a whole number of octets")
    return np.packbits(bits, bitorder="little").tobytes()


@cache
def _scrambler_period(seed):
    if not 1 <= seed <= 127:
        raise ValueError(f"seed: {seed} is not in 1..127 (an all-zero scrambler never moves)")
    state = [(seed >> i) & 1 for i in range(7)]  # x1 .. x7
    out = np.empty(127, np.uint8)
    for i in range(127):
        bit = state[6] ^ state[3]
        out[i] = bit
        state = [bit] + state[:6]
    out.flags.writeable = False
    return out


def scrambler_sequence(seed, n):
    """First `n` bits of the scrambler x^7 + x^4 + 1 (clause 17.3.5.5).

    Bit 0 of `seed` is the register's first cell x1 and bit 6 its last cell x7; 127 is all ones.
    """
    return np.resize(_scrambler_period(seed), n)


@lru_cache(maxsize=1)
def _seed_by_start():
    return {tuple(_scrambler_period(s)[:7]): s for s in range(1, 128)}


def seed_from_service(bits):
    """Scrambler seed from the first 7 received (still scrambled) SERVICE bits, None if all zero.

    The SERVICE field begins with 7 zeros, so these bits are the scrambler's own output
    (clause 17.3.5.2).
    """
    return _seed_by_start().get(tuple(int(b) for b in bits[:7]))


@cache
def interleaver(n_cbps, n_bpsc):
    """Permutation p with interleaved[p[k]] = coded[k] for one symbol (17-17, 17-18)."""
    k = np.arange(n_cbps)
    i = (n_cbps // 16) * (k % 16) + k // 16
    s = max(n_bpsc // 2, 1)
    j = s * (i // s) + (i + n_cbps - (16 * i) // n_cbps) % s
    j.flags.writeable = False
    return j


def interleave(bits, n_bpsc):
    """bits[..., n_cbps] -> the same shape, permuted within each symbol."""
    out = np.empty_like(bits)
    out[..., interleaver(48 * n_bpsc, n_bpsc)] = bits
    return out


def deinterleave(values, n_bpsc):
    """Inverse of `interleave`, for bits or log-likelihood ratios."""
    return values[..., interleaver(48 * n_bpsc, n_bpsc)]


def fcs(data):
    """The four FCS octets of an MPDU (clause 9.2.4.8)."""
    return (zlib.crc32(bytes(data)) & 0xFFFFFFFF).to_bytes(4, "little")


def append_fcs(data):
    """MPDU without FCS -> PSDU."""
    return bytes(data) + fcs(data)


def fcs_ok(psdu):
    """True if the last four octets are the FCS of the octets before them."""
    return len(psdu) > 4 and fcs(psdu[:-4]) == bytes(psdu[-4:])
