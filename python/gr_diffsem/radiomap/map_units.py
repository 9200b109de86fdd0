# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network of maps is shown: a simpler answer over a raster, in units that are the same for every map.

x = (mean - middle) / SCALE with the middle of the sites' values, and for each cell a level, the answer's own standard
deviation over SCALE: an estimate and its error are a measurement of the map, y = x0 + n, whose n is not white. The
network says what an average of cities knows beyond that. Beside it are the heights of buildings, the distance to the
transmitter and the shadow of the roofs between (`shadows`), each with a value that says that it is not known.
"""

import numpy as np

from . import shadows

SIDE = 64  #: cells of a side of what the network sees
SCALE = 15.0  #: dB
HIGH = 20.0  #: metres of a building that count 1
TURNS = 8  #: ways to turn and flip a square
UNKNOWN = -1.0  #: height where no building is known to be or not to be; shadow where none can be told
FAR = -9.0  #: decades of distance to a transmitter that is not known
MIDDLE = -100.0  #: dB of path gain that is 0 where there are no samples
DEEP = 30.0  #: dB of shadow that count 1


def middle_of(sites):
    """dB that is 0 in these units."""
    return float(sites.value.mean())


def to_units(mean, deviation, middle):
    """(x, variance) float32 of dB arrays."""
    return ((mean - middle) / SCALE).astype(np.float32), ((deviation / SCALE) ** 2).astype(np.float32)


def to_db(mean, variance, middle):
    """(dB, standard deviation in dB) of an answer."""
    return mean * SCALE + middle, np.sqrt(variance) * SCALE


def height_units(metres):
    """float32 of heights in metres, NaN where nothing is known."""
    told = np.clip(np.nan_to_num(metres, nan=0.0) / HIGH, 0, 4)
    return np.where(np.isfinite(metres), told, UNKNOWN).astype(np.float32)


def way_units(transmitter, raster):
    """(decades, shadow) float32 [rows, columns] of a transmitter: None, a place [2] or a `shadows.Shadowed`."""
    shape, places = (raster.rows, raster.columns), raster.centres().reshape(-1, 2)
    unknown = np.full(shape, FAR, np.float32), np.full(shape, UNKNOWN, np.float32)
    if transmitter is None:
        return unknown
    if not hasattr(transmitter, "columns"):
        return shadows.decades(transmitter, places).reshape(shape).astype(np.float32), unknown[1]
    _, away, loss = transmitter.columns(places).T
    return away.reshape(shape).astype(np.float32), (10 * loss / DEEP).reshape(shape).astype(np.float32)


def turned(part, which):
    """One of the TURNS turned and flipped versions of [..., 64, 64]."""
    part = np.rot90(part, which % 4, (-2, -1))
    return part[..., ::-1] if which >= 4 else part
