# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned code for photographs: a network in front of the linear code, and one behind its receiver, trained as one.

The encoder E changes a picture before the linear code (codec/picture_codec.py) sends it:

    x -> E(x) -> cosine transform -> powers, noise -> linear MMSE -> D -> x

so that the coefficients that are sent carry what D makes more of than of the picture itself, as downscaling learned
together with upscaling does (H. Kim et al., ECCV 2018), here with a channel between (Bourtsoulatze et al., IEEE TCCN
2019). E(x) = x is the linear code itself. Training begins near it: with a compander, which evens out local contrast and
is what a power spectrum of the whole picture lacks, and networks that leave its output as it is; so any receiver can
show the picture. E is told the error that the linear receiver would make in each band, D the one that it made.

`Link` is the linear code with its receiver, differentiable: every picture is a whole one with zones, powers and noise
of its own. What it leaves out: the digital part's octets, and that strong coefficients take several slots.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from ..base import picture_bands, picture_transform
from ..codec import zones
from .photo import PhotoUNet

RATIO = 1  # of zones.RATIOS: the finest zones
BLOCKS = zones.BLOCKS[2], zones.BLOCKS[1]  # rows and columns of what goes digitally: beside zones, beside a power law
EXACT = 0.3  # variance of these, in units of x squared
LEAST = picture_bands.SCALE**2 * 2.0 ** zones.LEVELS[0]  # of a zone, in these units
STRONG = 4.0  # powers beyond it go in several slots, which fade apart


class Compander(nn.Module):
    """Local contrast to a power: a picture in three bands of detail, the upper two of which are multiplied by
    (local activity / TYPICAL)^power, activity the smoothed root mean square of the band. A negative power makes quiet
    parts louder and busy ones quieter.

    A power spectrum knows no place: parts of little variance get as little power on the air as those of much, and at a
    power budget the best amplitude of a Gaussian of variance s^2 goes with s^(1/2) (Lee and Petersen 1976), a power of
    -1/2. The receiver finds the activity in what it got, whose contrast was s^(1 + power).
    """

    SCALES = (2, 8)  # of the bands' borders: pixels of a block that the smoothing begins with
    TYPICAL, FAINT = 0.25, 1e-3  # activity that stays as it is; and its square that is not told from none

    def __init__(self, power):
        super().__init__()
        # In the shape that it is multiplied in: an exported graph then keeps its name, and training can go on from it.
        self.power = nn.Parameter(torch.full((1, len(self.SCALES), 1, 1), float(power)))
        taps = torch.exp(-(torch.arange(-6.0, 7.0) ** 2) / 8)  # Gaussian of deviation 2
        self.register_buffer("taps", taps / taps.sum(), persistent=False)

    def smooth(self, x, scale):
        """Low pass by a Gaussian of twice `scale` pixels, on means of blocks of this size."""
        channels, n = x.shape[1], self.taps.numel()
        small = F.pad(F.avg_pool2d(x, scale), (n // 2,) * 4, mode="replicate")
        for shape in ((n, 1), (1, n)):
            small = F.conv2d(small, self.taps.view(1, 1, *shape).repeat(channels, 1, 1, 1), groups=channels)
        return F.interpolate(small, scale_factor=scale, mode="bilinear", align_corners=False)

    def multiply_adds(self):
        """Of the smoothing, per pixel: three colours and their activity, along both axes."""
        return sum(2 * self.taps.numel() * 4 / scale**2 for scale in self.SCALES)

    def forward(self, x):
        """[B, 3, H, W] -> the same, H and W multiples of the larger scale."""
        details, activities = [], []
        for scale in self.SCALES:
            low = self.smooth(x, scale)
            details.append(x - low)
            activities.append(self.smooth(details[-1].pow(2).mean(1, keepdim=True), scale))
            x = low
        louder = torch.log((torch.cat(activities, 1) + self.FAINT) / self.TYPICAL**2) / 2
        gains = torch.exp(self.power * louder).split(1, 1)
        return x + sum(detail * gain for detail, gain in zip(details, gains, strict=True))


class Half(nn.Module):
    """One end of the code: a compander and, behind it, a PhotoUNet; its contract is the latter's."""

    START_MAY_LACK = ("net.seen",)

    def __init__(self, power, **shape):
        super().__init__()
        self.compander = Compander(power)
        self.net = PhotoUNet(**shape)

    @property
    def seen(self):
        """Range of the levels in training."""
        return self.net.seen

    def multiply_adds(self):
        """Per pixel."""
        return round(self.compander.multiply_adds() + self.net.multiply_adds())

    def for_export(self):
        """Nothing to simplify."""
        return self.eval()

    def forward(self, x, level):
        """As PhotoUNet's."""
        return self.net(self.compander(x), level)


POWER = -0.35  # of the encoder's companding, where training begins


class PictureCode(nn.Module):
    """Encoder and decoder, both told levels [B, 20] as PhotoUNet is."""

    def __init__(self):
        super().__init__()
        self.encoder = Half(POWER, widths=(32, 48, 64), depths=(1, 1, 1))
        self.encoder.START_MAY_LACK = ("net.seen", "net.spread")  # nobody asks an encoder how sure it is
        self.decoder = Half(-POWER / (1 + POWER), depths=(1, 3, 2))

    def multiply_adds(self):
        """Of the receiver, per pixel."""
        return self.decoder.multiply_adds()


class Arrived(NamedTuple):
    """What a receiver has of pictures [B, 3, S, S]: the linear estimate, its levels [B, 20], the variance of each
    coefficient's error; and the coefficients with noise, its variance (infinite: not observed), the spectrum."""

    picture: torch.Tensor
    level: torch.Tensor
    error: torch.Tensor
    seen: torch.Tensor
    noise: torch.Tensor
    spectrum: torch.Tensor


class Link(nn.Module):
    """The linear code of square pictures [B, 3, S, S], through noise, and its receiver."""

    def __init__(self, side):
        super().__init__()
        self.side = side
        matrix = torch.from_numpy(picture_transform.dct_matrix(side))
        colours = torch.from_numpy(picture_transform.COLOURS.astype("float32"))
        rings = zones.zones(side, side, zones.PARAMETRIC)
        index = [torch.from_numpy(grid.index).long() for grid in (zones.zones(side, side, RATIO), rings)]
        bands = F.one_hot(torch.from_numpy(picture_bands.band_index(side, side)).long(), 5).float()
        low = torch.zeros(2, side, side, dtype=torch.bool)
        for plane, (rows, columns) in zip(low, BLOCKS, strict=True):
            plane[:rows, :columns] = True
        frequency = torch.arange(side)
        near = frequency[:, None] ** 2 + frequency**2
        falling = 1 / torch.from_numpy(zones.radius(side, side)).float().clamp(min=1 / side**2)
        for name, value in (
            ("matrix", matrix), ("colours", colours), ("zone", index[0]), ("ring", index[1]),
            ("octave", torch.from_numpy(rings.octave).float()), ("bands", bands / bands.sum((0, 1))), ("lows", low),
            ("lowest_first", torch.argsort(near.flatten().repeat(3), stable=True)), ("falling", falling),
        ):  # fmt: skip
            self.register_buffer(name, value, persistent=False)

    def low(self, law):
        """The coefficients that go digitally, [B, 1, S, S]."""
        return self.lows[law.long()][:, None]

    def forward(self, x):
        """Pictures [B, 3, S, S] -> coefficients [B, 3, S, S], luma first."""
        return self.matrix @ torch.einsum("kc,bchw->bkhw", self.colours, x) @ self.matrix.T

    def inverse(self, c):
        """And back."""
        return torch.einsum("kc,bkhw->bchw", self.colours, self.matrix.T @ c @ self.matrix)

    def levels(self, error, spectrum):
        """What steers a net, [B, 20], from variances per coefficient."""
        means = [torch.einsum("bkhw,hwn->bkn", v, self.bands) for v in (error, spectrum)]
        halves = [torch.cat((m[:, 0], m[:, 1:].mean(1)), 1) for m in means]
        return torch.sqrt(torch.cat(halves, 1) + 1e-9)

    def sums(self, c, low, index):
        """(energy, number) of the coefficients of each zone, [B, 3, zones], without the digital ones."""
        flat, where = c.pow(2).flatten(2), index.flatten()[None, None].expand(*c.shape[:2], -1)
        beside = (~low).flatten(2).expand_as(flat).float()
        zero = flat.new_zeros(*flat.shape[:2], int(index.max()) + 1)
        return zero.scatter_add(2, where, flat * beside), zero.scatter_add(2, where, beside)

    def spectrum(self, c, law):
        """Variance of each coefficient as the digital part says it, in steps of 3 dB; its gradient is that without
        steps. law [B]: by a power law of rings, which costs few octets, in the place of zones."""
        low = self.low(law)
        energy, number = self.sums(c, low, self.zone)
        mean = energy / number.clamp(min=1)
        each = torch.log2(mean.clamp(min=LEAST))[:, :, self.zone]
        each = each + (each.round() - each).detach()
        ruled = self.power_law(*self.sums(c, low, self.ring))[:, :, self.ring]
        return torch.exp2(torch.where(law[:, None, None, None], ruled, each))

    def power_law(self, energy, number):
        """log2 of the rings' variances by the likeliest power law, [B, 3, rings] (zones.fit_power_law)."""
        weight = number.sqrt()
        mean = energy / number.clamp(min=1) + LEAST
        slopes = -(6 + torch.arange(8, device=energy.device)) / 32
        shape = slopes[:, None] * self.octave
        scaled = weight[:, :, None] * mean[:, :, None] / torch.exp2(shape)
        exact = torch.log2(scaled.sum(3) / weight.sum(2)[..., None])
        levels = (exact + 0.5).floor()[..., None] + shape
        levels = levels.floor().clamp(min=math.log2(LEAST))
        cost = (weight[:, :, None] * (levels * math.log(2) + mean[:, :, None] / torch.exp2(levels))).sum(3)
        best = cost.argmin(2)[..., None, None].expand(*levels.shape[:2], 1, levels.shape[3])
        level, exact = (v.gather(2, best)[:, :, 0] for v in (levels, (exact[..., None] + shape)))
        return exact + (level - exact).detach()

    def gains(self, c, power, low, slots, noise):
        """Amplitude of each coefficient on the air, 0 where it is not sent: least squared error of a linear receiver
        under a mean power of 1 in `slots` [B] (picture_plan.powers). noise [B]: that the sender plans for."""
        ranked = torch.where(low, power.new_zeros(()), power).flatten(1)[:, self.lowest_first]
        root, order = torch.sort(ranked.sqrt(), dim=1, descending=True, stable=True)
        number = torch.arange(1, root.shape[1] + 1, device=c.device)
        c_k = (slots[:, None] + noise[:, None] * number) / torch.cumsum(root, 1)
        sent = (c_k * root > noise[:, None]) & (number <= slots[:, None])
        last = (sent * number).amax(1, keepdim=True).clamp(min=1)
        p = F.relu(c_k.gather(1, last - 1) * root - noise[:, None]) * (number <= last)
        place = self.lowest_first[order]
        p = torch.zeros_like(p).scatter(1, place, p).view_as(c)
        spent = (c.pow(2) * p / power).sum((1, 2, 3))
        return torch.sqrt(p / power * (slots / spent)[:, None, None, None] + 1e-20) * (p > 0)

    def known(self, power, sent, law):
        """What the receiver knows of the spectrum: `power` of what is sent, of the rest a mean of each colour that
        falls with frequency, or what the power law says (picture_plan.Plan.variances)."""
        rest = ~(sent | self.low(law) | law[:, None, None, None])
        mean = (power * rest).sum((2, 3)) / rest.sum((2, 3)).clamp(min=1)
        shape = (self.falling * rest).sum((2, 3)) / rest.sum((2, 3)).clamp(min=1)
        weak = self.falling * (mean / shape.clamp(min=1e-9))[:, :, None, None]
        least = torch.where(sent, power, torch.inf).amin((1, 2, 3))[:, None, None, None]
        return torch.where(rest, torch.minimum(weak, least), power)

    def expected(self, x, law, slots, noise):
        """Levels [B, 20] that the sender tells the encoder: of the error behind the linear code of x."""
        c, low = self(x), self.low(law)
        power = self.spectrum(c, law)
        gain = self.gains(c, power, low, slots, noise)
        power = self.known(power, gain > 0, law)
        return self.levels(self.left(power, low, gain, noise[:, None, None, None])[1], self.whole(c, power, low))

    def whole(self, c, power, low):
        """The spectrum with the lowest coefficients, whose power their values say."""
        return torch.where(low, c.pow(2).detach() + EXACT, power)

    def left(self, power, low, gain, noise):
        """(weight of what arrived, error variance) of each coefficient. noise: of each coefficient's slots."""
        v = noise / gain.pow(2).clamp(min=1e-12)
        weight = torch.where(gain > 0, power / (power + v), power.new_zeros(()))
        error = torch.where(gain > 0, weight * v.clamp(max=1e12), power)
        return torch.where(low, 1.0, weight), torch.where(low, EXACT, error)

    def through(self, x, law, slots, planned, noise, unit, doubt=None):
        """Pictures -> `Arrived`.

        law [B]: whether the spectrum is a power law; slots [B]: real values that may be sent; planned [B]: noise that
        the sender plans for; noise [B, 2, 3, S, S]: that each coefficient meets over its slots' mean power of 1, in
        one slot and in several, infinite where it is lost; unit: standard normal. doubt: what the receiver takes the
        noise for, over what it is.
        """
        c, low = self(x), self.low(law)
        power = self.spectrum(c, law)
        gain = self.gains(c, power, low, slots, planned)
        noise = torch.where(gain.pow(2) * power > STRONG, noise[:, 1], noise[:, 0])
        arrives = torch.isfinite(noise)
        noise, power = torch.where(arrives, noise, 1.0), self.known(power, gain > 0, law)
        gain = gain * arrives
        believed = noise if doubt is None else noise * doubt
        weight, error = self.left(power, low, gain, believed)
        deviation = torch.where(low, EXACT**0.5, noise.sqrt() / gain.clamp(min=1e-6))
        seen = c + torch.where(weight > 0, deviation, 0.0) * unit
        left = torch.where(gain > 0, believed / gain.pow(2).clamp(min=1e-12), torch.inf)
        spectrum = self.whole(c, power, low)
        level, left = self.levels(error, spectrum), torch.where(low, EXACT, left)
        return Arrived(self.inverse(weight * seen), level, error, seen, left, spectrum)
