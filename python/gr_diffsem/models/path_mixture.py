# SPDX-License-Identifier: GPL-3.0-or-later
"""Known Gaussian mixtures that a trained net can be held against: each component is the covariance of some Rayleigh
paths at random delays and with random powers, plus a little white power."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..air import tdl
from ..base.signal import complex_noise32


@dataclass(frozen=True)
class PathMixture:
    """`components` zero-mean complex Gaussians of `elements` elements, `paths` paths each; overall E|x|^2 = 1."""

    components: int
    elements: int
    paths: int
    ridge: float
    seed: int

    @cached_property
    def parameters(self):
        """Weights [K] and covariances [K, N, N]."""
        rng = np.random.default_rng(self.seed)
        weights = rng.dirichlet(np.full(self.components, 4.0))
        covariances = np.empty((self.components, self.elements, self.elements), complex)
        for k in range(self.components):
            delays = rng.uniform(0, 12) + np.cumsum(rng.uniform(0.3, 2.0, self.paths))
            powers = 10 ** (-rng.uniform(0, 15, self.paths) / 10)
            e = tdl.steering(delays, self.elements)
            covariances[k] = (e * (powers / powers.sum())) @ e.conj().T * 10 ** rng.uniform(-0.3, 0.3)
            covariances[k] += self.ridge * np.eye(self.elements)
        power = np.sum(weights * np.real(np.einsum("kii->k", covariances))) / self.elements
        return weights, covariances / power

    @cached_property
    def _roots(self):
        return np.linalg.cholesky(self.parameters[1]).astype(np.complex64)

    def draw(self, rng, n):
        """n samples [n, N], complex64."""
        labels = rng.choice(self.components, size=n, p=self.parameters[0])
        out = np.empty((n, self.elements), np.complex64)
        for k in range(self.components):
            rows = np.flatnonzero(labels == k)
            out[rows] = complex_noise32(rng, (len(rows), self.elements)) @ self._roots[k].T
        return out

    def tensors(self):
        """{file name: array} of the prior `gmm`: its weights, means and covariances."""
        weights, covariances = self.parameters
        return {
            "mixture_weights.npy": weights,
            "mixture_means.npy": np.zeros((self.components, self.elements), np.complex64),
            "mixture_covariances.npy": covariances,
        }


#: The prior whose files `PathMixture.tensors` names.
PRIOR = {"type": "gmm", **{n: f"mixture_{n}.npy" for n in ("weights", "means", "covariances")}}
