# SPDX-License-Identifier: GPL-3.0-or-later
"""From a packet's samples to its frequency-domain symbols and the two-LTF channel observation."""

import numpy as np

from . import wifi_phy
from .wifi_tables import DC, LTF, N_FFT, N_SYM, SAMPLE_RATE, SIGNAL_OFFSET, USED, USED_MASK

_K = np.arange(N_FFT) - DC


def available_symbols(n_samples, start):
    """Symbols after the LTF (SIGNAL included) that lie completely before `n_samples`."""
    return max((n_samples - start - SIGNAL_OFFSET - N_FFT) // N_SYM + 1, 0)


def demodulate(x, sync, n_symbols, drift=0.0, dc=0.0):
    """Correct the carrier offset, take the FFTs.

    x[N]: complex samples at 20 MS/s. sync: `Sync`, its start relative to x.
    n_symbols: symbols after the LTF, SIGNAL included.
    drift: samples per symbol by which the transmitter's clock runs late; the FFT window follows in
    whole samples, and the shift it makes is taken out of the result.
    dc: complex offset subtracted first.
    Returns (ltf[2, 64], symbols[n_symbols, 64]). ValueError if x ends too early.
    """
    shift = np.rint(drift * np.arange(n_symbols)).astype(np.intp)
    starts = np.concatenate([[0, N_FFT], SIGNAL_OFFSET + N_SYM * np.arange(n_symbols, dtype=np.intp) + shift])
    last = int(starts.max()) + N_FFT
    if sync.start < 0 or sync.start + last > len(x):
        raise ValueError(f"x: {len(x)} samples do not hold a packet of {n_symbols} symbols that starts at {sync.start}")
    n = np.arange(last)
    y = (np.asarray(x[sync.start : sync.start + last], complex) - dc) * np.exp(
        -2j * np.pi * sync.cfo_hz / SAMPLE_RATE * n
    )
    carriers = wifi_phy.to_carriers(y[starts[:, None] + np.arange(N_FFT)])
    symbols = carriers[2:]
    if shift.any():
        symbols = symbols * np.exp(-2j * np.pi * np.outer(shift, _K) / N_FFT)
    return carriers[:2], symbols


def packet_dc(x, sync, n_symbols):
    """Mean of a packet's samples: its DC offset, because no carrier is sent at 0."""
    lo = max(sync.first, 0)
    hi = sync.start + SIGNAL_OFFSET + N_SYM * n_symbols
    part = x[lo:hi]
    return complex(np.mean(part)) if len(part) else 0j


def ltf_observation(ltf):
    """The channel observation that every estimator is given.

    ltf[..., 2, 64]: the two long training symbols.
    Returns y[..., 64], the mean of the two least-squares estimates (0 outside the 52 carriers), and
    noise_var[...], the noise variance per complex element of y, from the difference of the two
    symbols averaged over the 52 carriers (52 complex values: its own standard deviation is 0.6 dB).
    The noise variance of one carrier of one OFDM symbol is twice that.
    """
    y = np.where(USED_MASK, ltf.mean(axis=-2) * LTF, 0)
    difference = ltf[..., 0, USED] - ltf[..., 1, USED]
    return y, np.mean(np.abs(difference) ** 2, axis=-1) / 4
