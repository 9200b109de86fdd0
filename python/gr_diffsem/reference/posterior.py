# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditioning is composition: condition(prior, operator, y, noise) is again a denoiser.

posterior(x, sigma) = E[x0 | x = x0 + sigma n, y = A x0 + w] with n and w independent. A sampler sees
only (x, sigma) -> (mean, variance) and knows neither operator nor guidance.
"""

import numpy as np

from .operators import Identity, Mask, fuse
from .priors import DiagonalGaussian, Gaussian, Mixture
from .qam import Qam

MOST_CANDIDATES = 65536  # symbol vectors that are tried one by one


def condition(prior, operator, y, noise):
    """A posterior denoiser. y: [B, M]; noise: variance per complex element, broadcasts to y.

    Identity and mask: exact for every prior, because x and y are two looks at the same elements,
    which fuse into one look of less noise. What is kept as a matrix: exact for Gaussians and mixtures; else the
    prior's mean, then the operator's proximal step (Zhu et al. 2023, eq. 12-13). Its weight is the mean variance that a
    closed-form prior states, else sigma^2 / (1 + sigma^2), what a white prior of unit power would leave (Song et al.
    2023, app. A.3).
    """
    if isinstance(operator, (Identity, Mask)):
        return _Fused(prior, operator, y, noise)
    if not hasattr(operator, "matrix"):
        return _Proximal(prior, operator, y, noise)
    if isinstance(prior, DiagonalGaussian):
        mean = prior.mean * np.ones(len(prior.variance))
        prior = Gaussian(np.diag(prior.variance), mean)
    if isinstance(prior, Qam) and prior.order ** operator.matrix.shape[1] <= MOST_CANDIDATES:
        return _Enumerated(prior, operator, y, noise)
    if isinstance(prior, (Gaussian, Mixture)):
        return _Joint(prior, operator, y, noise)
    return _Proximal(prior, operator, y, noise)


class _Fused:
    def __init__(self, prior, operator, y, noise):
        self.prior, self.y = prior, y
        noise = np.broadcast_to(np.asarray(noise, float), y.shape)
        if isinstance(operator, Mask):
            self.y, noise = operator.apply(y), operator.noise_map(noise, y.shape)
        self.noise = noise

    def __call__(self, x, sigma):
        x, variance = fuse(x, np.asarray(sigma, float) ** 2, self.y, self.noise)
        return self.prior(x, np.sqrt(variance))


class _Joint:
    """B x0 with B = [I; A] has a mixture of the same kind as prior, and (x, y) is a noisy look at it."""

    def __init__(self, prior, operator, y, noise):
        self.size = operator.matrix.shape[1]
        both = np.vstack([np.eye(self.size), operator.matrix])
        self.y, self.noise = y, np.broadcast_to(np.asarray(noise, float), y.shape)
        if isinstance(prior, Gaussian):
            self.prior = Gaussian(both @ prior.covariance @ both.conj().T, both @ prior.mean)
        else:
            covariances = both @ prior.covariances @ both.conj().T
            self.prior = Mixture(prior.weights, prior.means @ both.T, covariances, prior.real)

    def __call__(self, x, sigma):
        levels = np.broadcast_to(np.asarray(sigma, float), x.shape)
        looks = np.concatenate([x, self.y], axis=1)
        mean, variance = self.prior(looks, np.concatenate([levels, np.sqrt(self.noise)], axis=1))
        return mean[:, : self.size], variance[:, : self.size]


class _Enumerated:
    def __init__(self, prior, operator, y, noise):
        self.prior, self.matrix, self.y = prior, operator.matrix, y
        self.noise = np.broadcast_to(np.asarray(noise, float), y.shape)

    def __call__(self, x, sigma):
        levels = np.broadcast_to(np.asarray(sigma, float), x.shape)
        items = [self.prior.joint(x[b], levels[b], self.y[b], self.matrix, self.noise[b]) for b in range(len(x))]
        return np.stack([mean for mean, _ in items]), np.stack([variance for _, variance in items])


class _Proximal:
    def __init__(self, prior, operator, y, noise):
        self.prior, self.operator, self.y, self.noise = prior, operator, y, noise

    def __call__(self, x, sigma):
        mean, variance = self.prior(x, sigma)
        level2 = np.asarray(sigma, float) ** 2
        with np.errstate(invalid="ignore"):
            weight = np.where(np.isinf(level2), 1.0, level2 / (1.0 + level2))
        if isinstance(self.prior, (DiagonalGaussian, Gaussian, Mixture, Qam)):
            weight = variance.mean(1, keepdims=True)
        return self.operator.prox(mean, weight, self.y, self.noise), variance
