# SPDX-License-Identifier: GPL-3.0-or-later
"""Statistical CSI at a position, from channels' covariances at others: what a generator of a site is held to.

Profiles are the mean powers [n, beams, delays] of channels of unit mean power. `gaussian_process` takes their
logarithm as a Gaussian process over the plane (exponential covariance; length and noise by the marginal likelihood of
the mean over elements), and a covariance from it as diagonal in beams and delays, which is what powers alone can say.
"""

import numpy as np

FLOOR = 1e-5  # of the power of an element
LENGTHS, NOISES = np.geomspace(0.02, 1.0, 8), (0.03, 0.1, 0.3, 1.0)


def profiles(covariances, shape):
    """Mean powers [n, *shape] of covariances [n, e, e]."""
    return np.real(np.einsum("nii->ni", covariances)).reshape(len(covariances), *shape)


def nearest(known, asked):
    """Which known place [m, 2] is the nearest of each asked one [n, 2]."""
    return np.argmin(np.sum((asked[:, None] - known) ** 2, -1), 1)


def _kernel(a, b, length):
    return np.exp(-np.sqrt(np.sum((a[:, None] - b) ** 2, -1)) / length)


def gaussian_process(known, powers, asked):
    """Profiles at asked places [n, 2], of unit mean power, from those of known places [m, 2]."""
    y = np.log(np.maximum(powers.reshape(len(powers), -1), FLOOR))
    middle = y.mean(0)
    y = y - middle
    spread = y.std(0) + 1e-9
    y = y / spread

    def likelihood(length, noise):
        root = np.linalg.cholesky(_kernel(known, known, length) + noise * np.eye(len(known)))
        left = np.linalg.solve(root, y)
        scale = np.mean(left**2)  # variance of kernel and noise together
        return -np.log(scale) / 2 - np.mean(np.log(np.diag(root)))

    length, noise = max(((a, b) for a in LENGTHS for b in NOISES), key=lambda pair: likelihood(*pair))
    weights = np.linalg.solve(_kernel(known, known, length) + noise * np.eye(len(known)), y)
    found = np.exp(middle + spread * (_kernel(asked, known, length) @ weights))
    return (found / found.mean(1, keepdims=True)).reshape(-1, *powers.shape[1:])


def covariance_errors(found, truth):
    """||C' - C||_F / ||C||_F of each place; `found` [n, e, e], or profiles [n, beams, delays] of diagonal ones."""
    if found.ndim == 3 and found.shape[1] * found.shape[2] == truth.shape[1]:
        found = np.einsum("ni,ij->nij", found.reshape(len(found), -1), np.eye(truth.shape[1]))
    size = np.linalg.norm(truth.reshape(len(truth), -1), axis=1)
    return np.linalg.norm((found - truth).reshape(len(truth), -1), axis=1) / size


def profile_errors_db(found, truth, axis):
    """Root mean square over places and bins of the difference in dB of profiles [n, beams, delays] summed over `axis`,
    levels below -25 dB of a profile's sum taken as that."""

    def level(p):
        p = p.sum(axis)
        return 10 * np.log10(np.maximum(p / p.sum(1, keepdims=True), 10**-2.5))

    return np.sqrt(np.mean((level(found) - level(truth)) ** 2, 1))
