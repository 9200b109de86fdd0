# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of path gain over parts of real cities, by tracing rays with sionna-rt (Hoydis et al., arXiv 2303.11103).

Each map is a square of CELLS x CELLS cells, 1.5 m above the ground, with one base station above the roofs near it, and
the heights of the buildings. The cities are triangle models that come with sionna-rt; `munich` and `etoile` are trained
on, `florence` is held out. A cell no ray reaches is at FLOOR. The same scene, count and seed give the same maps.

    python -m gr_diffsem.air.traced_maps [--minutes 20] [--out FOLDER]

It needs the package sionna-rt and LLVM 19 (Debian: libllvm19, and DRJIT_LIBLLVM_PATH naming its libLLVM.so); reading
the files needs NumPy alone.
"""

import argparse
import importlib.util
import os
import sys
import time
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from .channel_bank import cache_folder

VERSION = 1
CELLS = 80  #: of a side; 64 are taken out of it
STEPS = (4.0, 6.0, 8.0, 10.0)  #: metres a cell of what is trained on
MEASURED = (4.0,)  #: of what is held out
FLOOR = -130.0  #: dB of path gain, below which a receiver hears nothing
GROUND = 1.0  #: metres; what is higher is built on
RECEIVER = 1.5  #: metres above the ground
TRAIN, HELD_OUT = ("munich", "etoile"), "florence"
RAYS, DEPTH = 3_000_000, 8  # of a map; what they leave noisy is in bench/results.md
SAVED = 5  # maps, after which what there is is written
MARGIN, TALLEST = 8, 30.0  # cells from the edge, and metres of a building, where a base station stands
NAMES = ("gain", "height", "step", "transmitter")
PACKAGE = "sionna-rt==2.2.0"


def file_of(scene, folder=None):
    """Where the maps of a scene are kept."""
    return Path(folder or cache_folder()) / f"traced-maps-v{VERSION}-{scene}.npz"


def load(scene, folder=None):
    """{"gain": [n, CELLS, CELLS] dB, "height": the same in metres, "step": [n] metres a cell, "transmitter": [n, 3]
    (row, column, metres above the ground)}, float32. Raises UserError where they have not been made."""
    return read(file_of(scene, folder), NAMES, np.float32, "maps", "traced_maps` (20 minutes; sionna-rt and LLVM 19)")


def read(path, names, kind, what, made_by):
    """{name: array} of a file that was traced; UserError, which says `what` is missing and what makes it."""
    if not path.is_file():
        raise UserError(
            f"there are no {what} in {path}: make them by `python -m gr_diffsem.air.{made_by}, or set DIFFSEM_CACHE to "
            f"the folder that holds them"
        )
    with np.load(path) as file:
        return {name: file[name].astype(kind) for name in names}


def library():
    """The modules (sionna.rt, mitsuba). Raises UserError with what to install."""
    if importlib.util.find_spec("mitsuba") is None:
        raise UserError(
            f"sionna-rt is missing in {sys.prefix}; remedy: {sys.executable} -m pip install {PACKAGE}, apt install "
            "libllvm19, and DRJIT_LIBLLVM_PATH set to its libLLVM.so"
        )
    import mitsuba
    import sionna.rt

    return sionna.rt, mitsuba


class City:
    """A scene that maps are traced in."""

    def __init__(self, name, frequency=2e9):
        self.rt, self.mi = library()
        self.scene = self.rt.load_scene(getattr(self.rt.scene, name))
        self.scene.frequency = frequency
        one = {"num_rows": 1, "num_cols": 1, "pattern": "iso", "polarization": "V"}
        self.scene.tx_array = self.scene.rx_array = self.rt.PlanarArray(**one)
        box = self.scene.mi_scene.bbox()
        self.low, self.high = np.array(box.min)[:2], np.array(box.max)[:2]
        self.solve = self.rt.RadioMapSolver()

    def heights(self, middle, step):
        """(x, y, metres above the ground) [CELLS, CELLS] each, of the cells around `middle`, y upwards."""
        offset = (np.arange(CELLS) + 0.5 - CELLS / 2) * step
        x, y = np.meshgrid(middle[0] + offset, middle[1] + offset)
        down = [self.mi.Float(part.ravel()) for part in (x, y, np.full(x.size, 1000.0))]
        hit = self.scene.mi_scene.ray_intersect(self.mi.Ray3f(self.mi.Point3f(*down), self.mi.Vector3f(0, 0, -1)))
        height = 1000 - np.array(hit.t).reshape(x.shape)
        return x, y, np.where(np.isfinite(height), height, 0).clip(0)

    def draw(self, rng, steps, rays=RAYS):
        """One map, of one of `steps` metres a cell: (gain in dB, height, step, (row, column, metres))."""
        room = np.min(self.high - self.low) / CELLS
        step = float(rng.choice([s for s in steps if s < room]))
        half = CELLS * step / 2
        while True:
            middle = rng.uniform(self.low + half, self.high - half)
            x, y, height = self.heights(middle, step)
            if 0.25 < np.mean(height < GROUND) < 0.95:
                break
        places = np.argwhere(height[MARGIN:-MARGIN, MARGIN:-MARGIN] < TALLEST)
        row, column = places[rng.integers(len(places))] + MARGIN
        around = height[row - 5 : row + 6, column - 5 : column + 6].clip(0, TALLEST).max()
        above = max(around + rng.uniform(4, 15), 25.0)
        if "sender" in self.scene.transmitters:
            self.scene.remove("sender")
        position = [float(v) for v in (x[row, column], y[row, column], above)]
        self.scene.add(self.rt.Transmitter("sender", position=position))
        traced = self.solve(
            self.scene,
            center=[float(middle[0]), float(middle[1]), RECEIVER],
            orientation=[0.0, 0.0, 0.0],
            size=[2 * half, 2 * half],
            cell_size=[step, step],
            samples_per_tx=rays,
            max_depth=DEPTH,
            diffraction=True,
            seed=int(rng.integers(1, 1 << 30)),
        )
        gain = 10 * np.log10(np.array(traced.path_gain)[0] + 1e-30)
        return gain.clip(FLOOR), height, step, (row, column, above)


def make(scene, seed, seconds, most, path, rays=RAYS):
    """Write the arrays of `load`, float16, of as many maps as the time allows, `most` at the most, to `path`: every
    SAVED maps and at the end. What `path` holds of the same seed is kept, and continued. Returns their number."""
    city, began, maps = City(scene), time.monotonic(), kept(path, seed)
    steps = MEASURED if scene == HELD_OUT else STEPS
    while len(maps) < most and time.monotonic() - began < seconds:
        maps.append(city.draw(np.random.default_rng([seed, len(maps)]), steps, rays))
        if len(maps) % SAVED == 0:
            print(f"{scene}: {len(maps)} maps, {time.monotonic() - began:.0f} s", flush=True)
            save(path, maps, seed)
    save(path, maps, seed)
    return len(maps)


def kept(path, seed):
    """[(gain, height, step, transmitter)] of a file that `save` wrote for the same seed."""
    if not path.is_file():
        return []
    with np.load(path) as file:
        if "seed" not in file or int(file["seed"]) != seed:
            return []
        return list(zip(*(file[name] for name in NAMES), strict=True))


def save(path, maps, seed):
    """Write a list of (gain, height, step, transmitter), whole or not at all."""
    arrays = {name: np.array(part, np.float16) for name, part in zip(NAMES, zip(*maps, strict=True), strict=True)}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez_compressed(partial, seed=seed, **arrays)
    os.replace(partial, path)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=20, help="for all cities together")
    parser.add_argument("--maps", type=int, default=1500, help="of a city at the most; a fifth of them held out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rays", type=int, default=RAYS, help="of a map; 12000000 take four times as long")
    parser.add_argument("--out", help="folder; the default is DIFFSEM_CACHE, else build/cache of the checkout")
    parser.add_argument("--scenes", nargs="+", default=(HELD_OUT, *TRAIN), choices=(HELD_OUT, *TRAIN))
    args = parser.parse_args()
    for i, scene in enumerate((HELD_OUT, *TRAIN)):
        if scene not in args.scenes:
            continue
        share, most = (0.2, args.maps // 5) if scene == HELD_OUT else (0.4, args.maps)
        path = file_of(scene, args.out)
        print(f"{path}: {make(scene, args.seed + i, 60 * args.minutes * share, most, path, args.rays)} maps")


if __name__ == "__main__":
    main()
