# SPDX-License-Identifier: GPL-3.0-or-later
"""The error variance of what models/delay_doppler.py says of a channel over time and frequency."""

import math

import numpy as np
import torch
from torch import nn


class Spread(nn.Module):
    """The error variance of each element: what the looks about it leave open, each counting by how it correlates under
    the powers that were said, corrected by a small network."""

    FEATURES = 9  # looks; then for the correlation's square and for its 4th power, which says how near a look has to
    # be: all looks, all of them saturated, those of the same symbol, of the same carrier
    ONE = 1 / (1 + math.exp(-1))  # silu(1)

    def __init__(self, waves, symbols, carriers, channels, pooled, hidden):
        super().__init__()
        for name, places, n in (("k", waves.tau, carriers), ("s", waves.nu, symbols)):
            phase = 2 * np.pi * np.outer(places, np.r_[:n, -n + 1 : 0])
            self.register_buffer(f"cos_{name}", torch.tensor(np.cos(phase), dtype=torch.float32), persistent=False)
            self.register_buffer(f"sin_{name}", torch.tensor(np.sin(phase), dtype=torch.float32), persistent=False)
        self.symbols, self.carriers = symbols, carriers
        self.pooled = nn.Linear(channels, pooled)
        self.first = nn.Linear(self.FEATURES + pooled + 1, hidden)
        self.second, self.third = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        nn.init.zeros_(self.third.weight)
        nn.init.zeros_(self.third.bias)

    def multiply_adds(self):
        k, s = self.carriers, self.symbols
        hidden = self.second.in_features
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
        return (rough + self.correction(torch.log(features) / 4, about)).reshape(-1, 1, s, k).clamp(-16, 4)

    def correction(self, features, about):
        """The small network, of features [B, FEATURES, elements] and what is said of a whole tile: [B, 1, elements].
        Elements lie along rows, so that matrices stand on the left. A row silu(1) goes along, which brings the later
        layers' biases: to add them would be a pass over all elements."""
        each, whole = self.first.weight.split((self.FEATURES, about.shape[1]), 1)
        whole = nn.functional.linear(about, whole, self.first.bias)
        whole = nn.functional.pad(whole, (0, 1), value=1.0)[..., None]
        f = nn.functional.silu(nn.functional.pad(each, (0, 0, 0, 1)) @ features + whole)
        second, third = (torch.cat((m.weight, m.bias[:, None] / self.ONE), 1) for m in (self.second, self.third))
        return third @ f + self.third.weight @ nn.functional.silu(second @ f)


def fourth(c):
    return (c * c) * (c * c)


def by_lag(c, n):
    """The matrix [B, n, n] of elements c[B, column - row], c by lags 0, 1, ..., -1: rows of 2 n - 2 of a sequence of
    period 2 n - 1 move it on by one."""
    rows = c.repeat(1, n)[:, : n * (2 * n - 2)].reshape(-1, n, 2 * n - 2)
    return rows[:, :, :n]
