# SPDX-License-Identifier: GPL-3.0-or-later
"""What a network of maps is shown: kriging's answer over a raster, in units that are the same for every map.

x = (mean - middle) / SCALE with the middle of the sites' values, and for each cell a level, kriging's own standard
deviation over SCALE: an estimate and its error are a measurement of the map, y = x0 + n, whose n is not white. The
network says what an average of cities knows beyond that.
"""

import numpy as np

SIDE = 64  #: cells of a side of what the network sees
SCALE = 15.0  #: dB
HIGH = 20.0  #: metres of a building that count 1
TURNS = 8  #: ways to turn and flip a square
UNKNOWN = -1.0  #: height where no building is known to be or not to be


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


def turned(part, which):
    """One of the TURNS turned and flipped versions of [..., 64, 64]."""
    part = np.rot90(part, which % 4, (-2, -1))
    return part[..., ::-1] if which >= 4 else part
