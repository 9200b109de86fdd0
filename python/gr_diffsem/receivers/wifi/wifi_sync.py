# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet synchroniser for 20 MS/s recordings: detection, carrier offset, timing.

Detection is the normalised correlation of the short training field with itself, 16 samples later,
so neither gain nor noise level need be known. A DC offset also repeats every 16 samples; it is
removed by a moving average over 64 samples, which has its zeros on the carriers. The long training
symbol, found by matched filter, then decides time; what is not a packet fails there.
"""

from dataclasses import dataclass

import numpy as np

from . import wifi_phy
from .wifi_tables import LTF, LTF_OFFSET, N_FFT, PREAMBLE_LEN, SAMPLE_RATE, WINDOW_ADVANCE

LAG = 16
#: Products summed by the detector: the short training field less one lag.
WINDOW = 144
#: |correlation| / power that makes a candidate; S / (S + N) for a packet, so -3.7 dB of SNR.
THRESHOLD = 0.3
#: The same for the long training symbol's matched filter.
LTF_THRESHOLD = 0.3
# The plateau's place is uncertain by this much when the long training field is searched.
_SEARCH = 112
# Paths are looked for this much before and after the strongest.
_SPAN = 16


@dataclass(frozen=True)
class Sync:
    """Where a packet is.

    start: sample index of the first long training symbol's FFT window, WINDOW_ADVANCE samples
    before its first path. cfo_hz: carrier offset in Hz (a carrier at f arrives at f + cfo_hz).
    """

    start: int
    cfo_hz: float

    @property
    def first(self):
        """Sample index of the beginning of the packet's short training field."""
        return self.start + WINDOW_ADVANCE - LTF_OFFSET


def _moving_sum(x, n):
    """Sums of n successive values: [N] -> [N - n + 1], without drift over long arrays."""
    wide = np.complex128 if np.iscomplexobj(x) else np.float64
    c = np.concatenate([[0], np.cumsum(x, dtype=wide)])
    return c[n:] - c[:-n]


def remove_dc(x):
    """Subtract the mean over the 64 samples around each sample; the same length as x."""
    if len(x) < N_FFT:
        return x - (x.mean() if len(x) else 0)
    mean = _moving_sum(x, N_FFT) / N_FFT
    pad = len(x) - len(mean)
    return x - np.pad(mean, (pad // 2, pad - pad // 2), mode="edge").astype(x.dtype)


def stf_metric(x):
    """Correlation of the short training field at each start: (coefficient, normalised size).

    x[N] complex, without DC. Returns complex and float arrays of N - WINDOW - LAG + 1 values.
    """
    n = len(x) - WINDOW - LAG + 1
    if n <= 0:
        return np.zeros(0, complex), np.zeros(0)
    corr = _moving_sum(np.conj(x[:-LAG]) * x[LAG:], WINDOW)
    power = _moving_sum(np.abs(x.astype(np.complex128)) ** 2, WINDOW)
    both = power[:n] + power[LAG : LAG + n]
    # Rounding of the running sums must not look like a signal in silence.
    floor = 1e-9 * both.max() + 1e-300
    return corr, 2 * np.abs(corr) / np.maximum(both, floor)


_LONG = np.conj(wifi_phy.to_time(LTF.astype(complex)))


def _matched(x):
    """|matched filter|^2 of the long training symbol at each start, share of the local power."""
    out = np.correlate(x, np.conj(_LONG), "valid") if len(x) >= N_FFT else np.zeros(0, complex)
    power = _moving_sum(np.abs(x) ** 2, N_FFT)
    return out, np.maximum(power, 1e-300) * np.sum(np.abs(_LONG) ** 2)


def _rotate(x, cfo_hz, first=0):
    n = first + np.arange(len(x))
    return x * np.exp(-2j * np.pi * cfo_hz / SAMPLE_RATE * n)


def locate(x, near, coarse_hz):
    """Find the long training field around sample `near` (its expected first symbol).

    Returns (Sync, quality) or None; quality is the matched filter's share of the power, 0..1.
    """
    lo = max(near - _SEARCH, 0)
    hi = min(near + _SEARCH + 2 * N_FFT + _SPAN, len(x))
    if hi - lo < 3 * N_FFT:
        return None
    part = _rotate(x[lo:hi].astype(np.complex128), coarse_hz)
    out, energy = _matched(part)
    n = len(out) - N_FFT
    # The two symbols are equal but for the remaining offset: join their powers.
    share = np.abs(out) ** 2 / energy
    score = (share[:n] + share[N_FFT : N_FFT + n]) / 2
    # Several paths share the energy: judge by the sum over the guard interval's half.
    spread = np.convolve(score, np.ones(_SPAN), "same")
    peak = int(np.argmax(score + 1e-3 * spread))
    quality = float(spread[peak] - _SPAN * np.median(score))
    if quality < LTF_THRESHOLD:
        return None
    turn = np.vdot(part[peak : peak + N_FFT], part[peak + N_FFT : peak + 2 * N_FFT])
    fine_hz = float(np.angle(turn)) / (2 * np.pi * N_FFT) * SAMPLE_RATE
    # Now both symbols can be added before squaring; the first path opens the window.
    first = max(peak - _SPAN, 0)
    part = _rotate(part, fine_hz)
    out, _ = _matched(part)
    stop = min(peak + _SPAN, n)
    power = np.abs(out[first:stop] + out[first + N_FFT : stop + N_FFT]) ** 2
    floor = np.median(np.abs(out[:n] + out[N_FFT : N_FFT + n]) ** 2)
    limit = max(0.15 * power.max(), 6 * floor)
    limit = min(limit, power.max())
    path = first + int(np.argmax(power >= limit))
    return Sync(lo + path - WINDOW_ADVANCE, coarse_hz + fine_hz), quality


def find(x, threshold=THRESHOLD):
    """All packet candidates in x[N] (complex, any gain, any DC): list of Sync, ascending.

    Candidates may still be something else (HT, noise at a low threshold): the SIGNAL field's
    parity and the FCS decide. Preambles cut by either end of x are not found.
    """
    if len(x) < PREAMBLE_LEN:
        return []
    x = np.asarray(x)
    clean = remove_dc(np.where(np.isfinite(x), x, 0))
    corr, metric = stf_metric(clean)
    found, at = [], 0
    above = np.flatnonzero(metric > threshold)
    while True:
        i = np.searchsorted(above, at)
        if i >= len(above):
            return found
        top = int(above[i])
        while True:  # climb until a whole window ahead holds nothing better
            ahead = metric[top : top + WINDOW + 1]
            step = int(np.argmax(ahead))
            if step == 0:
                break
            top += step
        coarse = float(np.angle(corr[top])) / (2 * np.pi * LAG) * SAMPLE_RATE
        hit = locate(clean, top + LTF_OFFSET, coarse)
        if hit is None:
            at = top + WINDOW // 2
            continue
        found.append(hit[0])
        at = max(hit[0].start + 2 * N_FFT, top + 1)
