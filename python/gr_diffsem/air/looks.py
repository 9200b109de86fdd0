# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks: noisy estimates of channels over grids of symbols and carriers, as a receiver makes them of a recording."""

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
        looks = np.argwhere(np.isfinite(noise_var))
        for _ in range(20):
            # About one look or another; so that no place is left out, ends are drawn more often than they come.
            take = looks[rng.integers(len(looks))] - rng.integers(size)
            take = np.clip(take, 0, np.subtract(y.shape, size))
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
            source = np.asarray(file["source"]) if "source" in file else np.zeros(2)
    except Exception as error:  # numpy raises many kinds for a broken file
        raise UserError(f"{path} is no .npz of looks ({error}): it needs {WHAT}") from None
    source = str(source) if source.shape == () and source.dtype.kind == "U" else Path(path).name
    return checked(y, noise_var, source, path)


def checked(y, noise_var, source, path):
    """`Looks` of arrays that say what they should; noise_var may also be one number, or one for each grid."""
    if y.ndim != 3 or not np.iscomplexobj(y) or 0 in y.shape or noise_var.dtype.kind not in "fiu":
        raise UserError(f"{path}: y is {y.dtype} {list(y.shape)}, noise_var {noise_var.dtype}; needed are {WHAT}")
    if noise_var.shape == (len(y),):
        noise_var = noise_var[:, None, None]
    try:
        noise_var = np.broadcast_to(noise_var, y.shape).astype(float)
    except ValueError:
        shapes = f"{list(noise_var.shape)} beside y {list(y.shape)}"
        raise UserError(f"{path}: noise_var is {shapes}; give one for each element, for each grid, or one") from None
    there = np.isfinite(noise_var)
    if np.isnan(noise_var).any() or (noise_var[there] <= 0).any():
        raise UserError(f"{path}: noise_var is not above 0 everywhere; give the variance of each look's noise")
    if not np.isfinite(y[there]).all():
        raise UserError(f"{path}: y is not finite where noise_var is; give an infinite noise_var to what is no look")
    enough = np.array([within_tile(seen) >= grid_pilots.FEWEST for seen in there])
    if not enough.any():
        most = f"{grid_pilots.FEWEST} looks within {grid_pilots.TILE[0]} symbols x {grid_pilots.TILE[1]} carriers"
        raise UserError(f"{path}: no grid has {most}; give grids that were seen at more elements")
    y, noise_var = np.where(there, y, 0).astype(complex)[enough], noise_var[enough]
    noise = np.where(there[enough], noise_var, 0)
    power = np.mean(np.abs(y) ** 2)  # units are of no account, and single precision ends
    if not np.isfinite(power) or power <= np.mean(noise):
        raise UserError(f"{path}: the looks are weaker than their noise; record with more gain, or check noise_var")
    return Looks((y / np.sqrt(power)).astype(np.complex64), (noise_var / power).astype(np.float32), source)


def within_tile(seen):
    """Most looks of a grid [S, K] that one tile has."""
    run = np.pad(np.cumsum(np.cumsum(seen, 0), 1), ((1, 0), (1, 0)))
    s, k = np.minimum(seen.shape, grid_pilots.TILE)
    return int((run[s:, k:] - run[:-s, k:] - run[s:, :-k] + run[:-s, :-k]).max())
