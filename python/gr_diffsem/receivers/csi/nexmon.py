# SPDX-License-Identifier: GPL-3.0-or-later
"""Captures of Nexmon's CSI extractor (Gringoli et al., "Free your CSI", WiNTECH 2019): UDP packets in a .pcap.

A packet says 0x1111, signal strength, frame control, address, sequence number, core and stream, channel and chip, then
one 32-bit word for each carrier in the order of an FFT. Older chips (4339, 43455) write two signed 16-bit numbers; the
4358 and 4366 a real and an imaginary mantissa with signs, and one exponent for both.
"""

import struct

import numpy as np

PORT, MAGIC = 5500, 0x1111
MAGICS = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">", b"\x4d\x3c\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">"}
NANOSECONDS = (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d")
INFORMATION = struct.Struct("<HbB6sHHHH")
FLOATS = {0x4358: (9, 5), 0x4366: (12, 6), 0xAA8E: (12, 6)}  # bits of mantissa and exponent, by chip (43666 is 0xaa92)
SIZES = {64: 20, 128: 40, 256: 80, 512: 160}  #: carriers: MHz
USED = {64: 28, 128: 58, 256: 122, 512: 250}  # the outermost
LARGEST = 1 << 16  # octets of a packet
ETHERNET, RAW, LINUX = 1, 101, 113


def begins(data):
    """Whether a file is a .pcap."""
    return data[:4] in MAGICS


def packets(data):
    """(seconds, octets) of the packets of a .pcap, and the type of its link; a part at the end is left out."""
    order, unit = MAGICS[data[:4]], 1e-9 if data[:4] in NANOSECONDS else 1e-6
    if len(data) < 24:
        return
    link = struct.unpack_from(order + "I", data, 20)[0] & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, part, size, _ = struct.unpack_from(order + "4I", data, at)
        if size > LARGEST or at + 16 + size > len(data):
            return
        yield link, seconds + unit * part, data[at + 16 : at + 16 + size]
        at += 16 + size


def payload(link, frame):
    """What a UDP packet to the extractor's port carries, or None."""
    skip = {ETHERNET: 14, RAW: 0, LINUX: 16}.get(link)
    if skip is None or len(frame) < skip + 28:
        return None
    ip = frame[skip:]
    words = 4 * (ip[0] & 15)
    if ip[0] >> 4 != 4 or ip[9] != 17 or words < 20 or len(ip) < words + 8:
        return None
    port = int.from_bytes(ip[words + 2 : words + 4], "big")
    return ip[words + 8 :] if port == PORT else None


def floats(words, mantissa, exponent):
    """Words of one sign and mantissa for each part and a common exponent, as complex."""
    words = words.astype(np.int64)
    power = words & ((1 << exponent) - 1)
    power = np.where(power >= 1 << (exponent - 1), power - (1 << exponent), power)
    mask = (1 << (mantissa - 1)) - 1
    parts = []
    for at in (exponent + mantissa, exponent):  # real above imaginary
        value = (words >> at) & mask
        parts.append(np.where((words >> (at + mantissa - 1)) & 1, -value, value) * 2.0**power)
    return parts[0] + 1j * parts[1]


def read(data):
    """(list of dicts: csi [1, 1, carriers] complex in the order of frequencies, seconds, size, sequence, antenna,
    stream; number of packets that are broken)."""
    found, lost = [], 0
    for link, seconds, frame in packets(data):
        body = payload(link, frame)
        if body is None:
            continue
        magic = int.from_bytes(body[:2], "little")
        words = body[INFORMATION.size :]
        count = len(words) // 4
        if len(body) < INFORMATION.size or magic != MAGIC or count not in SIZES:
            lost += 1
            continue
        _, strength, _, _, sequence, core, _, chip = INFORMATION.unpack_from(body)
        raw = bytes(words[: 4 * count])
        if chip in FLOATS:
            csi = floats(np.frombuffer(raw, "<u4"), *FLOATS[chip])
        else:
            pairs = np.frombuffer(raw, "<i2").astype(float)
            csi = pairs[::2] + 1j * pairs[1::2]
        if not np.any(csi):
            lost += 1
            continue
        csi = np.fft.fftshift(csi)[None, None]
        said = {"sequence": sequence, "antenna": core & 7, "stream": core >> 3 & 7, "strength": strength}
        found.append({"csi": csi, "seconds": seconds, "size": count, **said})
    return found, lost


def carriers(size):
    """Indices of the carriers, and which are looks [size] bool: neither the edges nor the middle."""
    index = np.arange(size) - size // 2
    return index, (np.abs(index) <= USED[size]) & (np.abs(index) >= (1 if size == 64 else 2))
