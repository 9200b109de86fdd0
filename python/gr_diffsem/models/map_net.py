# SPDX-License-Identifier: GPL-3.0-or-later
"""A small U-Net that corrects kriging's map, knowing where buildings are.

What it gives is a correction in units of kriging's own standard deviation, and the logarithm of how much less or more
than that remains: with the last layer at zero, where training begins, its answer is kriging's. It works on 32 x 32
cells of four and two octaves below.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

MOST = 6.0  # of a correction, in standard deviations of kriging
RATIO = 4.0  # of the logarithm of the variance beside kriging's


def _conv(into, out, side=3, **more):
    return nn.Conv2d(into, out, side, padding=side // 2, **more)


class Residual(nn.Module):
    """Two convolutions; metres a cell scale and shift the channels between them."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.before, self.first = nn.GroupNorm(8, channels), _conv(channels, channels)
        self.between, self.second = nn.GroupNorm(8, channels), _conv(channels, channels)
        self.steer = nn.Linear(hidden, 2 * channels)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, h, code):
        scale, shift = self.steer(code)[:, :, None, None].chunk(2, 1)
        out = self.first(F.silu(self.before(h)))
        return h + self.second(F.silu(self.between(out) * (1 + scale) + shift))


class MapNet(nn.Module):
    """x [B, 64, 64], sigma [B, 64, 64], height [B, 64, 64] (-1: unknown), metres [B] a cell -> mean,
    log variance."""

    def __init__(self, widths=(32, 48, 64), hidden=32):
        super().__init__()
        outer, middle, inner = widths
        self.enter = _conv(16, outer)
        self.told = nn.Linear(1, hidden)
        self.outer = nn.ModuleList([Residual(outer, hidden) for _ in range(2)])
        self.down = _conv(outer, middle, stride=2)
        self.middle = nn.ModuleList([Residual(middle, hidden) for _ in range(2)])
        self.deeper = _conv(middle, inner, stride=2)
        self.inner = nn.ModuleList([Residual(inner, hidden) for _ in range(3)])
        self.rise = nn.ConvTranspose2d(inner, middle, 2, stride=2)
        self.joined = _conv(2 * middle, middle)
        self.middle_up = nn.ModuleList([Residual(middle, hidden)])
        self.up = nn.ConvTranspose2d(middle, outer, 2, stride=2)
        self.last = _conv(2 * outer, outer)
        self.outer_up = nn.ModuleList([Residual(outer, hidden) for _ in range(2)])
        self.norm, self.leave = nn.GroupNorm(8, outer), _conv(outer, 8)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def multiply_adds(self):
        """Of one evaluation of one map."""
        cells = {"down": 256, "middle": 256, "rise": 256, "joined": 256, "deeper": 64, "inner": 64}
        total = 0
        for name, part in self.named_modules():
            if isinstance(part, nn.Conv2d | nn.ConvTranspose2d):
                at = next((count for key, count in cells.items() if name.startswith(key)), 1024)
                total += part.weight.numel() * at // (4 if isinstance(part, nn.ConvTranspose2d) else 1)
            elif isinstance(part, nn.Linear):
                total += part.weight.numel()
        return total

    def for_export(self):
        """Itself, to be exported."""
        return copy.deepcopy(self).eval()

    def forward(self, x, sigma, height, metres):
        code = F.silu(self.told(torch.log(metres.clamp(min=0.1) / 6)[:, None]))
        planes = torch.stack((x, torch.log(sigma), height, (height < 0).to(x.dtype)), 1)
        h = self.enter(F.pixel_unshuffle(planes, 2))
        for part in self.outer:
            h = part(h, code)
        m = self.down(h)
        for part in self.middle:
            m = part(m, code)
        i = self.deeper(m)
        for part in self.inner:
            i = part(i, code)
        m = self.joined(torch.cat((self.rise(i), m), 1))
        for part in self.middle_up:
            m = part(m, code)
        h = self.last(torch.cat((self.up(m), h), 1))
        for part in self.outer_up:
            h = part(h, code)
        out = F.pixel_shuffle(self.leave(F.silu(self.norm(h))), 2)
        correction = MOST * torch.tanh(out[:, 0] / MOST)
        return x + sigma * correction, 2 * torch.log(sigma) + RATIO * torch.tanh(out[:, 1] / RATIO)
