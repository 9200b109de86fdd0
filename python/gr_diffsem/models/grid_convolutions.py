# SPDX-License-Identifier: GPL-3.0-or-later
"""A plain network that answers for a grid in one step: what a prior over the grid is measured against.

Residual 3x3 convolutions over symbols and carriers (K. He et al. 2016), as channel estimators of the literature have
them (M. Soltani et al., "Deep learning-based channel estimation", IEEE Comm. Letters 23(4), 2019): trained for the mean
squared error at the measurement alone, so no diffusion prior and no sampler behind it.
"""

import math

import torch
from torch import nn

from .delay_doppler import UNSEEN


class GridConvolutions(nn.Module):
    """x [B, 2, S, K] of unit component variance, sigma [B, 1, S, K] -> mean as x, log variance as sigma. pairs: of
    convolutions, each with a way around it."""

    def __init__(self, symbols, carriers, channels=24, pairs=3):
        super().__init__()
        self.elements = symbols * carriers
        self.first = nn.Conv2d(4, channels, 3, padding=1)
        self.pairs = nn.ModuleList(
            nn.Sequential(
                nn.SiLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
                nn.SiLU(),
                nn.Conv2d(channels, channels, 3, padding=1),
            )
            for _ in range(pairs)
        )
        self.last = nn.Conv2d(channels, 3, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def multiply_adds(self):
        """Of one tile."""
        return self.elements * sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Conv2d))

    def for_export(self):
        return self

    def forward(self, x, sigma):
        seen = (sigma < UNSEEN).to(x.dtype)
        share = seen / (1 + sigma * sigma)
        level = torch.log(sigma.clamp(1e-3, 30.0)) / math.log(30.0)
        h = self.first(torch.cat((share * x, seen, level), 1))
        for pair in self.pairs:
            h = h + pair(h)
        out = self.last(nn.functional.silu(h))
        return share * x + out[:, :2], out[:, 2:].clamp(-16, 4)
