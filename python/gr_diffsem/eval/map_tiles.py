# SPDX-License-Identifier: GPL-3.0-or-later
"""A network of maps of 64 x 64 cells over a raster of any size: tile by tile, half a tile of overlap."""

import numpy as np

from ..radiomap import map_units
from . import scheme_runner

SIDE = map_units.SIDE


class Tiled:
    """A scheme `spec` over `Raster`, told the heights [rows, columns] of buildings (None: unknown) and a transmitter
    (None, [2] metres or a `shadows.Shadowed`). What it is given and gives is in dB."""

    def __init__(self, spec, raster, heights=None, transmitter=None):
        self.spec, self.raster, shape = spec, raster, (raster.rows, raster.columns)
        self.starts, self.weight = _tiles(shape)
        height = map_units.height_units(np.full(shape, np.nan) if heights is None else heights)
        decades, shadow = map_units.way_units(transmitter, raster)
        self.told = {"height": self._cut(height), "decades": self._cut(decades), "shadow": self._cut(shadow)}
        self.told["metres"] = np.full(len(self.starts), raster.step, np.float32)

    def __call__(self, mean, deviation, middle, share=1.0, **more):
        """(mean, deviation) [rows, columns] of a state `mean` whose cells are `share` times `deviation` wrong; `more`:
        (mean, deviation) that a flow is told as `kriged`. middle: dB that is 0 to the network."""
        y, variance = map_units.to_units(mean, deviation * share, middle)
        n = len(self.starts)
        told = dict(self.told)
        if "kriged" in more:
            kriged, doubt = map_units.to_units(more["kriged"], deviation, middle)
            told |= {"kriged": self._cut(kriged), "doubt": self._cut(np.log(doubt) / 2)}
        cut = [self._cut(part).reshape(n, -1) for part in (y, variance)]
        got = scheme_runner.estimate_maps(self.spec, *cut, told)
        got = map_units.to_db(*(part.reshape(n, SIDE, SIDE) for part in got), middle)
        return [self._joined(part) for part in got]

    def _cut(self, field):
        return np.stack([_padded(field, *at) for at in self.starts]).astype(np.float32)

    def _joined(self, fields):
        """The mean of tiles where they overlap."""
        shape = self.raster.rows, self.raster.columns
        total, parts = np.zeros(shape), np.zeros(shape)
        for field, (row, column) in zip(fields, self.starts, strict=True):
            at = (slice(row, min(row + SIDE, shape[0])), slice(column, min(column + SIDE, shape[1])))
            inside = tuple(slice(0, a.stop - a.start) for a in at)
            total[at] += (self.weight * field)[inside]
            parts[at] += self.weight[inside]
        return total / parts


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


def between(field, raster, places):
    """A field of the raster at places [N, 2], linear between the middles of the cells."""
    from scipy.ndimage import map_coordinates

    column = (places[:, 0] - raster.west) / raster.step - 0.5
    row = raster.rows - 0.5 - (places[:, 1] - raster.south) / raster.step
    return map_coordinates(field, [row, column], order=1, mode="nearest")
