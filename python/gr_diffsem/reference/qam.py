# SPDX-License-Identifier: GPL-3.0-or-later
"""Square QAM as a prior: every symbol equally likely, E|x|^2 = 1."""

import itertools

import numpy as np


class Qam:
    """order: 4, 16, 64, 256 or 1024 points."""

    def __init__(self, order=4):
        side = int(round(np.sqrt(order)))
        levels = (2 * np.arange(side) - side + 1) * np.sqrt(1.5 / (order - 1))
        self.order = order
        self.points = (levels[:, None] + 1j * levels).ravel()

    def __call__(self, x, sigma):
        """(mean, variance) of x0 given x = x0 + sigma n, element by element: a sum over all points."""
        sigma = np.broadcast_to(np.asarray(sigma, float), x.shape)[..., None]
        seen = np.isfinite(sigma)
        distance = np.abs(np.where(seen, x[..., None], 0) - self.points) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            exponent = np.where(seen, -distance / np.maximum(sigma**2, 1e-12), 0.0)
        return self._moments(exponent, self.points)

    def joint(self, x, sigma, y, matrix, noise):
        """(mean [N], variance [N]) given also y = matrix x0 + n, n of the variances noise [M]: every vector of
        symbols is tried. x, sigma: [N]; sigma and noise may be infinite."""
        every = np.array(list(itertools.product(self.points, repeat=len(x))))
        exponent = np.zeros(len(every))
        for i in np.flatnonzero(np.isfinite(sigma)):
            exponent -= np.abs(x[i] - every[:, i]) ** 2 / sigma[i] ** 2
        for m in np.flatnonzero(np.isfinite(noise)):
            exponent -= np.abs(y[m] - every @ matrix[m]) ** 2 / noise[m]
        return self._moments(exponent, every.T)

    @staticmethod
    def _moments(exponent, values):
        """values broadcast to exponent; sums over the last axis."""
        weight = np.exp(exponent - exponent.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        mean = np.sum(weight * values, -1)
        return mean, np.sum(weight * np.abs(values - mean[..., None]) ** 2, -1)

    def draw(self, rng, shape):
        """Symbols of this shape."""
        return rng.choice(self.points, shape)
