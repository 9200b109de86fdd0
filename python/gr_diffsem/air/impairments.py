# SPDX-License-Identifier: GPL-3.0-or-later
"""What radios and their neighbours do to samples: noise, offsets, gain, clipping, gaps, impulses, interference.

All take complex samples [n] and give as many, but for `slow_clock` and `gaps`. Powers in dB are over the mean power of
the signal, which is that of the samples that are not zero (`power`).
"""

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


def power(x):
    """Mean power of the samples that are not zero."""
    live = x[x != 0]
    return float(np.mean(np.abs(live) ** 2)) if live.size else 0.0


def add_noise(x, rng, snr_db, layout=LAYOUT_64):
    """Noise at this Es/N0 of a carrier in use."""
    return x + noise(rng, x.size, power(x) * noise_per_sample(snr_db, layout))


def dc(x, level_db):
    """A direct component, which a mixer leaks."""
    return x + amplitude(x, level_db) * np.exp(0.7j)


def tone(x, level_db, frequency):
    """A bare carrier; frequency in cycles a sample."""
    return x + amplitude(x, level_db) * carrier_turn(x.size, frequency, 0.3)


def iq_image(x, gain_db, degrees):
    """Q is stronger than I by gain_db and turned towards it: x becomes a x + b conj(x), of the same power."""
    g, turn = 10 ** (gain_db / 20), np.deg2rad(degrees)
    y = x.real + 1j * g * (x.imag * np.cos(turn) + x.real * np.sin(turn))
    return y * np.sqrt(2 / (1 + g**2))


def swapped_iq(x):
    """I and Q are swapped: the spectrum is mirrored."""
    return x.imag + 1j * x.real


def gaps(x, rng, every, length):
    """Samples are lost: `length` of them at random places, one in `every` on average."""
    count = rng.poisson(x.size / every)
    keep = np.ones(x.size, bool)
    for at in rng.integers(0, max(x.size - length, 1), count):
        keep[at : at + length] = False
    return x[keep]


def gain_steps(x, every, steps_db):
    """The gain is another one of steps_db, in turn, after every so many samples."""
    which = (np.arange(x.size) // every) % len(steps_db)
    return x * 10 ** (np.asarray(steps_db, float)[which] / 20)


def clip(x, ratio_db):
    """Both parts are limited, at this much above their mean power."""
    most = np.sqrt(power(x) / 2) * 10 ** (ratio_db / 20)
    return np.clip(x.real, -most, most) + 1j * np.clip(x.imag, -most, most)


def quantise(x, bits, ratio_db=12.0):
    """A converter of so many bits whose end of scale lies ratio_db above the mean power of each part."""
    step = np.sqrt(power(x) / 2) * 10 ** (ratio_db / 20) / 2 ** (bits - 1)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return step * (np.clip(np.round(x.real / step), low, high) + 1j * np.clip(np.round(x.imag / step), low, high))


def impulses(x, rng, share, level_db):
    """Impulses of one sample on this share of the samples."""
    hit = rng.random(x.size) < share
    return x + hit * amplitude(x, level_db) * np.exp(2j * np.pi * rng.random(x.size))


def neighbour(x, rng, level_db, centre=29.0 / 64 + 1.5 / 64, width=3.0 / 64):
    """Noise of a band beside the signal: centre and width in cycles a sample; steep, as another sender's filter is."""
    spectrum = np.fft.fft(noise(rng, x.size, 1.0))
    away = (np.fft.fftfreq(x.size) - centre + 0.5) % 1 - 0.5
    band = np.fft.ifft(spectrum * (np.abs(away) < width / 2))
    return x + amplitude(x, level_db) * band / np.sqrt(np.mean(np.abs(band) ** 2))


def lte(x, rng, level_db, centre=0.0, resource_blocks=6, rate_over=1.0):
    """An LTE downlink over the signal: OFDM of 15 kHz with 12 carriers a resource block, QPSK, prefixes of 10, then six
    times 9 samples of 128 (TS 36.211, normal prefix), every fourth symbol silent but for reference carriers, as of a
    cell that has little to send. centre: cycles a sample. rate_over: this stream's rate over 1.92 MS/s."""
    carriers = 12 * resource_blocks
    bins = np.concatenate([np.arange(-carriers // 2, 0), np.arange(1, carriers // 2 + 1)])
    size = 128 if carriers < 128 else 2 ** int(np.ceil(np.log2(carriers + 2)))
    pieces, have, symbol = [], 0, 0
    while have * rate_over < x.size + 64:
        points = ((2 * rng.integers(0, 2, (bins.size, 2)) - 1) @ [1, 1j]) / np.sqrt(2)
        if symbol % 4 == 3:
            points[np.arange(bins.size) % 6 != 0] = 0
        spectrum = np.zeros(size, complex)
        spectrum[bins % size] = points
        body = np.fft.ifft(spectrum)
        prefix = (10 if symbol % 7 == 0 else 9) * size // 128
        pieces.append(np.concatenate([body[-prefix:], body]))
        have += size + prefix
        symbol += 1
    wave = np.concatenate(pieces)
    if rate_over != 1:
        wave = at_steps(wave, 1 / rate_over)
    wave = wave[: x.size] * carrier_turn(x.size, centre)
    return x + amplitude(x, level_db) * wave / np.sqrt(power(wave))


def amplitude(x, level_db):
    """Of a wave so many dB above the signal."""
    return np.sqrt(power(x)) * 10 ** (level_db / 20)
