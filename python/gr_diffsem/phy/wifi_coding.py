# SPDX-License-Identifier: GPL-3.0-or-later
"""Bit-level parts of the legacy OFDM PHY: scrambler, convolutional code, interleaver, FCS."""

import zlib
from functools import cache, lru_cache

import numpy as np

# Tap positions (delay in bits) of the generators 133 and 171 octal, clause 17.3.5.6.
_GEN_A = (0, 2, 3, 5, 6)
_GEN_B = (0, 1, 2, 3, 6)

# Which of A1 B1 A2 B2 ... are sent, clause 17.3.5.6, Figures 17-9 and 17-10.
PUNCTURE = {
    (1, 2): np.array([1, 1], bool),
    (2, 3): np.array([1, 1, 1, 0], bool),
    (3, 4): np.array([1, 1, 1, 0, 0, 1], bool),
}


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


def convolve(bits):
    """Rate-1/2 mother code: bits[..., n] -> [..., 2 n], order A1 B1 A2 B2 (clause 17.3.5.6)."""
    bits = np.asarray(bits, np.uint8)
    n = bits.shape[-1]
    padded = np.concatenate([np.zeros(bits.shape[:-1] + (6,), np.uint8), bits], axis=-1)
    out = np.zeros(bits.shape[:-1] + (n, 2), np.uint8)
    for column, taps in enumerate((_GEN_A, _GEN_B)):
        for d in taps:
            out[..., column] ^= padded[..., 6 - d : 6 - d + n]
    return out.reshape(bits.shape[:-1] + (2 * n,))


def puncture(coded, coding):
    """Drop the stolen bits: coded[..., 2 n] -> [..., 2 n * k_n]."""
    keep = np.resize(PUNCTURE[coding], coded.shape[-1])
    return coded[..., keep]


def depuncture(llr, coding):
    """Put zeros where bits were stolen: llr[m] -> [2 n] of the mother code."""
    pattern = PUNCTURE[coding]
    n, rest = divmod(llr.shape[-1], int(pattern.sum()))
    if rest:
        raise ValueError(f"llr: {llr.shape[-1]} values do not fill the puncturing pattern {coding}")
    keep = np.tile(pattern, n)
    out = np.zeros(keep.size, llr.dtype)
    out[keep] = llr
    return out


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
