# SPDX-License-Identifier: GPL-3.0-or-later
"""A small U-Net that corrects a map that something simpler has drawn, knowing buildings and transmitter.

What it gives is a correction in units of the map's own standard deviation, and the logarithm of how much less or more
than that remains: with the last layer at zero, where training begins, its answer is what it was given. It works on
32 x 32 cells of four and two octaves below. `MapNet` corrects an estimate, `FlowNet` a state on the way from a draw of
kriging's to the truth, and sees kriging's own answer beside it.
"""

import copy

import torch
from torch import nn
from torch.nn import functional as F

from ..radiomap.map_units import FAR

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
    """x, sigma, height (-1: unknown), decades (log10 of 100 metres to the transmitter, FAR: unknown), shadow (dB / 30,
    -1: unknown), each [B, 64, 64], metres [B] a cell -> mean, log variance."""

    PLANES = 8

    def __init__(self, widths=(32, 48, 64), hidden=32):
        super().__init__()
        outer, middle, inner = widths
        self.enter = _conv(4 * self.PLANES, outer)
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

    def widened(self, weights):
        """Weights of a network that saw fewer planes: it does not look at the others yet."""
        weights = dict(weights)
        old, new = weights["enter.weight"], self.enter.weight
        if old.shape[1] < new.shape[1]:
            weights["enter.weight"] = F.pad(old, (0, 0, 0, 0, 0, new.shape[1] - old.shape[1]))
        return weights

    def planes(self, x, sigma, height, decades, shadow, *more):
        """[B, PLANES, 64, 64] of what is known; a place's flags say what is not."""
        known = (decades > FAR / 2).to(x.dtype)
        told = [x, torch.log(sigma), height, (height < 0).to(x.dtype), decades * known, known]
        return torch.stack((*told, shadow, (shadow < 0).to(x.dtype), *more), 1)

    def forward(self, x, sigma, height, metres, decades, shadow, *more):
        code = F.silu(self.told(torch.log(metres.clamp(min=0.1) / 6)[:, None]))
        h = self.enter(F.pixel_unshuffle(self.planes(x, sigma, height, decades, shadow, *more), 2))
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


class FlowNet(MapNet):
    """The same, told two planes more: kriging's mean, and the logarithm of its deviation."""

    PLANES = 10

    def forward(self, x, sigma, height, metres, decades, shadow, kriged, doubt):
        return super().forward(x, sigma, height, metres, decades, shadow, kriged, doubt)
