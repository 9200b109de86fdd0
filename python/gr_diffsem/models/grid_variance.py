# SPDX-License-Identifier: GPL-3.0-or-later
"""The error variance of what models/delay_doppler.py says of a channel over time and frequency."""

import math

import numpy as np
import torch
from torch import nn

# Log of the largest variance that an exported network states, over the channel's power. In training it may say up to 4,
# and does so of a few tiles in a thousand; but on training draws the error of what is said to be above this is this in
# the mean, whatever is said. Few as they are, they made the last decile of predictions nearly twice what came true.
MOST = 0.2


class Spread(nn.Module):
    """The error variance of each element: what the looks about it leave open, each counting by how it correlates under
    the powers that were said, corrected by a small network."""

    FEATURES = 9  # looks; then for the correlation's square and for its 4th power, which says how near a look has to
    # be: all looks, all of them saturated, those of the same symbol, of the same carrier

    def __init__(self, waves, symbols, carriers, channels, pooled, hidden):
        super().__init__()
        for name, places, n in (("k", waves.tau, carriers), ("s", waves.nu, symbols)):
            phase = 2 * np.pi * np.outer(places, np.r_[:n, -n + 1 : 0])
            self.register_buffer(f"cos_{name}", torch.tensor(np.cos(phase), dtype=torch.float32), persistent=False)
            self.register_buffer(f"sin_{name}", torch.tensor(np.sin(phase), dtype=torch.float32), persistent=False)
        self.symbols, self.carriers = symbols, carriers
        self.most = 4.0
        self.pooled = nn.Linear(channels, pooled)
        self.first = nn.Linear(self.FEATURES + pooled + 1, hidden)
        self.second, self.third = Along(hidden, hidden), Along(hidden, 1)
        nn.init.zeros_(self.third.weight)
        nn.init.zeros_(self.third.bias)

    def multiply_adds(self):
        k, s = self.carriers, self.symbols
        hidden = self.first.out_features
        net = (hidden + 1) * self.FEATURES + hidden * (hidden + 1) + 2 * hidden + 1
        whole = self.pooled.weight.numel() + self.first.weight.numel() - hidden * self.FEATURES
        correlations = 2 * (self.cos_k.numel() + self.cos_s.numel())
        return k * s * (net + 2 * (2 * k + 3 * s)) + whole + correlations

    def correlation(self, p, name):
        """Squared correlation by lag (0, 1, ..., -1), [B, 2n - 1], of the powers [B, places]."""
        p = p / p.sum(1, keepdim=True)
        re, im = p @ getattr(self, f"cos_{name}"), p @ getattr(self, f"sin_{name}")
        return re * re + im * im

    def forward(self, said, h, w2, noise):
        k, s = self.carriers, self.symbols
        p = torch.exp(said)
        total = p.sum((1, 2))[:, None, None]
        along, across = self.correlation(p.sum(1), "k"), self.correlation(p.sum(2), "s")
        looks = w2 * total  # signal over noise of each
        both = torch.cat((looks, looks / (1 + looks)), 1)
        once = by_lag(along, k), by_lag(across, s)
        features = [looks[:, None]]
        for near, late in (once, map(fourth, once)):
            same = (both @ near).reshape(-1, 2, s, k)
            features += [late[:, None] @ same, same[:, :1], (late @ looks)[:, None]]
        features = torch.cat(features, 1).reshape(-1, self.FEATURES, s * k) + 1e-4
        about = torch.cat((self.pooled(h.mean(1)), torch.log(noise) / 3), 1)
        prior = torch.log(1e3 * total + 1e-3) - 3 * math.log(10)
        rough = prior - torch.log(math.exp(-1.5) * features[:, 1:2] + 1)
        return (rough + self.correction(torch.log(features) / 4, about)).reshape(-1, 1, s, k).clamp(-16.0, self.most)

    def correction(self, features, about):
        """The small network, of features [B, FEATURES, elements] and what is said of a whole tile: [B, 1, elements].
        Elements lie along rows, so that matrices stand on the left. A row silu(1) goes along for `Along`."""
        each, whole = self.first.weight.split((self.FEATURES, about.shape[1]), 1)
        whole = nn.functional.linear(about, whole, self.first.bias)
        whole = nn.functional.pad(whole, (0, 1), value=1.0)[..., None]
        f = nn.functional.silu(nn.functional.pad(each, (0, 0, 0, 1)) @ features + whole)
        third = self.third.joined()
        return third @ f + third[:, :-1] @ nn.functional.silu(self.second.joined() @ f)

    def freeze(self):
        """For a graph: without the assembly of matrices, and calibrated."""
        self.most = MOST
        self.second, self.third = self.second.frozen(), self.third.frozen()


class Along(nn.Linear):
    """A layer of elements that lie along rows. Its bias is a column more of its matrix, for a row of silu(1) that goes
    along with them: to add it would be a pass over all elements."""

    ONE = 1 / (1 + math.exp(-1))  # silu(1)

    def joined(self):
        """The matrix [out, in + 1]."""
        return torch.cat((self.weight, self.bias[:, None] / self.ONE), 1)

    def frozen(self):
        """The same with its matrix as it is used."""
        return Joined(self.joined().detach())

    def thawed(self, weight):
        """{parameter: value} of a `frozen` layer's matrix; ValueError if it is no such layer's."""
        wanted = (self.out_features, self.in_features + 1)
        if tuple(weight.shape) != wanted:
            raise ValueError(f"has shape {list(weight.shape)}, not {list(wanted)}")
        return {"weight": weight[:, :-1].clone(), "bias": weight[:, -1] * self.ONE}


class Joined(nn.Module):
    """A frozen `Along`."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def joined(self):
        return self.weight


def fourth(c):
    return (c * c) * (c * c)


def by_lag(c, n):
    """The matrix [B, n, n] of elements c[B, column - row], c by lags 0, 1, ..., -1: rows of 2 n - 2 of a sequence of
    period 2 n - 1 move it on by one."""
    rows = c.repeat(1, n)[:, : n * (2 * n - 2)].reshape(-1, n, 2 * n - 2)
    return rows[:, :, :n]
