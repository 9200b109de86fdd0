# SPDX-License-Identifier: GPL-3.0-or-later
"""A small U-Net that completes photographs, told the error and the signal of every frequency band.

It works at half resolution (2x2 pixels are 12 channels), where a multiply-add reaches further. What
comes in is the Gaussian (Wiener) estimate of a photograph whose transform coefficients were observed
with unequal noise, or not at all; the errors of a whole-image transform spread over the whole image,
so that ten levels say all there is to say about them, and they steer every block by scales and
shifts of its channels. The net's output is a correction in units of the expected error (as the
preconditioning of Karras et al. 2022 has it), so that a level of 0 leaves the input as it is. So do
levels beyond those that it was trained on, of drawings, text, empty pictures or a link without noise: what it
would say of them is anything.
"""

import torch
from torch import nn
from torch.nn import functional as F

BANDS = 10  # 5 octaves, of luma and of chroma
# Share of a photograph's 3 H W coefficients that lie in a band: quarter discs, the outermost the rest.
_INSIDE = [torch.pi / 4 / 4**k for k in (4, 3, 2, 1)]
_AREA = [b - a for a, b in zip([0, *_INSIDE], [*_INSIDE, 1], strict=True)]
SHARES = [a / 3 for a in _AREA] + [2 * a / 3 for a in _AREA]
FADE = 4.0  # the correction is gone where a level lies 1/FADE beyond what was seen, in units of the features: 4.3 dB
MOST = 16.0  # a pixel's correction, over the expected error; photographs have up to 10


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
    """x [B, 3, H, W] (H, W multiples of `MULTIPLE`), level [B, 20] -> mean [B, 3, H, W],
    log variance [B, 10] of the mean's error in each band. widths, depths: of each resolution."""

    START_MAY_LACK = ("seen",)  # an exported graph has it as limits without a name; training sees it again

    def __init__(self, widths=(48, 96, 128), depths=(1, 1, 2), hidden=64):
        super().__init__()
        self.widths, self.depths, self.hidden = widths, depths, hidden
        self.embed = nn.Sequential(nn.Linear(3 * BANDS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.into = nn.Conv2d(12, widths[0], 3, padding=1)
        self.out = nn.Conv2d(widths[0], 12, 3, padding=1)
        self.encoder = nn.ModuleList(self._blocks(i) for i in range(len(widths)))
        self.decoder = nn.ModuleList(self._blocks(i) for i in range(len(widths) - 1))
        pairs = list(zip(widths, widths[1:], strict=False))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, 2) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in pairs)
        self.spread = nn.Sequential(nn.Linear(hidden + widths[-1], hidden), nn.SiLU(), nn.Linear(hidden, BANDS))
        self.register_buffer("shares", torch.tensor(SHARES), persistent=False)
        self.register_buffer("seen", torch.tensor([[1e3], [-1e3]]).repeat(1, 3 * BANDS))  # range in training
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
        log_error, log_signal = torch.log(error + 1e-6), torch.log(signal + 1e-6)
        missing = (error / (signal + 1e-6)).clamp(max=1.0)
        features, trust = self._known(torch.cat((log_error / 4, log_signal / 4, missing), 1))
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

    def _known(self, features):
        """Features held within what was seen, and how far to trust an answer to them: 1 inside, [B, 1]."""
        if self.training:
            now = features.detach()
            self.seen[0].copy_(torch.minimum(self.seen[0], now.amin(0)))
            self.seen[1].copy_(torch.maximum(self.seen[1], now.amax(0)))
            return features, torch.ones_like(features[:, :1])
        inside = torch.minimum(torch.maximum(features, self.seen[0]), self.seen[1])
        return inside, (1 - FADE * (features - inside).abs().amax(1, keepdim=True)).clamp(min=0)
