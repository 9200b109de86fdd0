# SPDX-License-Identifier: GPL-3.0-or-later
"""Data from a known Gaussian mixture, where the best possible estimate is a closed form.

A trained net cannot be told from a good one by its own loss; here it can. Member `gmm` holds the true
mixture, so the difference between the two members is what training, export and runtime lose.
"""

from functools import lru_cache

import numpy as np

from ..air import tdl
from ..base.signal import complex_noise32
from .base import Claim, Network, Scheme, TestData

COMPONENTS = 8
PATHS = 6
RIDGE = 3e-3


def mixture(seed=7):
    """Weights [K] and covariances [K, 64, 64] of the mixture: `PATHS` Rayleigh paths each, at random
    delays and with random powers, plus a little white power; overall E|x|^2 = 1."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(COMPONENTS, 4.0))
    covariances = np.empty((COMPONENTS, 64, 64), complex)
    for k in range(COMPONENTS):
        delays = rng.uniform(0, 12) + np.cumsum(rng.uniform(0.3, 2.0, PATHS))
        powers = 10 ** (-rng.uniform(0, 15, PATHS) / 10)
        e = tdl.steering(delays, 64)
        covariances[k] = (e * (powers / powers.sum())) @ e.conj().T * 10 ** rng.uniform(-0.3, 0.3)
        covariances[k] += RIDGE * np.eye(64)
    power = np.sum(weights * np.real(np.einsum("kii->k", covariances))) / 64
    return weights, covariances / power


@lru_cache
def _roots():
    weights, covariances = mixture()
    return weights, np.linalg.cholesky(covariances).astype(np.complex64)


def draw(rng, n):
    """n samples [n, 64] of the mixture, complex64."""
    weights, roots = _roots()
    labels = rng.choice(COMPONENTS, size=n, p=weights)
    out = np.empty((n, 64), np.complex64)
    for k in range(COMPONENTS):
        rows = np.flatnonzero(labels == k)
        out[rows] = complex_noise32(rng, (len(rows), 64)) @ roots[k].T
    return out


def _diffusion():
    from ..models.gated import GatedFilterBank

    return GatedFilterBank(64, atoms=72, hidden=160, first=-1.0, last=24.0, knee=0.3)


class KnownMixture(Scheme):
    name = "known_mixture"
    title = "A known mixture of 8 Gaussians, to check a trained denoiser against the closed form"
    reference = "conditional mean of a Gaussian mixture, in closed form"
    seed = 7
    snr_db = (-10, -5, 0, 5, 10, 15, 20, 25, 30)
    data = "a mixture of 8 zero-mean complex Gaussians of 64 elements, 6 random paths each (seed 7)"

    def networks(self):
        return {"diffusion": Network(_diffusion, "diffusion prior, one step", 0.25, minutes=20, batch=512)}

    def sample(self, rng, n):
        return draw(rng, n)

    def tensors(self, progress=print):
        weights, covariances = mixture()
        return {
            "mixture_weights.npy": weights,
            "mixture_means.npy": np.zeros((COMPONENTS, 64), np.complex64),
            "mixture_covariances.npy": covariances,
        }

    def classical(self):
        names = ("weights", "means", "covariances")
        prior = {"type": "gmm", **{n: f"mixture_{n}.npy" for n in names}}
        return {"gmm": {"title": "the true mixture: exact conditional mean", "prior": prior}}

    def claims(self):
        return [
            Claim(f"within 0.2 dB of the closed form at {snr} dB", "diffusion", snr, against="gmm", gate=0.2)
            for snr in (-10, 0, 10, 20, 30)
        ]

    def test_data(self, count, seed):
        return TestData(draw(np.random.default_rng(seed), count))

    def card(self):
        return "A measuring instrument, not a receiver part: it bounds what training, export and runtime lose."


SCHEME = KnownMixture()
