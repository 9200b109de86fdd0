# SPDX-License-Identifier: GPL-3.0-or-later
"""Closed-form denoisers: D(x, sigma) = E[x0 | x = x0 + sigma n] for Gaussian and mixture priors.

Every function takes x of [B, N] (complex or real) and sigma that broadcasts to [B, N]: a level for
every element. `inf` means that the element carries no information. All return
(mean [B, N], variance [B, N]) where variance = E|x0 - mean|^2 per element.
"""

import numpy as np


def _levels(x, sigma):
    return np.broadcast_to(np.asarray(sigma, dtype=float), x.shape)


def _rows_of_equal_levels(levels):
    """Group the rows of [B, N] that share their levels, so that each matrix is factored once."""
    if levels.strides[0] == 0 or np.all(levels == levels[:1]):
        yield levels[0], slice(None)
        return
    unique, inverse = np.unique(levels, axis=0, return_inverse=True)
    for k, row in enumerate(unique):
        yield row, np.flatnonzero(np.ravel(inverse) == k)


class DiagonalGaussian:
    """x0 ~ N(mean, diag(variance)): an elementwise Wiener filter. variance, mean: [N]."""

    def __init__(self, variance, mean=0.0):
        self.variance = np.asarray(variance, dtype=float)
        self.mean = np.asarray(mean)

    def __call__(self, x, sigma):
        noise = _levels(x, sigma) ** 2
        # v / (v + s^2), and 0 where both are 0: nothing to learn, the mean is exact.
        total = self.variance + noise
        with np.errstate(invalid="ignore"):
            gain = np.where(total > 0, self.variance / total, 0.0)
        gain = np.where(np.isinf(noise), 0.0, gain)
        mean = self.mean + gain * np.where(gain > 0, x - self.mean, 0.0)
        return mean, (1.0 - gain) * self.variance * np.ones(x.shape)


class Gaussian:
    """x0 ~ N(mean, covariance), covariance Hermitian [N, N]: this *is* the LMMSE estimator."""

    def __init__(self, covariance, mean=None):
        self.covariance = np.asarray(covariance)
        size = self.covariance.shape[0]
        self.mean = np.zeros(size) if mean is None else np.asarray(mean)

    def __call__(self, x, sigma):
        levels = _levels(x, sigma)
        dtype = np.result_type(x, self.covariance, self.mean, float)
        mean = np.empty(x.shape, dtype)
        variance = np.empty(x.shape)
        for row, members in _rows_of_equal_levels(levels):
            seen = np.isfinite(row)
            centred = x[members][:, seen] - self.mean[seen]
            filtered, left = condition_gaussian(self.covariance, row[seen] ** 2, seen, centred)
            mean[members] = self.mean + filtered
            variance[members] = left
        return mean, variance


def condition_gaussian(covariance, noise, seen, centred):
    """E[x0 | x_seen] less the prior mean, and the variance left (Kay 1993, eq. 10.28).

    covariance [N, N], noise [M] variances of the seen elements, seen bool [N], centred [B, M].
    """
    cross = covariance[:, seen]
    total = covariance[np.ix_(seen, seen)] + np.diag(noise)
    gain = np.linalg.solve(total.T, cross.T).T  # cross total^-1
    left = np.real(np.diag(covariance)) - np.real(np.sum(gain * cross.conj(), axis=1))
    return centred @ gain.T, np.maximum(left, 0.0)


class Mixture:
    """x0 ~ sum_k w_k N(mean_k, C_k): posterior-weighted sum of LMMSE estimates.

    weights [K]; means [K, N]; covariances [K, N, N] or variances [K, N] (diagonal).
    `real=True` for real data: then log-densities have the factor 1/2.
    """

    def __init__(self, weights, means, covariances, real=False):
        self.weights = np.asarray(weights, dtype=float)
        self.means = np.asarray(means)
        covariances = np.asarray(covariances)
        if covariances.ndim == 2:
            covariances = np.stack([np.diag(v) for v in covariances])
        self.covariances = covariances
        self.real = real

    def responsibilities(self, x, sigma):
        """p(k | x), [B, K]."""
        levels = _levels(x, sigma)
        out = np.empty((x.shape[0], len(self.weights)))
        for row, members in _rows_of_equal_levels(levels):
            seen = np.isfinite(row)
            scores = [
                np.log(weight) + self._log_density(x[members][:, seen] - mean[seen], covariance, row, seen)
                for weight, mean, covariance in zip(self.weights, self.means, self.covariances, strict=False)
            ]
            scores = np.stack(scores, axis=1)
            scores -= scores.max(axis=1, keepdims=True)
            out[members] = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
        return out

    def _log_density(self, centred, covariance, row, seen):
        """log N(centred; 0, C + noise), dropping the constant that all components share."""
        total = covariance[np.ix_(seen, seen)] + np.diag(row[seen] ** 2)
        distance = np.real(np.sum(centred.conj() * np.linalg.solve(total, centred.T).T, axis=1))
        value = -distance - np.linalg.slogdet(total)[1]
        return 0.5 * value if self.real else value

    def __call__(self, x, sigma):
        resp = self.responsibilities(x, sigma)
        parts = [Gaussian(c, m)(x, sigma) for c, m in zip(self.covariances, self.means, strict=False)]
        means = np.stack([p[0] for p in parts], axis=1)  # [B, K, N]
        inner = np.stack([p[1] for p in parts], axis=1)
        weight = resp[:, :, None]
        mean = np.sum(weight * means, axis=1)
        # Law of total variance: within components, plus between them.
        spread = np.abs(means - mean[:, None]) ** 2
        return mean, np.sum(weight * (inner + spread), axis=1)

    def draw(self, rng, count):
        """`count` samples, complex unless real: [count, N]."""
        which = rng.choice(len(self.weights), size=count, p=self.weights / self.weights.sum())
        size = self.means.shape[1]
        noise = rng.standard_normal((count, size))
        if not self.real:
            noise = (noise + 1j * rng.standard_normal((count, size))) / np.sqrt(2.0)
        roots = np.stack([_root(c) for c in self.covariances])
        return self.means[which] + np.einsum("bij,bj->bi", roots[which], noise)

    def covariance(self):
        """Covariance of the whole mixture, [N, N], for the best linear estimator."""
        mean = np.tensordot(self.weights, self.means, 1)
        off = self.means - mean
        return np.tensordot(self.weights, self.covariances, 1) + np.einsum("k,ki,kj->ij", self.weights, off, off.conj())


class ClassifierFree:
    """D_null + scale (D_told - D_null) of two denoisers (Ho and Salimans 2022, eq. 6): the prior that is told a
    condition, and the one that is not. The variance is that of the first."""

    def __init__(self, told, null, scale):
        self.told, self.null, self.scale = told, null, scale

    def __call__(self, x, sigma):
        mean, variance = self.told(x, sigma)
        null, _ = self.null(x, sigma)
        return null + self.scale * (mean - null), variance


def _root(covariance):
    """Hermitian square root, also of a singular covariance."""
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.conj().T
