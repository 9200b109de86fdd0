# SPDX-License-Identifier: GPL-3.0-or-later
"""How people moved through measured Wi-Fi channels: maps over time and carriers, from the recordings of WiAR.

WiAR (Guo et al., "WiAR: a public dataset for Wi-Fi-based activity recognition", IEEE Access 2019): 16 activities, an
Intel 5300 with three antennas, 30 packets a second; folders of a distance or height. Not shipped: DIFFSEM_DATA names
the folder that holds `wiar`. No licence is stated.

A map is what moving bodies do to the level: amplitude in dB less its mean over the recording, for each antenna and
carrier, 64 equal times of the recording. It is kept as its lowest cosine coefficients over time and carriers, 24 x 8
for each antenna, which hold 78 % of its power; the rest is mostly noise.
"""

import re

import numpy as np

from ...air.channel_bank import cache_folder
from ...base.errors import UserError
from ...base.places import data_folder
from . import intel5300

PLACES = ("1_alldata", "3_alldata", "120_rawdata")
ACTIVITIES = 16
MAP = (3, 64, 30)  #: antennas, times, carriers
KEPT = (3, 24, 8)  #: cosine coefficients
SCALE = 5.2  #: dB: root mean square of a kept coefficient over all recordings
VERSION = 1


def _cosines(length, kept):
    """Orthonormal cosine vectors [kept, length] (DCT-II)."""
    k, n = np.mgrid[:kept, :length]
    waves = np.sqrt(2 / length) * np.cos(np.pi * k * (n + 0.5) / length)
    waves[0] /= np.sqrt(2)
    return waves


_TIME, _CARRIER = _cosines(MAP[1], KEPT[1]), _cosines(MAP[2], KEPT[2])


def to_signal(maps):
    """Maps [n, 3, 64, 30] in dB as coefficients of about unit power [n, 3, 24, 8]."""
    return (np.einsum("nats,kt,ls->nakl", maps, _TIME, _CARRIER, optimize=True) / SCALE).astype(np.float32)


def to_map(signal):
    """Coefficients as maps in dB [n, 3, 64, 30]."""
    return SCALE * np.einsum("nakl,kt,ls->nats", np.reshape(signal, (-1, *KEPT)), _TIME, _CARRIER, optimize=True)


def of_recording(data):
    """The map [3, 64, 30] of a log's octets, or None where it has no 64 estimates of three antennas."""
    found = [one["csi"][:, 0] for one in intel5300.read(data)[0] if one["csi"].shape == (3, 1, 30)]
    if len(found) < MAP[1]:
        return None
    level = 20 * np.log10(np.abs(np.stack(found)) + 1e-3)
    level = level - level.mean(0)
    # The mean over equal parts of the recording, which may begin within a packet.
    run = np.concatenate((np.zeros((1, 3, 30)), np.cumsum(level, 0)))
    edges = np.linspace(0, len(level), MAP[1] + 1)
    below = np.minimum(edges.astype(int), len(level) - 1)
    share = (edges - below)[:, None, None]
    part = np.diff(run[below] * (1 - share) + run[below + 1] * share, axis=0) / np.diff(edges)[:, None, None]
    return part.transpose(1, 0, 2)


def load():
    """(signals [n, 3, 24, 8] float32, activities [n] 0 .. 15, places [n] of PLACES, numbers [n]). The recordings are
    read once and kept in the cache. UserError where they are not there."""
    cached = cache_folder() / f"wiar-v{VERSION}.npz"
    if not cached.is_file():
        _read(cached)
    with np.load(cached) as file:
        return tuple(file[name] for name in ("signals", "activities", "places", "numbers"))


def _read(cached):
    root = data_folder()
    files = sorted(root.glob("wiar/*/csi_a*_*.dat")) if root else []
    if not files:
        raise UserError(
            f"there are no wiar/PLACE/csi_aI_J.dat in {root or 'DIFFSEM_DATA, which is not set'}: set DIFFSEM_DATA to "
            "the folder that holds wiar (github.com/linteresa/WiAR)"
        )
    maps, said = [], []
    for file in files:
        activity, number = map(int, re.match(r"csi_a(\d+)_(\d+)", file.stem).groups())
        one = of_recording(file.read_bytes())
        if one is not None and file.parent.name in PLACES and 1 <= activity <= ACTIVITIES:
            maps.append(one)
            said.append((activity - 1, PLACES.index(file.parent.name), number))
    activities, places, numbers = np.array(said).T
    cached.parent.mkdir(parents=True, exist_ok=True)
    part = cached.with_suffix(".part.npz")
    np.savez(part, signals=to_signal(np.stack(maps)), activities=activities, places=places, numbers=numbers)
    part.replace(cached)


def held_out(numbers):
    """Which recordings no generator learns from: every fifth of each activity."""
    return numbers % 5 == 0


def similarity(a, b):
    """SSIM of maps [n, 3, 64, 30] and [m, 3, 64, 30], [n, m]: means, variances and covariance over each antenna's map
    (one window), constants for a range of 20 dB (Wang et al. 2004)."""
    c1, c2 = (0.01 * 20) ** 2, (0.03 * 20) ** 2
    total = 0
    for antenna in range(a.shape[1]):
        x, y = (m[:, antenna].reshape(len(m), -1) for m in (a, b))
        mx, my = x.mean(1), y.mean(1)
        x, y = x - mx[:, None], y - my[:, None]
        vx, vy = (x**2).mean(1), (y**2).mean(1)
        both = x @ y.T / x.shape[1]
        level = (2 * np.outer(mx, my) + c1) / (mx[:, None] ** 2 + my**2 + c1)
        total = total + level * (2 * both + c2) / (vx[:, None] + vy + c2)
    return total / a.shape[1]
