# SPDX-License-Identifier: GPL-3.0-or-later
"""Positions from what receivers say: sentences of NMEA 0183 (GGA, RMC), reports of gpsd (TPV), SigMF's geolocation."""

import bisect
import json
import math
from dataclasses import dataclass

METRES_OF_HDOP = 5.0  #: standard deviation that a horizontal dilution of 1 stands for, an open-sky receiver's


@dataclass(frozen=True)
class Fix:
    """latitude, longitude: degrees; error: metres, the standard deviation along each axis, NaN where not stated; valid:
    whether the receiver has a fix; time: seconds since midnight UTC where stated, else NaN."""

    latitude: float = math.nan
    longitude: float = math.nan
    error: float = math.nan
    valid: bool = False
    time: float = math.nan


NONE = Fix()


def made(latitude, longitude, error=math.nan, valid=True, time=math.nan):
    """A `Fix`; one that is not valid where the position is none on the Earth."""
    try:
        latitude, longitude, error = float(latitude), float(longitude), float(error)
    except (TypeError, ValueError):
        return NONE
    ok = abs(latitude) <= 90 and abs(longitude) <= 360 and (latitude, longitude) != (0, 0)
    return Fix(latitude, longitude, error, bool(valid) and ok, time) if ok else NONE


def of_nmea(line):
    """The `Fix` of a sentence, one without a position where the receiver has none; None for other sentences, and for
    those whose checksum is wrong."""
    line = line.strip()
    body, _, check = line[1:].partition("*")
    if not line.startswith("$") or (check and check[:2].upper() != f"{_checksum(body):02X}"):
        return None
    parts = body.split(",")
    kind = parts[0][-3:]
    try:
        if kind == "GGA" and len(parts) >= 9:
            valid = parts[6] not in ("", "0")
            error = METRES_OF_HDOP * float(parts[8]) if parts[8] else math.nan
            return _nmea_fix(parts[2:6], error, valid, parts[1])
        if kind == "RMC" and len(parts) >= 7:
            return _nmea_fix(parts[3:7], math.nan, parts[2] == "A", parts[1])
    except ValueError:
        return NONE
    return None


def _nmea_fix(position, error, valid, clock):
    time = int(clock[:2]) * 3600 + int(clock[2:4]) * 60 + float(clock[4:]) if clock else math.nan
    if not valid or not position[0] or not position[2]:
        return Fix(time=time)
    latitude = _degrees(position[0], 2) * (-1 if position[1] == "S" else 1)
    longitude = _degrees(position[2], 3) * (-1 if position[3] == "W" else 1)
    return made(latitude, longitude, error, valid, time)


def _degrees(text, digits):
    """ddmm.mmmm as degrees."""
    return int(text[:digits]) + float(text[digits:]) / 60


def _checksum(body):
    value = 0
    for octet in body.encode("ascii", "replace"):
        value ^= octet
    return value


def of_gpsd(line):
    """The `Fix` of a line of gpsd's JSON; None where it is no report of a position."""
    try:
        said = json.loads(line)
    except ValueError:
        return None
    if not isinstance(said, dict) or said.get("class") != "TPV":
        return None
    mode = said.get("mode")
    if not isinstance(mode, int) or mode < 2:
        return NONE
    # eph is the 95 % error in the plane: of a Rayleigh variable 2.45 deviations.
    error = said.get("eph")
    error = error / 2.45 if isinstance(error, int | float) and not isinstance(error, bool) else math.nan
    return made(said.get("lat"), said.get("lon"), error)


class Track:
    """Fixes at times: what a recording was accompanied by. times: seconds, ascending; fixes: a `Fix` each; holds: each
    is true until the next."""

    def __init__(self, times, fixes, holds=False):
        self.times, self.fixes, self._holds = list(times), list(fixes), holds

    def at(self, time):
        """(the `Fix` that held at a time, its age in seconds); (NONE, infinity) before the first."""
        i = bisect.bisect_right(self.times, time) - 1
        return (self.fixes[i], 0.0 if self._holds else time - self.times[i]) if i >= 0 else (NONE, math.inf)


def track_of_nmea(lines):
    """The `Track` of a log of NMEA, its first time 0. The fixes of one second are one."""
    times, fixes, first, days = [], [], None, 0.0
    for fix in filter(None, map(of_nmea, lines)):
        if math.isnan(fix.time):
            continue
        first = fix.time if first is None else first
        time = fix.time - first + days
        if times and time < times[-1] - 43_200:  # past midnight
            days += 86_400.0
            time += 86_400.0
        if times and time == times[-1] and math.isnan(fix.error):
            fix = Fix(fix.latitude, fix.longitude, fixes[-1].error, fix.valid, fix.time)
        times.append(max(time, times[-1]) if times else time)
        fixes.append(fix)
    return Track(times, fixes)


def track_of_sigmf(metadata, rate):
    """The `Track` of a SigMF description (a dict): `core:geolocation` of global, captures and annotations, each from
    its first sample on."""
    found = [(0, metadata.get("global", {}).get("core:geolocation"))]
    for part in ("captures", "annotations"):
        for entry in metadata.get(part) or []:
            found.append((int(entry.get("core:sample_start", 0)), entry.get("core:geolocation")))
    placed = sorted(((start, where) for start, where in found if isinstance(where, dict)), key=lambda pair: pair[0])
    fixes = []
    for _, where in placed:
        point = where.get("coordinates")
        point = point if isinstance(point, list) and len(point) >= 2 else (math.nan, math.nan)
        fixes.append(made(point[1], point[0]))
    return Track([start / rate for start, _ in placed], fixes, holds=True)
