# SPDX-License-Identifier: GPL-3.0-or-later
"""Progressive distillation: a network that goes down in one step of DDIM where its teacher took two.

After T. Salimans and J. Ho, "Progressive Distillation for Fast Sampling of Diffusion Models", ICLR 2022, algorithm 2,
in the coordinates x = x0 + s n and behind a measurement y of some elements, which teacher and student both are told
as the sampler tells it: element i of y has the noise deviation v_i, and the network sees x and y by their precisions,

    u_i = (x_i / s^2 + y_i / v_i^2) / (1 / s^2 + 1 / v_i^2).                                            (1)

One step of DDIM (eta = 0) from level s to t is x_t = D + (t / s) (x - D). Two of the teacher, s to m to t, end in x_t;
the student's answer that gets there at once is

    D* = (x_t - (t / s) x) / (1 - t / s).                                                               (2)

Whenever the levels have been halved the student is the teacher of the next. The scheme says how far (`halvings`).
"""

import copy
import math

import numpy as np

from ..base.errors import UserError
from . import training


def geometric(first, last, steps):
    """`steps` levels from `first` down to `last`, as the plan `geometric` has them, and 0 behind them."""
    return np.append(first * (last / first) ** (np.arange(steps) / max(steps - 1, 1)), 0.0)


def combined(x, level, y, noise):
    """(u, its deviations) of (1): x [B, 2, *shape] and its level [B, 1, ..], y and its deviations [B, 1, *shape]."""
    a, b = 1 / level**2, 1 / noise**2
    total = a + b
    return (x * a + y * b) / total, total.rsqrt()


class Distillation(training.Training):
    """Training whose start is the teacher. The time is shared alike by the halvings."""

    def __init__(self, scheme, member, network, args, folder):
        if args.resume:
            raise UserError("--resume: a distillation is begun anew: leave it out, and give --start the teacher")
        if not args.start:
            raise UserError(f"{member} is distilled from another network: give it with --start")
        super().__init__(scheme, member, network, args, folder)
        self.teacher = copy.deepcopy(self.average).eval()
        start, end, top, bottom = scheme.halvings(member)
        self.halved = int(math.log2(start // end))
        self.levels, self.stage = geometric(top, bottom, start), 0

    def draw(self, rng):
        """(clean, y, deviation of y, whether observed, conditions): what is measured; states are made in the loss."""
        batch = self.scheme.batch(rng, self.batch, 0)
        self.scheme.check_batch(batch)
        return training.tensors(batch)

    def loss(self, clean, y, noise, observed, *condition):
        import torch

        stage = min(int(self.halved * self.elapsed / self.seconds), self.halved - 1)
        if stage > self.stage:
            self.teacher.load_state_dict(self.average.state_dict())
            self.levels = np.append(self.levels[:-1][::2], 0.0)
            self.stage = stage
        rows = len(clean)
        k = 2 * torch.randint(0, len(self.levels) // 2, (rows,))
        levels = torch.from_numpy(self.levels).float()
        old, middle, new = (levels[k + i].reshape(-1, *[1] * (clean.ndim - 1)).to(clean.device) for i in range(3))
        noise = torch.where(observed[:, None], noise, torch.full_like(noise, 1e3))
        x = clean + old * torch.randn_like(clean)
        with torch.no_grad():
            u, seen = combined(x, old, y, noise)
            mean, log_variance = self.teacher(u, seen, *condition)
            there = mean + (middle / old) * (x - mean)
            mean = self.teacher(*combined(there, middle, y, noise), *condition)[0]
            there = mean + (new / middle) * (there - mean)
            wanted = (there - (new / old) * x) / (1 - new / old)
        found, stated = self.net(u, seen, *condition)
        weight = torch.exp(-log_variance).clamp(max=training.OUTLIER)
        fit = ((found - wanted).pow(2).sum(1, keepdim=True) / 2 * weight).clamp(max=training.OUTLIER).mean()
        error = (found.detach() - clean).pow(2).sum(1, keepdim=True) / 2
        spread = (stated + (error * torch.exp(-stated)).clamp(max=training.OUTLIER)).mean()
        return fit, spread

    def _advance(self, batch):
        """A step whose rate falls as a cosine over each halving, in the place of all the time."""

        def falling(done):
            return 0.5 * (1 + math.cos(math.pi * done)) + 0.002

        done = self.elapsed / self.seconds
        for group in self.optimiser.param_groups:
            group["share"] = falling(done * self.halved % 1) / falling(done)
        return super()._advance(batch)

    def facts(self):
        return {**super().facts(), "distilled": f"{self.stage + 1} halvings, to {(len(self.levels) - 1) // 2} levels"}
