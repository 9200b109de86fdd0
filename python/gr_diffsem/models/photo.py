# SPDX-License-Identifier: GPL-3.0-or-later
"""A small U-Net that completes photographs, told the error and the signal of every frequency band.

It works at half resolution (2x2 pixels are 12 channels), where a multiply-add reaches further. What
comes in is the Gaussian (Wiener) estimate of a photograph whose transform coefficients were observed
with unequal noise, or not at all; the errors of a whole-image transform spread over the whole image,
so that a level for each band says what there is to say about them, and they steer every block by scales and
shifts of its channels. The net's output is a correction in units of the expected error (as the
preconditioning of Karras et al. 2022 has it), so that a level of 0 leaves the input as it is. So do
levels beyond those that it was trained on, of drawings, text, empty pictures or a link without noise: what it
would say of them is anything.
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from ..base.picture_bands import OCTAVES

GRID = 768  # coefficients a side by which the areas of bands are counted
FADE = 4.0  # the correction is gone where a level lies 1/FADE beyond what was seen, in units of the features: 4.3 dB
MOST = 16.0  # a pixel's correction, over the expected error; photographs have up to 10


def shares(bands):
    """Share of a photograph's 3 H W coefficients that lie in each band: float32 [count]."""
    area = np.bincount(bands.index(GRID, GRID).ravel(), minlength=bands.each) / GRID**2
    return torch.from_numpy(np.concatenate((area, 2 * area)) / 3).float()


def joined(fine, coarse):
    """Weights of the means of fine bands in those of the coarse that they make up: float32 [coarse, fine]."""
    parts = np.zeros((coarse.count, fine.count), np.float32)
    inner, outer = fine.index(GRID, GRID).ravel(), coarse.index(GRID, GRID).ravel()
    for colour in (0, 1):
        parts[colour * coarse.each + outer, colour * fine.each + inner] = 1
    parts *= shares(fine).numpy()
    return torch.from_numpy(parts / parts.sum(1, keepdims=True))


class Block(nn.Module):
    """Two convolutions and a skip; the levels scale and shift the channels between them."""

    def __init__(self, channels, hidden):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.steer = nn.Linear(hidden, 2 * channels)
        nn.init.zeros_(self.steer.weight)
        nn.init.zeros_(self.steer.bias)
        nn.init.normal_(self.second.weight, std=0.1 * (9 * channels) ** -0.5)
        nn.init.zeros_(self.second.bias)

    def forward(self, h, code):
        scale, shift = self.steer(code)[:, :, None, None].chunk(2, 1)
        return h + self.second(torch.relu(self.first(h) * (1 + scale) + shift))


class PhotoUNet(nn.Module):
    """x [B, 3, H, W] (H, W multiples of `MULTIPLE`), level [B, 2 n] -> mean [B, 3, H, W],
    log variance [B, n] of the mean's error in each of n bands. widths, depths: of each resolution. window: what the
    answer is to be `completed` with, 0: not at all.

    Of bands that are finer than octaves, the octaves' levels go in as well.
    """

    START_MAY_LACK = ("seen",)  # an exported graph has it as limits without a name; training sees it again

    def __init__(self, widths=(48, 96, 128), depths=(1, 1, 2), hidden=64, bands=OCTAVES, window=0):
        super().__init__()
        self.widths, self.depths, self.hidden, self.bands, self.window = widths, depths, hidden, bands, window
        told = 3 * (bands.count + (OCTAVES.count if bands != OCTAVES else 0))
        self.embed = nn.Sequential(nn.Linear(told, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.into = nn.Conv2d(12, widths[0], 3, padding=1)
        self.out = nn.Conv2d(widths[0], 12, 3, padding=1)
        self.encoder = nn.ModuleList(self._blocks(i) for i in range(len(widths)))
        self.decoder = nn.ModuleList(self._blocks(i) for i in range(len(widths) - 1))
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.spread = nn.Sequential(nn.Linear(hidden + widths[-1], hidden), nn.SiLU(), nn.Linear(hidden, bands.count))
        self.register_buffer("shares", shares(bands), persistent=False)
        self.register_buffer("joined", joined(bands, OCTAVES), persistent=False)
        self.register_buffer("seen", torch.tensor([[1e3], [-1e3]]).repeat(1, told))  # range in training
        for layer in (self.out, self.spread[2]):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def _blocks(self, i):
        return nn.ModuleList(Block(self.widths[i], self.hidden) for _ in range(self.depths[i]))

    @property
    def multiple(self):
        """What H and W must be multiples of."""
        return 2 ** len(self.widths)

    def multiply_adds(self):
        """Multiply-adds of one evaluation, per pixel; what does not grow with the image is left out."""
        total = 0.0
        for m, level in self._convolutions():
            total += m.weight.numel() / 4 ** (1 + level)
        return round(total)

    def _convolutions(self):
        """(layer, how many halvings its output or, where it doubles the resolution, its input has)."""
        yield from ((self.into, 0), (self.out, 0))
        for side in (self.encoder, self.decoder):
            for level, blocks in enumerate(side):
                yield from ((c, level) for b in blocks for c in (b.first, b.second))
        yield from ((m, i + 1) for layers in (self.down, self.up) for i, m in enumerate(layers))

    def for_export(self):
        """Nothing to simplify."""
        return self.eval()

    def forward(self, x, level):
        error, signal = (level * level).chunk(2, 1)
        log_error = torch.log(error + 1e-6)
        features, trust = self._known(self._features(error, signal))
        code = self.embed(features)
        scale = (error * self.shares).sum(1).clamp(min=1e-8).sqrt()[:, None, None, None]
        h = self.into(F.pixel_unshuffle(x, 2))
        skips = []
        for i, blocks in enumerate(self.encoder):
            for block in blocks:
                h = block(h, code)
            if i < len(self.down):
                skips.append(h)
                h = self.down[i](h)
        summary = torch.cat((code, torch.relu(h).mean((2, 3))), 1)
        for i in reversed(range(len(self.down))):
            h = self.up[i](h) + skips[i]
            for block in self.decoder[i]:
                h = block(h, code)
        correction = F.pixel_shuffle(self.out(h), 2).clamp(-MOST, MOST)
        return x + scale * trust[:, :, None, None] * correction, log_error + trust * self.spread(summary)

    def _features(self, error, signal):
        """What the levels say to the net, [B, told]: of the octaves, then of finer bands."""
        kinds = [(error, signal)]
        if self.bands != OCTAVES:
            kinds.insert(0, (error @ self.joined.T, signal @ self.joined.T))
        return torch.cat([part for kind in kinds for part in _logarithms(*kind)], 1)

    def widened(self, weights):
        """Weights for this net of one that was told octaves only: it says the same at first."""
        weights, own = dict(weights), self.state_dict()
        first, last = (weights.get(name) for name in ("embed.0.weight", "spread.2.weight"))
        if first is None or last is None or len(last) == len(own["spread.2.weight"]):
            return weights  # what is not of its kind is refused elsewhere
        weights["embed.0.weight"] = torch.zeros_like(own["embed.0.weight"])
        weights["embed.0.weight"][:, : first.shape[1]] = first
        parent = self.joined.argmax(0)
        if len(last) == OCTAVES.count:
            for name in ("spread.2.weight", "spread.2.bias"):
                weights[name] = weights[name][parent]
        return {name: value for name, value in weights.items() if name != "seen"}

    def _known(self, features):
        """Features held within what was seen, and how far to trust an answer to them: 1 inside, [B, 1]."""
        if self.training:
            now = features.detach()
            self.seen[0].copy_(torch.minimum(self.seen[0], now.amin(0)))
            self.seen[1].copy_(torch.maximum(self.seen[1], now.amax(0)))
            return features, torch.ones_like(features[:, :1])
        inside = torch.minimum(torch.maximum(features, self.seen[0]), self.seen[1])
        return inside, (1 - FADE * (features - inside).abs().amax(1, keepdim=True)).clamp(min=0)


def _logarithms(error, signal):
    """Of each band: how much is wrong, how much there is, and the share of it that is wrong."""
    missing = (error / (signal + 1e-6)).clamp(max=1.0)
    return torch.log(error + 1e-6) / 4, torch.log(signal + 1e-6) / 4, missing
