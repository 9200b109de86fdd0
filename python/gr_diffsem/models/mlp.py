# SPDX-License-Identifier: GPL-3.0-or-later
"""A residual MLP denoiser with EDM-like scaling (Karras et al. 2022, table 1), levels per element."""

import torch
from torch import nn


class ResidualMLP(nn.Module):
    """D = x/(1+s^2) + s/sqrt(1+s^2) F(x/sqrt(1+s^2), log s): two planes of n elements in and out."""

    def __init__(self, n=64, width=384, blocks=3):
        super().__init__()
        self.n = n
        self.first = nn.Linear(4 * n, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.last = nn.Linear(width, 3 * n)
        nn.init.normal_(self.last.weight, std=1e-3)

    def multiply_adds(self):
        """Multiply-adds of one evaluation of one item."""
        return sum(m.weight.numel() for m in self.modules() if isinstance(m, nn.Linear))

    def for_export(self):
        """Nothing to simplify."""
        return self.eval()

    def forward(self, x, sigma):
        v = sigma**2
        scale = torch.rsqrt(1 + v)
        levels = torch.cat((scale[:, 0], torch.log(v[:, 0]) / 4), 1)
        h = nn.functional.silu(self.first(torch.cat(((x * scale).flatten(1), levels), 1)))
        for block in self.blocks:
            h = h + nn.functional.silu(block(h))
        out = self.last(h).reshape(-1, 3, self.n)
        mean = x / (1 + v) + sigma * scale * out[:, :2]
        floor = 1 / (1 + (1 / v).sum(2, keepdim=True) / 8)
        return mean, out[:, 2:] + torch.log(floor)
