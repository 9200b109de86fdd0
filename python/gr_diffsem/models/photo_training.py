# SPDX-License-Identifier: GPL-3.0-or-later
"""How the photograph schemes' networks are trained: `train.Training` with pictures for data.

The loss is the squared error over the error that the input had, so that every rate and noise level
counts alike, plus a Gaussian likelihood of the error in every band (the mean held constant).
"""

import numpy as np
import torch

from ..errors import UserError
from ..reference import photo
from ..train import Training
from . import photo_data as data

CROP = 96
CUTS = 8  # crops of one degraded photograph
VALIDATION = 12  # photographs
DEEPEST = 3  # evaluations that a training state may have behind it
PART = 224  # side of the square of a photograph that such states are made from: they are costly


def evaluate(net, image, level):
    """The net on a whole picture: [H, W, 3], [20] -> mean [H, W, 3], log variance [10]."""
    h, w, _ = image.shape
    with torch.no_grad():
        mean, log_variance = net(torch.from_numpy(photo.padded(image, net.multiple)), torch.from_numpy(level)[None])
    return mean[0, :, :h, :w].numpy().transpose(1, 2, 0), log_variance[0].numpy()


class PhotoTraining(Training):
    """Training on random squares of whole degraded photographs."""

    WARM_UP = 200  # steps before states of the sampler are trained on

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        if not args.images:
            raise UserError(f"{scheme.name} is trained on photographs: give --images FOLDER")
        photographs = data.load(args.images)
        held = args.validate and data.load(args.validate)
        if not held:
            share = max(1, len(photographs) // 20) if len(photographs) > 1 else 0
            held, photographs = photographs[-share:], photographs[: len(photographs) - share] or photographs
        self.photographs, self.held = photographs, held[:: max(1, len(held) // VALIDATION)][:VALIDATION]
        self.net = self.net.to(memory_format=torch.channels_last)
        start = getattr(args, "start", None)
        if start and not self.resume:
            self.begin_from(start)

    def begin_from(self, checkpoint):
        """Take the averaged weights of another training of the same network."""
        from ..train import load_checkpoint

        state = load_checkpoint(checkpoint)
        weights = state["average"]
        try:
            self.net.load_state_dict(weights)
        except RuntimeError as error:
            raise UserError(f"--start {checkpoint} holds another network: {error}") from None
        self.average.load_state_dict(weights)
        self.start = f"{state['scheme']}/{state['member']} after {state.get('step')} steps"

    def draws(self):
        """A source of batches, on the training's own thread: the net itself makes some of the states."""
        return _Draws(self)

    def pair(self, rng, photograph, again):
        """(truth, input, error, spectrum) of one photograph, after `again` evaluations and the proximal
        steps that follow them in a sampler."""
        x, z, v, power = self.scheme.observe(rng, photograph)
        m, e = photo.proximal(0.0, power, z, v)
        inflation = 2 ** rng.uniform(0, 3)
        for _ in range(again):
            mean, log_variance = evaluate(self.net, photo.inverse(m), photo.levels(e, power))
            tau = photo.per_coefficient(np.exp(log_variance.clip(*photo.LOG_VARIANCE)), *x.shape[:2])
            m, e = photo.proximal(photo.forward(mean), tau, z, inflation * v)
        return x, photo.inverse(m), e, power

    def batch_of(self, rng):
        """Tensors (truth, input [B, 3, S, S], level [B, 20])."""
        parts = []
        for _ in range(max(1, self.batch // CUTS)):
            photograph = self.photographs[rng.integers(len(self.photographs))]
            again = 0
            if self.step > self.WARM_UP and rng.random() < self.network.prior_share:
                again = rng.integers(1, DEEPEST + 1)
                photograph = data.part(rng, photograph, PART)
            x, m, e, power = self.pair(rng, photograph, again)
            level = np.repeat(photo.levels(e, power)[None], CUTS, 0)
            parts.append((*data.cuts(rng, (x, m), CROP, CUTS), level))
        return [torch.from_numpy(np.concatenate(p)) for p in zip(*parts, strict=True)]

    def loss(self, truth, x, level):
        """(relative squared error, likelihood of the bands' errors)."""
        mean, log_variance = self.net(x.contiguous(memory_format=torch.channels_last), level)
        error = mean - truth
        expected = (level[:, :10] ** 2 * self.net.shares).sum(1) + 1e-5
        fit = (error.pow(2).mean((1, 2, 3)) / expected).clamp(max=30).mean()
        matrix = torch.from_numpy(photo.dct_matrix(CROP))
        colours = torch.from_numpy(photo.COLOURS)
        planes = torch.einsum("kc,bchw->bkhw", colours, error.detach())
        power = (matrix @ planes @ matrix.T).pow(2)
        index = torch.from_numpy(photo.band_index(CROP, CROP)).long()
        one = torch.nn.functional.one_hot(index, 5).float()
        sums = torch.einsum("bkhw,hwn->bkn", power, one / one.sum((0, 1)))
        actual = torch.cat((sums[:, 0], sums[:, 1:].mean(1)), 1) + 1e-7
        spread = (log_variance + actual * torch.exp(-log_variance)).clamp(max=100).mean()
        return fit, spread

    def _validate(self, validation, writer):
        """Gain in dB over the Gaussian estimate, whole photographs, noise fixed by a seed."""
        gains = []
        for i, photograph in enumerate(self.held):
            rng = np.random.default_rng([9000, i])
            x, m, e, power = self.pair(rng, photograph, 0)
            mean, _ = evaluate(self.average, m, photo.levels(e, power))
            gains.append(10 * np.log10(np.mean((m - x) ** 2) / np.mean((mean - x) ** 2)))
        writer.add_scalar("validation/gain_db", np.mean(gains), self.step)
        return f"{np.mean(gains):.3f} dB above the Gaussian estimate ({min(gains):.2f} .. {max(gains):.2f})"


class _Draws:
    def __init__(self, training):
        self.training = training
        self.rng = np.random.default_rng([training.seed, training.step])

    def next(self):
        return self.training.batch_of(self.rng)

    def close(self):
        pass
