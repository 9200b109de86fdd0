# SPDX-License-Identifier: GPL-3.0-or-later
"""BPSK and square QAM with Gray labels, unit mean power.

Each axis is labelled by its own bits, most significant first: the Gray code counts the levels upwards, so a set
first bit is a positive level, as in IEEE 802.11 (tables 17-13 to 17-16). BPSK has the I axis alone. How a
symbol's bits are dealt to the axes is said by `alternate`: False, the first half to I (802.11); True, in turn,
I first (gr-digital). For BPSK and QPSK both are the same.
"""

import numpy as np


def axis_bits(bits):
    """Bits of one axis of a constellation of 1, 2, 4, 6 ... bits a symbol; ValueError for other numbers."""
    if bits != 1 and (bits < 2 or bits % 2):
        raise ValueError(f"bits: {bits} a symbol; give 1 (BPSK), or an even number (square QAM)")
    return max(bits // 2, 1)


def axis_levels(bits):
    """Levels of one axis, indexed by that axis's label: float [2^axis_bits], for `bits` a symbol."""
    count = 2 ** axis_bits(bits)
    place = np.arange(count)
    shift = 1
    while shift < count:  # Gray code -> number
        place = place ^ (place >> shift)
        shift *= 2
    axes = 1 if bits == 1 else 2
    return (2.0 * place - (count - 1)) * (1 / np.sqrt(axes * (count**2 - 1) / 3))


def modulate(bits, per_symbol, alternate=False):
    """Bits [..., n] -> points, complex [..., n / per_symbol]."""
    levels, half = axis_levels(per_symbol), axis_bits(per_symbol)
    bits = np.asarray(bits)
    groups = bits.reshape(bits.shape[:-1] + (-1, per_symbol)).astype(np.intp)
    weights = 1 << np.arange(half - 1, -1, -1)
    of_i, of_q = (groups[..., 0::2], groups[..., 1::2]) if alternate else (groups[..., :half], groups[..., half:])
    if per_symbol == 1:
        return levels[groups @ weights].astype(complex)
    return levels[of_i @ weights] + 1j * levels[of_q @ weights]


def points(bits, alternate=True):
    """The constellation by label, its most significant bit first: complex [2^bits]."""
    labels = np.arange(2**bits)[:, None] >> np.arange(bits - 1, -1, -1) & 1
    return modulate(labels, bits, alternate)[:, 0]


def nearest(received, bits):
    """The point nearest to each of the received ones: complex, any shape."""
    levels = axis_levels(bits)
    real = levels[np.abs(received.real[..., None] - levels).argmin(-1)]
    if bits == 1:
        return real + 0j
    return real + 1j * levels[np.abs(received.imag[..., None] - levels).argmin(-1)]


def qpsk(bits):
    """Bits [2 n] -> complex64 [n], a bit 0 on the positive side (the opposite of `modulate`), I first: what the
    semantic link's digital part and headers are sent with."""
    sent = 1 - 2 * np.asarray(bits).astype(np.float32)
    return ((sent[0::2] + 1j * sent[1::2]) * np.float32(np.sqrt(0.5))).astype(np.complex64)
