# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains denoisers of a learned code's latents, and of its pictures, with the code itself held (models/jscc.py).

A latent is the picture E(x) that the code's sender gives the linear code. A denoiser N stands between the linear
receiver and the code's decoder D,

    y -> linear MMSE -> N (and the operator's proximal step, N again, ...) -> D -> x,

or, `after` it, behind D. It begins as nothing at all: its correction is zero, and D is told what the linear receiver
says of its own error, whatever N did. So what is trained can only gain on the code alone, and what is minimised is the
error of the picture behind D, with a share of that of the latent: a denoiser that minds the latent alone loses pictures
to a decoder that was told the noise.
"""

import numpy as np
import torch
from torch.nn import functional as F

from ..base import picture_bands
from ..base.errors import UserError
from ..base.model_packages import find_packages
from . import jscc_training
from .jscc import Link, PictureCode
from .photo import PhotoUNet

LATENT = 0.1  # weight of the latent's error
TINY = 1e-12


def denoiser():
    """The network of one evaluation."""
    return PhotoUNet(widths=(32, 48, 64), depths=(1, 1, 1))


def steps_denoiser():
    """The same, whose answer the operator's proximal step follows, which wants it for each coefficient."""
    return PhotoUNet(widths=(32, 48, 64), depths=(1, 1, 1), window=picture_bands.WINDOW)


class LatentTraining(jscc_training.LinkTraining):
    """Training of a denoiser; scheme: schemes/_latents.py."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        found = find_packages(checkout_first=True).get(scheme.code)
        if found is None:
            raise UserError(f"{scheme.name} denoises what {scheme.code} sends: train and export that first")
        self.coder = PictureCode().to(self.device).eval().requires_grad_(False)
        self.code_from = jscc_training.read_halves(self.coder, found).split(", from ")[0]
        for half in (self.coder.encoder, self.coder.decoder):
            half.net.seen[0].fill_(-torch.inf)
            half.net.seen[1].fill_(torch.inf)
        self.coder.to(memory_format=torch.channels_last)
        self.average.eval().seen = self.net.seen

    def facts(self):
        """And the code that it was trained for."""
        return {**super().facts(), "behind": self.code_from}

    def draw(self, rng):
        """What `jscc_training.drawn` gives, and what the receiver takes the noise for, over what it is."""
        items = jscc_training.drawn(rng, self.photographs, self.batch)
        common, each = self.scheme.doubt_db
        doubt = common * torch.from_numpy(rng.standard_normal((self.batch, 1, 1, 1), "float32"))
        doubt = doubt + each * torch.from_numpy(rng.standard_normal(items[0].shape, "float32"))
        return [*items, 10 ** (doubt / 10)]

    def pictures(self, net, link, arrived):
        """(picture, latent or None, log variance of what the denoiser says last) of what arrived."""
        decode = self.coder.decoder
        if self.scheme.after:
            mean, said = self.run_net(net, self.run_net(decode, arrived.picture, arrived.level)[0], arrived.level)
            return mean, None, said
        plan, picture, error, level = self.scheme.plan, arrived.picture, arrived.error, arrived.level
        for step in range(plan["steps"]):
            last = step + 1 == plan["steps"]
            with torch.set_grad_enabled(last and torch.is_grad_enabled()):
                answer, said = self.run_net(net, picture, level)
                if plan["final"]:
                    answer, left = completed(link, picture, error, answer, said)
                    answer, error = proximal(link, answer, left, arrived, plan["inflation"])
                    level = link.levels(error, arrived.spectrum)
                picture = answer
        return self.run_net(decode, picture, arrived.level)[0], picture, said

    def loss(self, x, law, slots, planned, noise, unit, doubt):
        """(relative squared error of picture and latent, likelihood of the bands' errors)."""
        given = law, slots, planned, noise, unit
        with torch.no_grad():
            sent = self.run_net(self.coder.encoder, x, self.link.expected(x, law, slots, planned))[0]
            arrived = self.link.through(sent, *given, doubt)
            expected = self.link.through(x, *given).error.mean((1, 2, 3)) + 1e-5
        picture, latent, said = self.pictures(self.net, self.link, arrived)
        fit = ((picture - x).pow(2).mean((1, 2, 3)) / expected).clamp(max=30).mean()
        wrong = picture - x if latent is None else latent - sent
        if latent is not None:
            fit = fit + LATENT * (wrong.pow(2).mean((1, 2, 3)) / expected).clamp(max=30).mean()
        left = self.link(wrong.detach()).pow(2)
        actual = self.link.levels(left, left)[:, :10].pow(2) + 1e-7
        return fit, (said + actual * torch.exp(-said)).clamp(max=100).mean()

    def _validate(self, validation, writer):
        """Gain in dB over the decoder alone, where everything is known."""
        link, words = Link(jscc_training.CHECKED).to(self.device), []
        for cbr, snr in jscc_training.AT:
            gains = []
            for i, photograph in enumerate(self.held):
                rng = np.random.default_rng([9000, i])
                items = jscc_training.fixed(rng, photograph, jscc_training.CHECKED, cbr, snr)
                x, law, slots, planned, noise, unit = (part.to(self.device) for part in items)
                with torch.no_grad():
                    sent = self.run_net(self.coder.encoder, x, link.expected(x, law, slots, planned))[0]
                    arrived = link.through(sent, law, slots, planned, noise, unit)
                    alone = self.run_net(self.coder.decoder, arrived.picture, arrived.level)[0]
                    ours = self.pictures(self.average, link, arrived)[0]
                error = [(y.clamp(-2, 2) - x).pow(2).mean().item() for y in (alone, ours)]
                gains.append(10 * np.log10(error[0] / error[1]))
            writer.add_scalar(f"validation/{1 / cbr:.0f}_{snr:g}", np.mean(gains), self.step)
            words.append(f"{np.mean(gains):.3f} at 1/{1 / cbr:.0f} and {snr:g} dB")
        return "dB above the decoder alone: " + ", ".join(words)


def per_coefficient(link, values):
    """Values of the ten bands [B, 10] at every coefficient, [B, 3, S, S]."""
    member = (link.bands > 0).float()
    luma, colour = (torch.einsum("bn,hwn->bhw", part, member) for part in values.chunk(2, 1))
    return torch.stack((luma, colour, colour), 1)


def completed(link, picture, error, mean, log_variance):
    """`picture_bands.completed` of a net's answer to a picture with this error: (coefficients, variance)."""
    m, e = link(picture), error.expand_as(picture)
    variance = log_variance.clamp(*picture_bands.LOG_VARIANCE).exp()
    told = link.levels(e, e)[:, :10].pow(2)
    rise = variance / told.clamp(min=TINY)
    share = per_coefficient(link, (1 - rise).clamp(picture_bands.LEAST_SHARE, 1))
    trust = per_coefficient(link, (2 - rise / picture_bands.MOST_RISE).clamp(0, 1))
    reach = picture_bands.WINDOW // 2
    alike = F.avg_pool2d(F.pad(e, (reach,) * 4, mode="reflect"), picture_bands.WINDOW, 1)
    other = (1 - share) * alike
    further = torch.minimum(e, picture_bands.MOST_FURTHER * alike)
    far = further / (share * further + other).clamp(min=TINY)
    left = e + trust * (e * other / (share * e + other).clamp(min=TINY) - e)
    return m + trust * far * (link(mean) - m), left


def proximal(link, mean, variance, arrived, inflation):
    """(picture, variance) behind the operator's proximal step of coefficients."""
    seen = torch.isfinite(arrived.noise)
    noise = inflation * torch.where(seen, arrived.noise, 1.0)
    weight = torch.where(seen, variance / (variance + noise).clamp(min=TINY), 0.0)
    return (
        link.inverse(mean + weight * torch.where(seen, arrived.seen - mean, 0.0)),
        torch.where(seen, weight * noise, variance),
    )
