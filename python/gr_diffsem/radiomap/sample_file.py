# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of radio power along a walk, read from CSV files of a phone or of the block `rssi_logger`.

The columns are guessed by their names, or told. A row without a position or a value is counted and said, not guessed;
what is wrong with a whole file is one sentence.
"""

import csv
import math
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..base import regular_file
from ..base.errors import UserError, nearest

MOST_ROWS = 20_000_000  #: of all files together
MOST_BYTES = 4 << 30  #: of one file
FEWEST = 10  #: samples with a position that a map is made of
EMPTY = {"", "-", "nan", "na", "n/a", "null", "none", "?"}
#: What a column may be called, in small letters and without blanks, units in brackets, points and lines.
NAMES = {
    "latitude": ("latitude", "lat", "gpslatitude", "gpslat"),
    "longitude": ("longitude", "lon", "lng", "long", "gpslongitude", "gpslon"),
    "value": (
        "rsrp",
        "power",
        "powerdbm",
        "rssi",
        "rssidbm",
        "signal",
        "signalstrength",
        "signaldbm",
        "dbm",
        "level",
        "nrssrsrp",
        "ssrsrp",
        "ltersrp",
        "snr",
        "rsrq",
    ),
    "cell": ("rawcellid", "cellid", "ci", "cid", "eci", "nci", "bssid", "pci", "cell"),
    "error": ("positionerror", "accuracy", "gpsaccuracy", "horizontalaccuracy", "hacc", "eph"),
    "fix": ("fix", "fixquality", "gpsfix", "hasfix"),
    "time": ("timestamp", "time", "datetime", "date", "utc"),
    "censored": ("censored", "belowfloor"),
}
NO_FIX = {"0", "no", "none", "false", "invalid", "v"}
YES = {"1", "yes", "true"}


@dataclass
class Samples:
    """N measurements. latitude, longitude: [N] degrees; value: [N] dB or dBm; error: [N] metres, the standard deviation
    of the position, NaN where it is not stated; censored: [N] bool, `value` is an upper bound; cell: [N] str, whose
    signal it is, "" where that is not said. skipped: {reason: rows left out}. named: the column the values are of."""

    latitude: np.ndarray
    longitude: np.ndarray
    value: np.ndarray
    error: np.ndarray
    censored: np.ndarray
    cell: np.ndarray
    skipped: dict = field(default_factory=dict)
    named: str = "value"

    def __len__(self):
        return len(self.value)

    def of(self, which):
        """The samples of an index or mask."""
        parts = {k: getattr(self, k)[which] for k in ("latitude", "longitude", "value", "error", "censored", "cell")}
        return Samples(**parts, skipped=self.skipped, named=self.named)


def plain(name):
    """A column's name as `NAMES` has it: "GPS Latitude [deg]" -> "gpslatitude"."""
    name = name.strip().lstrip("\ufeff").split("[")[0].split("(")[0]
    return "".join(c for c in name.lower() if c.isalnum())


def columns(header, told, path):
    """{role: index} of a header (a list of names); told: {role: name} that the user gave. Raises UserError where a
    position or the value is in no column."""
    found, plains = {}, [plain(name) for name in header]
    for role, known in NAMES.items():
        if told.get(role):
            if plain(told[role]) not in plains:
                near = nearest(told[role], header)
                hint = f"did you mean '{near}'?" if near else "it has " + ", ".join(map(str, header[:30]))
                raise UserError(f"{path} has no column '{told[role]}' for --{role}: {hint}")
            found[role] = plains.index(plain(told[role]))
        else:
            for name in known:
                if role not in found and name in plains:
                    found[role] = plains.index(name)
    for role in ("latitude", "longitude", "value"):
        if role not in found:
            said = ", ".join(map(str, header[:30])) or "no columns"
            raise UserError(f"{path} names no {role} (its columns: {said}): say which by --{role} COLUMN")
    return found


def number(text):
    """A finite number of a cell of the table; NaN where there is none."""
    text = text.strip()
    if text.lower() in EMPTY:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def read(paths, told=None, floor=None, progress=None):
    """`Samples` of CSV files. told: {role: column name}, roles as in `NAMES`. floor: dBm at and below which a value
    says only that it is not more; also a row whose value is empty while its column `censored` says so. progress: called
    with the rows read so far. Raises UserError for what cannot be used."""
    rows, skipped, named = [], {}, []
    for path in map(Path, paths):
        for row in _rows(path, told or {}, skipped, floor, named):
            rows.append(row)
            if len(rows) > MOST_ROWS:
                raise UserError(f"more than {MOST_ROWS:,} samples: give fewer files")
            if progress and len(rows) % 50_000 == 0:
                progress(len(rows))
    if not rows:
        said = "; ".join(f"{count} rows {reason}" for reason, count in skipped.items()) or "they have no rows"
        raise UserError(f"no sample in {', '.join(str(p) for p in list(paths)[:3])}: {said}")
    parts = list(zip(*rows, strict=True))
    latitude, longitude, value, error = (np.array(part, float) for part in parts[:4])
    samples = Samples(
        latitude, longitude, value, error, np.array(parts[4], bool), np.array(parts[5]), skipped, named[0]
    )
    return samples


def _rows(path, told, skipped, floor, named):
    """Yield (latitude, longitude, value, position error, censored, cell) of a file's usable rows."""
    if why := regular_file.fault(path):
        raise UserError(f"{path} {why}: give a CSV file of samples")
    if os.path.getsize(path) > MOST_BYTES:
        raise UserError(f"{path} is larger than {MOST_BYTES >> 30} GiB: cut it into parts")
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        first = file.readline()
        if not first.strip():
            raise UserError(f"{path} is empty: give a CSV file whose first line names its columns")
        if "\0" in first or len(first) > 100_000:
            raise UserError(f"{path} is no CSV file: its first line names no columns")
        mark = max(",;\t", key=first.count)
        header = next(csv.reader([first], delimiter=mark))
        at = columns(header, told, path)
        named.append(header[at["value"]].strip())
        try:
            for row in csv.reader((line.replace("\0", "") for line in file), delimiter=mark):
                yield from _sample(row, at, skipped, floor, path)
        except csv.Error as error:
            raise UserError(f"{path} is no CSV file ({error})") from None


def _sample(row, at, skipped, floor, path):
    def cell(role):
        return row[at[role]] if role in at and at[role] < len(row) else ""

    def skip(reason):
        skipped[reason] = skipped.get(reason, 0) + 1

    if not any(row):
        return
    latitude, longitude = number(cell("latitude")), number(cell("longitude"))
    if cell("fix").strip().lower() in NO_FIX and "fix" in at:
        return skip("without a fix of the position")
    if math.isnan(latitude) or math.isnan(longitude) or (latitude == 0 and longitude == 0):
        return skip("without a position")
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 360):
        if -90 <= longitude <= 90 and -180 <= latitude <= 360:
            raise UserError(
                f"{path}: latitude {latitude:g} is more than 90 degrees while longitude is {longitude:g}: the two are "
                f"swapped, say so by --latitude and --longitude"
            )
        return skip("with a position that is not on the Earth")
    value, censored = number(cell("value")), cell("censored").strip().lower() in YES
    if math.isnan(value):
        if not (censored and floor is not None):
            return skip("without a value")
        value = floor
    if floor is not None and value <= floor:
        value, censored = floor, True
    error = number(cell("error"))
    yield latitude, longitude, value, (error if error > 0 else math.nan), censored, cell("cell").strip()
