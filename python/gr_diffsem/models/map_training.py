# SPDX-License-Identifier: GPL-3.0-or-later
"""Pairs of kriging's answer and the truth over traced maps, and the training of a network on them.

A map is cut out of its city's at random, sampled (scattered cells or a walk along streets, 0.4 to 12 % of the
outdoor cells, with noise and a receiver's floor) and kriged as `gr-diffsem radiomap` would. Kriging costs more than a
step of training, so the pairs are made once and kept; turning and flipping makes eight of each.
"""

import os

import numpy as np

from ..air import channel_bank, traced_maps
from ..air.measure import ConditionedBatch
from ..radiomap import map_units
from ..radiomap.city_samples import cut, raster, sampled
from ..radiomap.kriging import Kriging
from . import training

SHARES = (0.004, 0.12)  # of the outdoor cells that are sampled
WALKS = 0.4  # of the maps are sampled along a walk
BLIND = 0.35  # of the items are not told the buildings
SIGMA = 1e-3  # least level


def pair(rng, arrays):
    """(x, variance, truth, height units, step, outdoor) of one map, sampled and kriged."""
    room = traced_maps.CELLS - map_units.SIDE
    while True:
        gain, height, step = cut(arrays, rng.integers(len(arrays["step"])), *rng.integers(0, room + 1, 2))
        outdoor = height < traced_maps.GROUND
        heard = outdoor & (gain > traced_maps.FLOOR)
        if heard.sum() > 300:
            break
    share = np.exp(rng.uniform(*np.log(SHARES)))
    noise = rng.uniform(0, 4) if rng.random() < 0.5 else 0.0
    floor = traced_maps.FLOOR
    if rng.random() < 0.3:  # a receiver that hears less
        floor = np.quantile(gain[heard], rng.uniform(0, 0.3))
        gain = np.maximum(gain, floor)
    found = sampled(rng, gain, height, step, share, rng.random() < WALKS, noise, floor)
    kriging = Kriging(found, "search")
    mean, deviation = kriging.predict(raster(step).centres().reshape(-1, 2))
    shape, middle = gain.shape, map_units.middle_of(found)
    x, variance = map_units.to_units(np.maximum(mean, floor).reshape(shape), deviation.reshape(shape), middle)
    truth, _ = map_units.to_units(gain, deviation.reshape(shape), middle)
    return x, variance, truth, map_units.height_units(height), step, outdoor


def bank(scenes, count, seed):
    """Arrays of `pair`, [count, ...] each, kept in the cache folder."""
    path = channel_bank.cache_folder() / f"map-pairs-v{traced_maps.VERSION}-{'-'.join(scenes)}-{count}-{seed}.npz"
    if not path.is_file():
        maps = [traced_maps.load(scene) for scene in scenes]
        joined = {name: np.concatenate([part[name] for part in maps]) for name in maps[0]}
        made = []
        for i in range(count):
            made.append(pair(np.random.default_rng([seed, i]), joined))
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


def batch_of(pairs, rng, n, blind=BLIND):
    """n pairs as a batch: state kriging's mean, sigma its deviation, observed the outdoor cells."""
    x, variance, truth, height, step, outdoor = pairs
    chosen, turns = rng.integers(len(step), size=n), rng.integers(map_units.TURNS, size=n)

    def take(part):
        return np.stack([map_units.turned(part[i], turn) for i, turn in zip(chosen, turns, strict=True)])

    known = take(height).astype(np.float32)
    known[rng.random(n) < blind] = map_units.UNKNOWN
    sigma = np.sqrt(take(variance).astype(np.float32)).clip(SIGMA)
    planes = (take(part).astype(np.float32) for part in (truth, x))
    condition = {"height": known, "metres": step[chosen].astype(np.float32)}
    return ConditionedBatch(*planes, sigma, take(outdoor), condition=condition)


class MapTraining(training.Training):
    """Training whose loss counts outdoor cells alone: inside buildings nobody measured."""

    def loss(self, clean, state, sigma, observed, *condition):
        mean, log_variance = self.net(state, sigma, *condition)
        weight = observed.to(mean.dtype) / observed.to(mean.dtype).mean()
        error = (mean - clean) ** 2
        likelihood = log_variance + (error.detach() / log_variance.exp()).clamp(max=50)
        return (weight * error).mean(), (weight * likelihood).mean()
