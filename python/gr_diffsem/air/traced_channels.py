# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of base stations in real cities by their paths, traced with sionna-rt (`air.traced_maps`: how to have it).

Of each receiver the PATHS strongest paths are kept: power (all of them sum to 1: the site's shape, not its level),
delay after the first that arrives, and the cosine of the direction of departure along the array. The phases of paths
are independent and uniform, since a place is known to metres and not to parts of a wavelength; so the covariance of a
place is a closed form. Channels are of ANTENNAS at half a wavelength and CARRIERS over BANDWIDTH, in beams and delays
(unitary Fourier transforms of both); one sample of delay is left in front of the first path.

    python -m gr_diffsem.air.traced_channels [--out FOLDER]

Places are in units of REACH metres from the base station.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

from .channel_bank import cache_folder
from .traced_maps import GROUND, HELD_OUT, RECEIVER, TRAIN, City, library, read

VERSION = 1
PATHS, ANTENNAS, CARRIERS, BANDWIDTH = 16, 8, 32, 10e6  # a window of 3.2 microseconds
FREQUENCY, REACH = 3.5e9, 200.0  # Hz; metres around a base station
AT_ONCE, DEPTH, RAYS = 100, 4, 300_000
SITES = {"munich": 2, "etoile": 2, HELD_OUT: 1}
NAMES = ("place", "power", "delay", "sine")


def file_of(scene, site, folder=None):
    """Where the paths of a site are kept."""
    return Path(folder or cache_folder()) / f"traced-channels-v{VERSION}-{scene}-{site}.npz"


def load(scene, site=0, folder=None):
    """{"place": [n, 2], "power", "delay" (seconds), "sine": [n, PATHS]} of a site. UserError where there is none."""
    made_by = "traced_channels` (sionna-rt and LLVM 19; minutes)"
    return read(file_of(scene, site, folder), NAMES, np.float64, "channels", made_by)


def waves(paths):
    """Each path's part of the channel, without its phase: complex [n, PATHS, ANTENNAS, CARRIERS] in beams and delays.
    The squares of all paths of a place sum to ANTENNAS * CARRIERS."""
    power, delay, sine = (np.asarray(paths[name], float) for name in NAMES[1:])
    antenna, carrier = np.arange(ANTENNAS), np.arange(CARRIERS) * BANDWIDTH / CARRIERS
    late = delay + 1 / BANDWIDTH
    across = np.exp(1j * np.pi * sine[..., None] * antenna) / np.sqrt(ANTENNAS)
    along = np.exp(-2j * np.pi * late[..., None] * carrier) / np.sqrt(CARRIERS)
    beams = np.fft.fft(across, axis=-1) / np.sqrt(ANTENNAS)
    delays = np.fft.ifft(along, axis=-1) * np.sqrt(CARRIERS)
    amplitude = np.sqrt(power * ANTENNAS * CARRIERS)
    return amplitude[..., None, None] * beams[..., :, None] * delays[..., None, :]


def channels(made, rng):
    """A draw of each place's channel [n, ANTENNAS, CARRIERS] of its `waves`: paths of independent phases."""
    phase = np.exp(2j * np.pi * rng.random(made.shape[:2]))
    return np.einsum("np,npab->nab", phase, made).astype(np.complex64)


def covariances(made):
    """E[h h^H] of each place [n, e, e], e = ANTENNAS * CARRIERS, over the phases of its paths."""
    flat = made.reshape(*made.shape[:2], -1)
    return np.einsum("npi,npj->nij", flat, flat.conj())


# ---- tracing ----


class Site:
    """A base station in a city."""

    def __init__(self, city, rng):
        self.city, self.rt = city, city.rt
        self.solver = self.rt.PathSolver()
        while True:
            self.middle = rng.uniform(city.low + REACH, city.high - REACH)
            _, _, height = city.heights(self.middle, 5.0)
            if 0.3 < np.mean(height < GROUND) < 0.9:
                break
        roof = height[30:50, 30:50].max()
        self.above = float(min(roof, 30.0) + rng.uniform(4, 12))
        for name in list(city.scene.transmitters):
            city.scene.remove(name)
        position = [float(self.middle[0]), float(self.middle[1]), self.above]
        city.scene.add(self.rt.Transmitter("sender", position=position))

    def heights_at(self, xy):
        mi = self.city.mi
        down = [mi.Float(part) for part in (xy[:, 0], xy[:, 1], np.full(len(xy), 1000.0))]
        hit = self.city.scene.mi_scene.ray_intersect(mi.Ray3f(mi.Point3f(*down), mi.Vector3f(0, 0, -1)))
        return 1000 - np.array(hit.t)

    def trace(self, rng):
        """Paths of up to AT_ONCE receivers outdoors that are reached, as `load` has them."""
        xy = self.middle + rng.uniform(-REACH, REACH, (4 * AT_ONCE, 2))
        xy = xy[np.abs(self.heights_at(xy)) < GROUND][:AT_ONCE]
        scene = self.city.scene
        for name in list(scene.receivers):
            scene.remove(name)
        for i, (x, y) in enumerate(xy):
            scene.add(self.rt.Receiver(f"r{i}", position=[float(x), float(y), RECEIVER]))
        found = self.solver(
            scene, max_depth=DEPTH, samples_per_src=RAYS, diffuse_reflection=True, diffraction=True,
            seed=int(rng.integers(1, 1 << 30)),
        )  # fmt: skip
        real, imaginary = (np.array(part).reshape(len(xy), -1) for part in found.a)
        delay, theta, phi = (np.array(part).reshape(len(xy), -1) for part in (found.tau, found.theta_t, found.phi_t))
        gain = np.where(delay >= 0, real**2 + imaginary**2, 0)
        order = np.argsort(-gain, 1)[:, :PATHS]
        gain, delay, theta, phi = (np.take_along_axis(part, order, 1) for part in (gain, delay, theta, phi))
        lack = PATHS - gain.shape[1]
        gain, delay, theta, phi = (np.pad(part, ((0, 0), (0, max(lack, 0)))) for part in (gain, delay, theta, phi))
        reached = 10 * np.log10(gain.sum(1) + 1e-30) > -130
        gain, delay, sine = gain[reached], delay[reached], (np.sin(theta) * np.cos(phi))[reached]
        first = np.where(gain > 0, delay, np.inf).min(1, keepdims=True)
        return {
            "place": (xy[reached] - self.middle) / REACH,
            "power": gain / gain.sum(1, keepdims=True),
            "delay": np.where(gain > 0, delay - first, 0),
            "sine": np.where(gain > 0, sine, 0),
        }


def make(scene, site, count, seed, path):
    """Write the paths of `count` receivers of a site."""
    city = City(scene, FREQUENCY)
    found, parts, began = Site(city, np.random.default_rng([seed, site])), [], time.monotonic()
    rng = np.random.default_rng([seed, site, 1])
    while sum(len(p["place"]) for p in parts) < count:
        parts.append(found.trace(rng))
        done = sum(len(p["place"]) for p in parts)
        print(
            f"\r{scene} {site}: {done} receivers, {time.monotonic() - began:.0f} s", end="", file=sys.stderr, flush=True
        )
    print(file=sys.stderr)
    arrays = {name: np.concatenate([p[name] for p in parts])[:count].astype(np.float32) for name in NAMES}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, seed=seed, **arrays)


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--receivers", type=int, default=1500, help="of a site")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", help="folder; the default is DIFFSEM_CACHE, else build/cache of the checkout")
    parser.add_argument("--scenes", nargs="+", default=(HELD_OUT, *TRAIN), choices=(HELD_OUT, *TRAIN))
    args = parser.parse_args()
    library()
    for scene in args.scenes:
        for site in range(SITES[scene]):
            path = file_of(scene, site, args.out)
            if not path.is_file():
                make(scene, site, args.receivers, args.seed, path)


if __name__ == "__main__":
    main()
