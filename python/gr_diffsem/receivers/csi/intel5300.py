# SPDX-License-Identifier: GPL-3.0-or-later
"""Log files of the Linux 802.11n CSI tool for the Intel 5300 (Halperin et al., "Tool release", SIGCOMM CCR 2011).

A file is records of a length (two octets, the greater first) and as many octets, the first of which is a code. Code
0xBB is an estimate: a header of 20 octets, then for each of 30 carriers three bits that mean nothing and 8 + 8 bits for
each pair of antennas, packed without gaps, the lower bits first. All other numbers are little-endian.
"""

import itertools
import struct

import numpy as np

ESTIMATE = 0xBB
HEADER = struct.Struct("<IHHBBBBBbBBHH")
CARRIERS_20 = np.array([*range(-28, -1, 2), -1, *range(1, 28, 2), 28])  #: IEEE 802.11n, table 7-25f, Ng = 2
CARRIERS_40 = np.array([*range(-58, 0, 4), *range(2, 59, 4)])  #: Ng = 4
HT40 = 0x800  # bit of the rate
FALLBACK_NOISE_DBM = -92  # where the card says -127: it did not measure


CODES = (ESTIMATE, 0xC1)  # 0xC1: a packet's octets


def begins(data):
    """Whether a file begins as these do: an estimate among its first records, all of known codes."""
    first = list(itertools.islice(records(data), 4))
    known = bool(first) and all(code in CODES for code, _ in first)
    return known and any(code == ESTIMATE and len(body) >= HEADER.size for code, body in first)


def records(data):
    """(code, octets behind it) of each whole record; what is cut off at the end is left out."""
    at = 0
    while at + 3 <= len(data):
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 1 or at + 2 + length > len(data):
            return
        yield data[at + 2], data[at + 3 : at + 2 + length]
        at += 2 + length


def estimate(body):
    """One estimate as a dict (csi [rx, tx, 30] complex, in units of the receiver's noise; seconds; wide), or None where
    the record contradicts itself."""
    if len(body) < HEADER.size:
        return None
    stamp, _, _, rx, tx, *rssi, noise, gain, antennas, size, rate = HEADER.unpack_from(body)
    payload = body[HEADER.size :]
    pairs = rx * tx
    if not (1 <= rx <= 3 and 1 <= tx <= 3) or size != (30 * (pairs * 16 + 3) + 7) // 8 or len(payload) < size:
        return None
    bits = np.unpackbits(np.frombuffer(payload[:size], np.uint8), bitorder="little")[: 30 * (pairs * 16 + 3)]
    octets = np.packbits(bits.reshape(30, -1)[:, 3:].reshape(30, pairs, 2, 8), axis=3, bitorder="little")
    parts = octets[..., 0].astype(np.int8).astype(float)
    csi = (parts[..., 0] + 1j * parts[..., 1]).reshape(30, rx, tx).transpose(1, 2, 0)
    order = [antennas >> shift & 3 for shift in (0, 2, 4)][:rx]
    if sorted(order) == list(range(rx)):  # which antenna each chain was connected to
        csi = csi[np.argsort(order)]
    power = np.mean(np.abs(csi) ** 2) * pairs
    seen = [10 ** ((r - 44 - gain) / 10) for r in rssi if r]  # mW
    if not power > 0 or not seen:
        return None
    scale = sum(seen) / power
    thermal = 10 ** ((FALLBACK_NOISE_DBM if noise == -127 else noise) / 10)
    quantised = scale * pairs / 6  # steps of one in both parts of each pair
    return {
        "csi": csi * np.sqrt(scale / (thermal + quantised)),
        "seconds": stamp * 1e-6,
        "wide": bool(rate & HT40),
    }


def read(data):
    """(list of estimates as `estimate` gives them, number of records that hold none or a broken one)."""
    found, lost = [], 0
    for code, body in records(data):
        one = estimate(body) if code == ESTIMATE else None
        lost += code == ESTIMATE and one is None
        found += [one] if one else []
    return found, lost


def carriers(wide):
    """Indices of the 30 carriers, 0 the carrier's own frequency."""
    return CARRIERS_40 if wide else CARRIERS_20
