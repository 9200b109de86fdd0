# SPDX-License-Identifier: GPL-3.0-or-later
"""Metres east and north around a middle, and the raster that a map is drawn on.

The plane is the equirectangular one of the WGS 84 ellipsoid at the samples' middle: metres a degree are constant, so a
raster in metres is one in degrees too, which is what a GeoTIFF of EPSG:4326 says. Over 30 km the error of a
distance is below 0.5 % at 60 degrees of latitude.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..base.errors import UserError

EQUATOR, FLATTENING = 6_378_137.0, 1 / 298.257223563  # metres, WGS 84
FARTHEST = 100_000.0  #: metres across, of samples that one map can show
NEAR_POLE = 85.0  #: degrees of latitude beyond which the plane is no plane


@dataclass(frozen=True)
class Plane:
    """The plane that touches the Earth at (latitude, longitude), in degrees."""

    latitude: float
    longitude: float

    @property
    def metres(self):
        """Metres (east, north) of one degree."""
        e2, sine = FLATTENING * (2 - FLATTENING), math.sin(math.radians(self.latitude))
        across = EQUATOR / math.sqrt(1 - e2 * sine**2)
        along = across * (1 - e2) / (1 - e2 * sine**2)
        return math.radians(across * math.cos(math.radians(self.latitude))), math.radians(along)

    def to_metres(self, latitude, longitude):
        """[..., 2] metres east and north of the middle, of degrees [...]; the date line may lie between."""
        east = (np.asarray(longitude, float) - self.longitude + 180) % 360 - 180
        return np.stack((east, np.asarray(latitude, float) - self.latitude), -1) * self.metres

    def to_degrees(self, places):
        """(latitude, longitude) in degrees of [..., 2] metres."""
        degrees = np.asarray(places) / self.metres
        return self.latitude + degrees[..., 1], (self.longitude + degrees[..., 0] + 180) % 360 - 180


def plane_of(samples):
    """The `Plane` at the middle of `Samples`. Raises UserError where they lie too far apart, or at a pole."""
    angle = np.exp(1j * np.radians(samples.longitude))  # the mean of longitudes beside the date line is beside it
    plane = Plane(float(np.median(samples.latitude)), float(np.degrees(np.angle(angle.mean()))))
    if abs(plane.latitude) > NEAR_POLE:
        raise UserError(f"the samples lie at latitude {plane.latitude:.1f}: a map ends at {NEAR_POLE:g} degrees")
    far = extent(plane.to_metres(samples.latitude, samples.longitude))
    if far > FARTHEST:
        raise UserError(
            f"the samples lie {far / 1000:,.0f} km apart, a map shows {FARTHEST / 1000:g} km at most: give those of "
            f"one town or choose one cell by --cell (or latitude and longitude are swapped in part of the rows)"
        )
    return plane


def extent(places):
    """The longer side in metres of the box around places [N, 2]."""
    return float(np.ptp(places, axis=0).max())


@dataclass(frozen=True)
class Raster:
    """rows x columns square cells of `step` metres; west, south: the outer corner, in metres of the plane. Row 0 is the
    northernmost."""

    west: float
    south: float
    step: float
    rows: int
    columns: int

    def centres(self):
        """[rows, columns, 2] metres, the middles of the cells."""
        east = self.west + self.step * (np.arange(self.columns) + 0.5)
        north = self.south + self.step * (self.rows - np.arange(self.rows) - 0.5)
        return np.stack(np.meshgrid(east, north), -1)

    def cell_of(self, places):
        """(row, column) [N] of places [N, 2]; clipped to the raster."""
        column = np.floor((places[..., 0] - self.west) / self.step).astype(int)
        row = self.rows - 1 - np.floor((places[..., 1] - self.south) / self.step).astype(int)
        return row.clip(0, self.rows - 1), column.clip(0, self.columns - 1)


def raster_around(places, step, margin=0.1, most=4_000_000):
    """A `Raster` of cells of `step` metres around places [N, 2], with `margin` of its longer side on each side. Raises
    UserError where it has more than `most` cells."""
    low, high = places.min(0), places.max(0)
    side = max(float((high - low).max()) * margin, 2 * step)
    low, high = low - side, high + side
    columns, rows = (int(math.ceil(length / step)) for length in high - low)
    if rows * columns > most:
        fit = step * math.sqrt(rows * columns / most)
        raise UserError(
            f"--resolution {step:g}: the map would have {rows * columns:,} cells: give {math.ceil(fit)} m or more"
        )
    return Raster(float(low[0]), float(low[1]), float(step), rows, columns)
