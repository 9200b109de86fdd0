# SPDX-License-Identifier: GPL-3.0-or-later
"""What radios do to samples: noise, carrier offset, clock offset."""

import numpy as np

from ..phy.ofdm_layout import LAYOUT_64
from ..phy.resample import at_steps


def noise_per_sample(snr_db, layout=LAYOUT_64):
    """Variance of a time sample's noise, for OFDM of unit mean power at this Es/N0 of a carrier in use.

    A carrier has amplitude fft_len / sqrt(carriers in use) behind the FFT, which multiplies the noise's variance by
    fft_len: SNR = fft_len / (carriers in use * variance).
    """
    return layout.fft_len / len(layout.carriers) * 10.0 ** (-np.asarray(snr_db, float) / 10)


def noise(rng, n, variance):
    """n samples of circular complex Gaussian noise; the same in however many pieces a generator is asked for them."""
    return np.sqrt(variance / 2) * rng.standard_normal((n, 2)).view(complex)[:, 0]


def carrier_turn(n, offset, phase=0.0):
    """What a carrier offset multiplies n samples by: offset in cycles a sample, a number or [..., 1]; complex [n] or
    [..., n]. phase: at the first sample, radians."""
    return np.exp(1j * (phase + 2 * np.pi * offset * np.arange(n)))


def slow_clock(x, ppm):
    """Samples as a receiver takes them whose clock is slow by this many millionths; see `resample.at_steps`."""
    return at_steps(x, 1 + 1e-6 * ppm) if ppm else x
