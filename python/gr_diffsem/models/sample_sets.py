# SPDX-License-Identifier: GPL-3.0-or-later
"""How far two sets of samples lie apart: what generators are measured by. NumPy alone.

Complex samples are taken as twice as many reals. Sliced Wasserstein: Rabin et al. 2011; Frechet distance of Gaussians
fitted to features: Heusel et al. 2017; precision and recall by nearest neighbours: Kynkaanniemi et al. 2019.
"""

import numpy as np


def reals(x):
    """[n, ...] complex or real as float64 [n, d]."""
    x = np.asarray(x).reshape(len(x), -1)
    return np.concatenate((x.real, x.imag), 1) if np.iscomplexobj(x) else x.astype(float)


def sliced_wasserstein(a, b, seed, directions=256):
    """Root mean square over directions of the 2-Wasserstein distance of projections; sets of equal size."""
    a, b = reals(a), reals(b)
    if a.shape != b.shape:
        raise ValueError(f"sets of {a.shape} and {b.shape}: give sets of equal size")
    v = np.random.default_rng(seed).standard_normal((a.shape[1], directions))
    v /= np.linalg.norm(v, axis=0)
    return float(np.sqrt(np.mean((np.sort(a @ v, 0) - np.sort(b @ v, 0)) ** 2)))


def covariance_error(samples, covariance):
    """||C_samples - C||_F / ||C||_F of zero-mean samples [n, d]; C[i, j] = E[h_i conj(h_j)]."""
    samples = np.asarray(samples)
    own = samples.T @ samples.conj() / len(samples)
    return float(np.linalg.norm(own - covariance) / np.linalg.norm(covariance))


def frechet(a, b):
    """|m_a - m_b|^2 + tr(C_a + C_b - 2 (C_a C_b)^(1/2)) of feature sets [n, d]."""
    a, b = reals(a), reals(b)
    ca, cb = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(ca)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cb @ root), 0)).sum()
    return float(np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca) + np.trace(cb) - 2 * cross)


def _distances(a, b):
    squares = np.sum(a**2, 1)[:, None] + np.sum(b**2, 1) - 2 * a @ b.T
    return np.sqrt(np.maximum(squares, 0))


def precision_recall(real, made, neighbours=5):
    """(share of `made` that lies within the real set's reach, share of `real` within that of `made`)."""
    real, made = reals(real), reals(made)

    def reach(x):
        return np.sort(_distances(x, x), 1)[:, neighbours]

    between = _distances(real, made)
    inside = (between <= reach(real)[:, None]).any(0).mean()
    covered = (between <= reach(made)).any(1).mean()
    return float(inside), float(covered)
