# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of 802.11a/g -> complex samples at 20 MS/s.

Formats: sc16, sc8, cu8, cf32 (raw interleaved IQ, little endian) and SigMF (recordings.py). Memory use does not grow
with the file.
"""

import os
import warnings
from fractions import Fraction

import numpy as np

from ...phy import resample
from .. import recordings
from ..recordings import RecordingError
from .wifi_tables import MAX_PACKET_LEN, SAMPLE_RATE

FORMATS = recordings.RAW
FORMAT_NAMES = (*FORMATS, "sigmf")

_BY_EXTENSION = {
    ".dat": "sc16",
    ".sc16": "sc16",
    ".cs16": "sc16",
    ".ci16": "sc16",
    ".sc8": "sc8",
    ".cs8": "sc8",
    ".ci8": "sc8",
    ".cu8": "cu8",
    ".cf32": "cf32",
    ".fc32": "cf32",
    ".cfile": "cf32",
}

#: Samples of one chunk of a stream, and how much of it the next chunk sees again.
CHUNK = 1 << 20
OVERLAP = MAX_PACKET_LEN + 4096
_PROBE = 1 << 18
_MAX_TERM = 1000  # a ratio so rounded is within 0.5 ppm of the rate


def guess_format(path):
    """Format by file extension; RecordingError if the extension says nothing."""
    if recordings.is_sigmf(path):
        return "sigmf"
    ext = os.path.splitext(path)[1].lower()
    if ext in _BY_EXTENSION:
        return _BY_EXTENSION[ext]
    raise RecordingError(
        f"{path}: cannot guess the sample format from the extension '{ext}'; give --format {'|'.join(FORMAT_NAMES)}"
    )


class Capture:
    """One recording, mapped into memory.

    path: a file (for SigMF any of its two files, or a .sigmf archive).
    fmt: one of FORMAT_NAMES, or None to go by the extension.
    sample_rate: samples per second of a raw file; None means 20 MS/s (SigMF says its own, and a
    different explicit value wins).

    Attributes: `path`, `format`, `rate` (of the file), `n_samples` (in the file), `resampling`
    (Fraction to 20 MS/s), `notes` (sentences about what was repaired).
    Raises RecordingError.
    """

    def __init__(self, path, fmt=None, sample_rate=None):
        self.path = os.fspath(path)
        if os.path.isdir(self.path):
            raise RecordingError(f"{self.path}: is a folder; name the recording inside it")
        self.format = fmt or guess_format(self.path)
        if self.format not in FORMAT_NAMES:
            raise RecordingError(f"--format: '{self.format}' is not known; use {'|'.join(FORMAT_NAMES)}")
        self._explicit = fmt is not None
        if self.format == "sigmf":
            self._recording = recordings.sigmf(self.path)
            if self._recording.rate is None and sample_rate is None:
                raise RecordingError(
                    f"{self.path}: the SigMF metadata has no core:sample_rate; add it (20e6), or give --sample-rate"
                )
        else:
            self._recording = recordings.raw(self.path, self.format)
            self._recording.rate = SAMPLE_RATE
        self.n_samples, self.notes = self._recording.n_samples, self._recording.notes
        self.rate = float(self._recording.rate if sample_rate is None else sample_rate)
        self.resampling = _resampling(self.rate, self.path)
        self._probe()

    def _probe(self):
        """Refuse what cannot be in the stated format (looks at the start, middle and end)."""
        n = self.n_samples
        part = min(n, _PROBE // 3)
        data = self._recording.data
        raw = np.concatenate([data[s : s + part] for s in (0, (n - part) // 2, n - part)])
        remedy = "check --format" if self._explicit else "say what it is with --format"
        if data.dtype.kind == "f":
            with np.errstate(all="ignore"):
                bad = ~np.isfinite(raw) | (np.abs(raw) > 1e9)
                tiny = (raw != 0) & (np.abs(raw) < 1e-25)
            share = float(np.mean(bad | tiny))
            if share > 0.01:
                raise RecordingError(
                    f"{self.path}: {100 * share:.0f} % of the values are not numbers or absurdly "
                    f"large or small when read as {self.format}: it is probably not complex "
                    f"float; {remedy} (sc16, sc8, cu8)"
                )
        elif self.format == "sc16" and not self._explicit and n > 512:
            as_float = np.ascontiguousarray(raw[: len(raw) // 2 * 2]).view("<f4")
            with np.errstate(all="ignore"):
                size = np.abs(as_float)
                plausible = np.isfinite(as_float) & (size < 1e3) & ((size > 1e-7) | (size == 0))
            if np.mean(plausible) > 0.995 and np.mean(as_float != 0) > 0.5:
                raise RecordingError(
                    f"{self.path}: looks like 32-bit float, not sc16; {remedy} cf32 (or --format sc16 to insist)"
                )
        if not np.any(raw != raw[0]):
            self.notes.append("all samples looked at are equal: was the receiver connected?")

    # -- reading ---------------------------------------------------------------------------------

    def read(self, start, stop):
        """File samples [start, stop) as complex64, full scale 1, at the file's own rate (Recording.read)."""
        return self._recording.read(start, stop)

    def __len__(self):
        """Samples after resampling to 20 MS/s."""
        return int(self.n_samples * self.resampling)

    def chunks(self, size=CHUNK, overlap=OVERLAP):
        """Yield (offset, fresh, samples) at 20 MS/s, memory bounded by `size` + `overlap`.

        `samples` begins at sample `offset` of the recording; its first `fresh` samples belong to
        this chunk, the rest is seen again by the next one, so a packet that begins in the fresh
        part is whole unless the recording ends.
        """
        total = len(self)
        for offset in range(0, total, size):
            stop = min(offset + size + overlap, total)
            yield offset, min(size, total - offset), self.samples(offset, stop)

    def samples(self, start=0, stop=None):
        """Samples [start, stop) at 20 MS/s, complex64; default the whole recording."""
        start, stop = max(start, 0), len(self) if stop is None else min(stop, len(self))
        if stop <= start:
            return np.zeros(0, np.complex64)
        if self.resampling == 1:
            return self.read(start, stop)
        return resample.rational(self.read, self.resampling, start, stop)


def _resampling(rate, path):
    """Fraction from `rate` to 20 MS/s; RecordingError where that cannot work."""
    if not np.isfinite(rate) or rate <= 0:
        raise RecordingError(f"{path}: sample rate {rate} is not a rate; give --sample-rate 20e6")
    if rate < SAMPLE_RATE * (1 - 1e-6):
        raise RecordingError(
            f"{path}: sample rate is {rate / 1e6:g} MS/s, an 802.11a/g channel needs 20 MS/s; record at 20e6 (or more)"
        )
    ratio = Fraction(SAMPLE_RATE / rate).limit_denominator(_MAX_TERM)
    if ratio != 1:
        warnings.warn(f"{path}: resampling {rate / 1e6:g} to 20 MS/s", stacklevel=3)
    return ratio
