# SPDX-License-Identifier: GPL-3.0-or-later
"""Walks through a field of known statistics, and CSV files of them."""

import csv

import numpy as np
from gr_diffsem.radiomap import kriging, local_plane, sites

MIDDLE = local_plane.Plane(51.9, -8.47)
TRUE = kriging.Covariance(amplitude=6.0, length=150.0, nugget=1.5, spread=0.1)


def field(rng, places, covariance=TRUE):
    """[N] dB: a draw of the field at places [N, 2], its mean -90."""
    matrix = covariance.between(places, places) + 1e-6 * np.eye(len(places))
    return -90 + np.linalg.cholesky(matrix) @ rng.standard_normal(len(places))


def sites_of(places, value, censored=None, count=1):
    """`Sites` of single samples."""
    n = len(value)
    censored = np.zeros(n, bool) if censored is None else censored
    return sites.Sites(places, value, np.full(n, count), censored, np.zeros(n), 0.1)


def scattered(rng, count, side=800.0):
    """Places [count, 2] in a square."""
    return rng.uniform(0, side, (count, 2))


def write(path, places, value, plane=MIDDLE, names=("Latitude", "Longitude", "RSRP"), more=(), mark=","):
    """A CSV file of a walk; more: [(name, column)]."""
    latitude, longitude = plane.to_degrees(places)
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, delimiter=mark)
        rows.writerow([*names, *(name for name, _ in more)])
        for i, row in enumerate(zip(latitude, longitude, value, strict=True)):
            rows.writerow([f"{row[0]:.7f}", f"{row[1]:.7f}", row[2], *(column[i] for _, column in more)])
    return path
