# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains learned codes (block_codes_net.py) through a channel and through what was learned of it, by cross-entropy.

The generated channel is a diffusion model that was told what is sent: a deterministic sampler makes y of noise and of
the word, so that the derivative of y by the word is that through all of its steps (M. Kim, R. Fritschek and R. F.
Schaefer, "Learning End-to-End Channel Coding with Diffusion Models", 2023). The true channel is trained through as it
is written down, a WGAN as it generates. Generators are held; no code but the true one's ever sees the channel.
"""

import math

import numpy as np
import torch
from torch.nn import functional as F

from ..air import channel_uses
from . import onnx_start, plain_mlp, training
from .block_codes import MESSAGES, TAUGHT, USES

CHECKED = 20_000  # words that a report counts errors of


def karras(top, least, steps, rho=7.0):
    """Levels of a draw, the last 0 (Karras et al. 2022, eq. 5)."""
    roots = np.linspace(top ** (1 / rho), least ** (1 / rho), steps)
    return [*(float(level) for level in roots**rho), 0.0]


def dpmpp_2m(denoiser, x, levels):
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2) on tensors, with a derivative. denoiser(x, level) -> mean."""
    before = before_h = None
    for old, new in zip(levels[:-1], levels[1:], strict=True):
        mean = direction = denoiser(x, old)
        if new > 0:
            h = math.log(old / new)
            if before is not None:
                direction = mean + h / (2 * before_h) * (mean - before)
            before, before_h = mean, h
        x = new / old * x + (1 - new / old) * direction
    return x


class BlockCodesTraining(training.Training):
    """Training of a `BlockCodes` for one kind of channel, which is the member's name."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        self.kind = channel_uses.KINDS.index(member)
        self.deviation = math.sqrt(channel_uses.noise_variance(member))
        package, generator = scheme.generator()
        self.diffusion = generator.networks()["diffusion"].build()
        weights, self.behind = onnx_start.read(package / "diffusion.onnx", self.diffusion)
        self.diffusion.load_state_dict(onnx_start.fitting(weights, self.diffusion, package / "diffusion.onnx"))
        self.wgan = plain_mlp.build(generator.GAN)
        numbers = torch.from_numpy(np.load(package / "wgan.npy", allow_pickle=False))
        torch.nn.utils.vector_to_parameters(numbers, self.wgan.parameters())
        for net in (self.diffusion, self.wgan):
            net.to(self.device).eval().requires_grad_(False)
        self.levels = karras(generator.plan["sigma_max"], generator.plan["sigma_min"], scheme.draw_steps)
        self.latent = generator.GAN[0] - USES - len(channel_uses.KINDS)

    def facts(self):
        """And the generator that it was trained through."""
        return {**super().facts(), "behind": self.behind}

    def draw(self, rng):
        """(messages [codes, n], noise, gains of the true channel, noise that the diffusion begins in, the WGAN's)."""
        shape = (self.net.codes, self.batch)
        noise, gain = channel_uses.chance(self.member, rng, (*shape, USES))
        gain = np.ones((1, 1, 1)) if gain is None else gain
        begun, latent = rng.standard_normal((*shape, USES)), rng.standard_normal((*shape, self.latent))
        reals = [torch.from_numpy(value.astype(np.float32)) for value in (noise, gain, begun, latent)]
        return [torch.from_numpy(rng.integers(MESSAGES, size=shape)), *reals]

    def received(self, sent, noise, gain, begun, latent):
        """What each of TAUGHT makes of sent [3, codes, n, 8]: [3 * codes, n, 8]."""
        true, diffusion, wgan = sent.flatten(1, 2)
        shape, kind = noise.shape, torch.tensor([self.kind], device=sent.device)

        def denoised(x, level):
            return self.diffusion(x, torch.tensor([level], device=x.device), diffusion, kind)

        one = F.one_hot(kind, len(channel_uses.KINDS)).float().expand(len(wgan), -1)
        made = {
            "true": channel_uses.passed(self.member, true.reshape(shape), gain) + self.deviation * noise,
            "diffusion": dpmpp_2m(denoised, self.levels[0] * begun.flatten(0, 1), self.levels),
            "wgan": self.wgan(torch.cat((latent.flatten(0, 1), wgan, one), 1)),
        }
        return torch.cat([made[name].reshape(shape) for name in TAUGHT])

    def loss(self, messages, *chance):
        """Cross-entropy, the mean over all codes; nothing else."""
        every = messages.repeat(len(TAUGHT), 1)
        sent = self.net.words().gather(1, every[..., None].expand(-1, -1, USES))
        y = self.received(sent.reshape(len(TAUGHT), *messages.shape, USES), *chance)
        logits = self.net.logits(y)
        return F.cross_entropy(logits.flatten(0, 1), every.flatten()), torch.zeros(())

    def _validate(self, validation, writer):
        """Writes the symbol error rate over the true channel, at the Eb/N0 of the training; returns it as text."""
        rng, words = np.random.default_rng(self.seed + 9000), []
        with torch.no_grad():
            book = self.average.words()
            messages = torch.from_numpy(rng.integers(MESSAGES, size=CHECKED))
            sent = book[:, messages]
            y = channel_uses.received(self.member, sent.cpu().numpy(), rng)
            wrong = self.average.logits(torch.from_numpy(y).to(self.device)).argmax(2).cpu() != messages
        for name, value in zip(TAUGHT, wrong.float().reshape(len(TAUGHT), -1).mean(1).tolist(), strict=True):
            writer.add_scalar(f"validation/{name}", value, self.step)
            words.append(f"{value:.2e} {name}")
        return "symbol error rate over the true channel: " + ", ".join(words)
