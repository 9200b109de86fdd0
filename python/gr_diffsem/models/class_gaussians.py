# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian of few directions for each class: what a generator knows of some forty recordings before it is trained.

Of a class with the mean m, the strongest `rank` directions Q of its recordings keep their variances, every other one
has `floor` squared: C = Q diag(v) Q^T + floor^2 (I - Q Q^T) (probabilistic principal components, Tipping and Bishop
1999, but with a floor that is given, since directions that a few recordings lack are not without power). NumPy alone.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Gaussians:
    """mean [c, n], basis [c, n, rank] of orthonormal columns, variance [c, rank], floor: a deviation."""

    mean: np.ndarray
    basis: np.ndarray
    variance: np.ndarray
    floor: float

    def draw(self, rng, classes):
        """[len(classes), n] float32."""
        basis = self.basis[classes]
        rest = rng.standard_normal((len(classes), self.mean.shape[1]))
        rest -= np.einsum("bnk,bk->bn", basis, np.einsum("bnk,bn->bk", basis, rest))
        strong = np.sqrt(self.variance[classes]) * rng.standard_normal((len(classes), self.variance.shape[1]))
        return (self.mean[classes] + np.einsum("bnk,bk->bn", basis, strong) + self.floor * rest).astype(np.float32)


def fit(x, labels, classes, rank, floor):
    """`Gaussians` of `classes` classes of x [m, n] and, behind them, of all items together. A class of one item or
    none has the mean of its items, or 0, and the floor alone."""
    parts = [_fit(x[labels == k], rank, floor) for k in range(classes)] + [_fit(x, rank, floor)]
    mean, basis, variance = (np.stack(part).astype(np.float32) for part in zip(*parts, strict=True))
    return Gaussians(mean, basis, variance, floor)


def _fit(x, rank, floor):
    n = x.shape[1]
    mean = x.mean(0) if len(x) else np.zeros(n)
    _, values, rows = np.linalg.svd(x - mean, full_matrices=False)
    kept = min(rank, len(x) - 1)
    basis, variance = np.zeros((n, rank)), np.full(rank, floor**2)
    if kept > 0:
        basis[:, :kept] = rows[:kept].T
        variance[:kept] = np.maximum(values[:kept] ** 2 / (len(x) - 1), floor**2)
    return mean, basis, variance
