# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank of adaptive linear filters: a learned Wiener estimator for signals along one axis.

The posterior mean of a complex Gaussian scale mixture is linear in the measurement once the
variances are known. So here the signal only ever passes complex linear maps and real gains: it is
correlated with `atoms` learned responses (at first: paths at delays a fraction of a sample apart),
each correlation is multiplied by a gain, and the sum of the atoms is the estimate. The gains come
from a small MLP that sees log powers of the correlations and the level of every element, never a
phase. A second stage does the same to what the first left unexplained. Where few elements are
observed, or the signal is like nothing the atoms make, something stays unexplained at the end: with `direct`
a share of it, of each element's own, is added to the estimate, so that at the worst the estimate is the
measurement. Multiplying the input by
exp(j phi) therefore multiplies the estimate by the same, and at high SNR nothing needs to cancel.
"""

import copy
import math

import torch
from torch import nn


def path_atoms(n, delays):
    """exp(-2j pi k tau / n), k = -n/2..n/2-1: complex [len(delays), n]."""
    k = torch.arange(n, dtype=torch.float64) - n // 2
    phase = -2 * math.pi * delays.double()[:, None] * k / n
    return torch.polar(torch.ones_like(phase), phase)


class ComplexLinear(nn.Module):
    """Complex [m, n] matrix on vectors kept as [B, 2n] (real parts, then imaginary parts) -> [B, 2m],
    no bias: one real matrix product of 4 n m multiply-adds."""

    def __init__(self, weight):
        """weight: complex [m, n], the starting value."""
        super().__init__()
        self.real = nn.Parameter(weight.real.float().contiguous())
        self.imag = nn.Parameter(weight.imag.float().contiguous())

    def matrix(self):
        """The real [2m, 2n] matrix."""
        top = torch.cat((self.real, -self.imag), 1)
        return torch.cat((top, torch.cat((self.imag, self.real), 1)), 0)

    def forward(self, x):
        return nn.functional.linear(x, self.matrix())

    def thawed(self, weight):
        """{parameter: value} of a `frozen` layer's weight [2m, 2n]; ValueError if it is no such layer's."""
        m, n = self.real.shape
        if tuple(weight.shape) != (2 * m, 2 * n):
            raise ValueError(f"has shape {list(weight.shape)}, not {[2 * m, 2 * n]}")
        if not (weight[:m, :n].equal(weight[m:, n:]) and weight[m:, :n].equal(-weight[:m, n:])):
            raise ValueError("is no complex matrix")
        return {"real": weight[:m, :n].clone(), "imag": weight[m:, :n].clone()}

    def frozen(self):
        """The same as an ordinary layer, for a graph without the matrix's assembly."""
        layer = nn.Linear(2 * self.real.shape[1], 2 * self.real.shape[0], bias=False)
        layer.weight = nn.Parameter(self.matrix().detach())
        return layer


def power(u):
    """Squared magnitude of [B, 2m] -> [B, m]."""
    real, imag = u.chunk(2, 1)
    return real * real + imag * imag


class GatedFilterBank(nn.Module):
    """The denoiser. n: elements; atoms, hidden: sizes; first, last: delays in samples that the
    atoms start from; stages: how many times gains are computed; knee: powers are seen as
    log(power + knee * noise power), so that faint correlations count by their power and not by its
    logarithm, which is mostly noise (None: the knee lies far below the noise); direct: whether what
    is left at the end may be added."""

    START_MAY_LACK = ("direct.",)  # these change almost nothing until they are trained (onnx_start.py)

    def __init__(self, n=64, atoms=96, hidden=256, first=-6.0, last=22.0, stages=2, knee=None, direct=False):
        super().__init__()
        self.n, self.stages, self.knee = n, stages, knee
        spacing = (last - first) / atoms
        a = path_atoms(n, first + spacing * (torch.arange(atoms) + 0.5))
        later = range(stages - 1)
        self.analysis = nn.ModuleList([ComplexLinear(a.conj() / n)])
        self.analysis.extend(ComplexLinear(a.conj() / n * 0.5) for _ in later)
        self.synthesis = nn.ModuleList([ComplexLinear(a.T * spacing)])
        self.synthesis.extend(ComplexLinear(a.T * spacing * 0.3) for _ in later)
        self.refine = nn.ModuleList(ComplexLinear(a.conj() / n) for _ in later)
        self.into = nn.ModuleList([nn.Linear(atoms + 2 * n, hidden)])
        self.into.extend(nn.Linear(2 * atoms + hidden, hidden) for _ in later)
        self.within = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(stages))
        self.gains = nn.ModuleList([nn.Linear(hidden, atoms)])
        self.gains.extend(nn.Linear(hidden, 2 * atoms) for _ in later)
        self.spread = nn.Linear(hidden, n)
        for layer in self.gains:
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)
        self.direct = nn.Linear(hidden, n) if direct else None
        if direct:
            nn.init.zeros_(self.direct.weight)
            nn.init.constant_(self.direct.bias, -5.0)

    def multiply_adds(self):
        """Multiply-adds of one evaluation of one item."""
        total = 0
        for m in self.modules():
            if isinstance(m, nn.Linear):
                total += m.weight.numel()
            elif isinstance(m, ComplexLinear):
                total += 4 * m.real.numel()
        return total

    def for_export(self):
        """A copy that computes the same with fewer operations in its graph."""
        net = copy.deepcopy(self)
        for layers in (net.analysis, net.synthesis, net.refine):
            for i, layer in enumerate(layers):
                layers[i] = layer.frozen()
        return net.eval()

    def forward(self, x, sigma):
        v = (sigma * sigma).reshape(-1, self.n)
        x = x.reshape(-1, 2 * self.n)
        w = 1 / (1 + v)
        w2 = torch.cat((w, w), 1)
        log_v = torch.log(v)
        # What the measurement as a whole pins down: variance of one amplitude seen by all elements.
        floor = 1 / (1 + (1 / v).sum(1, keepdim=True))
        noise = (w * (1 - w)).sum(1, keepdim=True) / self.n**2  # of one correlation, at the start
        tiny = 1e-3 * floor if self.knee is None else self.knee * noise + 1e-12
        u = self.analysis[0](x * w2)
        features = torch.cat((torch.log(power(u) + tiny) / 4, w, log_v / 4), 1)
        hidden = nn.functional.silu(self.into[0](features))
        state = nn.functional.silu(self.within[0](hidden)) + hidden
        gain = torch.sigmoid(self.gains[0](state))
        estimate = self.synthesis[0](u * torch.cat((gain, gain), 1))
        for i in range(1, self.stages):
            left = self.analysis[i]((x - estimate) * w2)
            again = self.refine[i - 1](estimate)
            powers = torch.log(torch.cat((power(left), power(again)), 1) + tiny) / 4
            hidden = nn.functional.silu(self.into[i](torch.cat((powers, state), 1)))
            state = state + nn.functional.silu(self.within[i](hidden)) + hidden
            gain, other = self.gains[i](state).chunk(2, 1)
            mix = left * torch.cat((gain, gain), 1) + again * torch.cat((other, other), 1) * 0.3
            estimate = estimate + self.synthesis[i](left + mix)
        if self.direct is not None:
            share = torch.sigmoid(self.direct(state)) * w
            estimate = estimate + (x - estimate) * torch.cat((share, share), 1)
        log_variance = self.spread(state) + torch.log(8 * floor / (1 + 8 * floor))
        return estimate.reshape(-1, 2, self.n), log_variance.reshape(-1, 1, self.n)
