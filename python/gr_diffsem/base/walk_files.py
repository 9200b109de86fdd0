# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written along a walk: a CSV file for `gr-diffsem radiomap`, and GeoJSON (RFC 7946) for a map's window.

Both are whole after each row: whoever reads them while somebody walks, or after the power has failed, reads what there
was.
"""

import contextlib
import csv
import json
import math

COLUMNS = ("time", "latitude", "longitude", "accuracy", "fix", "value", "censored", "cell")
_HEAD, _TAIL = '{"type": "FeatureCollection", "features": [', "\n]}\n"


class WalkFiles:
    """Writes path.csv and path.geojson. path: without its ending. Raises OSError where they cannot be made."""

    def __init__(self, path, named="value"):
        self.rows = 0
        self._named = named
        with contextlib.ExitStack() as opened:
            self._csv = opened.enter_context(open(f"{path}.csv", "w", newline="", encoding="utf-8"))
            self._geojson = opened.enter_context(open(f"{path}.geojson", "w+", encoding="utf-8"))
            self._table = csv.writer(self._csv)
            self._table.writerow([named if name == "value" else name for name in COLUMNS])
            self._geojson.write(_HEAD + _TAIL)
            self._end = len(_HEAD)
            self._placed = 0
            self.flush()
            opened.pop_all()

    def add(self, time, fix, value, censored=False, cell=""):
        """One row. time: text; fix: `positions.Fix`; value: dB. Without a fix the position stays empty, and the GeoJSON
        without the row."""
        valid = fix.valid
        place = (f"{fix.latitude:.7f}", f"{fix.longitude:.7f}") if valid else ("", "")
        error = f"{fix.error:.2f}" if valid and math.isfinite(fix.error) else ""
        said = f"{value:.2f}" if math.isfinite(value) else ""
        self._table.writerow([time, *place, error, int(valid), said, int(censored), cell])
        if valid and said:
            properties = {"time": time, self._named: float(said), "censored": bool(censored), "cell": cell}
            point = {"type": "Point", "coordinates": [round(fix.longitude, 7), round(fix.latitude, 7)]}
            feature = json.dumps({"type": "Feature", "geometry": point, "properties": properties})
            text = (",\n" if self._placed else "\n") + feature
            self._geojson.seek(self._end)
            self._geojson.write(text + _TAIL)
            self._end += len(text.encode())
            self._placed += 1
        self.rows += 1
        self.flush()

    def flush(self):
        """Hand all of it to the system."""
        self._csv.flush()
        self._geojson.flush()

    def close(self):
        """Close both files."""
        for file in (self._csv, self._geojson):
            with contextlib.suppress(OSError):
                file.close()
