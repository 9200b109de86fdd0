# SPDX-License-Identifier: GPL-3.0-or-later
"""Which elements of a grid [symbols, carriers] a network sees in training: pilot patterns at random, of all kinds."""

import numpy as np

TILE = (16, 64)  # symbols, carriers: what a prior over the grid sees at once
FEWEST = 8  # observed elements


def draw(rng, n, symbols, carriers):
    """n patterns [n, S, K] bool of at least FEWEST elements, each in a part of the grid, and these parts [n, S, K]."""
    out, parts = np.zeros((2, n, symbols, carriers), bool)
    for i in range(n):
        while out[i].sum() < min(FEWEST, symbols * carriers):
            parts[i] = window(rng, symbols, carriers)
            out[i] = one(rng, parts[i])
    return out, parts


def one(rng, part):
    """A pattern [S, K] in a block of carriers and symbols."""
    s, k = np.mgrid[: part.shape[0], : part.shape[1]]
    make = MAKERS[rng.choice(len(MAKERS), p=SHARES)]
    return make(rng, s - np.argmax(part.any(1)), k - np.argmax(part.any(0))) & part


def window(rng, symbols, carriers):
    """The part of a tile that is there: mostly all symbols and 48 carriers and more; at times one symbol."""
    u = rng.random()
    width = carriers if u < 0.3 else 48 if u < 0.65 else rng.integers(12, carriers + 1)
    u = rng.random()
    height = symbols if u < 0.75 else 1 if u < 0.87 else rng.integers(1, symbols + 1)
    part = np.zeros((symbols, carriers), bool)
    top, left = rng.integers(symbols - height + 1), rng.integers(carriers - width + 1)
    part[top : top + height, left : left + width] = True
    return part


def lattice(rng, s, k):
    """Every a-th carrier in every b-th symbol, shifted from one to the next: LTE, DVB-T, combs."""
    step, every = rng.choice((2, 3, 4, 6, 8, 12)), rng.choice((1, 1, 1, 2, 3, 4))
    shift, turn = rng.integers(step), rng.choice((0, 0, 1, step // 2, step // 4))
    return ((s + rng.integers(every)) % every == 0) & ((k + shift - turn * (s // every)) % step == 0)


def cell_reference(rng, s, k):
    """Two symbols of seven, every sixth carrier, half a step apart."""
    first, shift = rng.integers(7), rng.integers(6)
    t = (s + first) % 7
    return ((t == 0) & ((k + shift) % 6 == 0)) | ((t == 4) & ((k + shift) % 6 == 3))


def whole_symbols(rng, s, k):
    """One to four symbols, whole or combs; nothing between them, or a few pilots."""
    chosen = np.isin(s, rng.choice(len(s), rng.integers(1, 5), replace=False))
    comb = (k + rng.integers(4)) % rng.choice((1, 1, 1, 2, 4)) == 0
    return (chosen & comb) | (few_carriers(rng, k) & (rng.random() < 0.4))


def preamble(rng, s, k):
    """The first one to three symbols, then a few carriers of each."""
    return (s < rng.integers(1, 4)) | (few_carriers(rng, k) & (rng.random() < 0.85))


def few_carriers(rng, k):
    """Two to eight carriers, at equal distances or anywhere."""
    count, size = rng.integers(2, 9), k.shape[1]
    if rng.random() < 0.6:
        step = max(size * 3 // 4 // count, 1)
        return ((k + rng.integers(step)) % step == 0) & (k // step < count)
    return np.isin(k, rng.choice(size, count, replace=False))


def scattered(rng, s, k):
    """Elements anywhere: a twentieth of them to nearly all."""
    return rng.random(s.shape) < np.exp(rng.uniform(np.log(0.05), 0))


def everything(rng, s, k):
    """Pilots and decided data, up to some symbol."""
    return s < (len(s) + 1 if rng.random() < 0.5 else rng.integers(1, len(s) + 1))


MAKERS = (lattice, cell_reference, whole_symbols, preamble, scattered, everything)
SHARES = (0.30, 0.14, 0.16, 0.20, 0.10, 0.10)
