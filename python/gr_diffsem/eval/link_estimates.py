# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimates that no receiver can make: from the noiseless signal, or with the true statistics."""

import numpy as np

from ..air import packet_channel, tdl
from ..phy import packet_frame
from .link_receiver import Taps

#: amplitude behind the FFT of a carrier sent with unit power through a channel of unit gain
GAIN = packet_frame.FFT_LEN / np.sqrt(len(packet_frame.CARRIERS))


def least_squares(windows):
    """LS taps of sync word 2, complex [found, 64], zero where nothing is sent.

    windows: [found, >= 2, 64] as synchronise.Synchronised.windows gives."""
    word = packet_frame.sync_words()[1]
    taps = np.zeros((len(windows), packet_frame.FFT_LEN), complex)
    taps[:, packet_frame.CARRIER_BINS] = windows[:, 1, packet_frame.CARRIER_BINS] / word[packet_frame.CARRIER_BINS]
    return taps


def perfect(synced):
    """The true channel as this receiver sees it: noiseless samples through the same frequency
    correction and the same FFT window; Taps."""
    taps = least_squares(synced.windows(synced.noiseless, 2))
    return Taps(taps.astype(np.complex64), np.zeros((len(taps), packet_frame.FFT_LEN), np.float32))


def genie_lmmse(synced, air):
    """LMMSE from the same LS taps, knowing the power-delay profile, each packet's timing and the
    noise variance: W = R (R + s I)^-1 on the 52 carriers; Taps with their error variance."""
    bins = packet_frame.CARRIER_BINS
    name, rms, _ = packet_channel.SPREADS[air.spread]
    covariance = tdl.covariance(name, rms, packet_frame.FFT_LEN)[np.ix_(bins, bins)]
    values, vectors = np.linalg.eigh(covariance)
    values = np.maximum(values, 0)

    packet = np.maximum(synced.packet, 0)
    early = synced.timing + air.delays[packet, 0]  # the profile's first path has delay zero
    early[synced.packet < 0] = 0
    turn = np.exp(-2j * np.pi * np.outer(early, tdl.carriers()[bins]) / packet_frame.FFT_LEN)
    ls = least_squares(synced.windows(synced.noisy, 2))[:, bins] / GAIN
    noise = 10.0 ** (-air.snr_db[packet] / 10)
    gain = values / (values + noise[:, None])
    estimate = ((ls * turn.conj()) @ vectors.conj() * gain) @ vectors.T * turn

    taps = np.zeros((len(ls), packet_frame.FFT_LEN), np.complex64)
    taps[:, bins] = GAIN * estimate
    error = np.zeros((len(ls), packet_frame.FFT_LEN), np.float32)
    error[:, bins] = GAIN**2 * (noise[:, None] * gain) @ (np.abs(vectors) ** 2).T
    return Taps(taps, error)


def noise_behind_fft(synced, air):
    """True noise variance per carrier, [found], in the units of the windows."""
    return GAIN**2 * 10.0 ** (-air.snr_db[np.maximum(synced.packet, 0)] / 10)
