# SPDX-License-Identifier: GPL-3.0-or-later
"""The spectrum of one picture in few bytes: levels (powers of two, 3 dB) of geometric zones, entropy coded.

A model says which zone each coefficient lies in. RATIOS: rectangles whose edges grow by a ratio in each
frequency axis, a level each. PARAMETRIC: rings, whose levels follow a power law, 9 bits a colour. Zones too
weak to be sent have no level of their own: a mean of them all, falling with frequency, stands for them.

Everything that decides what is sent where is in integers or exact doubles, so that C++ decides alike.
"""

from functools import cached_property, lru_cache

import numpy as np

from .range_coder import Context, golomb

#: Ratio of a zone's edges, numerator over 4; index 0 is the parametric model.
RATIOS = (0, 6, 7, 9, 12, 16)
PARAMETRIC = 0
#: The same ratio of the zones of frequencies over time.
TEMPORAL = 8
#: Levels are 2**LEVELS[0] .. 2**LEVELS[1]
LEVELS = (-24, 39)
#: Rows and columns of the lowest coefficients that are sent digitally, one of these.
BLOCKS = ((1, 1), (2, 3), (4, 6))


def edges(n, ratio):
    """Borders of the zones of an axis: [0, 1, ..., n]."""
    out = [0, 1]
    while out[-1] < n:
        out.append(min(max(out[-1] + 1, out[-1] * ratio // 4), n))
    return out[: 1 + out.index(n)]


def radius(h, w):
    """Squared frequency (u / H)^2 + (v / W)^2 of each coefficient: float64 [H, W]."""
    return (np.arange(h) / h)[:, None] ** 2 + (np.arange(w) / w) ** 2


def plane_rows(frames):
    """Which row of levels each plane of coefficients has, int [3 frames].

    Planes are (frequency over time, colour), the three colours of a frequency side by side. Frequencies 0, 1, 2 and 3,
    4 to 7, 8 to 15 share a row for each colour. A photograph is a clip of one frame: a row for each colour.
    """
    borders = edges(frames, TEMPORAL)
    zone = np.repeat(np.arange(len(borders) - 1), np.diff(borders))
    return (3 * zone[:, None] + np.arange(3)).ravel()


class Zones:
    """Zones of a picture's coefficients under one model.

    index: int32 [H, W]; rows, columns: their grid (1 row for the rings); octave: 4 log2 of the squared
    frequency of each ring.
    """

    def __init__(self, h, w, model):
        self.model = model
        if model == PARAMETRIC:
            r = radius(h, w)
            r[0, 0] = r[tuple(int(i) for i in ((h > 1) * (w == 1), w > 1))] if h * w > 1 else 1.0
            ring = np.floor(4 * np.log2(r) + 1e-9).astype(np.int32)
            self.octave = np.arange(ring.min(), ring.max() + 1)
            self.index = ring - ring.min()
            self.rows, self.columns = 1, self.octave.size
        else:
            self.u, self.v = edges(h, RATIOS[model]), edges(w, RATIOS[model])
            self.rows, self.columns = len(self.u) - 1, len(self.v) - 1
            row = np.repeat(np.arange(self.rows), np.diff(self.u))
            column = np.repeat(np.arange(self.columns), np.diff(self.v))
            self.index = (row[:, None] * self.columns + column).astype(np.int32)
        self.count = self.rows * self.columns

    def sums(self, plane, block):
        """Sum of `plane` [H, W] over each zone, without the digital block: float64 [count]."""
        if self.model == PARAMETRIC:
            total = np.bincount(self.index.ravel(), plane.ravel(), self.count)
        else:
            rows = np.add.reduceat(plane, self.u[:-1], axis=0)
            total = np.add.reduceat(rows, self.v[:-1], axis=1).ravel()
        low = self.index[: block[0], : block[1]]
        inside = np.bincount(low.ravel(), plane[: block[0], : block[1]].ravel(), self.count)
        whole = np.bincount(low.ravel(), minlength=self.count) == self.sizes
        return np.where(whole, 0.0, np.maximum(total - inside, 0.0))

    @cached_property
    def sizes(self):
        """Coefficients of each zone, int [count]."""
        return np.bincount(self.index.ravel(), minlength=self.count)

    def number(self, block):
        """Coefficients of each zone without the digital block, int [count]."""
        low = self.index[: block[0], : block[1]]
        return self.sizes - np.bincount(low.ravel(), minlength=self.count)

    def numbers(self, block, rows):
        """Coefficients of each zone in each row of levels, int [R, count]; the digital block lies in the first three
        planes, each of which has a row of its own. rows: of `plane_rows`."""
        number = np.bincount(rows)[:, None] * self.sizes
        number[:3] = self.number(block)
        return number


@lru_cache(maxsize=32)
def zones(h, w, model):
    return Zones(h, w, model)


def power_law(octave, amplitude, slope):
    """Levels of rings: amplitude - exponent / 2 * log2 r^2, exponent = 1.5 + slope / 4; exact."""
    return np.clip(np.floor(amplitude - (6 + slope) * octave / 32.0), *LEVELS).astype(np.int64)


def fit_power_law(octave, number, energy):
    """(amplitude, slope) of the most likely power law; every ring counts as the root of its coefficients, or
    the many faint ones would decide what the few strong ones are said to be."""
    seen = number > 0
    weight, mean = np.sqrt(number[seen]), energy[seen] / number[seen] + 1e-12
    best = (np.inf, 0, 0)
    for slope in range(8):
        shape = -(6 + slope) * octave[seen] / 32.0
        fitted = np.log2(np.sum(weight * mean / 2.0**shape) / np.sum(weight)) + 0.5
        amplitude = int(np.clip(np.floor(fitted), *LEVELS))
        level = power_law(octave[seen], amplitude, slope)
        cost = np.sum(weight * (level * np.log(2) + mean / 2.0**level))
        if cost < best[0]:
            best = (cost, amplitude, slope)
    return best[1:]


# Initial probabilities: how often each decision was 1 in BSDS500's training photographs at CBR 1/48 to 1/6.
_ZERO = [
    [52499, 32768, 32768, 32768, 32768, 32768, 63546, 53565, 15116, 2344, 629, 52],
    [65407, 65362, 28771, 5834, 2658, 711, 63720, 58902, 28750, 6389, 1993, 267],
]
_SIGN = [[28080, 36788, 32768], [25468, 37507, 32768]]
_SIZE = [[23577, 31783, 25960, 21958, 16095, 6697], [28148, 22508, 6936, 20269, 8714, 2212]]


class LevelContexts:
    """Contexts of the levels of a grid of zones: [luma, chroma] each."""

    def __init__(self):
        self.zero = [[Context(p) for p in row] for row in _ZERO]
        self.sign = [[Context(p) for p in row] for row in _SIGN]
        self.size = [[Context(p) for p in row] for row in _SIZE]


def code_levels(coder, levels, number, grid, contexts):
    """Levels above the floor (0 = below it) of one row after another, through `coder` either way.

    levels: int [R, count], rows as `plane_rows` counts them, read by an Encoder, filled by a Decoder; number:
    coefficients of each zone [R, count] (empty zones are not coded); grid: (rows, columns). A row is guessed from that
    of the same colour at the lower frequencies over time, or, at the lowest, from that of the colour before.
    """
    rows, columns = grid
    for row in range(len(levels)):
        kind = int(row % 3 > 0)
        grid_levels = levels[row].reshape(rows, columns)
        other = row - 3 if row >= 3 else row - 1
        before = levels[other].reshape(rows, columns) if other >= 0 else None
        for i in range(rows):
            for j in range(columns):
                if number[row, i * columns + j]:
                    guess, sure = _guess(grid_levels, before, i, j)
                    grid_levels[i, j] = _code_level(coder, int(grid_levels[i, j]), guess, sure, kind, contexts)
                elif i or j:
                    grid_levels[i, j] = grid_levels[i, j - 1] if j else grid_levels[i - 1, j]


def _guess(g, before, i, j):
    """(expected level, whether a neighbour is above the floor): from the zones at lower frequencies, and
    what the row `before` did from the same neighbours to here."""
    left, up = (int(g[i, j - 1]) if j else -1), (int(g[i - 1, j]) if i else -1)
    if not i and not j:
        return (int(before[0, 0]) - 3 if before is not None else 16), 1
    known = [n for n in (left, up) if n >= 0]
    total, n = sum(known), len(known)
    if before is not None:
        b = [int(before[i, j - 1]) if j else 0, int(before[i - 1, j]) if i else 0]
        drop = n * int(before[i, j]) - sum(b)
        return max(-1, (2 * total + drop) // (2 * n)), int(total > 0)
    if n == 2:
        corner = int(g[i - 1, j - 1])
        return max(-1, (3 * total - 2 * corner) // 4 - (corner == 0)), int(total > 0)
    return total - 1, int(total > 0)


def _code_level(coder, level, guess, sure, kind, contexts):
    if coder.bit(int(level == 0), contexts.zero[kind][min(guess, 4) + 1 + 6 * sure]):
        return 0
    guess = max(guess, 1)
    difference = level - guess
    three = contexts.sign[kind]
    if coder.bit(int(difference == 0), three[0]):
        level = guess
    else:
        below = coder.bit(int(difference < 0), three[1]) if guess > 1 else 0
        step = 1 + golomb(coder, abs(difference) - 1, contexts.size[kind][3 * below : 3 * below + 3])
        level = guess - step if below else guess + step
    if not 1 <= level <= LEVELS[1] - LEVELS[0] + 1:
        raise ValueError("a level of the digital part is out of range: its bytes are not a picture's")
    return level
