# SPDX-License-Identifier: GPL-3.0-or-later
"""Signals through static paths whose delays lie between samples.

`through_paths` is exact for OFDM in continuous time: within a symbol the transmitted signal is a sum of carriers, so
a path delayed by tau samples (a fraction too) is the same sum with turned phases, and its border to the next symbol
comes tau samples later. Where the FFT window lies inside the cyclic prefix behind the last path, the channel is
exactly H[k] = sum_l a_l exp(-2j pi k tau_l / fft_len); where it does not, the symbols overlap as on the air.
`taps` makes a filter of the paths, for signals of which nothing is known.
"""

import numpy as np

from ..base.signal import complex_noise
from ..base.windowed_sinc import windowed_sinc
from ..phy.ofdm_layout import LAYOUT_64
from . import tdl


def through_paths(packets, delays, gains, layout=LAYOUT_64):
    """Packets of whole OFDM symbols: complex [n, symbol S] -> [n, symbol S + cp_len], the last path's tail included.

    delays [n, paths] in samples, 0 <= delay <= cp_len, else ValueError; gains [n, paths].
    """
    size, prefix = layout.fft_len, layout.cp_len
    if delays.max() > prefix or delays.min() < 0:
        raise ValueError(f"delays: paths must lie within the cyclic prefix, 0..{prefix} samples")
    n = len(packets)
    spectra = np.fft.fft(packets.reshape(n, -1, layout.symbol)[..., prefix:], axis=-1)
    spectra = np.concatenate([spectra, np.zeros((n, 1, size))], 1)  # silence behind
    before = np.concatenate([np.zeros((n, 1, size)), spectra[:, :-1]], 1)
    steering = np.fft.ifftshift(tdl.steering(delays, size), axes=1)  # [n, size, paths]
    response = np.einsum("pkl,pl->pk", steering, gains)[:, None]
    out = layout.with_prefix(np.fft.ifft(spectra * response, axis=-1))

    carrier = np.fft.fftfreq(size)
    for r in range(prefix):  # here some paths still bring the symbol before
        late = np.einsum("pkl,pl->pk", steering, gains * (delays > r))[:, None]
        here = np.exp(2j * np.pi * carrier * (r - prefix)) / size
        there = here * np.exp(2j * np.pi * carrier * layout.symbol)
        out[..., r] = ((response - late) * spectra * here + late * before * there).sum(-1)
    return out.reshape(n, -1)[:, : packets.shape[1] + prefix]


def taps(delays, gains, half=16, length=None):
    """A filter for the paths of one channel, delays [L] in samples and gains [L]: complex [length].

    Each path is a windowed sinc about its delay, 2 half taps long; `half` samples come before that of delay zero. The
    length left out, it holds the longest path.
    """
    delays = np.asarray(delays, float)
    length = int(np.ceil(delays.max())) + 2 * half + 2 if length is None else length
    return windowed_sinc(np.arange(length)[:, None] - half - delays, half) @ gains


def tdl_taps(name, spread, rng, half=16, length=None):
    """A filter for one channel drawn from a TDL profile, RMS delay spread in samples: as `taps`."""
    return taps(tdl.profile(name).delays * spread, tdl.gains(name, rng, 1)[0], half, length)


def exponential_taps(spread, rng, n=12):
    """Complex Gaussian taps [n], one a sample, of an exponential profile with this spread in samples; their power is
    1 exactly. spread 0: one path."""
    if spread <= 0:
        return np.ones(1, complex)
    h = complex_noise(rng, n) * np.sqrt(np.exp(-np.arange(n) / spread))
    return h / np.linalg.norm(h)
