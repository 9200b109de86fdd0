# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank of adaptive linear filters: a learned Wiener estimator for signals along one axis.

The posterior mean of a complex Gaussian scale mixture is linear in the measurement once the
variances are known. So here the signal only ever passes complex linear maps and real gains: it is
correlated with `atoms` learned responses (at first: paths at delays a fraction of a sample apart),
each correlation is multiplied by a gain, and the sum of the atoms is the estimate. The gains come
from a small MLP that sees log powers of the correlations and the level of every element, never a
phase. A second stage does the same to what the first left unexplained. Multiplying the input by
exp(j phi) therefore multiplies the estimate by the same, and at high SNR nothing needs to cancel.
"""

import math

import torch
from torch import nn


def path_atoms(n, delays):
    """exp(-2j pi k tau / n), k = -n/2..n/2-1: complex [len(delays), n]."""
    k = torch.arange(n, dtype=torch.float64) - n // 2
    phase = -2 * math.pi * delays.double()[:, None] * k / n
    return torch.polar(torch.ones_like(phase), phase)


class ComplexLinear(nn.Module):
    """[B, 2, n] planes -> [B, 2, m], no bias: one real matrix product of 4 n m multiply-adds."""

    def __init__(self, weight):
        """weight: complex [m, n], the starting value."""
        super().__init__()
        self.real = nn.Parameter(weight.real.float().contiguous())
        self.imag = nn.Parameter(weight.imag.float().contiguous())

    def forward(self, x):
        m, n = self.real.shape
        top = torch.cat((self.real, -self.imag), 1)
        bottom = torch.cat((self.imag, self.real), 1)
        matrix = torch.cat((top, bottom), 0)
        return (x.reshape(-1, 2 * n) @ matrix.T).reshape(-1, 2, m)

    def multiply_adds(self):
        return 4 * self.real.numel()


def power(u):
    """Squared magnitude of planes [B, 2, m] -> [B, m]."""
    return u[:, 0] ** 2 + u[:, 1] ** 2


class GatedFilterBank(nn.Module):
    """The denoiser. n: elements; atoms, hidden: sizes; first, last: delays in samples that the
    atoms start from; stages: how many times gains are computed."""

    def __init__(self, n=64, atoms=96, hidden=256, first=-6.0, last=22.0, stages=2):
        super().__init__()
        self.n, self.stages = n, stages
        delays = first + (last - first) * (torch.arange(atoms) + 0.5) / atoms
        a = path_atoms(n, delays)
        spacing = (last - first) / atoms
        self.analysis = nn.ModuleList(
            ComplexLinear(a.conj() / n if i == 0 else a.conj() / n * 0.5) for i in range(stages)
        )
        self.synthesis = nn.ModuleList(
            ComplexLinear(a.T * spacing * (1.0 if i == 0 else 0.3)) for i in range(stages)
        )
        self.refine = nn.ModuleList(ComplexLinear(a.conj() / n) for _ in range(stages - 1))
        inputs = [atoms + 2 * n] + [2 * atoms + hidden] * (stages - 1)
        self.into = nn.ModuleList(nn.Linear(i, hidden) for i in inputs)
        self.within = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(stages))
        self.gains = nn.ModuleList(
            nn.Linear(hidden, atoms * (1 if i == 0 else 2)) for i in range(stages)
        )
        self.spread = nn.Linear(hidden, n)
        for layer in self.gains:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def multiply_adds(self):
        """Multiply-adds of one evaluation of one item."""
        total = 0
        for m in self.modules():
            if isinstance(m, nn.Linear):
                total += m.weight.numel()
            elif isinstance(m, ComplexLinear):
                total += m.multiply_adds()
        return total

    def forward(self, x, sigma):
        v = sigma[:, 0] ** 2
        w = (1 / (1 + v))[:, None]
        log_v = torch.log(v)
        # What the measurement as a whole pins down: variance of one amplitude seen by all elements.
        floor = 1 / (1 + (1 / v).sum(1, keepdim=True))
        u = self.analysis[0](x * w)
        features = torch.cat((torch.log(power(u) + 1e-3 * floor) / 4, w[:, 0], log_v / 4), 1)
        state = 0
        estimate = 0
        for i in range(self.stages):
            if i:
                left = self.analysis[i]((x - estimate) * w)
                again = self.refine[i - 1](estimate)
                features = torch.cat(
                    (
                        torch.log(power(left) + 1e-3 * floor) / 4,
                        torch.log(power(again) + 1e-3 * floor) / 4,
                        state,
                    ),
                    1,
                )
            hidden = nn.functional.silu(self.into[i](features))
            state = state + nn.functional.silu(self.within[i](hidden)) + hidden
            gain = self.gains[i](state)
            if i == 0:
                estimate = self.synthesis[0](u * torch.sigmoid(gain)[:, None])
            else:
                g1, g2 = gain.chunk(2, 1)
                mix = left * (1 + g1)[:, None] + again * (0.3 * g2)[:, None]
                estimate = estimate + self.synthesis[i](mix)
        log_variance = self.spread(state) + torch.log(floor * 8 / (1 + floor * 8))
        return estimate, log_variance[:, None]
