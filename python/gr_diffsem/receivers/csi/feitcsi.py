# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of FeitCSI (Intel AX200, AX210), after its format document (feitcsi.kuskosoft.com/csi_format).

Records of a header of 272 octets and 4 octets, two signed 16-bit numbers, for each receive antenna, transmit antenna
and carrier. Pilots' estimates are too low to be of use, says the document: they are no looks.
"""

import struct

import numpy as np

HEADER = 272
FORMATS = {1: "legacy", 2: "ht", 3: "vht", 4: "he", 5: "eht"}
WIDTHS = (20, 40, 80, 160, 320)
MOST_CARRIERS = 3984


def _both(last, first=1):
    """-last .. -first and first .. last."""
    return np.array([*range(-last, -first + 1), *range(first, last + 1)])


def _segments(one, spacing):
    """Two channels side by side, as 160 MHz is of 80."""
    return np.concatenate((one - spacing, one + spacing))


#: (kind, MHz): indices of the carriers that are estimated; HE and EHT have four times as many as the older ones
CARRIERS = {
    ("legacy", 20): _both(26),
    ("ht", 20): _both(28),
    ("ht", 40): _both(58, 2),
    ("vht", 20): _both(28),
    ("vht", 40): _both(58, 2),
    ("vht", 80): _both(122, 2),
    ("vht", 160): _segments(_both(122, 2), 128),
    ("he", 20): _both(122, 2),
    ("he", 40): _both(244, 3),
    ("he", 80): _both(500, 3),
    ("he", 160): _segments(_both(500, 3), 512),
}
_EIGHTY = np.array([11, 39, 75, 103])
_WIDE = np.concatenate((_EIGHTY, -_EIGHTY))
PILOTS = {
    20: np.array([-21, -7, 7, 21]),
    40: np.array([-53, -25, -11, 11, 25, 53]),
    80: _WIDE,
    160: _segments(_WIDE, 128),
}


def begins(data):
    """Whether a file begins as these do."""
    return len(data) > HEADER and _sizes(data[:HEADER]) is not None


def _sizes(header):
    """(octets, rx, tx, carriers, kind, MHz) of a header, or None where they contradict each other."""
    size, carriers, flags = (struct.unpack_from("<I", header, at)[0] for at in (0, 52, 92))
    rx, tx = header[46], header[47]
    kind, code = FORMATS.get(flags >> 8 & 7), flags >> 11 & 7
    if kind is None or code >= len(WIDTHS) or not 1 <= rx <= 8 or not 1 <= tx <= 8:
        return None
    if not 1 <= carriers <= MOST_CARRIERS or size != 4 * rx * tx * carriers:
        return None
    return size, rx, tx, carriers, kind, WIDTHS[code]


def read(data):
    """(list of dicts: csi [rx, tx, carriers] complex, seconds, kind, mhz; number of broken records)."""
    found, lost, at = [], 0, 0
    while at + HEADER <= len(data):
        header = data[at : at + HEADER]
        sizes = _sizes(header)
        if sizes is None or at + HEADER + sizes[0] > len(data):
            lost += 1
            break  # nothing says where the next one begins
        size, rx, tx, count, kind, mhz = sizes
        parts = np.frombuffer(data, "<i2", size // 2, at + HEADER).astype(float)
        csi = (parts[::2] + 1j * parts[1::2]).reshape(rx, tx, count)
        clock = struct.unpack_from("<I", header, 8)[0]
        found.append({"csi": csi, "seconds": clock / 320e6, "kind": kind, "mhz": mhz})
        at += HEADER + size
    return found, lost


def carriers(kind, mhz, count):
    """Indices of the carriers, and which are looks [count] bool; None for a layout that is not known."""
    index = CARRIERS.get((kind, mhz))
    if index is None or len(index) != count:
        return None
    pilots = PILOTS.get(mhz, ()) if kind in ("legacy", "ht", "vht") else ()
    return index, ~np.isin(index, pilots)
