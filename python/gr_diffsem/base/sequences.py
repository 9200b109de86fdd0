# SPDX-License-Identifier: GPL-3.0-or-later
"""Binary sequences of shift registers, as standards scramble and sign their pilots with them."""

import numpy as np

GOLD_SKIP = 1600  #: bits of both registers that LTE and NR leave out


def shift_register(taps, start, count):
    """Bits b [count], int, with b[n] = sum over taps t of b[n - t] modulo 2; `start`: the first ones."""
    bits = list(start)
    for n in range(len(bits), count):
        bits.append(sum(bits[n - t] for t in taps) % 2)
    return np.array(bits[:count])


def gold(starts, count):
    """Pseudo-random bits c [S, count], int8, of LTE and NR (TS 36.211 7.2, TS 38.211 5.2.1).

    starts: c_init of S sequences, 0 .. 2^31 - 1: states of the second register; the first one begins with a single 1.
    """
    length = GOLD_SKIP + count
    one, two = np.zeros(length + 31, np.int8), np.zeros((len(starts), length + 31), np.int8)
    one[0] = 1
    two[:, :31] = (np.asarray(starts, int)[:, None] >> np.arange(31)) & 1
    for n in range(0, length, 28):  # bit n + 31 needs none behind n + 3
        now = slice(n + 31, min(n + 28, length) + 31)
        at = [slice(now.start - 31 + i, now.stop - 31 + i) for i in range(4)]
        one[now] = one[at[3]] ^ one[at[0]]
        two[:, now] = two[:, at[3]] ^ two[:, at[2]] ^ two[:, at[1]] ^ two[:, at[0]]
    return (one ^ two)[:, GOLD_SKIP:length]


def gold_qpsk(starts, count):
    """Values r [S, count], complex of power 1, of the bits of `gold`: two for each, 0 is positive."""
    signs = 1.0 - 2 * gold(starts, 2 * count)
    return (signs[:, 0::2] + 1j * signs[:, 1::2]) / np.sqrt(2)
