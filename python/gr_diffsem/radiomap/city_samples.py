# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of a traced city: some of its outdoor cells, as somebody would measure them."""

import itertools

import numpy as np

from ..air import traced_maps
from . import map_units, sites
from .local_plane import Raster


def cut(arrays, index, row, column):
    """(gain dB, height metres, step) [64, 64] of map `index` from (row, column) on."""
    part = (index, slice(row, row + map_units.SIDE), slice(column, column + map_units.SIDE))
    return arrays["gain"][part].astype(float), arrays["height"][part].astype(float), float(arrays["step"][index])


def route(rng, outdoor, lost=0.0):
    """Yield (row, column) for ever: outdoor cells along a walk that turns seldom. lost: the chance that it goes on from
    anywhere else, each step."""
    cells = np.argwhere(outdoor)
    at, heading = cells[rng.integers(len(cells))], rng.uniform(0, 2 * np.pi)
    while True:
        yield tuple(at)
        heading += rng.normal(0, 0.15)
        ahead = np.round(at + 1.2 * np.array([np.sin(heading), np.cos(heading)])).astype(int)
        if (ahead >= 0).all() and (ahead < outdoor.shape).all() and outdoor[tuple(ahead)]:
            at = ahead
        else:
            heading = rng.uniform(0, 2 * np.pi)
        if rng.random() < lost:
            at = cells[rng.integers(len(cells))]


def walk(rng, outdoor, count):
    """Indices of up to `count` different outdoor cells along a walk."""
    seen = set()
    for at in itertools.islice(route(rng, outdoor, 0.002), 60 * count):
        seen.add(at)
        if len(seen) >= count:
            break
    return np.array([r * outdoor.shape[1] + c for r, c in seen])


def sampled(rng, gain, height, step, share, walking=False, noise=0.0, floor=traced_maps.FLOOR):
    """`Sites` of a share of the outdoor cells of a map, at the cells' middles; what is at the floor is censored."""
    outdoor = height < traced_maps.GROUND
    count = max(10, round(share * outdoor.sum()))
    cells = walk(rng, outdoor, count) if walking else rng.choice(np.flatnonzero(outdoor.ravel()), count, replace=False)
    value = gain.ravel()[cells] + noise * rng.standard_normal(len(cells))
    censored = value <= floor
    places = raster(step).centres().reshape(-1, 2)[cells]
    ones = np.ones(len(cells))
    return sites.Sites(places, np.maximum(value, floor), ones, censored, 0 * ones, max(noise, 1.0))


def raster(step):
    """The `Raster` of a network's map; row 0 is the northernmost, here the first of a traced map: a mirror image."""
    return Raster(0.0, 0.0, step, map_units.SIDE, map_units.SIDE)
