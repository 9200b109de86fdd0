# SPDX-License-Identifier: GPL-3.0-or-later
"""From a recording and a `Cell` to its symbols over carriers, and a cell whose offset, clock and timing fit better."""

from dataclasses import dataclass, replace

import numpy as np

from .lte_tables import FRAME, RATE, SPACING, SUBFRAME, USUAL_FFT, carriers, reference

#: How long before the first path a transform's window begins, in symbols; the normal prefix is 0.07 long.
ADVANCE = 0.02
FIRST_PATH = 0.05  # of the strongest one's power: what counts as the first path
EARLY = 0.015  # symbols that delays on the lattice of reference signals are counted from, behind the window's begin
MEAN_DELAY = 0.02  # symbols from there: about the middle of a normal prefix
FOR_CLOCK = 20  # rows from which a clock is measured
HEARD = 8.0  # of two coherences in power: noise reaches it in 3 cases of 1,000, cells that can be read have 15 and more
COHERENT = 0.5  # of the usual likeness of neighbours: below it a symbol carries no reference signals (MBSFN)


@dataclass(frozen=True)
class Tones:
    """Reference signals of one port as received, divided by what was sent, on their own lattice: the symbols in which
    some are, and every third carrier, of which every second one is observed, half a step on in the next row. Delays
    count from EARLY.

    values: complex [R, C], 0 where none are; observed: bool [R, C]; rows: the symbol of each row [R]; columns: the
    carrier of each column, of the grid's, [C].
    """

    values: np.ndarray
    observed: np.ndarray
    rows: np.ndarray
    columns: np.ndarray

    def part(self, rows):
        """Some rows of it (a slice)."""
        return replace(self, values=self.values[rows], observed=self.observed[rows], rows=self.rows[rows])

    def at(self, estimate, symbols):
        """An estimate [..., R, C] over the lattice -> [..., len(symbols), carriers] between its points, linear, once
        the delay of half a prefix is out; beyond the ends as at them."""
        carriers = np.arange(3 * len(self.columns))
        centred = estimate * np.exp(2j * np.pi * MEAN_DELAY * self.columns)
        h = between(self.rows, symbols) @ centred @ between(self.columns, carriers).T
        return h * np.exp(-2j * np.pi * (MEAN_DELAY + EARLY) * carriers)


def between(known, wanted):
    """Weights of linear interpolation [wanted, known]."""
    return np.stack([np.interp(wanted, known, one) for one in np.eye(len(known))], 1)


def points(rate, blocks):
    """Points of the transform for a recording at this rate: those of the usual one, or fewer where the recording is
    slower, in steps of 16; and how many resource blocks of `blocks` it then holds."""
    size = min(int(rate * (1 + 1e-6) / SPACING) // 16 * 16, USUAL_FFT[blocks])
    return size, min(blocks, int(0.95 * size) // 12)


def subframes(seconds, cell, most):
    """Whole subframes that a recording of this length holds from the cell's first frame on."""
    return max(min(int((seconds - cell.start) * RATE / SUBFRAME / (1 + abs(cell.clock))), most), 0)


def spectra(capture, cell, size, blocks, first, count):
    """Symbols of `count` subframes from the `first` on: complex64 [symbols, 12 blocks].

    size: points of the transform. Windows begin ADVANCE of a symbol early, which stays in the answer as a delay.
    """
    rate = size * SPACING
    in_subframe = 2 * cell.prefix.symbols
    index = np.arange(first * in_subframe, (first + count) * in_subframe)
    begins = cell.prefix.begins()
    ticks = begins[index % begins.size] + FRAME * (index // begins.size)
    at = (cell.start + ticks / RATE) * (1 - cell.clock) * rate - ADVANCE * size
    whole = np.floor(at).astype(int)
    low, high = max(int(whole[0]), 0), int(whole[-1]) + size + 1
    x = capture.samples(rate, low, high)
    x = x - x.mean()  # a receiver's direct component; with an offset it would lie on a carrier
    x = np.pad(x, (low - int(whole[0]), max(high - low - x.size, 0)))
    turn = -2j * np.pi * cell.offset / rate
    x = x * np.exp(turn * np.arange(whole[0], whole[0] + x.size))
    pieces = np.lib.stride_tricks.sliding_window_view(x, size)[whole - whole[0]]
    k = carriers(blocks)
    y = np.fft.fft(pieces)[:, k] / np.sqrt(size)
    return (y * np.exp(2j * np.pi * np.outer(at - whole, k) / size)).astype(np.complex64)


def tones(grid, cell, blocks, port, first=0):
    """`Tones` of a port in a grid [symbols, 12 blocks] that begins with subframe `first`."""
    known = reference(cell.identity, blocks, port, cell.prefix)
    index = np.arange(len(grid)) + first * 2 * cell.prefix.symbols
    known = known[index % len(known)]
    rows = np.flatnonzero(known.any(1))
    columns = np.arange(cell.identity % 3, grid.shape[1], 3)
    known = known[rows][:, columns]
    observed = known != 0
    turn = np.exp(2j * np.pi * EARLY * columns)
    values = np.where(observed, grid[rows][:, columns] * known.conj() * turn, 0).astype(np.complex64)
    there = present(values, observed, rows, cell)
    return Tones(values[there], observed[there], rows[there], columns)


def present(values, observed, rows, cell):
    """Which rows [R] carry reference signals: those in which neighbours are alike, as in most. Multicast subframes
    leave out all behind their second symbol, so these rows are looked at together, in TDD those of all frames, in which
    the uplink has the same subframes; in doubt they are kept."""
    subframe, symbol = np.divmod(rows, 2 * cell.prefix.symbols)
    together = subframe % 10 if cell.time_division else subframe
    _, group = np.unique(2 * together + (symbol > 1), return_inverse=True)
    alike, energy, pairs = (np.zeros(group.max(initial=0) + 1, t) for t in (complex, float, int))
    for row, mask, g in zip(values, observed, group, strict=True):
        h = row[mask]
        alike[g] += np.vdot(h[:-1], h[1:])
        energy[g] += np.vdot(h, h).real
        pairs[g] += max(h.size - 1, 0)
    alike = np.abs(alike) / np.maximum(energy, 1e-30)
    least = COHERENT * np.quantile(alike, 0.9)
    there = ((alike >= least) | (least * np.sqrt(np.maximum(pairs, 1)) < 2))[group]
    # How many symbols a special subframe sends (TS 36.211, table 4.2-1) nobody says: three at least.
    return there & ~(cell.time_division & np.isin(subframe % 10, (1, 6)) & (symbol > 2))


def unbroken(of, cell, count):
    """How many of `count` subframes come before samples were lost: those that always have reference signals
    (0, 4, 5 and 9 are never multicast, 0 and 5 never the uplink's) have none any more behind their second symbol."""
    subframe, symbol = np.divmod(of.rows, 2 * cell.prefix.symbols)
    have = np.bincount(subframe[symbol > 1], minlength=count)[:count]
    always = (0, 5) if cell.time_division else (0, 4, 5, 9)
    lost = np.flatnonzero((have == 0) & np.isin(np.arange(count) % 10, always))
    return int(lost[0]) if lost.size else count


def slots(of, cell, apart=1):
    """Rows that have tones on the same carriers so many slots apart: (index of each [n], of the later one [n])."""
    step = apart * cell.prefix.symbols
    later = np.searchsorted(of.rows, of.rows + step)
    there = later < len(of.rows)
    here, later = np.flatnonzero(there), later[there]
    next_one = of.rows[later] == of.rows[here] + step
    here, later = here[next_one], later[next_one]
    alike = (of.observed[here] == of.observed[later]).all(1)
    return here[alike], later[alike]


def heard(of, cell):
    """Whether there are reference signals at all, or something else was taken for a cell: tones that are neighbours,
    from slot to slot and along carriers, are alike. Of noise each coherence has unit mean power."""
    here, later = slots(of, cell)
    pairs = (of.values[here], of.values[later]), (of.values[:, :-2], of.values[:, 2:])
    total = 0.0
    for a, b in pairs:
        total += np.abs(np.vdot(a, b)) ** 2 / max(np.sum(np.abs(a) ** 2 * np.abs(b) ** 2), 1e-30)
    return total > HEARD


def refined(grid, cell, blocks, first=0):
    """The `Cell` with offset, clock and start as the reference signals in a grid have them."""
    seen = tones(grid, cell, blocks, 0, first)
    here, later = slots(seen, cell)
    if not here.size:
        return cell
    slot = 0.5e-3
    turn = np.vdot(seen.values[here], seen.values[later])
    offset = cell.offset + np.angle(turn) / (2 * np.pi * slot)
    # Mean delay in each row, in symbols: how a tone's phase differs from that of the next one, six carriers on.
    next_one = np.sum(seen.values[:, 2:] * seen.values[:, :-2].conj(), 1)
    late = -np.angle(next_one * np.exp(2j * np.pi * 6 * MEAN_DELAY)) / (2 * np.pi * 6)
    clock = cell.clock
    if len(late) >= FOR_CLOCK:
        seconds = slot * seen.rows / cell.prefix.symbols
        clock -= np.polyfit(seconds, late / SPACING, 1, w=np.abs(next_one))[0]
    start = cell.start + first_path(seen)
    return replace(cell, offset=float(offset), clock=float(clock), start=float(start))


def first_path(of):
    """Delay of the first path behind where the window is to begin, seconds."""
    size = 16 * of.values.shape[1]
    power = (np.abs(np.fft.ifft(of.values * np.hanning(of.values.shape[1]), size)) ** 2).mean(0)
    # A row has every second column: its response comes again, in the middle.
    power = power[: size // 2] + power[size // 2 :]
    delay = np.arange(size // 2) / (size * 3)  # in symbols, modulo a sixth
    delay = np.where(delay > 1 / 8, delay - 1 / 6, delay)
    order = np.argsort(delay)
    strong = power[order] > max(FIRST_PATH * power.max(), 4 * np.median(power))
    return float((delay[order][np.argmax(strong)] + EARLY - ADVANCE) / SPACING) if strong.any() else 0.0


def own_noise(of, cell):
    """Noise of the recording itself at the tones of one port [R, C], 0 where none are: how much each differs from those
    of the slots before and behind, common phase apart. What a channel changes in half a millisecond counts too; in a
    whole one for ports 2 and 3, whose tones move from slot to slot."""
    here, later = slots(of, cell)
    if not here.size:
        here, later = slots(of, cell, 2)
    total, count = np.zeros(of.observed.shape), np.zeros(of.observed.shape)
    if here.size:
        h, g = of.values[here], of.values[later]
        turn = np.sum(g * h.conj(), 1, keepdims=True)
        error = np.abs(g - h * turn / np.maximum(np.abs(turn), 1e-30)) ** 2 / 2
        for rows in (here, later):
            total[rows] += error
            count[rows] += 1
    seen = of.observed & (count > 0)
    mean = total[seen].sum() / max(count[seen].sum(), 1)  # for rows that stand alone
    return np.where(of.observed, np.where(count > 0, total / np.maximum(count, 1), mean), 0)


def mean_noise(ports, cell):
    """The mean of `own_noise` over the tones of all ports, `Tones` each; 0 where there are none."""
    each = np.concatenate([own_noise(t, cell)[t.observed] for t in ports])
    return float(each.mean()) if each.size else 0.0
