# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser of a few reals that is told a vector and a class, in the form of v-prediction.

With x = x0 + sigma n and a = 1/sqrt(1 + sigma^2), the state of a variance-preserving chain is a x, and

    v = a n - a sigma x0,        x0 = a^2 x - a sigma v                  (Salimans and Ho 2022, appendix D).

The network gives v. An error of x0 weighted by 1 + 1/sigma^2, which is how a mean without a variance is trained
(models/training.py), is the error of v, unweighted.
"""

import copy
import math

import torch
from torch import nn

RATES = 8  # sines and cosines of ln sigma, each


class ConditionalMlp(nn.Module):
    """[B, n] at one level [B] with `sent` [B, told] and a class [B] -> mean [B, n]. `layers` hidden ones."""

    one_level = True

    def __init__(self, n, told, classes, hidden=256, layers=3):
        super().__init__()
        self.register_buffer("rates", torch.exp(torch.linspace(-1.2, 1.8, RATES)))
        self.which = nn.Embedding(classes, hidden)
        self.level = nn.Linear(2 * RATES, hidden)
        self.into = nn.Linear(n + told, hidden)
        self.n = n
        self.within = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.film = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 1))
        self.leave = nn.Linear(hidden, n)

    def multiply_adds(self):
        """Of one evaluation of one item."""
        return sum(part.weight.numel() for part in self.modules() if isinstance(part, nn.Linear))

    def for_export(self):
        """Itself, to be exported."""
        return copy.deepcopy(self).eval()

    def forward(self, x, sigma, sent, kind):
        s = sigma[:, None]
        a = 1 / torch.sqrt(1 + s * s)
        return a * a * x - a * s * self.asked(a * x, sigma, kind, (sent,))

    def asked(self, x, sigma, kind, sent=()):
        """What the layers say to x of unit power, and to the vectors in `sent`."""
        angle = torch.log(sigma)[:, None] * self.rates
        told = self.level(torch.cat((torch.sin(angle), torch.cos(angle)), 1)) + self.which(kind)
        h = nn.functional.silu(self.into(torch.cat((x, *sent), 1)) + told)
        gate = nn.functional.silu(told)
        for layer, film in zip(self.within, self.film, strict=True):
            h = h + nn.functional.silu(layer(h) * (1 + film(gate)))
        return self.leave(h)


class ClassMlp(ConditionalMlp):
    """The same on signals of any shape that are told a class alone, -1: any. gaussians: `class_gaussians.Gaussians` of
    each class, the last one of all. The network gives what is left of the answer that is best under the Gaussian,

        m + w (x - m) + Q (v/(v + sigma^2) - w) Q^T (x - m),        w = floor^2/(floor^2 + sigma^2),

    in units of that answer's error at each element (Karras et al. 2022, table 1, with such an answer for c_skip x)."""

    def __init__(self, shape, gaussians, hidden=256, layers=3):
        super().__init__(math.prod(shape), 0, len(gaussians.mean), hidden, layers)
        self.shape, self.floor = tuple(shape), float(gaussians.floor)
        for name in ("mean", "basis", "variance"):
            self.register_buffer(name, torch.as_tensor(getattr(gaussians, name), dtype=torch.float32).clone())

    def multiply_adds(self):
        return super().multiply_adds() + 3 * self.basis[0].numel()

    def forward(self, x, sigma, kind):
        kind = torch.where(kind < 0, torch.full_like(kind, len(self.mean) - 1), kind)
        s2, rest = (sigma * sigma)[:, None], self.floor**2
        mean, basis, v = self.mean[kind], self.basis[kind], self.variance[kind]
        off = x.reshape(-1, self.n) - mean
        w, strong = rest / (rest + s2), v / (v + s2)
        along = torch.bmm(off[:, None], basis)[:, 0]
        linear = mean + w * off + torch.bmm(basis, ((strong - w) * along)[..., None])[..., 0]
        squares = torch.cat((v - rest, s2 * (strong - w)), 0).reshape(2, *v.shape)
        of_element, of_error = (torch.bmm(basis * basis, q[..., None])[..., 0] for q in squares)
        scale = torch.rsqrt(rest + of_element + s2)
        mean = linear - torch.sqrt(s2 * w + of_error) * self.asked(scale * off, sigma, kind)
        return mean.reshape(-1, *self.shape)


class PlaceMlp(ConditionalMlp):
    """The same on complex signals [B, 2, *shape] that are told a vector `place` [B, told] alone. Two small layers say
    of each element its power at that place, and with it the best linear answer; the network gives what is left of it,
    as `ClassMlp` does. power: of each element over all places, where the two layers begin."""

    FEATURES = 6  # sines and cosines of each number told, each, an octave apart

    def __init__(self, shape, told, power, hidden=192, layers=3):
        n = 2 * math.prod(shape)
        super().__init__(n, 2 * self.FEATURES * told, 1, hidden, layers)
        self.shape = tuple(shape)
        self.register_buffer("octaves", math.pi / 2 * 2.0 ** torch.arange(self.FEATURES))
        start = torch.log(torch.as_tensor(power, dtype=torch.float32).reshape(-1) + 1e-4)
        self.register_buffer("start", start.clone())
        self.profile = nn.Sequential(nn.Linear(2 * self.FEATURES * told, hidden), nn.SiLU(), nn.Linear(hidden, n // 2))

    def features(self, place):
        """Waves over the plane [B, 2 FEATURES told]."""
        angle = (place[:, :, None] * self.octaves).flatten(1)
        return torch.cat((torch.sin(angle), torch.cos(angle)), 1)

    def forward(self, x, sigma, place):
        b = x.shape[0]
        x, s, told = x.reshape(b, -1), sigma[:, None], self.features(place)
        log_power = (self.start + self.profile(told)).clamp(-10, 6)
        d = torch.exp(log_power / 2).repeat(1, 2)  # of both planes, each of unit component variance
        scale = torch.rsqrt(d * d + s * s)
        kind = torch.zeros(b, dtype=torch.int64, device=x.device)
        mean = (d * scale) ** 2 * x - d * s * scale * self.asked(scale * x, sigma, kind, (told,))
        return mean.reshape(b, 2, *self.shape)
