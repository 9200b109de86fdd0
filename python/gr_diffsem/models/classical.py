# SPDX-License-Identifier: GPL-3.0-or-later
"""Classical priors fitted to samples: one Gaussian, a Gaussian mixture, a delay window.

All are circular complex Gaussians of zero mean unless said otherwise: a channel's phase is uniform.
Posterior means under them are closed forms that the core evaluates itself.
"""

import numpy as np

from ..air import tdl


def covariance(samples, ridge=1e-5):
    """Sample covariance E[x x^H] [N, N] of samples [n, N], plus `ridge` of its mean power."""
    x = np.asarray(samples)
    c = x.T @ x.conj() / len(x)
    return _hermitian(c + ridge * np.real(np.trace(c)) / len(c) * np.eye(len(c)))


def window_covariance(n_fft=64, first=-4, taps=20, power=100.0):
    """Any channel whose taps lie in first .. first + taps - 1 samples, at `power` times the expected
    power: so little is assumed of it that the posterior mean is the least-squares fit."""
    e = tdl.steering(first + np.arange(taps), n_fft)
    return _hermitian(power / taps * e @ e.conj().T + 1e-6 * np.eye(n_fft))


def fit_mixture(samples, components, rng, iterations=15, ridge=1e-4, progress=None):
    """Maximum likelihood by expectation maximisation: samples [n, N] of a mixture of `components`
    zero-mean circular Gaussians -> weights [K], covariances [K, N, N] complex64.

    Starts from k-means on smoothed log power in the transform domain (for carriers: the delay
    profile), since only powers tell zero-mean components apart. `ridge` is added to each diagonal."""
    x = np.asarray(samples, np.complex64)
    n, size = x.shape
    labels = _kmeans(_profile_features(x), components, rng)
    share = np.zeros((n, components), np.float32)
    share[np.arange(n), labels] = 1
    for i in range(iterations):
        weights, covariances = _maximise(x, share, ridge)
        if i + 1 == iterations:
            break
        logp = np.stack([_log_density(x, c) for c in covariances], 1) + np.log(weights)
        logp -= logp.max(1, keepdims=True)
        share = np.exp(logp)
        share /= share.sum(1, keepdims=True)
        if progress:
            progress(i + 1, iterations)
    return weights, covariances


def _maximise(x, share, ridge):
    n, size = x.shape
    total = share.sum(0) + 1e-3
    prior = x.T @ x.conj() / n
    covariances = np.empty((share.shape[1], size, size), np.complex64)
    for k in range(share.shape[1]):
        few = 5.0  # as if so many samples of the overall covariance had been seen, too
        mine = share[:, k] > 1e-4
        part = x[mine]
        c = (part.T * share[mine, k]) @ part.conj() + few * prior
        covariances[k] = _hermitian(c / (total[k] + few) + ridge * np.eye(size))
    return total / total.sum(), covariances


def _log_density(x, c):
    lower = np.linalg.cholesky(c.astype(np.complex128))
    inverse = np.linalg.inv(lower).astype(np.complex64)
    white = x @ inverse.T
    determinant = 2 * np.sum(np.log(np.real(np.diag(lower))))
    return -np.sum(white.real**2 + white.imag**2, axis=1) - determinant


def _profile_features(x):
    profile = np.abs(np.fft.fft(x, axis=1)) ** 2 / x.shape[1]
    kernel = np.array([0.25, 0.5, 0.25])
    smooth = sum(w * np.roll(profile, s, axis=1) for w, s in zip(kernel, (-1, 0, 1), strict=True))
    return np.log10(smooth + 1e-3).astype(np.float32)


def _kmeans(f, k, rng, iterations=15):
    centres = f[rng.choice(len(f), k, replace=False)]
    for _ in range(iterations):
        d = np.sum(centres**2, 1) - 2 * f @ centres.T
        labels = np.argmin(d, 1)
        for j in range(k):
            mine = f[labels == j]
            centres[j] = mine.mean(0) if len(mine) else f[rng.integers(len(f))]
    return labels


def _hermitian(c):
    return (c + c.conj().T) / 2
