# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains networks over the grid, those that answer in rounds (models/delay_doppler.py) and others.

At first the former learn the powers that the channels were drawn with, by cross entropy, which needs no gradient
through the linear systems; then the error of the answers, the last round's and, at a smaller weight, those of earlier
ones.
"""

import numpy as np
import torch
from torch import nn

from . import delay_doppler, training

EARLIER = 0.2  # weight of what each earlier round leaves, beside the last's
BESIDE = 0.002  # what an element beside the part of a tile counts: nobody asks for it, but it is learned too
# An item counts by the error that its pattern and noise make one expect, to this power: at 1 each pattern and SNR
# counts alike in dB. What y itself says must not enter: a channel that is hard to know makes much of the mean error,
# and counts as much as it makes.
EQUAL = 0.9
POWERS_ALONE = 0.22  # share of the time


ANGLES = 64  # that Clarke's spectrum is summed over


def shares(values, places):
    """Linear interpolation between rising places: [..., len(places)], of sum 1."""
    right = np.clip(np.searchsorted(places, values), 1, len(places) - 1)
    at = np.clip((values - places[right - 1]) / (places[right] - places[right - 1]), 0, 1)
    out = np.zeros((*values.shape, len(places)), np.float32)
    np.put_along_axis(out, right[..., None] - 1, 1 - at[..., None], -1)
    np.put_along_axis(out, right[..., None], at[..., None], -1)
    return out


def cells(channels, waves):
    """The powers of `Channels` at the places of `waves` (delay_doppler.Waves): [n, dopplers, delays], of sum 1. A path,
    and a wave of its fading, is shared by the two places about it."""
    near = shares(channels.delays, waves.middle + waves.tau)  # [n, P, delays]
    angles = np.cos(np.pi * (np.arange(ANGLES) + 0.5) / ANGLES)
    fading = shares(channels.doppler[:, None] * angles, waves.nu).mean(1)
    scattered = np.einsum("np,npd->nd", channels.powers, near)[:, None] * fading[:, :, None]
    line = shares(channels.sight_doppler, waves.nu)
    sight = (channels.sight[:, None] * near[:, 0])[:, None] * line[:, :, None]
    return (scattered + sight).astype(np.float32)


def of_part(values, weight):
    """Mean over the elements of a tile, each by its weight: [B]."""
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


class Difficulty:
    """Learns log E[error] of a tile from where it is observed and how noisy it is, while others learn."""

    def __init__(self, symbols, carriers, device):
        self.net = nn.Sequential(nn.Linear(symbols + carriers + 1, 64), nn.SiLU(), nn.Linear(64, 1)).to(device)
        self.optimiser = torch.optim.Adam(self.net.parameters(), lr=3e-3)

    def __call__(self, sigma, error, counts):
        """sigma [B, 1, S, K], error and count [B] of each tile -> log of what was to be expected [B], no gradient."""
        seen = (sigma < delay_doppler.UNSEEN).to(sigma.dtype)[:, 0]
        level = (seen * torch.log(sigma[:, 0])).sum((1, 2)) / seen.sum((1, 2)).clamp(min=1)
        expected = self.net(torch.cat((seen.mean(2), seen.mean(1), level[:, None] / 3), 1))[:, 0]
        unlikely = expected + (error.detach() * torch.exp(-expected)).clamp(max=training.OUTLIER)
        self.optimiser.zero_grad(set_to_none=True)
        (counts * unlikely).mean().backward()
        self.optimiser.step()
        return expected.detach()


class GridTraining(training.Training):
    """`Training` over the grid, of a network with rounds(x, sigma) -> ([log powers], [means], log variance) or of one
    that answers once."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        self.difficulty = Difficulty(*scheme.shape, self.device)
        self.in_rounds = hasattr(self.net, "rounds")

    def draw(self, rng):
        return self.tensors(self.scheme.batch(rng, self.batch, self.network.prior_share))

    def tensors(self, batch):
        """What `loss` takes: a `GridBatch` as tensors, the powers that it was drawn with, what each element counts,
        the variance of what is not known of `clean` (here nothing), and what each item counts."""
        self.scheme.check_batch(batch)
        powers = cells(batch.channels, self.net.waves) if self.in_rounds else np.zeros((self.batch, 0), np.float32)
        weight = torch.from_numpy(batch.part.astype(np.float32) + BESIDE)
        counts = torch.from_numpy(batch.counts)
        return (*training.tensors(batch), torch.from_numpy(powers), weight, torch.zeros_like(weight), counts)

    def answers(self, state, sigma, through):
        """As `rounds` gives them."""
        if self.in_rounds:
            return self.net.rounds(state, sigma, through=through)
        mean, log_variance = self.net(state, sigma)
        return [], [mean], log_variance

    def loss(self, clean, state, sigma, observed, powers, part, doubt, counts):
        alone = self.in_rounds and self.start is None and self.elapsed < POWERS_ALONE * self.seconds
        said, means, log_variance = self.answers(state, sigma, through=not alone)
        log_variance = log_variance.reshape(observed.shape)
        errors = [training.square_error(mean, clean, observed) - doubt for mean in means]
        likely = log_variance + (errors[-1].detach() * torch.exp(-log_variance)).clamp(max=training.OUTLIER)
        spread = (counts * of_part(likely, part)).mean()
        if alone:
            return sum(cross_entropy(s, powers) for s in said), spread
        tiles = [of_part(error, part) for error in errors]
        weight = counts * torch.exp(-EQUAL * self.difficulty(sigma, tiles[-1], counts))
        # Not clamped: a channel that is taken for its alias is one in a thousand, and makes half of the mean error.
        fits = [(weight * tile).mean() for tile in tiles]
        return fits[-1] + EARLIER * sum(fits[:-1]), spread


def cross_entropy(said, powers):
    """Of the powers' distribution over cells, and of their sum, which was 1 before the gain was measured."""
    total = torch.logsumexp(said, (1, 2))
    return (powers * (total[:, None, None] - said)).sum((1, 2)).mean() + total.pow(2).mean()


def write(net, path, scheme, network, facts, limit):
    """`onnx_export.write`, whose limit is of `rounding` on training data."""
    from . import onnx_export

    def difference(net, file):
        batch = scheme.batch(np.random.default_rng(scheme.seed + 5000), 256, network.prior_share)
        return rounding(net, onnx_export.session(file), batch)

    return onnx_export.write(net, path, scheme, network, facts, difference, limit)


def rounding(net, graph, batch):
    """What an exported graph's answers differ from the network's, as a share of the error's power, the mean of a
    batch's items. Some steps of conjugate gradients are no limit yet, and where much is measured with little noise
    their way depends on rounding; their error does not."""
    clean, state, sigma, observed = training.tensors(batch)[:4]
    with torch.no_grad():
        mean, log_variance = net(state, sigma)
    answers = graph.run(["mean", "log_variance"], {"x": state.numpy(), "sigma": sigma.numpy()})
    there, its = map(torch.from_numpy, answers)
    error = training.square_error(mean, clean, observed).sum((1, 2))
    apart = training.square_error(there, mean, observed).sum((1, 2))
    spread = (its - log_variance).abs().mean()
    return max(float((apart / error).mean()), float(spread))
