# SPDX-License-Identifier: GPL-3.0-or-later
"""The physical broadcast channel: 24 bits of master information to the symbols of four frames, and back.

TS 36.211 6.6 (scrambling, QPSK, places) and 6.3.4.3 (transmit diversity), TS 36.212 5.3.1 (CRC masked by the number of
ports, tail-biting code, rate matching), TS 36.331 6.2.2 (MasterInformationBlock).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ...base.sequences import gold
from ...phy import tail_biting
from .lte_tables import MIDDLE, RESOURCE_BLOCKS

PORTS = (1, 2, 4)
FIRST_SYMBOL = 1  # slot of subframe 0 in whose first four symbols it lies
_MASK = {1: 0x0000, 2: 0xFFFF, 4: 0x5555}
_PHICH_RESOURCE = ("1/6", "1/2", "1", "2")
_COLUMNS = (  # TS 36.212 table 5.1.4-2
    *(1, 17, 9, 25, 5, 21, 13, 29, 3, 19, 11, 27, 7, 23, 15, 31),
    *(0, 16, 8, 24, 4, 20, 12, 28, 2, 18, 10, 26, 6, 22, 14, 30),
)


@dataclass(frozen=True)
class Mib:
    """Master information. resource_blocks: of the downlink; phich_duration: "normal" or "extended"; phich_resource:
    "1/6" .. "2"; frame: number of the frame that it came in, 0 .. 1023."""

    resource_blocks: int
    phich_duration: str
    phich_resource: str
    frame: int

    def bits(self):
        """The 24 bits as sent: the same in four frames."""
        number = RESOURCE_BLOCKS.index(self.resource_blocks) << 3
        number |= ("normal", "extended").index(self.phich_duration) << 2
        number |= _PHICH_RESOURCE.index(self.phich_resource)
        return _bits((number << 8 | self.frame >> 2) << 10, 24)

    @classmethod
    def of(cls, bits, quarter):
        """From 24 bits and which of four frames they came in; None where the bandwidth is none."""
        number = int("".join(map(str, bits)), 2)
        width = number >> 21
        if width >= len(RESOURCE_BLOCKS):
            return None
        duration = ("normal", "extended")[number >> 20 & 1]
        return cls(
            RESOURCE_BLOCKS[width], duration, _PHICH_RESOURCE[number >> 18 & 3], (number >> 10 & 255) * 4 + quarter
        )


def _bits(number, count):
    return np.array([number >> i & 1 for i in range(count - 1, -1, -1)], np.uint8)


def crc16(bits):
    """Parity [..., 16] of bits [..., n], generator x^16 + x^12 + x^5 + 1 (TS 36.212 5.1.1)."""
    register = np.concatenate([bits, np.zeros((*bits.shape[:-1], 16), np.uint8)], -1)
    divisor = _bits(0x11021, 17)
    for i in range(bits.shape[-1]):
        register[..., i : i + 17] ^= register[..., i : i + 1] * divisor
    return register[..., -16:]


@cache
def _order():
    """Which of 40 x 3 coded bits is sent at each of 120 places (TS 36.212 5.1.4.2)."""
    table = np.concatenate([np.full(24, -1), np.arange(40)]).reshape(2, 32)[:, list(_COLUMNS)].T.ravel()
    table = table[table >= 0]
    return np.concatenate([3 * table + stream for stream in range(3)])


@cache
def places(cell, prefix):
    """Where its symbols lie in one frame: (symbol of the slot, carrier of the 72 in the middle), int [n] each, in the
    order of mapping. Reference signals of four ports are left out, whatever the ports."""
    with_reference = (0, 1, 3) if prefix.extended else (0, 1)
    l, k = np.mgrid[:4, : 12 * MIDDLE]
    free = ~np.isin(l, with_reference) | (k % 3 != cell % 3)
    return l[free], k[free]


@cache
def _scrambling(cell, size):
    """Signs [4, 2 size] of the bits in each of four frames."""
    return (1 - 2 * gold([cell], 8 * size)[0]).reshape(4, -1)


def encode(bits, ports, cell, prefix):
    """Master information [24] -> QPSK symbols of four frames, complex [4, n]."""
    parity = crc16(bits) ^ _bits(_MASK[ports], 16)
    coded = tail_biting.encode(np.concatenate([bits, parity])).ravel()[_order()]
    size = len(places(cell, prefix)[0])
    signs = (1.0 - 2 * np.resize(coded, (4, 2 * size))) * _scrambling(cell, size)
    return (signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2)


def to_ports(symbols, ports):
    """Transmit diversity: [..., n] -> [..., ports, n] (6.3.4.3: one port, or pairs of carriers over two of four)."""
    out = np.zeros((*symbols.shape[:-1], ports, symbols.shape[-1]), complex)
    if ports == 1:
        out[..., 0, :] = symbols
        return out
    first, second = symbols[..., 0::2], symbols[..., 1::2]
    for one, other, pairs in _pairs(ports, first.shape[-1]):
        out[..., one, 0::2][..., pairs] = first[..., pairs]
        out[..., one, 1::2][..., pairs] = second[..., pairs]
        out[..., other, 0::2][..., pairs] = -second[..., pairs].conj()
        out[..., other, 1::2][..., pairs] = first[..., pairs].conj()
    return out / np.sqrt(2)


def _pairs(ports, count):
    """(port, its partner, which pairs of symbols they send)."""
    every = np.arange(count)
    return [(0, 1, every)] if ports == 2 else [(0, 2, every[0::2]), (1, 3, every[1::2])]


def from_ports(y, h):
    """What `to_ports` sent: y [..., n] through h [..., ports, n] -> (matched [..., n]: what was sent times the
    channel's power, that power [..., n])."""
    ports = h.shape[-2]
    if ports == 1:
        return h[..., 0, :].conj() * y, np.abs(h[..., 0, :]) ** 2
    out, power = np.zeros_like(y), np.zeros(y.shape)
    for one, other, pairs in _pairs(ports, y.shape[-1] // 2):
        a, b = 2 * pairs, 2 * pairs + 1
        out[..., a] = h[..., one, a].conj() * y[..., a] + h[..., other, b] * y[..., b].conj()
        out[..., b] = h[..., one, b].conj() * y[..., b] - h[..., other, a] * y[..., a].conj()
        power[..., a] = np.abs(h[..., one, a]) ** 2 + np.abs(h[..., other, b]) ** 2
        power[..., b] = np.abs(h[..., one, b]) ** 2 + np.abs(h[..., other, a]) ** 2
    return out / np.sqrt(2), power / 2


def soft_bits(symbols, cell, prefix, quarters):
    """Matched symbols [B, n], each of the frame `quarters` [B] of four -> soft values [B, 40, 3] of the code, which may
    be added up over the four frames."""
    quarters = np.asarray(quarters)
    soft = np.stack([symbols.real, symbols.imag], -1).reshape(len(symbols), -1)
    size = soft.shape[1]
    soft = soft * _scrambling(cell, size // 2)[quarters]
    whole = np.zeros((len(soft), -(-size // 120) * 120))  # the last repetition may be cut
    whole[:, :size] = soft
    # A frame begins within a repetition where the prefix is extended.
    at = (np.arange(120) + (quarters * size % 120)[:, None]) % 120
    coded = np.zeros((len(soft), 120))
    np.put_along_axis(coded, _order()[at], whole.reshape(len(soft), -1, 120).sum(1), 1)
    return coded.reshape(-1, 40, 3)


def decode(soft, ports):
    """Soft values [B, 40, 3] -> (bits [B, 24], whether the CRC of so many ports holds [B])."""
    bits = tail_biting.decode(soft)
    good = (crc16(bits[:, :24]) ^ _bits(_MASK[ports], 16) == bits[:, 24:]).all(1)
    return bits[:, :24], good
