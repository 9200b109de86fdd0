# SPDX-License-Identifier: GPL-3.0-or-later
"""The OFDM frame that both ends of a semantic link agree on.

    sync word 1 | sync word 2 | header | payload

gr-digital's default layout of 64 carriers unless told otherwise (48 data, 4 pilots, DC empty). Both sync words
fill all carriers in use with BPSK: every carrier is estimated twice, and their difference is noise.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..phy.ofdm_layout import LAYOUT_64, OfdmLayout
from ..phy.packet_frame import pilot_symbols as default_pilot_symbols
from .frame_header import SYMBOLS as HEADER_USES

SYNC_SYMBOLS = 2
_DRAWS = 2000


@dataclass(frozen=True)
class Layout(OfdmLayout):
    """An OFDM layout and what a frame is beside it. pilot_symbols: sets gone through symbol by symbol; frame_symbols:
    of a full payload."""

    pilot_symbols: tuple = field(default_factory=default_pilot_symbols)
    frame_symbols: int = 50

    @property
    def header_symbols(self):
        """OFDM symbols of a header."""
        return -(-HEADER_USES // len(self.data))

    @property
    def air_samples_per_use(self):
        """Samples of a full frame over its channel uses, header counted: what prefix, pilots and sync words add."""
        symbols = SYNC_SYMBOLS + self.header_symbols + self.frame_symbols
        return symbols * self.symbol / (len(self.data) * self.frame_symbols + HEADER_USES)

    @cached_property
    def sync_words(self):
        """Two BPSK words, complex [2, fft_len], DC in the middle, magnitude 1 on the carriers in use.

        The two with the lowest peaks of some thousand draws: the preamble must not be clipped.
        """
        n = self.fft_len
        signs = 1.0 - 2 * np.random.default_rng(1997).integers(0, 2, (_DRAWS, len(self.carriers)))
        wide = np.zeros((_DRAWS, 4 * n), complex)
        wide[:, self.carrier_bins + 3 * n // 2] = signs
        peak = np.abs(np.fft.ifft(wide, axis=1)).max(1)
        words = np.zeros((2, n), complex)
        words[:, self.carrier_bins] = signs[np.argsort(peak)[:2]]
        return words

    def frame_spectra(self, symbols):
        """Header and payload symbols [n] -> OFDM symbols complex [2 + S, fft_len], sync words in front."""
        grid = np.asarray(symbols, np.complex64).reshape(-1, len(self.data))
        out = np.zeros((SYNC_SYMBOLS + len(grid), self.fft_len), np.complex64)
        out[:SYNC_SYMBOLS] = self.sync_words
        out[SYNC_SYMBOLS:, self.data_bins] = grid
        for s in range(len(grid)):
            pilots = self.pilot_symbols[s % len(self.pilot_symbols)]
            out[SYNC_SYMBOLS + s, self.pilot_bins] = pilots
        return out

    def samples(self, symbols):
        """Header and payload symbols [n] -> complex64 samples with prefixes, mean power 1."""
        return self.to_samples(self.frame_spectra(symbols))

    def to_samples(self, spectra):
        """OFDM symbols [S, fft_len], DC in the middle -> complex64 [S * symbol], the same gain for all."""
        return self.with_prefix(self.bodies(spectra) * self.gain).ravel().astype(np.complex64)


def layout(fft_len=64, cp_len=16, occupied=None, pilots=None, pilot_symbols=None, frame_symbols=50):
    """A Layout from gr-digital's nested lists, None where the default layout of 64 carriers is meant.

    ValueError where the default cannot be meant, or more than one set of carriers is given.
    """
    given = {"occupied_carriers": occupied, "pilot_carriers": pilots, "pilot_symbols": pilot_symbols}
    missing = [name for name, value in given.items() if value is None]
    if missing and (len(missing) < 3 or fft_len != LAYOUT_64.fft_len):
        raise ValueError(
            f"{missing[0]} is None: only with {LAYOUT_64.fft_len} carriers, and all three of {', '.join(given)} left "
            "to None, is there a default layout; give all three"
        )
    if missing:
        return Layout(cp_len=cp_len, frame_symbols=frame_symbols)
    for name in ("occupied_carriers", "pilot_carriers"):
        if len(given[name]) != 1:
            raise ValueError(f"{name} has {len(given[name])} sets: every symbol of these frames is alike, give one")
    sets = tuple(tuple(complex(v) for v in s) for s in pilot_symbols)
    return Layout(fft_len, cp_len, tuple(occupied[0]), tuple(pilots[0]), sets, frame_symbols)
