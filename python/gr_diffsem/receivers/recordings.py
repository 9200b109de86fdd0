# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings on disk: raw interleaved IQ, or SigMF by its description (two files, or a .sigmf archive). One reader for
every command that takes a recording.

A file is mapped, not read: memory use does not grow with its size. It may come from a stranger: every size is bounded
before anything is read, and what cannot be used is refused in one sentence. The package `sigmf` reads descriptions
(https://sigmf.org, version 1); it is imported when the first one is met.
"""

import os
import re
import tarfile
from pathlib import Path

import numpy as np

from ..base import regular_file
from ..base.errors import UserError

#: raw format -> (component type, offset of zero, full scale)
RAW = {
    "sc16": ("<i2", 0.0, 32768.0),
    "sc8": ("i1", 0.0, 128.0),
    "cu8": ("u1", 127.5, 128.0),
    "cf32": ("<f4", 0.0, 1.0),
}
FORMATS = (*RAW, "sigmf")
#: What the ending of a raw file says; `.dat` and others say nothing.
ENDINGS = {
    **dict.fromkeys((".sc16", ".cs16", ".ci16"), "sc16"),
    **dict.fromkeys((".sc8", ".cs8", ".ci8"), "sc8"),
    ".cu8": "cu8",
    **dict.fromkeys((".cf32", ".fc32", ".cfile"), "cf32"),
}
_PROBE = 1 << 18  # values that are looked at, to see whether the format can be right
_MAX_META = 64 << 20  # octets of a description
_MAX_MEMBERS = 10_000  # of an archive
_PACKED = (".gz", ".xz", ".bz2", ".zip")
_TOOL = "take the samples out of it, as `sox FILE.wav -t raw FILE.sc16` does"
#: How files begin that hold samples among other things, and what to do with them.
_NOT_RAW = {
    b"RIFF": f"a WAV file; {_TOOL}",
    b"RF64": f"a WAV file; {_TOOL}",
    b"\x93NUMPY": "a NumPy array; write it by `numpy.load(FILE).astype('complex64').tofile('FILE.cf32')`",
    b"\x1f\x8b\x08": "a packed file; unpack it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x89HDF\r\n": "an HDF5 file; write its samples as cf32",
    b"MATLAB": "a MATLAB file; write its samples as cf32",
}
_PAIR = "a SigMF recording is a .sigmf-meta beside a .sigmf-data"


class RecordingError(UserError, ValueError):
    """A recording cannot be used; the message begins with its path."""


def is_sigmf(path):
    """Whether a name is that of a SigMF recording: one of its two files, an archive (packed too), a collection."""
    suffixes = Path(path).suffixes[-2:]
    return bool(suffixes) and (
        suffixes[-1].startswith(".sigmf") or (suffixes[-1] in _PACKED and suffixes[0] == ".sigmf" != suffixes[-1])
    )


def opened(path, form, given):
    """The Recording of a file; RecordingError where it is none, or its values cannot be of this format.

    form: a name of FORMATS; given: whether a person said so (a guess may be wrong in other ways).
    """
    path = os.fspath(path)
    if form not in FORMATS:
        raise RecordingError(f"--format: '{form}' is not known; use {'|'.join(FORMATS)}")
    if os.path.isdir(path):
        raise RecordingError(f"{path}: is a folder; name the recording inside it")
    recording = sigmf(path) if form == "sigmf" else raw(path, form)
    recording.probe(given)
    return recording


def said_by_name(path):
    """The format that a file's name tells, a name of FORMATS, or None."""
    return "sigmf" if is_sigmf(path) else ENDINGS.get(os.path.splitext(path)[1].lower())


def guessed(path, more):
    """The format by a file's name; more: {ending: format} of raw files besides ENDINGS. RecordingError if it says
    nothing."""
    ending = os.path.splitext(path)[1].lower()
    form = said_by_name(path) or more.get(ending)
    if form is None and os.path.isdir(path):
        raise RecordingError(f"{path}: is a folder; name the recording inside it")
    if form is None:
        raise RecordingError(
            f"{path}: cannot guess the sample format from the extension '{ending}'; give --format {'|'.join(FORMATS)}"
        )
    return form


class Recording:
    """The samples of one file, mapped.

    Attributes: `path`, `format` (a name of RAW or a SigMF datatype), `offset` (octets before the first sample),
    `n_samples`, `data` ([n_samples, 2], as stored), `rate` (samples a second, None where nobody says), `notes`
    (sentences about what was repaired, or is odd).
    """

    def __init__(self, path, form, stored, offset=0, n_bytes=None, trailing=0, rate=None, notes=()):
        """form: how messages call the format. stored: component type, offset of zero, full scale.

        n_bytes: of the part of the file that begins at `offset` (None: to its end), the last `trailing` of which are no
        samples.
        """
        self.path, self.format, self.offset, self.rate, self.notes = path, form, offset, rate, list(notes)
        self.dtype, self._zero, self._scale = np.dtype(stored[0]), *stored[1:]
        if fault := regular_file.fault(path):
            raise RecordingError(f"{path}: {fault}; give a recording on disk")
        size = os.path.getsize(path)
        if not size:
            raise RecordingError(f"{path}: holds no complete {form} sample: it is empty, there are no samples in it")
        if n_bytes is not None and size - offset < n_bytes:
            self.notes.append(f"the archive ends {n_bytes - (size - offset)} octets early")
        available = (size - offset if n_bytes is None else min(size - offset, n_bytes)) - trailing
        item = 2 * self.dtype.itemsize
        self.n_samples = available // item
        if self.n_samples <= 0:
            around = f", of which {offset + trailing} are no samples" if offset + trailing else ""
            raise RecordingError(
                f"{path}: holds no complete {form} sample ({size} octets{around}); record again, or check the format"
            )
        if available % item:
            self.notes.append(
                f"{available % item} octets at the end are not a whole sample and were ignored "
                "(file truncated, or wrong format)"
            )
        try:
            self.data = np.memmap(path, self.dtype, "r", offset=offset, shape=(self.n_samples, 2))
        except (OSError, ValueError) as e:
            raise RecordingError(f"{path}: cannot be read ({e})") from None

    def probe(self, given):
        """Refuse what cannot be in the stated format (looks at the start, middle and end); note what is odd."""
        n = self.n_samples
        part = min(n, _PROBE // 3)
        raw = np.concatenate([self.data[s : s + part] for s in (0, (n - part) // 2, n - part)])
        remedy = "check --format" if given else "say what it is with --format"
        if self.dtype.kind == "f":
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
        elif self.format == "sc16" and not given and n > 512:
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

    def read(self, start, stop):
        """Samples [start, stop) as complex64, full scale 1. Values that are not finite become 0 and are noted."""
        raw = self.data[max(start, 0) : max(stop, 0)]
        x = np.empty(raw.shape, np.float32)
        with np.errstate(all="ignore"):
            np.subtract(raw, self._zero, out=x, casting="unsafe")
            x /= np.float32(self._scale)
        if self.dtype.kind == "f":
            bad = ~(np.abs(x) < 1e9)
            if bad.any():
                x[bad.any(axis=1)] = 0
                note = "samples that are not finite (or absurdly large) were set to 0"
                if note not in self.notes:
                    self.notes.append(note)
        return x.view(np.complex64)[:, 0]


def raw(path, form):
    """A Recording of interleaved IQ; form: a name of RAW."""
    recording = Recording(os.fspath(path), form, RAW[form])
    with open(path, "rb") as file:
        head = file.read(8)
    for begins, what in _NOT_RAW.items():
        if head.startswith(begins):
            raise RecordingError(f"{path}: is {what}")
    return recording


# --- SigMF --------------------------------------------------------------------------------------------------


def sigmf(path):
    """The Recording that a SigMF description tells of; RecordingError.

    path: either of the two files, their name without an ending, or an archive that is not packed.
    """
    path = os.fspath(path)
    if os.path.isdir(path):
        raise RecordingError(f"{path}: is a folder; name the recording inside it")
    if path.endswith(".sigmf-collection"):
        raise RecordingError(_collection(path))
    if path.endswith(_PACKED):
        raise RecordingError(f"{path}: is a packed archive; unpack it, and give the .sigmf-meta inside")
    if os.path.isfile(path) and not path.endswith((".sigmf-meta", ".sigmf-data")):
        return _archived(path)
    stem, ending = os.path.splitext(path)
    stem = stem if ending.startswith(".sigmf") else path
    if not os.path.isfile(stem + ".sigmf-meta"):
        raise RecordingError(f"{stem}.sigmf-meta: no SigMF description is there; {_PAIR}")
    about = _Description(stem + ".sigmf-meta", _metadata(stem + ".sigmf-meta"))
    data = os.path.join(os.path.dirname(stem), about.dataset) if about.dataset else stem + ".sigmf-data"
    if not os.path.isfile(data):
        raise RecordingError(f"{data}: no such file; {_PAIR}")
    return about.recording(data)


class _Description:
    """What is used of a description, each value checked; `path` is for messages."""

    def __init__(self, path, text):
        try:
            from sigmf import SigMFFile
            from sigmf.error import SigMFError
        except ImportError as e:
            raise RecordingError(f"{path}: to read it, install the Python package sigmf ({e})") from None
        self.path, self.notes = path, []
        try:
            said = SigMFFile(metadata=text)
            about, captures = said.get_global_info(), said.get_captures() or [{}]
            self.datatype = str(about["core:datatype"])
            self.dataset = about.get("core:dataset")
            self.first = _count(about, "core:offset")
            self.trailing = _count(about, "core:trailing_bytes")
            headers = [_count(capture, "core:header_bytes") for capture in captures]
            self.starts = [_count(capture, "core:sample_start") for capture in captures]
            self.carriers = [capture.get("core:frequency") for capture in captures]
            parts = [(_count(a, "core:sample_start"), _count(a, "core:sample_count")) for a in said.get_annotations()]
            self.told = max((start + count for start, count in parts), default=0)
            channels = int(about.get("core:num_channels", 1))
            rate = float(about.get("core:sample_rate", np.nan))
            alone = bool(about.get("core:metadata_only"))
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError, SigMFError) as e:
            raise RecordingError(
                f"{path}: the SigMF metadata cannot be read ({_words(repr(e))}); it needs a JSON object with global / "
                "core:datatype, and numbers where numbers belong"
            ) from None
        self.rate, self.header = (rate if np.isfinite(rate) else None), headers[0]
        if alone:
            raise RecordingError(f"{path}: is a description alone (core:metadata_only); get the samples too")
        if channels != 1:
            raise RecordingError(f"{path}: core:num_channels is {channels}; split it into one file per channel")
        if any(headers[1:]):
            raise RecordingError(f"{path}: only a header before the first capture can be read; cut it at its captures")
        name = self.dataset
        if name is not None and (not isinstance(name, str) or name in ("", ".", "..") or set(name) & set("/\\\0")):
            raise RecordingError(f"{path}: core:dataset is {_words(repr(name))}; name a file in the same folder")

    def recording(self, data, offset=0, n_bytes=None):
        """The Recording in the file `data`, of whose octets n_bytes from `offset` on are the dataset."""
        if n_bytes is not None:
            n_bytes -= self.header
        stored, offset = self._stored(), offset + self.header
        got = Recording(data, self.datatype, stored, offset, n_bytes, self.trailing, self.rate, self.notes)
        behind = [s - self.first for s in self.starts if s - self.first >= got.n_samples]
        if behind:
            got.notes.append(
                f"a capture begins at sample {behind[0]}, but there are {got.n_samples}: the recording was cut off"
            )
        if not behind and self.told - self.first > got.n_samples:
            reach = f"an annotation reaches to sample {self.told - self.first}"
            got.notes.append(f"{reach}, but there are {got.n_samples}: the recording was cut off")
        for before, carrier, start in zip(self.carriers, self.carriers[1:], self.starts[1:], strict=False):
            if carrier != before:
                got.notes.append(f"the radio was tuned again at sample {start}: it is read as if it were one piece")
                break
        return got

    def _stored(self):
        """(component type, zero, full scale) of core:datatype."""
        from sigmf.sigmffile import dtype_info

        m = re.fullmatch(r"c([fiu])(8|16|32|64)(_le|_be)?", self.datatype)
        kind, bits = (m[1], int(m[2])) if m else ("", 0)
        if not m or (kind == "f" and bits < 32) or (bits > 8 and m[3] is None):
            raise RecordingError(
                f"{self.path}: core:datatype '{_words(self.datatype)}' is not a complex type that can be read; "
                "record as cf32_le, ci16_le, ci8 or cu8"
            )
        half = 1.0 if kind == "f" else 2.0 ** (bits - 1)
        return dtype_info(self.datatype)["component_dtype"], (half - 0.5 if kind == "u" else 0.0), half


def _metadata(path):
    """The octets of a description, if they are not too many."""
    try:
        with open(path, "rb") as f:
            text = f.read(_MAX_META + 1)
    except OSError as e:
        raise RecordingError(f"{path}: cannot be opened ({e.strerror})") from None
    if len(text) > _MAX_META:
        raise RecordingError(f"{path}: larger than {_MAX_META} octets, which is no description; check the name")
    return text


def _count(values, key):
    """A number of octets or samples, 0 where there is none; ValueError."""
    value = int(values.get(key) or 0)
    if not 0 <= value < 1 << 62:
        raise ValueError(f"{key} is {value}")
    return value


def _words(text, most=200):
    """Text of a stranger, for a message: short, and nothing that a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in text[:most])


def _collection(path):
    """The sentence that refuses a collection."""
    import json

    try:
        streams = json.loads(_metadata(path))["collection"]["core:streams"]
        names = [_words(str(s["name"]), 60) for s in streams[:5]]
        which = f"; give one of its {len(streams)} recordings, {', '.join(n + '.sigmf-meta' for n in names)}"
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        which = "; give the .sigmf-meta of one of its recordings"
    return f"{path}: is a collection{which}"


class _Bounded:
    """A file for tarfile, which reads headers as long as they claim to be."""

    def __init__(self, file):
        self._file, self.seek, self.tell, self.close = file, file.seek, file.tell, file.close

    def read(self, n=-1):
        if not 0 <= n <= _MAX_META:
            raise tarfile.ReadError(f"a header of {n} octets")
        return self._file.read(n)


def _archived(path):
    """The Recording in an archive, mapped where it lies."""
    try:
        with open(path, "rb") as file, tarfile.open(fileobj=_Bounded(file), mode="r:") as tar:
            members = []
            for member in tar:
                members.append(member)
                if len(members) > _MAX_MEMBERS:
                    raise RecordingError(f"{path}: the archive has more than {_MAX_MEMBERS} members; unpack it")
            files = {m.name: m for m in members if m.isfile() and not m.issparse()}
            metas = [m for m in files.values() if m.name.endswith(".sigmf-meta")]
            if not metas:
                raise RecordingError(f"{path}: the archive has no .sigmf-meta; check the name")
            if metas[0].size > _MAX_META:
                raise RecordingError(f"{path}: its .sigmf-meta is larger than {_MAX_META} octets; check the name")
            text = tar.extractfile(metas[0]).read()
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as e:
        if isinstance(e, RecordingError):
            raise
        raise RecordingError(f"{path}: not a readable SigMF archive ({_words(str(e))}); pack it again") from None
    about = _Description(path, text)
    name = metas[0].name
    name = name[: name.rfind("/") + 1] + about.dataset if about.dataset else name[: -len("meta")] + "data"
    if name not in files:
        raise RecordingError(f"{path}: the archive has no {_words(name)}; pack it again")
    if len(metas) > 1:
        about.notes.append(f"the archive holds {len(metas)} recordings, of which {_words(name)} is read")
    return about.recording(path, files[name].offset_data, files[name].size)
