# SPDX-License-Identifier: GPL-3.0-or-later
"""The tail-biting convolutional code of LTE: rate 1/3, constraint length 7, generators 133, 171, 165 octal
(3GPP TS 36.212 5.1.3.1). Its register begins with the last six bits, so that the trellis ends where it began.
"""

import numpy as np

MEMORY = 6
# Delays in bits of each generator's taps.
TAPS = ((0, 2, 3, 5, 6), (0, 1, 2, 3, 6), (0, 1, 2, 4, 6))
ROUNDS = 3  # times a block is gone through: about five constraint lengths before the one that is read, and behind it


def encode(bits):
    """Bits [..., n] -> [..., n, 3], uint8."""
    bits = np.asarray(bits, np.uint8)
    streams = [np.bitwise_xor.reduce([np.roll(bits, d, -1) for d in taps]) for taps in TAPS]
    return np.stack(streams, -1)


def _trellis():
    """For each state (the last six bits, the newest lowest) and each of the two oldest bits before it: the state that
    it was reached from, and the signs of the three values then sent."""
    before, signs = np.zeros((64, 2), int), np.zeros((64, 2, 3), np.float32)
    for state in range(64):
        for oldest in range(2):
            register = [(state | oldest << 6) >> d & 1 for d in range(7)]
            before[state, oldest] = state >> 1 | oldest << 5
            signs[state, oldest] = [1 - 2 * (sum(register[d] for d in taps) % 2) for taps in TAPS]
    return before, signs


_BEFORE, _SIGNS = _trellis()


def decode(soft):
    """Soft values [B, n, 3], positive for bit 0 -> bits uint8 [B, n].

    Viterbi's algorithm over the block ROUNDS times in a row from equal states, of which the middle one is read: near
    to the likeliest path that ends where it began.
    """
    count, n = soft.shape[:2]
    metric = np.zeros((64, count), np.float32)
    history = np.empty((ROUNDS * n, 64, count), bool)
    for t in range(ROUNDS * n):
        branch = _SIGNS @ np.asarray(soft[:, t % n], np.float32).T  # [64, 2, B]
        both = metric[_BEFORE] + branch
        history[t] = both[:, 1] > both[:, 0]
        metric = both.max(1)
        metric -= metric.max(0)
    state = metric.argmax(0)
    bits = np.zeros((ROUNDS * n, count), np.uint8)
    for t in range(ROUNDS * n - 1, -1, -1):
        bits[t] = state & 1
        state = _BEFORE[state, history[t, state, np.arange(count)].astype(int)]
    first = ROUNDS // 2 * n
    return bits[first : first + n].T
