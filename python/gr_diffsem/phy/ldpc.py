# SPDX-License-Identifier: GPL-3.0-or-later
"""LDPC codes of our own, of any length: quasi-cyclic, the parity part a staircase, the rest by a seeded draw.

The parity check matrix is a grid of z x z circulants. Its right half is the dual diagonal of 802.11n's kind,
which makes encoding an accumulation; on the left, columns of degree 3 and a few of high degree have random
rows and shifts, drawn again where they would close a cycle of length four. Decoding is normalised min-sum.
"""

from functools import lru_cache

import numpy as np

COLUMNS = 24  #: circulants in a row of the grid
ROWS = {(1, 2): 12, (3, 4): 6}
#: (columns, degree) of the information part.
DEGREES = {(1, 2): ((3, 9), (9, 3)), (3, 4): ((4, 5), (14, 3))}
SEED = 1962
SCALE = 0.8  #: of min-sum's messages
ITERATIONS = 40


@lru_cache(maxsize=64)
def base(rate, z):
    """Shifts of the grid: int [rows, COLUMNS], -1 = zero."""
    rows = ROWS[rate]
    grid = np.full((rows, COLUMNS), -1)
    first = COLUMNS - rows  # of the parity part
    grid[[0, rows // 2, rows - 1], first] = 1, 0, 1
    for i in range(rows - 1):
        grid[i, first + 1 + i] = grid[i + 1, first + 1 + i] = 0
    rng = np.random.default_rng(SEED)
    column = 0
    for count, degree in DEGREES[rate]:
        for _ in range(count):
            weight = (grid[:, :first] >= 0).sum(1) + rng.random(rows)
            where = np.argsort(weight)[:degree]
            for _ in range(500):
                grid[:, column] = -1
                grid[where, column] = rng.integers(0, z, degree)
                if not _short_cycle(grid, column, z):
                    break
            column += 1
    return grid


def _short_cycle(grid, column, z):
    """Whether this column closes a cycle of length four with another one."""
    own = np.flatnonzero(grid[:, column] >= 0)
    others = np.flatnonzero((grid[own] >= 0).sum(0) >= 2)
    for other in others[others != column]:
        both = own[grid[own, other] >= 0]
        difference = (grid[both, column] - grid[both, other]) % z
        if np.unique(difference).size < difference.size:
            return True
    return False


@lru_cache(maxsize=64)
def edges(rate, z):
    """(check, variable) of each edge, sorted by check: two int [E]."""
    grid = base(rate, z)
    rows, columns = np.nonzero(grid >= 0)
    t = np.arange(z)
    check = (rows[:, None] * z + t).ravel()
    variable = (columns[:, None] * z + (t + grid[rows, columns][:, None]) % z).ravel()
    order = np.argsort(check, kind="stable")
    return check[order], variable[order]


def circulant(rate, n):
    """(z, k): size of the circulants of the longest code of at most n bits, and its information bits."""
    z = n // COLUMNS
    return z, (COLUMNS - ROWS[rate]) * z


def encode(bits, rate, z):
    """Information bits uint8 [k] -> code word uint8 [COLUMNS z], information first."""
    grid, rows = base(rate, z), ROWS[rate]
    first = COLUMNS - rows
    words = np.asarray(bits, np.uint8).reshape(first, z)
    syndrome = np.zeros((rows, z), np.uint8)
    for i, j in zip(*np.nonzero(grid[:, :first] >= 0), strict=True):
        syndrome[i] ^= np.roll(words[j], -grid[i, j])
    parity = np.zeros((rows, z), np.uint8)
    parity[0] = np.bitwise_xor.reduce(syndrome)  # its two shifts by 1 cancel in the sum of all rows
    middle = rows // 2
    parity[1] = syndrome[0] ^ np.roll(parity[0], -1)
    for i in range(1, rows - 1):
        parity[i + 1] = parity[i] ^ syndrome[i] ^ (parity[0] if i == middle else 0)
    return np.concatenate([words, parity]).ravel()


def decode(llr, rate, z):
    """Soft bits [B, COLUMNS z], positive for 0 -> (bits uint8 [B, k], whether all checks hold [B])."""
    check, variable = edges(rate, z)
    n = COLUMNS * z
    starts = np.flatnonzero(np.r_[True, check[1:] != check[:-1]])
    by_variable = np.argsort(variable, kind="stable")
    variable_starts = np.searchsorted(variable[by_variable], np.arange(n))
    channel = np.clip(np.asarray(llr, np.float32).T, -100, 100)
    hard = (channel < 0).astype(np.uint8)
    done = np.zeros(channel.shape[1], bool)
    active = np.arange(channel.shape[1])
    own = channel.copy()
    messages = np.zeros((check.size, active.size), np.float32)
    for _ in range(ITERATIONS):
        parity = np.bitwise_xor.reduceat(hard[variable][:, active], starts, axis=0)
        good = ~parity.any(0)
        done[active[good]] = True
        if good.all():
            break
        own, messages, active = own[:, ~good], messages[:, ~good], active[~good]
        into = own[variable] - messages
        size = np.abs(into)
        least = np.minimum.reduceat(size, starts)
        at_least = size == least[check]
        second = np.minimum.reduceat(np.where(at_least, np.inf, size), starts)
        twice = np.add.reduceat(at_least, starts, dtype=np.int32) > 1  # two edges tie for the least
        other = np.where(at_least & ~twice[check], second[check], least[check])
        negative = into < 0
        odd = np.bitwise_xor.reduceat(negative, starts)
        messages = np.where(negative ^ odd[check], -SCALE, SCALE).astype(np.float32) * other
        messages = np.clip(messages, -100, 100)
        own = channel[:, active] + np.add.reduceat(messages[by_variable], variable_starts)
        hard[:, active] = own < 0
    return hard[: (COLUMNS - ROWS[rate]) * z].T, done
