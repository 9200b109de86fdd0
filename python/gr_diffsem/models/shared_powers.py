# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser of several links at once that share the powers of their delays: antennas of one packet.

As models/delay_doppler.py: given the powers p, a link is Gaussian and its posterior mean a linear system, which
conjugate gradients solve; a network says the powers, in rounds. Here the powers are said once for all links,

    h_l = Phi x_l,  x_l ~ CN(0, diag p),  y_l = h_l + n_l,

so that what few pilots leave open of one link's profile the others say: sparse Bayesian learning of several measurement
vectors (Wipf and Rao 2007) with a network in place of its update.
"""

import copy
import math

import torch
from torch import nn

from .delay_doppler import FLOOR, UNSEEN, Mixer, Solved, Waves, solve


class SharedPowers(nn.Module):
    """x [B, 2, links, carriers] of unit component variance, sigma [B, 1, links, carriers] -> mean as x, log variance as
    sigma. groups: links l and l + groups are observed alike (transmit antennas); steps: of conjugate gradients, in each
    round; last: those of the last round once it is trained; delays: places; channels, hidden, blocks: of the mixers;
    spread: width of what says the error variance."""

    def __init__(
        self,
        links=4,
        carriers=64,
        groups=2,
        delays=48,
        steps=(4, 8, 16),
        last=16,
        channels=32,
        hidden=32,
        blocks=2,
        spread=64,
    ):
        super().__init__()
        self.links, self.carriers, self.groups, self.steps, self.last = links, carriers, groups, tuple(steps), last
        self.waves = Waves(carriers, 1, delays, 1)
        self.into = nn.ModuleList(nn.Linear(5 if i else 2, channels) for i in range(len(steps)))
        self.tells = nn.ModuleList(nn.Linear(3, channels, bias=False) for _ in steps)
        self.mixers = nn.ModuleList(
            nn.ModuleList(Mixer(delays, channels, hidden) for _ in range(blocks)) for _ in steps
        )
        self.says = nn.ModuleList(nn.Linear(channels, 1) for _ in steps)
        for layer in self.says:
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.constant_(layer.bias, -math.log(delays))
        self.place = nn.Parameter(0.02 * torch.randn(delays, channels))
        self.first = nn.Linear(channels + 3 + groups * carriers, spread)
        self.second = nn.Linear(spread, groups * carriers)

    def multiply_adds(self):
        """Of one item, once it is trained."""
        delays = self.waves.delays
        total = sum(m.multiply_adds() for m in self.modules() if isinstance(m, Mixer))
        total += sum(m.weight.numel() for m in (*self.into, *self.says)) * delays
        total += sum(m.weight.numel() for m in (*self.tells, self.first, self.second))
        passes = 2 * (sum(self.steps[:-1]) + self.last + len(self.steps)) + 2
        return total + passes * self.links * (self.waves.shares_multiply_adds() + self.waves.grid_multiply_adds())

    def for_export(self):
        net = copy.deepcopy(self).eval()
        net.steps = (*self.steps[:-1], self.last)
        return net

    def of_links(self, rows):
        """Mean over links: [B links, ...] -> [B, ...]."""
        return rows.reshape(-1, self.links, *rows.shape[1:]).mean(1)

    def profile(self, grids):
        """Power of each delay, mean over links, of grids [B links, 1, 2 carriers]: [B, delays]."""
        re, im = self.waves.adjoint(grids).chunk(2, 1)
        return self.of_links((re * re + im * im)[:, 0])

    def forward(self, x, sigma):
        k, links = self.carriers, self.links
        v = (sigma * sigma).reshape(-1, 1, k) + FLOOR  # [B links, 1, K]
        seen = (v < UNSEEN**2).to(v.dtype)
        parts = (x[:, i].reshape(-1, 1, k) * seen for i in (0, 1))
        y = torch.cat(self.waves.turned(*parts), 2)
        share = seen / (1 + v)  # what each look counts while powers are unknown
        total = self.of_links(share.sum((1, 2)))[:, None] + 1e-3  # [B, 1]
        noise = self.of_links((share * share * v).sum((1, 2)))[:, None] / total**2 + 1e-6
        shares, looks = (torch.cat((part, part), 2) for part in (share, seen / v))

        def log(powers):
            return (torch.log(powers) + 5) / 3

        def matched(grids):
            return log(0.5 * self.profile(shares * grids) / total**2 + 0.3 * noise)

        pattern = log(self.profile(torch.cat((share, torch.zeros_like(share)), 2)) / total**2 + 1e-4)
        count = self.of_links(seen.sum((1, 2)))[:, None]
        whole = torch.cat((torch.log(noise) / 3, torch.log(total) / 3, torch.log(count + 1) / 3), 1)
        known = (matched(y), pattern)
        b = self.waves.grid_adjoint(looks * y)
        h, features = self.place, known
        for i, steps in enumerate(self.steps):
            h = h + self.into[i](torch.stack(features, 2)) + self.tells[i](whole)[:, None]
            for mixer in self.mixers[i]:
                h = mixer(h)
            said = self.says[i](h)[:, :, 0].clamp(-25, 3)  # [B, delays]
            of_link = said[:, None].expand(-1, links, -1).reshape(-1, 1, said.shape[1])
            if i + 1 == len(self.steps):
                break
            found = self.solved(b, looks, of_link, steps)
            re, im = found.chunk(2, 1)
            strength = log(0.5 * self.of_links((re * re + im * im)[:, 0]) + 1e-7)
            features = (*known, said / 3, strength, matched(y - self.waves(found)))
        if self.training:
            found = Solved.apply(self.waves, b, looks, of_link, steps)
        else:
            found = self.solved(b, looks, of_link, steps)
        parts = self.waves.turned(*self.waves(found).chunk(2, 2), -1.0)
        mean = torch.stack([part.reshape(-1, links, k) for part in parts], 1)
        return mean, self.log_variance(h, whole, v, share)

    def solved(self, b, looks, log_powers, steps):
        powers = torch.exp(log_powers)
        return solve(self.waves, b, looks, torch.cat((powers, powers), 1), steps)

    def log_variance(self, h, whole, v, share):
        """[B, 1, links, carriers]: what an average channel would leave, corrected by a small network that sees which
        carriers were observed."""
        k, links = self.carriers, self.links
        per_link = 8 / (8 + (share * (1 + 1 / v)).sum(2).reshape(-1, links, 1))
        of_group = share.reshape(-1, links // self.groups, self.groups * k).mean(1)
        said = self.first(torch.cat((h.mean(1), whole, of_group), 1))
        said = self.second(nn.functional.silu(said)).reshape(-1, 1, self.groups, k)
        said = said.expand(-1, links // self.groups, -1, -1).reshape(-1, links, k)
        return (said + torch.log(per_link)).reshape(-1, 1, links, k)
