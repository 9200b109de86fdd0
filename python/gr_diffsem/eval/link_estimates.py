# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimates that no receiver can make: from the noiseless signal, or with the true statistics."""

import numpy as np

from ..air import tdl
from ..air.fading import KINDS
from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .link_receiver import Taps

#: amplitude behind the FFT of a carrier sent with unit power through a channel of unit gain
GAIN = LAYOUT.gain


def least_squares(windows):
    """LS taps of sync word 2, complex [found, 64], zero where nothing is sent.

    windows: [found, >= 2, 64] as link_sync.Synchronised.windows gives."""
    word = packet_frame.sync_words()[1]
    taps = np.zeros((len(windows), LAYOUT.fft_len), complex)
    taps[:, LAYOUT.carrier_bins] = windows[:, 1, LAYOUT.carrier_bins] / word[LAYOUT.carrier_bins]
    return taps


def perfect(synced):
    """The true channel as this receiver sees it: noiseless samples through the same frequency
    correction and the same FFT window; Taps."""
    taps = least_squares(synced.windows(synced.noiseless, 2))
    return Taps(taps.astype(np.complex64), np.zeros((len(taps), LAYOUT.fft_len), np.float32))


def genie_lmmse(synced, air):
    """LMMSE from the same LS taps, knowing the power-delay profile, each packet's timing and the
    noise variance: W = R (R + s I)^-1 on the 52 carriers; Taps with their error variance."""
    bins = LAYOUT.carrier_bins
    fading = KINDS[air.kind]
    covariance = tdl.covariance(fading.profile, fading.spread, LAYOUT.fft_len)[np.ix_(bins, bins)]
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)

    packet = np.maximum(synced.packet, 0)
    early = synced.timing + air.delays[packet, 0]  # the profile's first path has delay zero
    early[synced.packet < 0] = 0
    turn = np.exp(-2j * np.pi * np.outer(early, tdl.carriers()[bins]) / LAYOUT.fft_len)
    ls = least_squares(synced.windows(synced.noisy, 2))[:, bins] / GAIN
    noise = 10.0 ** (-air.snr_db[packet] / 10)
    gain = values / (values + noise[:, None])
    estimate = ((ls * turn.conj()) @ vectors.conj() * gain) @ vectors.T * turn

    taps = np.zeros((len(ls), LAYOUT.fft_len), np.complex64)
    taps[:, bins] = GAIN * estimate
    error = np.zeros((len(ls), LAYOUT.fft_len), np.float32)
    error[:, bins] = GAIN**2 * (noise[:, None] * gain) @ (np.abs(vectors) ** 2).T
    return Taps(taps, error)


def noise_behind_fft(synced, air):
    """True noise variance per carrier, [found], in the units of the windows."""
    return GAIN**2 * 10.0 ** (-air.snr_db[np.maximum(synced.packet, 0)] / 10)
