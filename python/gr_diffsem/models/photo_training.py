# SPDX-License-Identifier: GPL-3.0-or-later
"""How the photograph schemes' networks are trained: `training.Training` with pictures for data.

The loss is the squared error over the error that the input had, so that every rate and noise level
counts alike, plus a Gaussian likelihood of the error in every band (the mean held constant).
"""

import numpy as np
import torch

from ..base import picture_bands, picture_transform
from ..reference import photo
from . import photo_data as data
from .batches import Data
from .photo_pool import Pool
from .training import Training

# (side of a crop, crops of one degraded photograph): what a CPU can afford; and so that crops of a photograph of
# BSDS500's size cover it once, and mid-size structure is seen whole.
CROPS, CROPS_ON_GPU = (96, 8), (data.SMALLEST, 6)
FAST_BFLOAT16 = torch.cpu._is_avx512_bf16_supported()  # a CPU then multiplies in it twice as fast
VALIDATION = 12  # photographs
DEEPEST = 2  # evaluations that a training state may have behind it
OUTLIER = 2.0  # squared error over what the input had
PART = 224  # side of the square of a photograph that such states are made from: they are costly


class Whole:
    """A net on whole pictures, as `reference.photo` asks one: ([H, W, 3], [L]) -> mean [H, W, 3], log variance [n]."""

    def __init__(self, net):
        self.net, self.bands, self.window = net, net.bands, net.window

    def __call__(self, image, level):
        h, w, _ = image.shape
        where = self.net.shares.device
        x = torch.from_numpy(picture_bands.padded(image, self.net.multiple)).to(where)
        with torch.no_grad():
            mean, log_variance = self.net(x, torch.from_numpy(level)[None].to(where))
        return mean[0, :, :h, :w].cpu().numpy().transpose(1, 2, 0), log_variance[0].cpu().numpy()


def _held_back(ratio):
    """Squared errors over what was expected, beyond OUTLIER as their logarithm: one square can be a thousand times the
    others, and has to be learned from all the same, but not alone."""
    return torch.where(ratio < OUTLIER, ratio, OUTLIER * (1 + torch.log(ratio.clamp(min=OUTLIER) / OUTLIER)))


class PhotoTraining(Training):
    """Training on random squares of whole degraded photographs."""

    WARM_UP = 200  # steps before states of the sampler are trained on
    EVALUATE_EVERY = 300.0  # whole photographs take a while

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        self.photographs, self.held = data.divided(args, scheme.name, VALIDATION)
        self.pairs = []  # what validation measures on
        self.crop, self.cuts = CROPS_ON_GPU if self.on_gpu else CROPS
        for net in (self.net, self.average):
            net.to(memory_format=torch.channels_last)
        self.average.eval().seen = self.net.seen
        torch.backends.cudnn.benchmark = True  # every batch has one shape
        index = torch.from_numpy(self.net.bands.index(self.crop, self.crop)).long()
        one = torch.nn.functional.one_hot(index, self.net.bands.each).float()
        shares = one / one.sum((0, 1))
        transform = (
            torch.from_numpy(picture_transform.dct_matrix(self.crop)),
            torch.from_numpy(picture_transform.COLOURS.astype(np.float32)),
            shares,
        )
        self.transform = [part.to(self.device) for part in transform]

    def draws(self):
        """Batches out of a pool of crops, which what is drawn flows through."""
        return Pool(self, Data(self.draw, self.seed, self.step, self.workers, self.on_gpu))

    def draw(self, rng):
        """(0, crops) of one photograph, or (evaluations, (truth, z, v, spectrum)) of a part of one, for a state that
        the net itself has to make."""
        photograph = self.photographs[rng.integers(len(self.photographs))]
        if rng.random() < self.network.prior_share:
            photograph = data.part(rng, photograph, PART)
            return rng.integers(1, DEEPEST + 1), next(iter(self.scheme.observations(rng, photograph)))
        parts = [self.cut(rng, *self.pair(rng, seen)) for seen in self.scheme.observations(rng, photograph)]
        return 0, [np.concatenate(part) for part in zip(*parts, strict=True)]

    def take(self, rng, item):
        """Crops (truth, input [n, 3, S, S], level [n, L]) of what was drawn; the early net makes no states."""
        again, parts = item
        if again:
            parts = [part.numpy() for part in parts]
            parts = self.cut(rng, *self.pair(rng, parts, again if self.step > self.WARM_UP else 0))
        return [torch.as_tensor(part) for part in parts]

    def pair(self, rng, seen, again=0):
        """(truth, input, error, spectrum) of what was observed, after `again` evaluations and the proximal steps that
        follow them in a sampler."""
        x, z, v, power = seen
        m, e = picture_bands.proximal(0.0, power, z, v)
        inflation = self.scheme.plan["inflation"] * 2 ** rng.uniform(-1.5, 1.5)
        for _ in range(again):
            mean, left = photo.answer(Whole(self.net), m, e, power)
            m, e = picture_bands.proximal(mean, left, z, inflation * v)
        return x, picture_transform.inverse(m), e, power

    def cut(self, rng, x, m, e, power):
        """Random crops of a pair."""
        level = self.net.bands.levels(e, power)[None]
        return *data.cuts(rng, (x, m), self.crop, self.cuts), np.repeat(level, self.cuts, 0)

    def loss(self, truth, x, level):
        """(relative squared error, likelihood of the bands' errors)."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.on_gpu or FAST_BFLOAT16):
            mean, log_variance = self.net(x.contiguous(memory_format=torch.channels_last), level)
        error, log_variance = mean.float() - truth, log_variance.float()
        expected = (level[:, : self.net.bands.count] ** 2 * self.net.shares).sum(1) + 1e-5
        fit = _held_back(error.pow(2).mean((1, 2, 3)) / expected).mean()
        matrix, colours, shares = self.transform
        planes = torch.einsum("kc,bchw->bkhw", colours, error.detach())
        power = (matrix @ planes @ matrix.T).pow(2)
        sums = torch.einsum("bkhw,hwn->bkn", power, shares)
        actual = torch.cat((sums[:, 0], sums[:, 1:].mean(1)), 1) + 1e-7
        spread = (log_variance + actual * torch.exp(-log_variance)).clamp(max=100).mean()
        return fit, spread

    def _validate(self, validation, writer):
        """Gain in dB over the Gaussian estimate, by the scheme's plan, whole photographs, noise fixed by a seed."""
        if not self.pairs:
            for i, photograph in enumerate(self.held):
                rng = np.random.default_rng([9000, i])
                self.pairs.append(next(iter(self.scheme.observations(rng, photograph))))
        gains, plan = [], self.scheme.plan
        for x, *known in self.pairs:
            linear = photo.posterior(None, *known, 0)
            mean = photo.posterior(Whole(self.average), *known, plan["steps"], plan["inflation"], plan["final"])
            gains.append(10 * np.log10(np.mean((linear - x) ** 2) / np.mean((mean - x) ** 2)))
        writer.add_scalar("validation/gain_db", np.mean(gains), self.step)
        return f"{np.mean(gains):.3f} dB above the Gaussian estimate ({min(gains):.2f} .. {max(gains):.2f})"
