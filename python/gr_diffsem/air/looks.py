# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: noisy estimates of channels over grids of symbols and carriers, as a receiver makes them of a recording."""

import zipfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..base import regular_file
from ..base.errors import UserError
from . import grid_pilots

WHAT = "y [grids, symbols, carriers] complex and noise_var of the same shape, infinite where nothing was measured"


@dataclass
class Looks:
    """Grids of one size. y: [n, S, K] complex64; noise_var: [n, S, K] float32, variance of each look's noise, infinite
    where there is none; source: where they are from, in words."""

    y: np.ndarray
    noise_var: np.ndarray
    source: str = ""

    def __len__(self):
        return len(self.y)

    def save(self, path):
        """Write an .npz."""
        np.savez_compressed(path, y=self.y, noise_var=self.noise_var, source=self.source)

    def halves(self, share):
        """(the first grids, the last `share` of them, at least one)."""
        cut = len(self) - max(round(share * len(self)), 1)
        return tuple(replace(self, y=self.y[at], noise_var=self.noise_var[at]) for at in (slice(cut), slice(cut, None)))

    def cut(self, rng, i, symbols, carriers):
        """Grid i as a tile [symbols, carriers]: where it is larger, a part of it that has looks; where it is smaller,
        somewhere in a tile without looks beside it. Turned so that its phase says nothing of where it was cut."""
        y, noise_var = self.y[i], self.noise_var[i]
        size = np.minimum(y.shape, (symbols, carriers))
        for _ in range(20):
            take = rng.integers(np.subtract(y.shape, size) + 1)
            part = tuple(slice(a, a + n) for a, n in zip(take, size, strict=True))
            if np.isfinite(noise_var[part]).sum() >= grid_pilots.FEWEST:
                break
        put = rng.integers(np.subtract((symbols, carriers), size) + 1)
        there = tuple(slice(a, a + n) for a, n in zip(put, size, strict=True))
        tile, level = np.zeros((symbols, carriers), np.complex64), np.full((symbols, carriers), np.inf, np.float32)
        tile[there], level[there] = y[part] * np.exp(2j * np.pi * rng.random()), noise_var[part]
        return tile, level

    def draw(self, rng, n, symbols, carriers):
        """n tiles at random: (y [n, S, K], 0 where there is no look; noise_var [n, S, K])."""
        tiles = [self.cut(rng, i, symbols, carriers) for i in rng.integers(len(self), size=n)]
        y, noise_var = (np.stack(part) for part in zip(*tiles, strict=True))
        return np.where(np.isfinite(noise_var), y, 0), noise_var


def read(path):
    """The `Looks` of an .npz; UserError for a file that has none."""
    if fault := regular_file.fault(path):
        raise UserError(f"{path}: {fault}; give an .npz of looks, or a recording")
    try:
        with np.load(path, allow_pickle=False) as file:
            y, noise_var = np.asarray(file["y"]), np.asarray(file["noise_var"])
            source = str(file["source"]) if "source" in file else Path(path).name
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is no .npz of looks ({error}): it needs {WHAT}") from None
    return checked(y, noise_var, source, path)


def checked(y, noise_var, source, path):
    """`Looks` of arrays that say what they should; noise_var may also be one number, or one for each grid."""
    if y.ndim != 3 or not np.iscomplexobj(y) or 0 in y.shape or noise_var.dtype.kind not in "fiu":
        raise UserError(f"{path}: y is {y.dtype} {list(y.shape)}, noise_var {noise_var.dtype}; needed are {WHAT}")
    if noise_var.shape == (len(y),):
        noise_var = noise_var[:, None, None]
    try:
        noise_var = np.broadcast_to(noise_var, y.shape).astype(np.float32)
    except ValueError:
        shapes = f"{list(noise_var.shape)} beside y {list(y.shape)}"
        raise UserError(f"{path}: noise_var is {shapes}; give one for each element, for each grid, or one") from None
    there = np.isfinite(noise_var)
    if np.isnan(noise_var).any() or (noise_var[there] <= 0).any():
        raise UserError(f"{path}: noise_var is not above 0 everywhere; give the variance of each look's noise")
    if not np.isfinite(y[there]).all():
        raise UserError(f"{path}: y is not finite where noise_var is; give an infinite noise_var to what is no look")
    enough = there.sum((1, 2)) >= grid_pilots.FEWEST
    if not enough.any():
        raise UserError(f"{path}: no grid has {grid_pilots.FEWEST} looks; give grids that were seen at more elements")
    y = np.where(there, y, 0).astype(np.complex64)
    power = np.abs(y[enough]) ** 2 - np.where(there, noise_var, 0)[enough]
    if power.sum() <= 0:
        raise UserError(f"{path}: the looks are weaker than their noise; record with more gain, or check noise_var")
    return Looks(y[enough], noise_var[enough], source)
