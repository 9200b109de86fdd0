# SPDX-License-Identifier: GPL-3.0-or-later
"""Two schemes of real data as docs/add_a_scheme.md has them, whose best estimates are known in closed form.

tiny_real: eight independent Gaussians of zero mean. tiny_told: the same around one of three means, told which.
"""

import numpy as np
from gr_diffsem.schemes.base import Claim, Network, Scheme, TestData

VARIANCE = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.9, 2.8], np.float32)  # mean power 1
SPREAD = np.float32(0.5)  # of tiny_told: power 0.5 around means of power 0.5
MEANS = np.sqrt(np.float32(0.5)) * np.sign(np.random.default_rng(1).standard_normal((3, 8))).astype(np.float32)


def net(classes=0):
    """A Wiener filter of eight elements, whose means and variances are what is learned."""
    import copy

    import torch
    from torch import nn

    class Wiener(nn.Module):
        def __init__(self):
            super().__init__()
            self.log_variance = nn.Parameter(torch.zeros(8))
            self.means = nn.Parameter(torch.zeros(classes + 1, 8)) if classes else None

        def multiply_adds(self):
            return 16

        def for_export(self):
            return copy.deepcopy(self).eval()

        def forward(self, x, sigma, which=None):
            v, s2 = torch.exp(self.log_variance), sigma * sigma
            mean = 0 if which is None else self.means[which + 1]
            gain = v / (v + s2)
            return mean + gain * (x - mean), torch.log(gain * s2)

    return Wiener()


class TinyReal(Scheme):
    name, title, reference = "tiny_real", "eight real Gaussians", "closed form"
    domain, shape, axes = "real", (8,), ("element",)
    snr_db, evaluations, training_snr_db = (0, 10), (2,), (-5.0, 15.0)
    data = "independent real Gaussians, mean power 1"

    def networks(self):
        return {"diffusion": Network(net, "a filter", minutes=0.1, batch=256, rate=3e-2)}

    def sample(self, rng, n):
        return np.sqrt(VARIANCE) * rng.standard_normal((n, 8), np.float32)

    def tensors(self, progress=print):
        return {"variance.npy": VARIANCE}

    def classical(self):
        return {"lmmse": {"title": "the true Gaussian", "prior": {"type": "gaussian", "variance": "variance.npy"}}}

    def claims(self):
        return [Claim("within 0.1 dB of the closed form", "diffusion", 0, against="lmmse", gate=0.1)]

    def test_data(self, count, seed):
        return TestData(self.sample(np.random.default_rng(seed), count))


class TinyTold(TinyReal):
    name, title = "tiny_told", "eight real Gaussians around one of three means"
    condition = ({"name": "class", "type": "int64", "shape": [], "null": -1},)

    def networks(self):
        return {"diffusion": Network(lambda: net(3), "a filter that is told the mean", batch=256, rate=3e-2)}

    def sample(self, rng, n):
        labels = rng.integers(3, size=n)
        return MEANS[labels] + np.sqrt(SPREAD) * rng.standard_normal((n, 8), np.float32), {"class": labels}

    def tensors(self, progress=print):
        return {}

    def classical(self):
        return {}

    def claims(self):
        return [Claim("within 0.1 dB of the closed form", "diffusion", 0, against="told", gate=0.1)]

    def test_data(self, count, seed):
        truth, condition = self.sample(np.random.default_rng(seed), count)
        mean = MEANS[condition["class"]]
        told = {"told": lambda y, nv: mean + SPREAD / (SPREAD + nv) * (y - mean)}
        return TestData(truth, estimators=told, condition=condition)


SCHEMES = (TinyReal(), TinyTold())
