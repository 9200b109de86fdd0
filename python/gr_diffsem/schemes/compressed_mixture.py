# SPDX-License-Identifier: GPL-3.0-or-later
"""12 mixed measurements of 32 elements from a known Gaussian mixture: a learned prior behind a matrix.

Given y = A x + n the best estimate is a closed form, so that guidance (docs/openings/guidance.md) can be judged: what
it loses to member `gmm` is what it approximates; member `lmmse` is what a receiver does without a learned prior.
"""

import numpy as np

from ..models.path_mixture import PRIOR, PathMixture
from .base import Claim, Network, Scheme, TestData

ELEMENTS, MEASURED = 32, 12
MIXTURE = PathMixture(components=4, elements=ELEMENTS, paths=3, ridge=0.08, seed=7)
draw = MIXTURE.draw  #: (rng, n) -> samples [n, 32]


def matrix(seed=1):
    """A [12, 32]: independent complex Gaussians, E|(A x)_i|^2 = 1 for a white x of unit power."""
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((MEASURED, ELEMENTS)) + 1j * rng.standard_normal((MEASURED, ELEMENTS))
    return (a / np.sqrt(2 * ELEMENTS)).astype(np.complex64)


def _diffusion():
    from ..models.gated import GatedFilterBank

    return GatedFilterBank(ELEMENTS, atoms=48, hidden=128, first=-1.0, last=20.0, knee=0.3, direct=True)


class CompressedMixture(Scheme):
    name = "compressed_mixture"
    title = "12 mixed measurements of 32 elements of a known mixture: a learned prior behind a matrix"
    reference = "conditional mean of a Gaussian mixture, in closed form"
    seed = 7
    shape, axes = (ELEMENTS,), ("element",)
    operator = {"type": "matrix", "matrix": "matrix.npy"}
    start = "noise"
    plan = {"type": "geometric", "steps": 20, "sigma_max": 10.0, "sigma_min": 0.01}
    snr_definition = "mean power of A x over noise variance, per complex element of y"
    snr_db = (0, 10, 20, 30)
    evaluations = ()
    training_snr_db = (-20.0, 40.0)
    data = "a mixture of 4 zero-mean complex Gaussians of 32 elements, 3 random paths each (seed 7)"

    def networks(self):
        return {
            "diffusion": Network(_diffusion, "diffusion prior, pseudo-inverse guidance", 0.25, minutes=30, batch=512)
        }

    def sample(self, rng, n):
        return draw(rng, n)

    def tensors(self, progress=print):
        weights, covariances = MIXTURE.parameters
        covariance = np.einsum("k,kij->ij", weights, covariances)
        return {"matrix.npy": matrix(), "covariance.npy": covariance, **MIXTURE.tensors()}

    def classical(self):
        return {
            "lmmse": {"title": "LMMSE", "prior": {"type": "gaussian", "covariance": "covariance.npy"}},
            "gmm": {"title": "the true mixture: exact conditional mean", "prior": PRIOR},
        }

    def claims(self):
        return [
            Claim("below -9 dB at 20 dB", "diffusion", 20, gate=-9.0),
            Claim("2 dB below LMMSE at 20 dB", "diffusion", 20, against="lmmse", gate=-2.0),
        ]

    def test_data(self, count, seed):
        return TestData(draw(np.random.default_rng(seed), count), matrix=matrix())

    def card(self):
        return (
            "A measuring instrument and an example, not a receiver part: what guidance loses to the closed form "
            "behind a dense matrix."
        )


SCHEME = CompressedMixture()
