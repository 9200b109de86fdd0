# SPDX-License-Identifier: GPL-3.0-or-later
"""A map by a scheme of maps (`schemes/map_posterior.py`): kriging, corrected by a prior of cities.

Kriging's mean and deviation over a raster are the scheme's measurement, tile by tile with an overlap of half a tile;
what comes back is a correction of the mean and a factor of the deviation, smooth between the cells, so that a place is
foretold by kriging at the place itself and the correction of its cell.
"""

import numpy as np

from ..radiomap import map_units
from ..radiomap.kriging import Kriging
from ..radiomap.local_plane import raster_around
from . import scheme_runner

SIDE = map_units.SIDE
STEP = 10.0  #: metres a cell where no raster is given
MOST_CELLS = 1_000_000


class SchemeMap:
    """A map of sites. spec: the scheme's name; transmitter: [2] metres or None; heights: [rows, columns] metres of
    buildings on `raster`, None: unknown."""

    def __init__(self, spec, sites, transmitter=None, heights=None, raster=None):
        self.kriging = Kriging(sites, "search" if transmitter is None else transmitter)
        self.raster = raster or raster_around(sites.places, STEP, most=MOST_CELLS)
        self._middle = map_units.middle_of(sites)
        # Below the floor there is nothing to tell apart: the network has seen maps that end there.
        self._floor = float(sites.value[sites.censored].min()) if sites.censored.any() else -np.inf
        mean, deviation = self.kriging.predict_raster(self.raster)
        mean = np.maximum(mean, self._floor)
        answer, self._spread = self._infer(spec, mean, deviation, heights)
        self._mean, self._correction = answer, answer - mean
        self._factor = np.log(self._spread / deviation)

    def _infer(self, spec, mean, deviation, heights):
        """(mean, deviation) [rows, columns] dB of the scheme."""
        height = map_units.height_units(np.full(mean.shape, np.nan) if heights is None else heights)
        y, variance = map_units.to_units(mean, deviation, self._middle)
        shape, starts, part = mean.shape, *_tiles(mean.shape)
        cut = [np.stack([_padded(a, *at) for at in starts]) for a in (y, variance, height)]
        n = len(starts)
        told = {"height": cut[2], "metres": np.full(n, self.raster.step, np.float32)}
        got = scheme_runner.estimate_maps(spec, cut[0].reshape(n, -1), cut[1].reshape(n, -1), told)
        got, spread = map_units.to_db(*(part.reshape(n, SIDE, SIDE) for part in got), self._middle)
        return [_joined(part, field, starts, shape) for field in (got, spread)]

    def words(self):
        """What was fitted, as a sentence."""
        return self.kriging.words()

    def predict_raster(self, raster):
        """(mean, standard deviation) [rows, columns] in dB on the raster that the map was made on."""
        return self._mean, self._spread

    def predict(self, places):
        """(mean [N], standard deviation [N]) in dB of the field at places [N, 2]."""
        mean, deviation = self.kriging.predict(places)
        mean = np.maximum(mean, self._floor)
        return mean + self._between(self._correction, places), deviation * np.exp(self._between(self._factor, places))

    def _between(self, field, places):
        """A field of the raster at places, linear between the middles of the cells."""
        from scipy.ndimage import map_coordinates

        r = self.raster
        column = (places[:, 0] - r.west) / r.step - 0.5
        row = r.rows - 0.5 - (places[:, 1] - r.south) / r.step
        return map_coordinates(field, [row, column], order=1, mode="nearest")

    def noise_of(self, sites):
        """Variance [M] in dB^2 that a measured site has around the field."""
        return self.kriging.noise_of(sites)

    def draws(self, raster, count, rng):
        """[count, rows, columns] dB: mean and deviation are the scheme's, what hangs together is kriging's."""
        mean, deviation = self.kriging.predict_raster(raster)
        return self._mean + (self.kriging.draws(raster, count, rng) - mean) / deviation * self._spread


def _tiles(shape):
    """([(row, column)] where tiles begin, the weight [64, 64] of a tile's cells in the overlap)."""
    axes = []
    for length in shape:
        last = max(length - SIDE, 0)
        axes.append(sorted({*range(0, last, SIDE // 2), last}))
    ramp = np.minimum(np.arange(SIDE) + 1, SIDE - np.arange(SIDE)).astype(float)
    return [(row, column) for row in axes[0] for column in axes[1]], np.outer(ramp, ramp)


def _padded(field, row, column):
    """[64, 64] of a field from (row, column) on; beyond its edge its last cells again."""
    part = field[row : row + SIDE, column : column + SIDE]
    return np.pad(part, [(0, SIDE - length) for length in part.shape], mode="edge")


def _joined(weight, fields, starts, shape):
    """The mean of tiles where they overlap."""
    total, parts = np.zeros(shape), np.zeros(shape)
    for field, (row, column) in zip(fields, starts, strict=True):
        at = (slice(row, min(row + SIDE, shape[0])), slice(column, min(column + SIDE, shape[1])))
        inside = tuple(slice(0, a.stop - a.start) for a in at)
        total[at] += (weight * field)[inside]
        parts[at] += weight[inside]
    return total / parts
