# SPDX-License-Identifier: GPL-3.0-or-later
"""What is drawn without a process: inverse distance (Shepard 1968) and log-distance (Hata's form, one exponent).

Their standard deviation is one number, that of what they miss at their own sites (inverse distance: each left out).
"""

import numpy as np

from .kriging import likeliest_transmitter, trend

NEIGHBOURS, POWER = 12, 2.0


class _Simple:
    """What both say of themselves. `deviation`: dB, one for all places."""

    def predict(self, places):
        """(mean [N], standard deviation [N]) in dB at places [N, 2]."""
        return self.mean(places), np.full(len(places), self.deviation)

    def predict_raster(self, raster):
        """The same over a `Raster`: two arrays [rows, columns]."""
        shape = (raster.rows, raster.columns)
        return [part.reshape(shape) for part in self.predict(raster.centres().reshape(-1, 2))]

    def noise_of(self, sites):
        """Variance [M] of measured sites beyond `deviation`, which is theirs already: none."""
        return np.zeros(len(sites))

    def words(self):
        """What was fitted, as a sentence."""
        return f"misses its own sites by {self.deviation:.1f} dB"


class InverseDistance(_Simple):
    """Means of the NEIGHBOURS nearest sites with weights 1 / distance^POWER."""

    def __init__(self, sites):
        self.sites = sites
        self.deviation = float(np.sqrt(np.mean((self.mean(sites.places, True) - sites.value) ** 2)))

    def mean(self, places, leave_out=False):
        """[N] dB at places [N, 2]; leave_out: the nearest site, which is the place itself, does not count."""
        from scipy.spatial import cKDTree

        few = min(NEIGHBOURS + leave_out, len(self.sites))
        metres, index = cKDTree(self.sites.places).query(places, few)
        metres, index = metres.reshape(len(places), few), index.reshape(len(places), few)
        if leave_out and few > 1:
            metres, index = metres[:, 1:], index[:, 1:]
        weight = 1 / np.maximum(metres, 0.1) ** POWER
        return (weight * self.sites.value[index]).sum(1) / weight.sum(1)


class LogDistance(_Simple):
    """b0 + b1 log10 of the distance to the transmitter [2], None: where that fits best; least squares."""

    def __init__(self, sites, transmitter=None):
        found = likeliest_transmitter(sites.places, sites.value) if transmitter is None else transmitter
        self.transmitter = found
        t = trend(sites.places, found)
        self.coefficients = np.linalg.lstsq(t, sites.value, rcond=None)[0]
        if self.coefficients[1] > 0:  # power does not grow with distance: then there is no trend
            self.coefficients = np.array([sites.value.mean(), 0.0])
        left = sites.value - t @ self.coefficients
        self.deviation = float(np.sqrt(np.sum(left**2) / max(len(sites) - 4, 1)))

    def mean(self, places):
        """[N] dB at places [N, 2]."""
        return trend(places, self.transmitter) @ self.coefficients
