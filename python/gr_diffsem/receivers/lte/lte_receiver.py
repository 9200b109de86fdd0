# SPDX-License-Identifier: GPL-3.0-or-later
"""A recording -> its cell, the master information, and the grid of symbols over carriers.

Channel estimates come from outside: an `estimate` is called with (y complex [n, S, K], observed bool [S, K], noise
variance) and gives the channel [n, S, K], as the estimators of `models.grid_bank` do.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from ...base.errors import Failed
from . import lte_frontend, lte_pbch
from .lte_pbch import Mib
from .lte_search import FFT, SEARCH_RATE, Cell, search
from .lte_tables import MIDDLE

LEAST_SECONDS = 5.5e-3  # half a frame and the synchronisation signals
LOOK = 0.04  # seconds that are searched at once
PLACES = 4  # of a recording where the search begins, if need be
CANDIDATES = 4  # of a search whose broadcast channel is tried
ROWS = 16  # of reference signals about a broadcast channel, at most
SEARCH_FRAMES = 8  # whose broadcast channel is looked at


@dataclass(frozen=True)
class Reception:
    """What was received. mib: of the frame at `cell.start`; blocks: resource blocks about DC that the grid has; size:
    points of the transform; grid: complex64 [symbols, 12 blocks] from the frame's first symbol on, whole subframes."""

    cell: Cell
    ports: int
    mib: Mib
    blocks: int
    size: int
    grid: np.ndarray


def receive(capture, estimate, most_frames=8):
    """The `Reception` of the strongest cell; Failed where there is none, in a sentence."""
    cell, ports, mib = find(capture, estimate)
    size, blocks = lte_frontend.points(capture.rate, mib.resource_blocks)
    most = 10 * most_frames
    for _ in range(3):
        count = lte_frontend.subframes(capture.seconds, cell, most)
        grid = lte_frontend.spectra(capture, cell, size, blocks, 0, count)
        whole = lte_frontend.unbroken(lte_frontend.tones(grid, cell, blocks, 0), cell, count)
        if 0 < whole < count:
            most = whole
            capture.notes.append(f"samples are lost {whole} ms behind the first frame; what lies before is used")
            grid = grid[: whole * 2 * cell.prefix.symbols]
        cell = lte_frontend.refined(grid, cell, blocks)
    count = lte_frontend.subframes(capture.seconds, cell, most)
    grid = lte_frontend.spectra(capture, cell, size, blocks, 0, count)
    return Reception(cell, ports, mib, blocks, size, grid)


def find(capture, estimate):
    """(Cell, ports, Mib) of the strongest cell whose master information can be read; Failed."""
    if capture.seconds < LEAST_SECONDS:
        raise Failed(
            f"{capture.path}: {1e3 * capture.seconds:.2g} ms at {capture.rate / 1e6:g} MS/s are too short to find a "
            "cell; record 40 ms or more"
        )
    seen = None
    starts = np.arange(PLACES) * capture.seconds / PLACES if capture.seconds > LOOK else [0.0]
    silent = True
    for begin in starts:
        first = int(begin * SEARCH_RATE)
        x = capture.samples(SEARCH_RATE, first, first + int(LOOK * SEARCH_RATE))
        silent = silent and not np.any(x != x[:1])
        for cell in search(x - x.mean())[:CANDIDATES] if x.size else ():
            cell = replace(cell, start=cell.start + first / SEARCH_RATE)
            grid = _grid(capture, cell)
            if grid is not None and not lte_frontend.heard(lte_frontend.tones(grid, cell, MIDDLE, 0), cell):
                continue  # a mirrored spectrum has several of these, and each broadcast channel takes long to try
            seen = seen or cell
            if grid is not None and (read := _broadcast(capture, cell, grid, estimate)):
                return read
    raise Failed(f"{capture.path}: " + _why(capture, seen, silent))


def _why(capture, seen, silent):
    if silent:
        return "all samples are equal; was the receiver connected?"
    if seen is None:
        return (
            f"no LTE cell found at {capture.rate / 1e6:g} MS/s; check --fs and --format, and that a downlink's carrier "
            "is at the centre"
        )
    name = f"cell {seen.identity} ({seen.prefix.name} prefix)"
    if capture.seconds < 0.0115:
        return (
            f"{name} is there, but no whole broadcast channel in {1e3 * capture.seconds:.3g} ms; record 40 ms or more"
        )
    return f"{name} is there, but its broadcast channel cannot be read; record with more gain, or another cell"


def _grid(capture, cell):
    """The six middle resource blocks of the frames that are looked at, or None where there is no whole subframe."""
    count = lte_frontend.subframes(capture.seconds, cell, 10 * SEARCH_FRAMES)
    return lte_frontend.spectra(capture, cell, FFT, MIDDLE, 0, count) if count else None


def _broadcast(capture, cell, grid, estimate):
    """(Cell refined, ports, Mib) by the broadcast channel, or None. grid: of `_grid`."""
    cell = lte_frontend.refined(grid, cell, MIDDLE)
    grid = _grid(capture, cell)
    if grid is None:
        return None
    cell = lte_frontend.refined(grid, cell, MIDDLE)
    read = []
    for ports in lte_pbch.PORTS:
        read += decode_frames(grid, cell, ports, estimate)
        # Frames that belong together say one thing.
        counted = Counter((n, replace(mib, frame=(mib.frame - at) % 1024)) for n, at, mib in read)
        if counted:
            (ports, mib), _ = counted.most_common(1)[0]
            return cell, ports, mib
    return None


def middle(grid):
    """The 72 carriers about DC of a grid."""
    side = grid.shape[1] // 2 - 6 * MIDDLE
    return grid[:, side : side + 12 * MIDDLE]


@dataclass(frozen=True)
class Broadcast:
    """The broadcast channel of one frame. symbols: [..., 4, 72]; tones: `Tones` of each port about it; first: symbol of
    the grid where it begins."""

    symbols: np.ndarray
    tones: list
    first: int

    @classmethod
    def of(cls, grid, tones, cell, frame):
        """From a grid [symbols, 72] and the `Tones` of all ports in it; None where the frame is cut."""
        first = (20 * frame + lte_pbch.FIRST_SYMBOL) * cell.prefix.symbols
        if first + 4 > len(grid):
            return None
        about = []
        for t in tones:
            low = np.searchsorted(t.rows, first + 2) - ROWS // 2
            low = max(min(low, len(t.rows) - ROWS), 0)
            about.append(t.part(slice(low, low + ROWS)))
        return cls(grid[first : first + 4], about, first)

    def matched(self, estimates, cell):
        """What was sent times the channel's power, and that power, [..., n] each, by an estimate [..., R, C] of each
        port over its tones."""
        rows = np.arange(self.first, self.first + 4)
        h = np.stack([t.at(e, rows) for t, e in zip(self.tones, estimates, strict=True)], -3)
        l, k = lte_pbch.places(cell.identity, cell.prefix)
        return lte_pbch.from_ports(self.symbols[..., l, k], h[..., l, k])


def _estimates(parts, estimate, noise):
    """Of the tones of each port of each `Broadcast`: [parts][ports] of [R, C]. Those observed alike are given to
    `estimate` together, as it makes its filters anew in each call."""
    alike = defaultdict(list)
    for part in parts:
        for t in part.tones:
            alike[t.observed.shape, t.observed.tobytes()].append(t)
    found = {}
    for tones in alike.values():
        answers = estimate(np.stack([t.values for t in tones]), tones[0].observed, noise)
        found |= {id(t): answer for t, answer in zip(tones, answers, strict=True)}
    return [[found[id(t)] for t in part.tones] for part in parts]


def decode_frames(grid, cell, ports, estimate):
    """[(ports, frame of the grid, Mib)] of each frame that decodes, alone or with the ones before it."""
    grid = middle(grid)
    seen = [lte_frontend.tones(grid, cell, MIDDLE, port) for port in range(ports)]
    noise = max(lte_frontend.mean_noise(seen, cell), 1e-12)
    frames = -(-len(grid) // (20 * cell.prefix.symbols))
    parts = [Broadcast.of(grid, seen, cell, frame) for frame in range(frames)]
    parts = list(takewhile(lambda part: part and all(len(t.rows) > 1 for t in part.tones), parts))
    out, soft = [], []
    for frame, (part, estimates) in enumerate(zip(parts, _estimates(parts, estimate, noise), strict=True)):
        symbols, _ = part.matched(estimates, cell)
        soft.append(lte_pbch.soft_bits(np.repeat(symbols[None] / noise, 4, 0), cell.identity, cell.prefix, range(4)))
        # Up to four frames of one master information, whose last one is this one.
        for together in range(1, min(4, len(soft)) + 1):
            quarters = np.arange(together - 1, 4)
            summed = sum(soft[-1 - back][quarters - back] for back in range(together))
            bits, good = lte_pbch.decode(summed, ports)
            if good.any():
                which = int(np.argmax(good))
                if mib := Mib.of(bits[which], int(quarters[which])):
                    out.append((ports, frame, mib))
                    break
    return out
