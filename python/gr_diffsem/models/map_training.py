# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of a simpler answer and the truth over traced maps, and the training of a network on them.

A map is cut out of its city's at random, sampled (scattered cells or a walk along streets, 0.2 to 12 % of the
outdoor cells, with noise and a receiver's floor) and kriged as `gr-diffsem radiomap` would: knowing nothing else, the
transmitter, or transmitter and buildings. Kriging costs more than a step of training, so the pairs are made once and
kept; turning and flipping makes eight of each. A `Kind` says what a scheme's pairs are like.
"""

import os
from dataclasses import dataclass

import numpy as np

from ..air import channel_bank, traced_maps
from ..air.measure import ConditionedBatch
from ..radiomap import map_units
from ..radiomap.city_samples import cut, raster, sampled
from ..radiomap.expected_maps import expected
from ..radiomap.kriging import Kriging
from ..radiomap.shadows import Shadowed, elected
from . import training

WALKS = 0.4  # of the maps are sampled along a walk
SIGMA = 1e-3  # least level


@dataclass(frozen=True)
class Kind:
    """What pairs are made of. shares: (least, most) of the outdoor cells that are sampled, None: none is. shadowed,
    placed, elects: shares of the maps whose transmitter and buildings kriging is told, whose transmitter alone, and
    whose transmitter is elected; blind: share of the other items whose buildings the network is not told."""

    name: str
    shares: tuple | None = (0.002, 0.12)
    shadowed: float = 0.35
    placed: float = 0.1
    elects: float = 0.0
    blind: float = 0.5


def transmitter_of(arrays, index, row, column, height, step):
    """The `Shadowed` of map `index`, its place in the raster of a map that was cut from (row, column) on."""
    at = arrays["transmitter"][index]
    place = np.array([(at[1] - column + 0.5) * step, (map_units.SIDE - (at[0] - row) - 0.5) * step])
    return Shadowed(place, height, raster(step), float(at[2]))


def pair(rng, arrays, kind):
    """(x, variance, truth, height units, step, outdoor, decades, shadow) of one map, sampled and kriged."""
    room = traced_maps.CELLS - map_units.SIDE
    while True:
        index, at = rng.integers(len(arrays["step"])), rng.integers(0, room + 1, 2)
        gain, height, step = cut(arrays, index, *at)
        outdoor = height < traced_maps.GROUND
        heard = outdoor & (gain > traced_maps.FLOOR)
        if heard.sum() > 300:
            break
    true, where, floor = transmitter_of(arrays, index, *at, height, step), raster(step), traced_maps.FLOOR
    if kind.shares is None:
        told, middle = Shadowed(true.place, height, where), map_units.MIDDLE
        mean, deviation = expected(told)
    else:
        share = np.exp(rng.uniform(*np.log(kind.shares)))
        noise = rng.uniform(0, 4) if rng.random() < 0.5 else 0.0
        if rng.random() < 0.3:  # a receiver that hears less
            floor = np.quantile(gain[heard], rng.uniform(0, 0.3))
            gain = np.maximum(gain, floor)
        found = sampled(rng, gain, height, step, share, rng.random() < WALKS, noise, floor)
        way, told = rng.random(), None
        if way < kind.elects:
            told = elected(found, height, where)[0][0]
        elif way < kind.elects + kind.shadowed:
            told = Shadowed(true.place, height, where, true.above if rng.random() < 0.5 else None)
        elif way < kind.elects + kind.shadowed + kind.placed:
            told = true.place
        kriging = Kriging(found, "search" if told is None else told)
        mean, deviation = kriging.predict_raster(where)
        middle = map_units.middle_of(found)
    x, variance = map_units.to_units(np.maximum(mean, floor), deviation, middle)
    truth, _ = map_units.to_units(gain, deviation, middle)
    return x, variance, truth, map_units.height_units(height), step, outdoor, *map_units.way_units(told, where)


def bank(scenes, count, seed, kind):
    """Arrays of `pair`, [count, ...] each, kept in the cache folder."""
    name = f"map-pairs-v{traced_maps.VERSION}-{kind.name}-{'-'.join(scenes)}-{count}-{seed}.npz"
    path = channel_bank.cache_folder() / name
    if not path.is_file():
        maps = [traced_maps.load(scene) for scene in scenes]
        joined = {name: np.concatenate([part[name] for part in maps]) for name in maps[0]}
        made = []
        for i in range(count):
            made.append(pair(np.random.default_rng([seed, i]), joined, kind))
            if i % 200 == 199:
                print(f"{i + 1} of {count} maps are sampled and kriged", flush=True)
        parts = [np.array(part) for part in zip(*made, strict=True)]
        parts = [part.astype(np.float16) if part.dtype != bool else part for part in parts]
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp.npz")
        np.savez_compressed(partial, *parts)
        os.replace(partial, path)
    with np.load(path) as file:
        return [file[name] for name in file.files]


def batch_of(pairs, rng, n, blind):
    """n pairs as a batch: state the simpler answer, sigma its deviation, observed the outdoor cells. A share `blind` of
    those whose answer knows nothing of buildings is not told them."""
    x, variance, truth, height, step, outdoor, decades, shadow = pairs
    chosen, turns = rng.integers(len(step), size=n), rng.integers(map_units.TURNS, size=n)

    def take(part):
        return np.stack([map_units.turned(part[i], turn) for i, turn in zip(chosen, turns, strict=True)])

    known, behind = take(height).astype(np.float32), take(shadow).astype(np.float32)
    known[(behind < 0).all((1, 2)) & (rng.random(n) < blind)] = map_units.UNKNOWN
    sigma = np.sqrt(take(variance).astype(np.float32)).clip(SIGMA)
    planes = (take(part).astype(np.float32) for part in (truth, x))
    condition = {"height": known, "metres": step[chosen].astype(np.float32)}
    condition |= {"decades": take(decades).astype(np.float32), "shadow": behind}
    return ConditionedBatch(*planes, sigma, take(outdoor), condition=condition)


def flow_of(batch, rng):
    """The same batch as states between a draw of kriging's and the truth: x_s = x0 + s (z - x0), s in (0, 1], with
    z = mean + deviation g, g a field of unit variance whose length is drawn (docs/radiomap.md). sigma is s times
    kriging's deviation; `kriged` and `doubt` tell kriging's answer."""
    from scipy.ndimage import gaussian_filter

    n = len(batch.clean)
    g = rng.standard_normal(batch.clean.shape).astype(np.float32)
    for i, length in enumerate(np.exp(rng.uniform(np.log(0.7), np.log(12), n))):
        g[i] = gaussian_filter(g[i], length, mode="wrap")
        g[i] /= g[i].std()
    s = np.where(rng.random(n) < 0.4, 1.0, rng.uniform(0.05, 1, n)).astype(np.float32)[:, None, None]
    z = batch.state + batch.sigma * g
    condition = {**batch.condition, "kriged": batch.state, "doubt": np.log(batch.sigma)}
    state = batch.clean + s * (z - batch.clean)
    return ConditionedBatch(batch.clean, state, s * batch.sigma, batch.observed, condition=condition)


class MapTraining(training.Training):
    """Training whose loss counts outdoor cells alone: inside buildings nobody measured."""

    def loss(self, clean, state, sigma, observed, *condition):
        mean, log_variance = self.net(state, sigma, *condition)
        weight = observed.to(mean.dtype) / observed.to(mean.dtype).mean()
        error = (mean - clean) ** 2
        likelihood = log_variance + (error.detach() / log_variance.exp()).clamp(max=50)
        return (weight * error).mean(), (weight * likelihood).mean()
