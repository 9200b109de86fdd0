# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels over time and frequency, symbols through them, and the prior that knows their statistics."""

import hashlib
import json

import numpy as np

N = 32
USED = [k for k in range(-8, 9) if k]
FIRST, COLUMNS = N // 2 - 8, 17  #: the grid's first column in a spectrum, and how many it has
DELAY, DOPPLER = 0.03, 0.02  #: rms delay over a symbol, cycles of fading in a symbol


def frequency_covariance(carriers, delay=DELAY):
    """Of an exponential delay profile: [carriers, carriers]."""
    k = np.arange(carriers)
    return 1 / (1 + 2j * np.pi * delay * (k[:, None] - k))


def time_covariance(symbols, doppler=DOPPLER):
    """Of a flat Doppler spectrum: [symbols, symbols]."""
    t = np.arange(symbols)
    return np.sinc(2 * doppler * (t[:, None] - t))


def channels(rng, symbols, n=N, **statistics):
    """H [symbols, n], E|H|^2 = 1, Gaussian with those covariances."""
    delay, doppler = statistics.get("delay", DELAY), statistics.get("doppler", DOPPLER)
    time = np.linalg.cholesky(time_covariance(symbols, doppler) + 1e-9 * np.eye(symbols))
    frequency = np.linalg.cholesky(frequency_covariance(n, delay) + 1e-9 * np.eye(n))
    x = rng.standard_normal((symbols, n)) + 1j * rng.standard_normal((symbols, n))
    return time @ (x / np.sqrt(2)) @ frequency.T


def noise(rng, shape, variance):
    return np.sqrt(variance / 2) * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


def sent(rng, pattern, symbols, used=USED, n=N):
    """QPSK on the used carriers, the pattern's pilots in their places: [symbols, n]."""
    x = np.zeros((symbols, n), complex)
    columns = np.array(used) + n // 2
    x[:, columns] = (rng.choice([-1, 1], (2, symbols, len(used))).T @ [1, 1j]).T / np.sqrt(2)
    for i in range(symbols):
        carriers, values = pattern[i % len(pattern)]
        x[i, np.array(carriers, int) + n // 2] = values
    return x


def package(folder, shape=(16, COLUMNS), gain="unit", floor=1e-4, prior=None):
    """A package of tiles [symbols, carriers] with a Gaussian prior of those covariances; its path."""
    folder.mkdir()
    covariance = np.kron(time_covariance(shape[0]), frequency_covariance(shape[1])) + floor * np.eye(np.prod(shape))
    if prior is not None:
        covariance = prior
    np.save(folder / "covariance.npy", covariance.astype(np.complex64))
    member = {
        "prior": {"type": "gaussian", "covariance": "covariance.npy"},
        "operator": "mask",
        "start": "matched",
        "sampler": {"type": "one_step"},
    }
    manifest = {
        "diffsem.contract": 1,
        "name": folder.name,
        "signal": {"domain": "complex", "shape": list(shape), "gain": gain, "axes": ["symbol", "carrier"]},
        "default": "gaussian",
        "members": {"gaussian": member},
        "files": {"covariance.npy": hashlib.sha256((folder / "covariance.npy").read_bytes()).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


def linear_mmse(y, noise_var, prior):
    """The exact mean of a Gaussian grid; noise_var [rows, columns], infinite where nothing is seen."""
    seen = np.isfinite(noise_var).ravel()
    c = prior[np.ix_(seen, seen)] + np.diag(noise_var.ravel()[seen])
    return (prior[:, seen] @ np.linalg.solve(c, y.ravel()[seen])).reshape(y.shape)


def nmse_db(estimate, truth):
    return 10 * np.log10(np.mean(np.abs(estimate - truth) ** 2) / np.mean(np.abs(truth) ** 2))
