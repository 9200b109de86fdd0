# SPDX-License-Identifier: GPL-3.0-or-later
"""Handwritten digits, told which: a conditional prior of real pictures, drawn from by classifier-free guidance.

D(x, sigma, class) is a small U-Net, trained with the class left out for one picture in ten, so that
D_null + w (D_class - D_null) can be followed (Ho and Salimans 2022). A draw begins in noise and is told nothing but the
class: the block `estimate` is then a generator, its input y of infinite noise variance.
"""

import numpy as np

from ..air import measure
from ..models import digit_images
from .base import Claim, Network, Scheme, TestData

NOTHING = -1  # the class of a picture that may be any
LEVELS = (-0.5, 1.4)  # mean and deviation of ln sigma in training


def net(width=32, deep=64, hidden=96):
    """The denoiser of [B, 28, 28] at one level for each item, preconditioned for unit power (Karras et al. 2022)."""
    import copy

    import torch
    from torch import nn

    def conv(into, out, side=3):
        return nn.Conv2d(into, out, side, padding=side // 2)

    class Residual(nn.Module):
        """Two convolutions; scale and shift of the second's input come from level and class."""

        def __init__(self, into, out):
            super().__init__()
            self.before, self.first = nn.GroupNorm(8, into), conv(into, out)
            self.between, self.second = nn.GroupNorm(8, out), conv(out, out)
            self.film = nn.Linear(hidden, 2 * out)
            self.past = conv(into, out, 1) if into != out else nn.Identity()
            nn.init.zeros_(self.second.weight)
            nn.init.zeros_(self.second.bias)

        def forward(self, x, told):
            h = self.first(nn.functional.silu(self.before(x)))
            scale, shift = self.film(told)[:, :, None, None].chunk(2, 1)
            h = nn.functional.silu(self.between(h) * (1 + scale) + shift)
            return self.past(x) + self.second(h)

    class Digits(nn.Module):
        """28 x 28 as 14 x 14 of four, down to 7 x 7 and back."""

        one_level = True

        def __init__(self):
            super().__init__()
            self.register_buffer("rates", torch.exp(torch.linspace(-1.5, 2.0, 16)))
            self.level, self.which = nn.Linear(32, hidden), nn.Embedding(digit_images.CLASSES + 1, hidden)
            self.told = nn.Linear(hidden, hidden)
            self.enter = conv(4, width)
            self.outer = nn.ModuleList([Residual(width, width), Residual(width, width)])
            self.down = nn.Conv2d(width, deep, 3, stride=2, padding=1)
            self.inner = nn.ModuleList([Residual(deep, deep) for _ in range(2)])
            self.up = nn.ConvTranspose2d(deep, width, 2, stride=2)
            self.last = nn.ModuleList([Residual(2 * width, width), Residual(width, width)])
            self.norm, self.leave = nn.GroupNorm(8, width), conv(width, 4)
            nn.init.zeros_(self.leave.weight)
            nn.init.zeros_(self.leave.bias)

        def multiply_adds(self):
            """Of one evaluation of one item."""
            total = 0
            for name, part in self.named_modules():
                if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                    inside = name.startswith(("inner", "down", "up"))  # counted where the 7 x 7 side is
                    total += part.weight.numel() * (49 if inside else 196)
                elif isinstance(part, nn.Linear):
                    total += part.weight.numel()
            return total

        def for_export(self):
            """Itself, to be exported."""
            return copy.deepcopy(self).eval()

        def forward(self, x, sigma, which):
            angle = torch.log(sigma)[:, None] * self.rates
            told = self.level(torch.cat((torch.sin(angle), torch.cos(angle)), 1)) + self.which(which + 1)
            told = nn.functional.silu(self.told(nn.functional.silu(told)))
            s = sigma[:, None, None, None]
            norm = 1 / torch.sqrt(1 + s * s)
            x = x[:, None]
            h = self.enter(nn.functional.pixel_unshuffle(x * norm, 2))
            for part in self.outer:
                h = part(h, told)
            deeper = self.down(h)
            for part in self.inner:
                deeper = part(deeper, told)
            h = torch.cat((self.up(deeper), h), 1)
            for part in self.last:
                h = part(h, told)
            left = nn.functional.pixel_shuffle(self.leave(nn.functional.silu(self.norm(h))), 2)
            return (x * norm * norm + s * norm * left)[:, 0]

    return Digits()


class Digits(Scheme):
    name = "digits"
    title = "Handwritten digits 28 x 28, class-conditional, with classifier-free guidance"
    reference = "Ho and Salimans, Classifier-free diffusion guidance, 2022; Karras et al., NeurIPS 2022"
    domain = "real"
    shape, axes = digit_images.SHAPE, ("row", "column")
    condition = ({"name": "class", "type": "int64", "shape": [], "null": NOTHING, "least": 0, "most": 9},)
    start = "noise"
    plan = {"type": "karras", "steps": 12, "sigma_min": 0.05, "sigma_max": 20.0}
    snr_definition = "mean picture power (of zero-mean pixels) over noise variance, per pixel"
    snr_db = (-10, -5, 0, 5, 10)
    evaluations = (1, 5)
    cost_unit = "evaluation"
    data = "60,000 training pictures of MNIST (rasbt/mnist-pngs, MIT), zero mean and unit power over all pixels"

    def networks(self):
        return {"diffusion": Network(net, "small U-Net, 12 steps from noise", 1.0, minutes=15, batch=96, rate=2e-3)}

    def choices(self, member):
        if member == "pixels":  # an estimate of what was measured, not a draw
            return {**super().choices(member), "start": {"type": "matched"}}
        return {**super().choices(member), "sampler": {"type": "dpmpp_2m"}}

    def sample(self, rng, n):
        pictures, labels = digit_images.pixels("train")
        chosen = rng.integers(len(pictures), size=n)
        return digit_images.to_signal(pictures[chosen]), {"class": labels[chosen]}

    def batch(self, rng, n, prior_share):
        """States of a sampler, nothing measured, at levels where there is most to learn."""
        clean, condition = self.sample(rng, n)
        batch = measure.noise_states(clean, LEVELS, rng)
        return measure.conditioned(batch, self.dropped(rng, condition))

    def validation(self):
        whole = super().validation()["all"]

        def at(snr_db):
            batch = whole(snr_db)
            few = {name: part[:200] for name, part in vars(batch).items() if name != "condition"}
            return measure.ConditionedBatch(**few, condition={"class": batch.condition["class"][:200]})

        return {"all": at}

    def tensors(self, progress=print):
        pictures, _ = digit_images.load("train")
        return {"pixel_mean.npy": pictures.mean(0).ravel(), "pixel_variance.npy": pictures.var(0).ravel()}

    def classical(self):
        prior = {"type": "gaussian", "mean": "pixel_mean.npy", "variance": "pixel_variance.npy"}
        return {"pixels": {"title": "independent Gaussian pixels, LMMSE", "prior": prior}}

    def claims(self):
        return [Claim("a draw that is told the class beats LMMSE of the pixels", "diffusion", 0, "pixels", gate=-3.0)]

    def test_data(self, count, seed):
        pictures, labels = digit_images.load("test")
        chosen = np.random.default_rng(seed).integers(len(pictures), size=count)
        return TestData(pictures[chosen].reshape(count, -1), condition={"class": labels[chosen]})

    def card(self):
        return (
            "A generator of digits and a prior of their pictures. `digits:class=3,guidance=2` draws threes from noise "
            "through the block `estimate` (noise_var infinite); without a class it draws any. It knows these digits "
            "alone: what it makes of any other picture is not to be trusted."
        )


SCHEME = Digits()
