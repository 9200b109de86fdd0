# SPDX-License-Identifier: GPL-3.0-or-later
"""Which carriers an OFDM symbol has, and the way between its spectrum and its samples.

Carriers are counted from DC. A spectrum holds all of them in ascending frequency, DC in the middle, as gr-digital
has it; a `bin` is a position in a spectrum. What gain belongs to it is the caller's choice: the transforms here are
NumPy's, 1 from samples to spectra and 1 / fft_len back.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..base.pilot_patterns import WIFI_PILOTS as PILOTS_64

DATA_64 = tuple(k for k in range(-26, 27) if k and k not in PILOTS_64)


@dataclass(frozen=True)
class OfdmLayout:
    """fft_len carriers, cp_len samples of cyclic prefix; data and pilots: carriers, counted from DC. The default is
    that of IEEE 802.11a/g, which is also gr-digital's: 48 data carriers, 4 pilots, DC empty."""

    fft_len: int = 64
    cp_len: int = 16
    data: tuple = DATA_64
    pilots: tuple = PILOTS_64

    @property
    def symbol(self):
        """Samples of an OFDM symbol, its prefix included."""
        return self.fft_len + self.cp_len

    @cached_property
    def carriers(self):
        """All that carry energy, ascending."""
        return tuple(sorted(self.data + self.pilots))

    @cached_property
    def data_bins(self):
        """Positions of the data carriers in a spectrum, in their order: int [D]."""
        return np.array(self.data) + self.fft_len // 2

    @cached_property
    def pilot_bins(self):
        """Positions of the pilots in a spectrum: int [P]."""
        return np.array(self.pilots) + self.fft_len // 2

    @cached_property
    def carrier_bins(self):
        """Positions of all carriers that carry energy, ascending: int [D + P]."""
        return np.array(self.carriers) + self.fft_len // 2

    @cached_property
    def gain(self):
        """What makes the mean power of the samples 1 where carriers have unit power, before NumPy's inverse FFT;
        also the amplitude of such a carrier behind a receiver's FFT."""
        return self.fft_len / np.sqrt(len(self.carriers))

    def bodies(self, spectra):
        """Spectra [..., fft_len] -> the samples of each symbol without its prefix [..., fft_len]."""
        return np.fft.ifft(np.fft.ifftshift(spectra, axes=-1), axis=-1)

    def with_prefix(self, bodies):
        """Symbols [..., fft_len] -> with the cyclic prefix in front [..., symbol]."""
        return np.concatenate([bodies[..., -self.cp_len :], bodies], -1)

    def spectra(self, bodies):
        """The inverse of `bodies`."""
        return np.fft.fftshift(np.fft.fft(bodies, axis=-1), axes=-1)


#: IEEE 802.11a/g and gr-digital's default.
LAYOUT_64 = OfdmLayout()
