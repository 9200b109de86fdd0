# SPDX-License-Identifier: GPL-3.0-or-later
"""Digits from what a small network says of them, a block in the middle hidden: y = f(x) + n with f two strided
convolutions and a tanh of the picture without its middle, inferred by guidance through the derivatives of f and of
the denoiser (Chung et al. 2023).

f is drawn by a fixed seed: any encoder could stand in its place. 128 numbers are measured of 196 pixels, of which 36
lie in the hidden block and do not enter at all.
"""

import numpy as np

from ..air import measure
from ..base import model_packages
from ..base.errors import UserError
from ..models import digit_images
from .base import Network, Scheme, TestData

SIDE = 14
HIDDEN = slice(4, 10)  # rows and columns of the block that f does not see
LEVELS = (-0.5, 1.3)  # mean and deviation of ln sigma in training
DEVIATION = 0.9091  # of the means of 2 x 2 pixels of unit power, over the training pictures


def small(pictures):
    """Pictures [n, 28, 28] of unit power, each four pixels their mean [n, 14, 14], at unit power again."""
    return (pictures.reshape(-1, SIDE, 2, SIDE, 2).mean((2, 4)) / np.float32(DEVIATION)).astype(np.float32)


def net(width=48, hidden=64, layers=3):
    """The denoiser of [B, 14, 14] at one level for each item, preconditioned for unit power (Karras et al. 2022)."""
    import copy

    import torch
    from torch import nn

    def conv(into, out):
        return nn.Conv2d(into, out, 3, padding=1)

    class Small(nn.Module):
        """As 7 x 7 of four pixels."""

        one_level = True

        def __init__(self):
            super().__init__()
            self.register_buffer("rates", torch.exp(torch.linspace(-1.5, 2.0, 16)))
            self.level = nn.Linear(32, hidden)
            self.enter = conv(4, width)
            self.norms = nn.ModuleList(nn.GroupNorm(6, width) for _ in range(layers))
            self.first = nn.ModuleList(conv(width, width) for _ in range(layers))
            self.films = nn.ModuleList(nn.Linear(hidden, 2 * width) for _ in range(layers))
            self.second = nn.ModuleList(conv(width, width) for _ in range(layers))
            self.leave = conv(width, 4)
            for part in [*self.second, self.leave]:
                nn.init.zeros_(part.weight)
                nn.init.zeros_(part.bias)

        def multiply_adds(self):
            """Of one evaluation of one item."""
            convolutions = [p for p in self.modules() if isinstance(p, nn.Conv2d)]
            linear = [p for p in self.modules() if isinstance(p, nn.Linear)]
            return 49 * sum(p.weight.numel() for p in convolutions) + sum(p.weight.numel() for p in linear)

        def for_export(self):
            """Itself, to be exported."""
            return copy.deepcopy(self).eval()

        def forward(self, x, sigma):
            silu = nn.functional.silu
            angle = torch.log(sigma)[:, None] * self.rates
            told = silu(self.level(torch.cat((torch.sin(angle), torch.cos(angle)), 1)))
            s = sigma[:, None, None, None]
            norm = 1 / torch.sqrt(1 + s * s)
            x = x[:, None]
            h = self.enter(nn.functional.pixel_unshuffle(x * norm, 2))
            for to_unit, first, film, second in zip(self.norms, self.first, self.films, self.second, strict=True):
                scale, shift = film(told)[:, :, None, None].chunk(2, 1)
                h = h + second(silu(first(silu(to_unit(h))) * (1 + scale) + shift))
            left = nn.functional.pixel_shuffle(self.leave(silu(h)), 2)
            return (x * norm * norm + s * norm * left)[:, 0]

    return Small()


def encoder():
    """f: [B, 14, 14] without its middle to [B, 8, 4, 4], of about unit power on digits."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self):
            super().__init__()
            seen = torch.ones(1, 1, SIDE, SIDE)
            seen[:, :, HIDDEN, HIDDEN] = 0
            self.register_buffer("seen", seen)
            torch.manual_seed(7)
            self.first = nn.Conv2d(1, 12, 3, 2, 1)
            self.second = nn.Conv2d(12, 8, 3, 2, 1)
            for part, power in ((self.first, 2), (self.second, 4)):
                nn.init.normal_(part.weight, std=float(np.sqrt(power / part.weight[0].numel())))

        def forward(self, x):
            return self.second(torch.tanh(self.first(x[:, None] * self.seen)))

    return Encoder()


class EncodedDigits(Scheme):
    name = "encoded_digits"
    title = "Digits with a hidden middle, measured by a small nonlinear network"
    reference = "Chung et al., Diffusion posterior sampling for general noisy inverse problems, ICLR 2023"
    domain = "real"
    shape, axes = (SIDE, SIDE), ("row", "column")
    operator = "network"
    start = "noise"
    plan = {"type": "karras", "steps": 30, "sigma_min": 0.05, "sigma_max": 20.0}
    snr_definition = "1 over the noise variance of a measured number; these have about unit power"
    snr_db = (10, 20)
    evaluations = (30,)
    data = (
        "60,000 training pictures of MNIST (rasbt/mnist-pngs, MIT) at 14 x 14, zero mean and unit power over all pixels"
    )

    def networks(self):
        title = "small convolutional prior, guided through its derivative"
        return {"diffusion": Network(net, title, 1.0, minutes=6, batch=128, rate=2e-3, vjp=True)}

    def operator_network(self):
        return encoder()

    def sample(self, rng, n):
        pictures, _ = digit_images.pixels("train")
        return small(digit_images.to_signal(pictures[rng.integers(len(pictures), size=n)]))

    def batch(self, rng, n, prior_share):
        """States of a sampler, nothing measured, at levels where there is most to learn."""
        return measure.noise_states(self.sample(rng, n), LEVELS, rng)

    def test_data(self, count, seed):
        from ..models.onnx_export import session

        packages = model_packages.find_packages()
        if self.name not in packages:
            raise UserError(f"the package {self.name} is not there, whose network makes the test data: export it first")
        pictures, _ = digit_images.load("test")
        truth = small(pictures[np.random.default_rng(seed).integers(len(pictures), size=count)])
        graph = session(packages[self.name] / "operator.onnx")

        def measured(x):
            return graph.run(None, {graph.get_inputs()[0].name: x.reshape(-1, SIDE, SIDE)})[0].reshape(len(x), -1)

        return TestData(truth.reshape(count, -1), forward=measured)

    def card(self):
        return (
            "An example of the operator `network`: what is measured is the answer of a network, and inference goes "
            "through its derivative (`operator_vjp.onnx`) and that of the denoiser (`diffusion_vjp.onnx`). The hidden "
            "middle is the prior's alone: of it there may be several likely pictures, and a draw shows one. On 60 test "
            "pictures the error is -5.9 dB at 10 dB and -6.1 dB at 20 dB (gradient descent without a prior: -1.3 and "
            "-1.8 at best; the prior's mean: 0), of the hidden middle -3.2 dB."
        )


SCHEME = EncodedDigits()
