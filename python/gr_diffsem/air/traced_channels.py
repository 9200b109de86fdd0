# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths from a base station to receivers in the streets of a city, by tracing rays, and channels that they make.

The cities, and where base stations stand, are those of `traced_maps`; one base station of a city. Channels are those of
ANTENNAS half a wavelength apart and CARRIERS over BANDWIDTH, of unit mean power, in beams and delays: the phases of a
receiver's paths are uniform, as they are where it moves by some wavelengths, so that its covariance is known from its
paths alone. Delays count from the first path, which lies at FIRST.

    python -m gr_diffsem.air.traced_channels [--receivers 1000] [--out FOLDER]

It needs what `traced_maps` needs; reading the files needs NumPy alone.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from . import traced_maps
from .channel_bank import cache_folder

VERSION = 1
ANTENNAS, CARRIERS, BANDWIDTH = 8, 16, 20e6
FIRST = 1.0 / BANDWIDTH  #: seconds
SPAN = 200.0  #: metres, that positions are given in
STEP, FREQUENCY = 5.0, 3.5e9  # metres a cell of the square that receivers stand in; carrier
PATHS, DEPTH, RAYS, AT_ONCE = 16, 4, 500_000, 100
NAMES = ("place", "power", "delay", "sine")


def file_of(scene, folder=None):
    """Where the paths of a scene are kept."""
    return Path(folder or cache_folder()) / f"traced-channels-v{VERSION}-{scene}.npz"


def load(scene, folder=None):
    """{"place": [n, 2] from the base station, in units of SPAN, "power", "delay" in seconds after the first path's, and
    "sine" of the angle at the base station [n, PATHS]}; power 0 where a receiver has fewer paths, their sum is 1.
    UserError where they have not been made."""
    path = file_of(scene, folder)
    if not path.is_file():
        raise UserError(
            f"there are no paths in {path}: make them by `python -m gr_diffsem.air.traced_channels` (sionna-rt and "
            "LLVM 19), or set DIFFSEM_CACHE to the folder that holds them"
        )
    with np.load(path) as file:
        return {name: file[name] for name in NAMES}


def waves(paths):
    """What each path alone makes, [n, PATHS, ANTENNAS, CARRIERS] in beams and delays, with the root of its power."""
    antenna = np.exp(1j * np.pi * np.arange(ANTENNAS) * paths["sine"][..., None])
    carrier = np.exp(-2j * np.pi * np.arange(CARRIERS) / CARRIERS * BANDWIDTH * (paths["delay"][..., None] + FIRST))
    beams, delays = np.fft.fft(antenna, norm="ortho"), np.fft.ifft(carrier, norm="ortho")
    return np.sqrt(paths["power"])[..., None, None] * beams[..., :, None] * delays[..., None, :]


def channels(made, rng):
    """One channel [n, ANTENNAS, CARRIERS] complex64 of each receiver's waves: uniform phases."""
    turn = np.exp(2j * np.pi * rng.random(made.shape[:2]))
    return np.einsum("np,npab->nab", turn, made).astype(np.complex64)


def covariances(made):
    """[n, e, e], e = ANTENNAS x CARRIERS, of uniform phases."""
    flat = made.reshape(*made.shape[:2], -1)
    return np.einsum("npi,npj->nij", flat, flat.conj())


def trace(city, rng, count):
    """The arrays of `load` for up to `count` receivers in the streets of one square: those that a path reaches."""
    _, _, x, y, height, (row, column, _) = city.stand(rng, (STEP,))
    streets = np.argwhere(height < traced_maps.GROUND)
    chosen = streets[rng.permutation(len(streets))[:count]]
    station = np.array([x[row, column], y[row, column]])
    solve, rows, began = city.rt.PathSolver(), [], time.monotonic()
    for first in range(0, len(chosen), AT_ONCE):
        at = [(x[r, c], y[r, c]) for r, c in chosen[first : first + AT_ONCE]]
        for k, (east, north) in enumerate(at):
            place = [float(east), float(north), traced_maps.RECEIVER]
            city.scene.add(city.rt.Receiver(f"receiver-{k}", position=place))
        found = solve(
            city.scene,
            max_depth=DEPTH,
            samples_per_src=RAYS,
            synthetic_array=True,
            diffuse_reflection=False,
            refraction=False,
            diffraction=True,
            seed=int(rng.integers(1, 1 << 30)),
        )
        power = sum(np.array(part) ** 2 for part in found.a)[:, 0, 0, 0]
        delay, azimuth, zenith = (np.array(part)[:, 0] for part in (found.tau, found.phi_t, found.theta_t))
        for k, (east, north) in enumerate(at):
            city.scene.remove(f"receiver-{k}")
            heard = np.flatnonzero((delay[k] >= 0) & (power[k] > 0))
            heard = heard[np.argsort(-power[k, heard])][:PATHS]
            if len(heard) == 0:
                continue
            said = np.zeros((3, PATHS))
            said[0, : len(heard)] = power[k, heard] / power[k, heard].sum()
            said[1, : len(heard)] = delay[k, heard] - delay[k, heard].min()
            said[2, : len(heard)] = np.sin(azimuth[k, heard]) * np.sin(zenith[k, heard])
            rows.append(((np.array([east, north]) - station) / SPAN, *said))
        print(f"{len(rows)} of {first + len(at)} receivers hear it, {time.monotonic() - began:.0f} s", flush=True)
    return dict(zip(NAMES, map(np.array, zip(*rows, strict=True)), strict=True))


def save(path, arrays):
    """Write them whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez_compressed(partial, **{name: array.astype(np.float32) for name, array in arrays.items()})
    os.replace(partial, path)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--receivers", type=int, default=1000, help="of a city")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", help="folder; the default is DIFFSEM_CACHE, else build/cache of the checkout")
    scenes = (*traced_maps.TRAIN, traced_maps.HELD_OUT)
    parser.add_argument("--scenes", nargs="+", default=scenes, choices=scenes)
    args = parser.parse_args()
    for scene in args.scenes:
        rng = np.random.default_rng([args.seed, scenes.index(scene)])
        path = file_of(scene, args.out)
        save(path, trace(traced_maps.City(scene, FREQUENCY), rng, args.receivers))
        print(path)


if __name__ == "__main__":
    main()
