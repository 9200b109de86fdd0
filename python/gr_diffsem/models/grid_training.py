# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains networks that answer in rounds (models/delay_doppler.py).

At first they learn the powers that the channels were drawn with, by cross entropy, which needs no gradient through the
linear systems; then the error of the answers, the last round's and, at a smaller weight, those of earlier ones.
"""

import numpy as np
import torch

from . import training

EARLIER = 0.2  # weight of what each earlier round leaves, beside the last's
BESIDE = 0.03  # what an element beside the part of a tile that is there counts
# Items count by their expected error to this power: 1 would let those that are hard to know, which make most of the
# mean error, count no more than the others; 0 would leave nothing to high SNR.
EQUAL = 0.6
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
    """The powers of `Channels` at the places of `waves` (delay_doppler.Waves): [n, delays, dopplers], of sum 1. A path,
    and a wave of its fading, is shared by the two places about it."""
    near = shares(channels.delays, waves.middle + waves.tau)  # [n, P, delays]
    angles = np.cos(np.pi * (np.arange(ANGLES) + 0.5) / ANGLES)
    fading = shares(channels.doppler[:, None] * angles, waves.nu).mean(1)
    scattered = np.einsum("np,npd->nd", channels.powers, near)[:, :, None] * fading[:, None]
    line = shares(channels.sight_doppler, waves.nu)
    sight = (channels.sight[:, None] * near[:, 0])[:, :, None] * line[:, None]
    return (scattered + sight).astype(np.float32)


def of_part(values, part):
    """Mean over the elements of the part of a tile that is there: [B]. Those beside it, which nobody asks for, count a
    little, so that they are learned too."""
    weight = part + BESIDE
    return (values * weight).sum((1, 2)) / weight.sum((1, 2))


class RoundsTraining(training.Training):
    """`Training` of a network with rounds(x, sigma) -> ([log powers], [means], log variance); of one without, as
    everywhere."""

    def draw(self, rng):
        batch = self.scheme.batch(rng, self.batch, self.network.prior_share)
        self.scheme.check_batch(batch)
        if not hasattr(self.net, "rounds"):
            return training.tensors(batch)
        powers = torch.from_numpy(cells(batch.channels, self.net.waves))
        return (*training.tensors(batch), powers, torch.from_numpy(batch.part))

    def loss(self, clean, state, sigma, observed, *known):
        if not known:
            return super().loss(clean, state, sigma, observed)
        powers, part = known
        alone = self.start is None and self.elapsed < POWERS_ALONE * self.seconds
        said, means, log_variance = self.net.rounds(state, sigma, through=not alone)
        log_variance = log_variance.reshape(observed.shape)
        errors = [training.square_error(mean, clean, observed) for mean in means]
        likely = log_variance + (errors[-1].detach() * torch.exp(-log_variance)).clamp(max=training.OUTLIER)
        spread = of_part(likely, part).mean()
        if alone:
            return sum(cross_entropy(s, powers) for s in said), spread
        weight = of_part(log_variance.detach().exp(), part) ** -EQUAL
        fits = [(weight * of_part(error, part)).clamp(max=100).mean() for error in errors]
        return fits[-1] + EARLIER * sum(fits[:-1]), spread


def cross_entropy(said, powers):
    """Of the powers' distribution over cells, and of their sum, which was 1 before the gain was measured."""
    total = torch.logsumexp(said, (1, 2))
    return (powers * (total[:, None, None] - said)).sum((1, 2)).mean() + total.pow(2).mean()


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
