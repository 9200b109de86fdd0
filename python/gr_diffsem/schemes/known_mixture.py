# SPDX-License-Identifier: GPL-3.0-or-later
"""Data from a known Gaussian mixture, where the best possible estimate is a closed form.

A trained net cannot be told from a good one by its own loss; here it can. Member `gmm` holds the true
mixture, so the difference between the two members is what training, export and runtime lose.
"""

import numpy as np

from ..models.path_mixture import PRIOR, PathMixture
from .base import Claim, Network, Scheme, TestData

MIXTURE = PathMixture(components=8, elements=64, paths=6, ridge=3e-3, seed=7)
draw = MIXTURE.draw  #: (rng, n) -> samples [n, 64]


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
        return MIXTURE.tensors()

    def classical(self):
        return {"gmm": {"title": "the true mixture: exact conditional mean", "prior": PRIOR}}

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
