# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser of a fading tap over time: a bank of gated filters that states no variance, trained on v."""

import copy
import math

import torch
from torch import nn

from .gated import ComplexLinear, path_atoms, power

RATES = 6  # sines and cosines of ln sigma, each
SPARE = 3.0  # how far beyond the largest Doppler the first filters reach, bins of 1/n


class FadingNet(nn.Module):
    """[B, 2, n] planes at one level [B] -> mean [B, 2, n]. The signal passes complex linear maps and real gains only;
    the gains know the level and the powers of the correlations. doppler: in cycles per element.

    Training weights the error of the mean by 1 + 1/sigma^2, which is the error of v (models/conditional_mlp.py)."""

    one_level = True

    def __init__(self, n, doppler, hidden=96):
        super().__init__()
        self.n = n
        reach = doppler * n + SPARE
        atoms = 2 * math.ceil(reach)
        waves = path_atoms(n, -reach + 2 * reach * (torch.arange(atoms) + 0.5) / atoms)
        self.register_buffer("rates", torch.exp(torch.linspace(-1.2, 1.6, RATES)))
        self.analysis = ComplexLinear(torch.linalg.pinv(waves.T))
        self.synthesis = ComplexLinear(waves.T)
        self.level = nn.Linear(2 * RATES, hidden)
        self.seen = nn.Linear(atoms, hidden)
        self.within = nn.Linear(hidden, hidden)
        self.gains = nn.Linear(hidden, atoms)
        self.mix = ComplexLinear(torch.zeros(atoms, atoms, dtype=torch.complex64))
        self.mixing = nn.Linear(hidden, atoms)
        for layer in (self.gains, self.mixing):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def multiply_adds(self):
        """Of one evaluation of one item."""
        total = 0
        for part in self.modules():
            if isinstance(part, nn.Linear):
                total += part.weight.numel()
            elif isinstance(part, ComplexLinear):
                total += 4 * part.real.numel()
        return total

    def for_export(self):
        """A copy whose matrices are put together."""
        net = copy.deepcopy(self)
        for name in ("analysis", "synthesis", "mix"):
            setattr(net, name, getattr(net, name).frozen())
        return net.eval()

    def forward(self, x, sigma):
        angle = torch.log(sigma)[:, None] * self.rates
        w = (1 / (1 + sigma * sigma))[:, None]
        u = self.analysis(x.reshape(-1, 2 * self.n))
        told = self.level(torch.cat((torch.sin(angle), torch.cos(angle)), 1))
        h = nn.functional.silu(told + self.seen(torch.log(power(u) * w + 1e-6) / 4))
        h = h + nn.functional.silu(self.within(h))
        gain, more = torch.sigmoid(self.gains(h)), self.mixing(h)
        u = u * torch.cat((gain, gain), 1) + self.mix(u * w) * torch.cat((more, more), 1)
        return self.synthesis(u).reshape(-1, 2, self.n)
