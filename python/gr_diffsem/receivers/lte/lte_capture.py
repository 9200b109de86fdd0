# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of an LTE downlink -> complex samples at any rate that a multiple of the carrier spacing makes."""

import os
from fractions import Fraction

import numpy as np

from ...phy import resample
from .. import recordings
from ..recordings import RecordingError

DEFAULT_RATE = 19.2e6  #: of a raw file, where nothing else is said
LEAST_RATE = 1.4e6  #: the six middle resource blocks fill 1.08 MHz
_MOST_TERM = 1000  # a ratio so rounded is within 0.5 ppm of the rate
#: What raw files are taken for whose names say nothing: as hackrf_transfer and rtl_sdr write them.
ENDINGS = {".bin": "sc8", ".dat": "sc16"}


class Capture:
    """One recording, mapped into memory.

    path, form: as `recordings.opened` takes them; form None: by the ending. rate: samples a second of a raw file, None
    for DEFAULT_RATE (SigMF says its own, and a different explicit value wins). inverted: the spectrum is mirrored
    (I and Q swapped, or a mixer on the other side); samples come conjugated.

    Attributes: `path`, `rate`, `seconds`, `notes` (sentences about what was repaired). Raises RecordingError.
    """

    def __init__(self, path, form=None, rate=None, inverted=False):
        self.path, self.inverted = os.fspath(path), inverted
        self._recording = recordings.opened(self.path, form or recordings.guessed(self.path, ENDINGS), form is not None)
        self.rate = float(rate or self._recording.rate or DEFAULT_RATE)
        if self.rate < LEAST_RATE:
            raise RecordingError(
                f"{self.path}: {self.rate / 1e6:g} MS/s hold no LTE cell; record at 1.92e6 or more, and give it by --fs"
            )
        self.seconds = self._recording.n_samples / self.rate
        self.notes = self._recording.notes

    def samples(self, rate, start, stop):
        """Samples [start, stop) of the recording at another rate, complex64; fewer where it ends."""
        ratio = Fraction(rate / self.rate).limit_denominator(_MOST_TERM)
        stop = min(stop, int(self._recording.n_samples * ratio))
        if stop <= start:
            return np.zeros(0, np.complex64)
        if ratio == 1:
            return self._read(start, stop)
        return resample.rational(self._read, ratio, start, stop)

    def _read(self, start, stop):
        x = self._recording.read(start, stop)
        return x.conj() if self.inverted else x
