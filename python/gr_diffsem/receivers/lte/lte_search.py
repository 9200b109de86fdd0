# SPDX-License-Identifier: GPL-3.0-or-later
"""Cell search at 1.92 MS/s: where frames begin, how far the carrier is off, which cell and prefix it is.

The primary signal is correlated with in time, at carrier offsets 5 kHz apart, over all half frames together. Its
sequences are chirps: one that is 30 kHz off looks like one that comes 10 samples earlier. So several peaks are tried,
each with the offset that the cyclic prefixes say to within a carrier spacing, and the secondary signal decides.
"""

from dataclasses import dataclass, replace

import numpy as np

from .lte_tables import PREFIXES, RATE, SPACING, USEFUL, Prefix, primary, secondary

SEARCH_RATE = 1.92e6
FFT = 128
HALF_FRAME = 9600  # samples
STEP = 5e3  # Hz between offsets that are tried
MAX_OFFSET = 100e3  #: Hz: 50 ppm at 2 GHz
PEAKS = 24  # that are looked at
NEAR = 12  # samples about a peak
CERTAIN = 5.5  # deviations of noise that a secondary signal must be above
_BINS = np.concatenate([np.arange(-31, 0), np.arange(1, 32)])


@dataclass(frozen=True)
class Cell:
    """A cell as it was found. identity: 0 .. 503. start: of a frame (its first prefix), seconds from the recording's
    first sample, at the earliest 0. offset: of the carrier, Hz. clock: how much longer than said its samples are apart,
    relative. score: of the secondary signal, 0 .. 1. time_division: it alternates with the uplink (TDD)."""

    identity: int
    prefix: Prefix
    start: float
    offset: float
    clock: float = 0.0
    score: float = 0.0
    time_division: bool = False


def search(x, max_offset=MAX_OFFSET):
    """`Cell`s in samples x [n] at 1.92 MS/s, the likeliest first; none where there is only noise."""
    x = np.asarray(x, np.complex64)
    if x.size < HALF_FRAME + 3 * FFT:
        return []
    level = np.sqrt(np.mean(np.abs(x) ** 2))
    if not level > 0:
        return []
    x = x / level
    fraction = prefix_offset(x)
    found = {}
    for second, offset, at in _peaks(x, max_offset):
        whole = np.round((offset - fraction) / SPACING)
        for n in (whole, whole - 1, whole + 1):
            key = second, fraction + n * SPACING, at // NEAR
            if key not in found:
                found[key] = _identify(x, second, key[1], at)
    cells = sorted((c for c in found.values() if c), key=lambda c: -c.score)
    best = {}
    for c in cells:  # each identity and place once
        best.setdefault((c.identity, c.prefix, round(c.start * SEARCH_RATE / NEAR), round(c.offset / SPACING)), c)
    return [replace(c, offset=_by_prefixes(x, c)) for c in best.values()]


def prefix_offset(x):
    """Carrier offset within half a spacing, by what repeats one symbol later, Hz."""
    turn = np.vdot(x[:-FFT], x[FFT:])
    return np.angle(turn) / (2 * np.pi) * SPACING


def _by_prefixes(x, cell):
    """The same by the prefixes alone, now that it is known where they lie: the whole offset, Hz."""
    product = x[:-FFT].conj() * x[FFT:]
    frame, at = 2 * HALF_FRAME, round(cell.start * SEARCH_RATE)
    begins = cell.prefix.begins() * FFT // USEFUL
    inside = np.zeros(frame, bool)
    inside[np.arange(1, 1 + min(cell.prefix.lengths) * FFT // USEFUL) * -1 + begins[:, None]] = True
    prefixes = product[inside[(np.arange(product.size) - at) % frame]]
    left = np.angle(prefixes.sum()) / (2 * np.pi) - cell.offset / SPACING
    return cell.offset + float(left - np.round(left)) * SPACING


def waveform(second):
    """The primary signal's useful part, unit energy, complex [128]."""
    spectrum = np.zeros(FFT, complex)
    spectrum[_BINS] = primary(second)
    wave = np.fft.ifft(spectrum)
    return wave / np.linalg.norm(wave)


def _peaks(x, max_offset):
    """(second part of the identity, offset, sample) of the strongest correlations, folded over half frames."""
    from scipy import fft  # in single precision, as NumPy's is not

    size = fft.next_fast_len(x.size + FFT)
    spectrum = fft.fft(x, size)
    places = x.size - FFT + 1
    run = np.concatenate([[0], np.cumsum(np.abs(x) ** 2)])
    # Where it is much weaker than on average nothing is believed.
    energy = np.maximum(run[FFT:] - run[:-FFT], 0.01 * FFT).astype(np.float32)
    rows = -(-places // HALF_FRAME)
    count = np.bincount(np.arange(places) % HALF_FRAME, minlength=HALF_FRAME)
    steps = int(max_offset // STEP)
    every = []
    for second in range(3):
        wave = fft.fft(waveform(second).astype(np.complex64), size).conj()
        for offset in STEP * np.arange(-steps, steps + 1):
            shifted = np.roll(wave, round(offset / SEARCH_RATE * size))
            power = np.abs(fft.ifft(spectrum * shifted)[:places]) ** 2 / energy
            folded = np.resize(np.append(power, np.zeros(rows * HALF_FRAME - places)), (rows, HALF_FRAME)).sum(0)
            folded /= np.maximum(count, 1)
            for at in np.argpartition(folded, -4)[-4:]:
                every.append((folded[at], second, offset, int(at)))
    chosen = []
    for power, second, offset, at in sorted(every, reverse=True):
        if all(second != s or abs(at - a) > 2 or abs(offset - o) > 2 * STEP for _, s, o, a in chosen):
            chosen.append((power, second, offset, at))
        if len(chosen) == PEAKS:
            break
    return [c[1:] for c in chosen]


def _identify(x, second, offset, near):
    """The `Cell` whose primary signal lies about a sample, or None."""
    x = x * np.exp(-2j * np.pi * offset / SEARCH_RATE * np.arange(x.size))
    best = None
    for at in _exact(x, second, near):
        for prefix in PREFIXES:
            for time_division in (False, True):
                cell = _secondary(x, second, offset, at, prefix, time_division)
                if cell and (best is None or cell.score > best.score):
                    best = cell
    return best


def _exact(x, second, near):
    """Where the primary signal's useful part begins, now that the offset is known: the best sample, modulo half a
    frame."""
    wave = waveform(second).conj()
    shifts = np.arange(near - NEAR, near + NEAR + 1)
    total = np.zeros(shifts.size)
    for half in range(-1, x.size // HALF_FRAME + 1):
        first = shifts[0] + half * HALF_FRAME
        if first >= 0 and first + shifts.size - 1 + FFT <= x.size:
            piece = np.lib.stride_tricks.sliding_window_view(x[first : first + shifts.size - 1 + FFT], FFT)
            total += np.abs(piece @ wave) ** 2
    return [int(shifts[total.argmax()]) % HALF_FRAME] if total.any() else []


def _secondary(x, second, offset, at, prefix, time_division):
    """The cell by its secondary signals, seen through the channel that the primary ones show; None where they are not
    clear of noise. FDD: in the last two symbols of a slot; TDD: in the last of subframe 0 or 5, and in the third of the
    next (3GPP TS 36.211, 6.11.1.2 and 6.11.2.2)."""
    begin = prefix.begins()
    one = 2 * prefix.symbols + 2 if time_division else prefix.symbols - 1
    back = int(begin[one] - begin[one - (3 if time_division else 1)]) * FFT // USEFUL
    begins = np.arange(at, x.size - FFT + 1, HALF_FRAME)
    halves = np.arange(begins.size)[begins >= back]
    begins = begins[halves]
    if not begins.size:
        return None
    window = np.arange(FFT)
    known, seen = (np.fft.fft(x[b[:, None] + window])[:, _BINS] for b in (begins, begins - back))
    channel = known * primary(second).conj()
    smooth = np.stack([np.convolve(h, np.ones(5) / 5, "same") for h in channel])
    match = smooth.conj() * seen
    scale = np.linalg.norm(smooth, axis=1) * np.linalg.norm(seen, axis=1)
    match = match / np.maximum(scale, 1e-12)[:, None]
    first, last = (match[halves % 2 == parity].sum(0) for parity in (0, 1))
    signs = _SECONDARY[:, second]
    scores = np.stack([(first @ signs[:, a].T + last @ signs[:, 1 - a].T).real for a in (0, 1)]) / begins.size
    turn, number = np.unravel_index(scores.argmax(), scores.shape)
    score = float(scores[turn, number])
    if score < CERTAIN / np.sqrt(2 * 62 * begins.size):
        return None
    start = at - begin[one] * SEARCH_RATE / RATE - turn * HALF_FRAME
    start = start % (2 * HALF_FRAME)
    return Cell(3 * int(number) + second, prefix, start / SEARCH_RATE, offset, 0.0, score, time_division)


_SECONDARY = secondary()
