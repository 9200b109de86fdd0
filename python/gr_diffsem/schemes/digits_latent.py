# SPDX-License-Identifier: GPL-3.0-or-later
"""Handwritten digits in the latent space of an autoencoder: what is sent, received and inferred are 32 numbers, what
comes out is the picture that a decoder makes of them.

The denoiser is class-conditional, as that of `digits`, and a hundredth of its work; the decoder runs once for each item
(Rombach et al. 2022).
"""

from functools import lru_cache

import numpy as np

from ..air import measure
from ..base import model_packages
from ..base.errors import UserError
from ..models import classical, digit_codec, digit_images
from .base import Network, Scheme, TestData

NOTHING = -1  # the class of a latent that may be any
LEVELS = (-0.6, 1.2)  # mean and deviation of ln sigma in training


def net(hidden=128, layers=3):
    """The denoiser of [B, LATENT] at one level for each item, preconditioned for unit power (Karras et al. 2022)."""
    import copy

    import torch
    from torch import nn

    class Latents(nn.Module):
        one_level = True

        def __init__(self):
            super().__init__()
            self.register_buffer("rates", torch.exp(torch.linspace(-1.5, 2.0, 16)))
            self.level, self.which = nn.Linear(32, hidden), nn.Embedding(digit_images.CLASSES + 1, hidden)
            self.enter = nn.Linear(digit_codec.LATENT, hidden)
            self.films = nn.ModuleList(nn.Linear(hidden, 2 * hidden) for _ in range(layers))
            self.inner = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers))
            self.norms = nn.ModuleList(nn.LayerNorm(hidden, elementwise_affine=False) for _ in range(layers))
            self.leave = nn.Linear(hidden, digit_codec.LATENT)
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)

        def multiply_adds(self):
            """Of one evaluation of one item."""
            return sum(p.weight.numel() for p in self.modules() if isinstance(p, nn.Linear))

        def for_export(self):
            """Itself, to be exported."""
            return copy.deepcopy(self).eval()

        def forward(self, x, sigma, which):
            angle = torch.log(sigma)[:, None] * self.rates
            told = self.level(torch.cat((torch.sin(angle), torch.cos(angle)), 1)) + self.which(which + 1)
            told = nn.functional.silu(told)
            s = sigma[:, None]
            norm = 1 / torch.sqrt(1 + s * s)
            h = self.enter(x * norm)
            for film, inner, to_unit in zip(self.films, self.inner, self.norms, strict=True):
                scale, shift = film(told).chunk(2, 1)
                h = h + inner(nn.functional.silu(to_unit(h) * (1 + scale) + shift))
            return x * norm * norm + s * norm * self.leave(nn.functional.silu(h))

    return Latents()


class DigitsLatent(Scheme):
    name = "digits_latent"
    title = "Handwritten digits in the latent space of an autoencoder, class-conditional"
    reference = "Rombach et al., High-resolution image synthesis with latent diffusion models, CVPR 2022"
    domain = "real"
    shape, axes = (digit_codec.LATENT,), ("latent",)
    condition = ({"name": "class", "type": "int64", "shape": [], "null": NOTHING, "least": 0, "most": 9},)
    start = "noise"
    plan = {"type": "karras", "steps": 12, "sigma_min": 0.05, "sigma_max": 20.0}
    snr_definition = "mean power of a latent's elements over noise variance, per real element"
    snr_db = (-5, 0, 5, 10)
    evaluations = (1, 5)
    data = "60,000 training pictures of MNIST (rasbt/mnist-pngs, MIT), as latents of an autoencoder trained on the same"

    def networks(self):
        return {"diffusion": Network(net, "conditional MLP, 12 steps from noise", 1.0, minutes=4, batch=512, rate=2e-3)}

    def choices(self, member):
        if member == "lmmse":
            return {**super().choices(member), "start": {"type": "matched"}}
        return {**super().choices(member), "sampler": {"type": "dpmpp_2m"}}

    def codec(self):
        return digit_codec.trained(self.seed)

    @lru_cache(maxsize=1)  # noqa: B019 - one scheme a process
    def _latents(self):
        return digit_codec.latents("train", self.seed)

    def sample(self, rng, n):
        latents, labels = self._latents()
        chosen = rng.integers(len(latents), size=n)
        return latents[chosen], {"class": labels[chosen]}

    def batch(self, rng, n, prior_share):
        """States of a sampler, nothing measured, at levels where there is most to learn."""
        clean, condition = self.sample(rng, n)
        batch = measure.noise_states(clean, LEVELS, rng)
        return measure.conditioned(batch, self.dropped(rng, condition))

    def tensors(self, progress=print):
        return {"covariance.npy": np.real(classical.covariance(self._latents()[0]))}

    def classical(self):
        prior = {"type": "gaussian", "covariance": "covariance.npy"}
        return {"lmmse": {"title": "Gaussian latents, LMMSE", "prior": prior}}

    def test_data(self, count, seed):
        from ..models.onnx_export import session

        packages = model_packages.find_packages()
        if self.name not in packages:
            raise UserError(f"the package {self.name} is not there, whose encoder makes the test data: export it first")
        pictures, labels = digit_images.load("test")
        chosen = np.random.default_rng(seed).integers(len(pictures), size=count)
        graph = session(packages[self.name] / "encoder.onnx")
        latents = graph.run(None, {graph.get_inputs()[0].name: pictures[chosen]})[0]
        return TestData(latents, condition={"class": labels[chosen]})

    def card(self):
        return (
            "`digits_latent:class=3,guidance=2` draws threes from noise (noise_var infinite): the block `estimate` "
            "gives the decoded picture of 784 elements, and the latent on request. `encoder.onnx`, run by "
            "`onnx_inference` or `diffsem.scheme(...).encode`, makes the 32 numbers to be sent. Of 500 draws at "
            "guidance=2 an independent classifier (99.2 % right on pictures) reads 500 as the digit asked for, at "
            "guidance=1 466; of pictures that were only encoded and decoded it reads 98.0 % right."
        )


SCHEME = DigitsLatent()
