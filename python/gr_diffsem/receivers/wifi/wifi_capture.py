# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of 802.11a/g/p -> complex samples at the rate of their channel, 20 MS/s for most.

Formats: sc16, sc8, cu8, cf32 (raw interleaved IQ, little endian) and SigMF (recordings.py). Memory use does not grow
with the file.
"""

import os
from fractions import Fraction

import numpy as np

from ...phy import resample
from .. import recordings
from ..recordings import RecordingError
from .wifi_tables import MAX_PACKET_LEN

FORMATS = recordings.RAW
FORMAT_NAMES = recordings.FORMATS

#: Samples of one chunk of a stream, and how much of it the next chunk sees again.
CHUNK = 1 << 20
OVERLAP = MAX_PACKET_LEN + 4096
_MAX_TERM = 1000  # a ratio so rounded is within 0.5 ppm of the rate


#: Channel widths of 802.11, Hz: 10 and 5 MHz are the same signal with its clock slowed (802.11p, 802.11j, 802.11y).
WIDTHS = (20e6, 10e6, 5e6)


def hertz(value):
    """A rate or width as options take it: 10e6."""
    return f"{value / 1e6:g}e6"


def guess_format(path):
    """Format by file extension; RecordingError if the extension says nothing."""
    return recordings.guessed(path, {".dat": "sc16"})


class Capture:
    """One recording, mapped into memory.

    path: a file (for SigMF any of its two files, or a .sigmf archive).
    fmt: one of FORMAT_NAMES, or None to go by the extension.
    sample_rate: samples per second of a raw file; None means the channel's width (SigMF says its own, and a
    different explicit value wins).
    channel_width: one of WIDTHS. Samples come at this rate, and everything behind takes them for ones at 20 MS/s: the
    carrier offsets found there are 20e6 / channel_width times those on the air.
    inverted: the spectrum is mirrored (I and Q swapped, or a mixer on the other side); samples come conjugated.

    Attributes: `path`, `format`, `rate` (of the file), `n_samples` (in the file), `resampling`
    (Fraction to `width`), `width`, `notes` (sentences about what was repaired).
    Raises RecordingError.
    """

    def __init__(self, path, fmt=None, sample_rate=None, channel_width=WIDTHS[0], inverted=False):
        self.path, self.width, self.inverted = os.fspath(path), float(channel_width), inverted
        if os.path.isdir(self.path):
            raise RecordingError(f"{self.path}: is a folder; name the recording inside it")
        if self.width not in WIDTHS:
            raise RecordingError(f"--channel-width {hertz(channel_width)}: give {', '.join(map(hertz, WIDTHS))} (Hz)")
        self.format = fmt or guess_format(self.path)
        self._recording = recordings.opened(self.path, self.format, fmt is not None)
        if self.format != "sigmf":
            self._recording.rate = self.width
        elif self._recording.rate is None and sample_rate is None:
            raise RecordingError(
                f"{self.path}: the SigMF metadata has no core:sample_rate; add it (20e6), or give --sample-rate"
            )
        self.n_samples, self.notes = self._recording.n_samples, self._recording.notes
        self.rate = float(self._recording.rate if sample_rate is None else sample_rate)
        self.resampling = _resampling(self.rate, self.width, self.path)
        if self.resampling != 1:
            self.notes.append(f"resampled from {self.rate / 1e6:g} to {self.width / 1e6:g} MS/s")

    # -- reading ---------------------------------------------------------------------------------

    def read(self, start, stop):
        """File samples [start, stop) as complex64, full scale 1, at the file's own rate (Recording.read)."""
        x = self._recording.read(start, stop)
        return x.conj() if self.inverted else x

    def __len__(self):
        """Samples after resampling to the channel's rate."""
        return int(self.n_samples * self.resampling)

    def chunks(self, size=CHUNK, overlap=OVERLAP):
        """Yield (offset, fresh, samples) at the channel's rate, memory bounded by `size` + `overlap`.

        `samples` begins at sample `offset` of the recording; its first `fresh` samples belong to
        this chunk, the rest is seen again by the next one, so a packet that begins in the fresh
        part is whole unless the recording ends.
        """
        total = len(self)
        for offset in range(0, total, size):
            stop = min(offset + size + overlap, total)
            yield offset, min(size, total - offset), self.samples(offset, stop)

    def samples(self, start=0, stop=None):
        """Samples [start, stop) at the channel's rate, complex64; default the whole recording."""
        start, stop = max(start, 0), len(self) if stop is None else min(stop, len(self))
        if stop <= start:
            return np.zeros(0, np.complex64)
        if self.resampling == 1:
            return self.read(start, stop)
        return resample.rational(self.read, self.resampling, start, stop)


def _resampling(rate, width, path):
    """Fraction from `rate` to the channel's; RecordingError where that cannot work."""
    if not np.isfinite(rate) or rate <= 0:
        raise RecordingError(f"{path}: sample rate {rate} is not a rate; give --sample-rate {hertz(width)}")
    if rate < width * (1 - 1e-6):
        narrower = next((w for w in WIDTHS if w <= rate * (1 + 1e-6)), None)
        hint = f", or if it is of a narrower channel (802.11p and others), give --channel-width {hertz(narrower or 0)}"
        raise RecordingError(
            f"{path}: sample rate is {rate / 1e6:g} MS/s, an 802.11 channel of {width / 1e6:g} MHz needs "
            f"{width / 1e6:g} MS/s; record at {hertz(width)} (or more){hint if narrower else ''}"
        )
    return Fraction(width / rate).limit_denominator(_MAX_TERM)
