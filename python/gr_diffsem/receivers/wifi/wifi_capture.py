# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings on disk -> complex samples at 20 MS/s.

Formats: sc16, sc8, cu8, cf32 (raw interleaved IQ, little endian) and SigMF recordings (core
namespace of the specification, version 1: datatype, sample rate, header bytes; as the two files
or as one .sigmf archive). A file is mapped, not read: memory use does not grow with its size.
"""

import json
import os
import re
import tarfile
import warnings
from fractions import Fraction

import numpy as np

from ...base.errors import UserError
from ...phy import resample
from .wifi_tables import MAX_PACKET_LEN, SAMPLE_RATE

# format -> (component type, offset of zero, full scale)
FORMATS = {
    "sc16": ("<i2", 0.0, 32768.0),
    "sc8": ("i1", 0.0, 128.0),
    "cu8": ("u1", 127.5, 128.0),
    "cf32": ("<f4", 0.0, 1.0),
}
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
    ".sigmf": "sigmf",
    ".sigmf-meta": "sigmf",
    ".sigmf-data": "sigmf",
}

#: Samples of one chunk of a stream, and how much of it the next chunk sees again.
CHUNK = 1 << 20
OVERLAP = MAX_PACKET_LEN + 4096
_PROBE = 1 << 18
_MAX_META = 64 << 20
_MAX_TERM = 1000  # a ratio so rounded is within 0.5 ppm of the rate


class CaptureError(UserError, ValueError):
    """A recording cannot be used; the message names the parameter and the remedy."""


def guess_format(path):
    """Format by file extension; CaptureError if the extension says nothing."""
    ext = os.path.splitext(path)[1].lower()
    if ext in _BY_EXTENSION:
        return _BY_EXTENSION[ext]
    raise CaptureError(
        f"{path}: cannot guess the sample format from the extension '{ext}'; give --format {'|'.join(FORMAT_NAMES)}"
    )


def _sigmf_paths(path):
    stem, ext = os.path.splitext(path)
    if ext not in (".sigmf-meta", ".sigmf-data"):
        stem = path
    return stem + ".sigmf-meta", stem + ".sigmf-data"


def _sigmf_type(datatype, path):
    """SigMF core:datatype -> (numpy component type, zero, full scale)."""
    m = re.fullmatch(r"c([fiu])(8|16|32|64)(_le|_be)?", str(datatype))
    kind, bits = (m.group(1), int(m.group(2))) if m else ("", 0)
    wide = bits > 8
    if not m or (kind == "f" and bits < 32) or (wide and m.group(3) is None):
        raise CaptureError(
            f"{path}: core:datatype '{datatype}' is not a complex type that can be read; "
            "record as cf32_le, ci16_le, ci8 or cu8"
        )
    order = ">" if m.group(3) == "_be" else "<"
    component = np.dtype(f"{order if wide else '|'}{kind}{bits // 8}")
    if kind == "f":
        return component, 0.0, 1.0
    half = 2.0 ** (bits - 1)
    return component, (half - 0.5 if kind == "u" else 0.0), half


class Capture:
    """One recording, mapped into memory.

    path: a file (for SigMF any of its two files, or a .sigmf archive).
    fmt: one of FORMAT_NAMES, or None to go by the extension.
    sample_rate: samples per second of a raw file; None means 20 MS/s (SigMF says its own, and a
    different explicit value wins).

    Attributes: `path`, `format`, `rate` (of the file), `n_samples` (in the file), `resampling`
    (Fraction to 20 MS/s), `notes` (sentences about what was repaired).
    Raises CaptureError.
    """

    def __init__(self, path, fmt=None, sample_rate=None):
        self.path = os.fspath(path)
        self.notes = []
        if os.path.isdir(self.path):
            raise CaptureError(f"{self.path}: is a folder; name the recording inside it")
        self.format = fmt or guess_format(self.path)
        if self.format not in FORMAT_NAMES:
            raise CaptureError(f"--format: '{self.format}' is not known; use {'|'.join(FORMAT_NAMES)}")
        self._explicit = fmt is not None
        offset, n_bytes = 0, None
        if self.format == "sigmf":
            data_path, offset, n_bytes, rate = self._open_sigmf()
        else:
            data_path, rate = self.path, SAMPLE_RATE
            self._dtype, self._zero, self._scale = FORMATS[self.format]
            self._dtype = np.dtype(self._dtype)
        self.rate = float(sample_rate if sample_rate is not None else rate)
        self.resampling = _resampling(self.rate, self.path)
        self._map(data_path, offset, n_bytes)
        self._probe()

    # -- opening ---------------------------------------------------------------------------------

    def _open_sigmf(self):
        """Returns (file with the samples, first byte, number of bytes, sample rate)."""
        if tarfile_like(self.path):
            meta, data_path, offset, n_bytes = self._open_archive()
        else:
            meta_path, data_path = _sigmf_paths(self.path)
            for p in (meta_path, data_path):
                if not os.path.isfile(p):
                    raise CaptureError(
                        f"{p}: no such file; a SigMF recording is a .sigmf-meta beside a "
                        ".sigmf-data, or give --format for raw samples"
                    )
            if os.path.getsize(meta_path) > _MAX_META:
                raise CaptureError(f"{meta_path}: larger than {_MAX_META} octets, not metadata")
            with open(meta_path, "rb") as f:
                meta = f.read()
            offset, n_bytes = 0, None
        try:
            meta = json.loads(meta)
            info = meta["global"]
            datatype = info["core:datatype"]
            channels = int(info.get("core:num_channels", 1))
            captures = meta.get("captures") or [{}]
            header = int(captures[0].get("core:header_bytes", 0))
            later = any(int(c.get("core:header_bytes", 0)) for c in captures[1:])
            rate = float(info.get("core:sample_rate", np.nan))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as e:
            raise CaptureError(
                f"{self.path}: the SigMF metadata cannot be read ({e!r}); it needs a JSON object "
                "with global / core:datatype"
            ) from None
        if not np.isfinite(rate):
            raise CaptureError(
                f"{self.path}: the SigMF metadata has no core:sample_rate; add it (20e6), or give --sample-rate"
            )
        if channels != 1:
            raise CaptureError(
                f"{self.path}: core:num_channels is {channels}; split the recording into one file per channel"
            )
        if later or header < 0:
            raise CaptureError(f"{self.path}: only a header before the first capture can be read")
        self._dtype, self._zero, self._scale = _sigmf_type(datatype, self.path)
        if n_bytes is not None:
            n_bytes -= header
        return data_path, offset + header, n_bytes, rate

    def _open_archive(self):
        try:
            with tarfile.open(self.path, "r:") as tar:
                members = [m for m in tar.getmembers() if m.isfile()]
                metas = [m for m in members if m.name.endswith(".sigmf-meta")]
                if not metas:
                    raise CaptureError(f"{self.path}: the archive has no .sigmf-meta")
                data_name = metas[0].name[: -len("meta")] + "data"
                data = next((m for m in members if m.name == data_name), None)
                if data is None or metas[0].size > _MAX_META:
                    raise CaptureError(f"{self.path}: the archive has no {data_name}")
                return tar.extractfile(metas[0]).read(), self.path, data.offset_data, data.size
        except (tarfile.TarError, OSError) as e:
            raise CaptureError(f"{self.path}: not a readable SigMF archive ({e})") from None

    def _map(self, path, offset, n_bytes):
        try:
            size = os.path.getsize(path)
        except OSError as e:
            raise CaptureError(f"{path}: cannot be opened ({e.strerror})") from None
        available = size - offset
        if n_bytes is not None and available < n_bytes:
            self.notes.append(f"the archive ends {n_bytes - available} octets early")
        available = available if n_bytes is None else min(available, n_bytes)
        item = 2 * self._dtype.itemsize
        count = available // item
        if count <= 0:
            raise CaptureError(
                f"{path}: holds no complete {self.format} sample ({size} octets); record again, or check --format"
            )
        if available % item:
            self.notes.append(
                f"{available % item} octets at the end are not a whole sample and were ignored "
                "(file truncated, or wrong --format)"
            )
        try:
            self._data = np.memmap(path, self._dtype, "r", offset=offset, shape=(count, 2))
        except (OSError, ValueError) as e:
            raise CaptureError(f"{path}: cannot be read ({e})") from None
        self.n_samples = count

    def _probe(self):
        """Refuse what cannot be in the stated format (looks at the start, middle and end)."""
        n = self.n_samples
        part = min(n, _PROBE // 3)
        raw = np.concatenate([self._data[s : s + part] for s in (0, (n - part) // 2, n - part)])
        remedy = "check --format" if self._explicit else "say what it is with --format"
        if self._dtype.kind == "f":
            with np.errstate(all="ignore"):
                bad = ~np.isfinite(raw) | (np.abs(raw) > 1e9)
                tiny = (raw != 0) & (np.abs(raw) < 1e-25)
            share = float(np.mean(bad | tiny))
            if share > 0.01:
                raise CaptureError(
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
                raise CaptureError(
                    f"{self.path}: looks like 32-bit float, not sc16; {remedy} cf32 (or --format sc16 to insist)"
                )
        if not np.any(raw != raw[0]):
            self.notes.append("all samples looked at are equal: was the receiver connected?")

    # -- reading ---------------------------------------------------------------------------------

    def read(self, start, stop):
        """File samples [start, stop) as complex64, full scale 1, at the file's own rate.

        Values that are not finite become 0 and are noted.
        """
        raw = self._data[max(start, 0) : max(stop, 0)]
        x = np.empty(raw.shape, np.float32)
        with np.errstate(all="ignore"):
            np.subtract(raw, self._zero, out=x, casting="unsafe")
            x /= np.float32(self._scale)
        if self._dtype.kind == "f":
            bad = ~(np.abs(x) < 1e9)
            if bad.any():
                x[bad.any(axis=1)] = 0
                note = "samples that are not finite (or absurdly large) were set to 0"
                if note not in self.notes:
                    self.notes.append(note)
        return x.view(np.complex64)[:, 0]

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


def tarfile_like(path):
    """True for a .sigmf archive (and not for one of the two plain files)."""
    return os.path.isfile(path) and not path.endswith((".sigmf-meta", ".sigmf-data"))


def _resampling(rate, path):
    """Fraction from `rate` to 20 MS/s; CaptureError where that cannot work."""
    if not np.isfinite(rate) or rate <= 0:
        raise CaptureError(f"{path}: sample rate {rate} is not a rate; give --sample-rate 20e6")
    if rate < SAMPLE_RATE * (1 - 1e-6):
        raise CaptureError(
            f"{path}: sample rate is {rate / 1e6:g} MS/s, an 802.11a/g channel needs 20 MS/s; record at 20e6 (or more)"
        )
    ratio = Fraction(SAMPLE_RATE / rate).limit_denominator(_MAX_TERM)
    if ratio != 1:
        warnings.warn(f"{path}: resampling {rate / 1e6:g} to 20 MS/s", stacklevel=3)
    return ratio
