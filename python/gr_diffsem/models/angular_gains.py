# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoiser of signals on one or two arrays of antennas: gains of angles, said by their powers alone."""


def angular_gains(rx, tx, channels, depths, reach, told=False):
    """Posterior mean of arrays of rx x tx antennas, as gains of angles: planes x [B, 2, *shape] and
    levels [B, 1, *shape] -> mean, log variance. A torch module.

    The measurement is correlated with plane waves on a grid twice as fine as the array resolves, each
    correlation is multiplied by a gain between 0 and 1, and the waves are summed again: with a fixed
    gain this is any filter that looks the same from every antenna. Gains come from circular
    convolutions over log powers; a later stage does the same to what the estimate left unexplained and
    to the estimate itself. No phase enters a gain: rotating x rotates the mean.

    channels: width; depths: convolutions of each stage; reach: kernel (rx, tx); told: whether it takes a number [B]
    of each item beside the levels."""
    import copy

    import torch
    from torch import nn

    from .gated import ComplexLinear

    fine = (2 * rx if rx > 1 else 1, 2 * tx)  # grid of angles
    cells = fine[0] * fine[1] // (rx * tx)  # of the grid, per position of the convolutions
    size = rx * tx

    def waves(antennas, angles):
        phase = 2 * torch.pi * torch.outer(torch.arange(angles) / angles, torch.arange(antennas).double())
        return torch.polar(torch.full_like(phase, antennas**-0.5), phase)

    def wrapped(h):
        """h with its edges continued from the other side."""
        for axis, r in ((2, reach[0] // 2), (3, reach[1] // 2)):
            if r:
                h = torch.cat((h.narrow(axis, h.shape[axis] - r, r), h, h.narrow(axis, 0, r)), axis)
        return h

    class Waves(nn.Module):
        """x [B, 2, rx, tx] -> u [B, 2, *fine], or back."""

        def __init__(self, back=False, scale=1.0):
            super().__init__()
            self.back = back
            matrices = [waves(n, f) for n, f in zip((rx, tx), fine, strict=True)]
            matrices = [a.T * (a.shape[1] / a.shape[0]) if back else a.conj() for a in matrices]
            self.columns = ComplexLinear(matrices[1] * scale)
            self.rows = ComplexLinear(matrices[0]) if rx > 1 else None

        def forward(self, x):
            b, _, r, t = x.shape
            y = self.columns(x.transpose(1, 2).reshape(b * r, 2 * t))  # [B r, 2 t']
            if self.rows is None:
                return y.reshape(b, 2, 1, -1)
            t = y.shape[1] // 2
            y = self.rows(y.reshape(b, r, 2, t).permute(0, 3, 2, 1).reshape(b * t, 2 * r))
            return y.reshape(b, t, 2, -1).permute(0, 2, 3, 1)

    class Layer(nn.Module):
        """Residual circular convolution, and the means along either axis."""

        def __init__(self):
            super().__init__()
            self.near = nn.Conv2d(channels, channels, reach)
            self.along = nn.ModuleList(nn.Conv2d(channels, channels, 1, bias=False) for _ in range(1 + (rx > 1)))
            nn.init.normal_(self.near.weight, std=0.5 * (channels * reach[0] * reach[1]) ** -0.5)

        def forward(self, h):
            out = self.near(wrapped(h))
            for axis, layer in zip((3, 2), self.along):  # noqa: B905 (a linear array has one axis)
                out = out + layer(h.mean(axis, keepdim=True))
            return h + nn.functional.silu(out)

    class AngularGains(nn.Module):
        def __init__(self):
            super().__init__()
            later = range(1, len(depths))
            self.analysis = nn.ModuleList(Waves() for _ in depths)
            self.synthesis = nn.ModuleList(Waves(back=True, scale=1.0 if i == 0 else 0.3) for i in range(len(depths)))
            self.refine = nn.ModuleList(Waves() for _ in later)
            self.place = nn.Parameter(torch.zeros(1, channels, rx, tx))
            self.into = nn.ModuleList([nn.Conv2d(cells + 2 + (rx > 1), channels, 1)])
            self.into.extend(nn.Conv2d(2 * cells + channels, channels, 1) for _ in later)
            self.told = nn.Linear(1, channels, bias=False) if told else None
            self.layers = nn.ModuleList(nn.Sequential(*(Layer() for _ in range(d))) for d in depths)
            self.gains = nn.ModuleList(nn.Conv2d(channels, cells * (1 + (i > 0)), 1) for i in range(len(depths)))
            self.spread = nn.Linear(channels, size)
            for layer in (*self.gains, self.spread):
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)

        def multiply_adds(self):
            """Multiply-adds of one evaluation of one item."""
            total = self.spread.weight.numel() + (self.told.weight.numel() if self.told is not None else 0)
            for m in self.modules():
                if isinstance(m, Waves):
                    total += 4 * tx * fine[1] * (fine[0] if m.back else rx)
                    total += 4 * rx * fine[0] * (tx if m.back else fine[1]) if rx > 1 else 0
                elif isinstance(m, Layer):
                    total += m.near.weight.numel() * size
                    total += sum(a.weight.numel() * (rx, tx)[i] for i, a in enumerate(m.along))
            return total + size * sum(m.weight.numel() for m in (*self.into, *self.gains))

        def for_export(self):
            """A copy with ordinary layers in place of complex ones."""
            net = copy.deepcopy(self)
            for m in net.modules():
                if isinstance(m, Waves):
                    m.columns = m.columns.frozen()
                    m.rows = m.rows and m.rows.frozen()
            return net.eval()

        def gather(self, p):
            """Grid [B, 1, *fine] -> cells [B, cells, rx, tx]."""
            return nn.functional.pixel_unshuffle(p, 2) if rx > 1 else p.reshape(-1, tx, 2).mT.unsqueeze(2)

        def scatter(self, g):
            """Cells [B, cells, rx, tx] -> grid [B, 1, *fine]."""
            return nn.functional.pixel_shuffle(g, 2) if rx > 1 else g.squeeze(2).mT.reshape(-1, 1, 1, 2 * tx)

        def forward(self, x, sigma, number=None):
            shape = x.shape
            x = x.reshape(-1, 2, rx, tx)
            s = 1 / (1 / sigma.reshape(-1, 1, rx, tx) ** 2).mean((2, 3), keepdim=True)
            log_s = torch.log(s)
            w = 1 / (1 + s / size)

            def power(u):
                """Of angles over the noise, in logarithm; the signal was scaled by w."""
                return torch.log((u * u).sum(1, keepdim=True) / (2 * s * w * w) + 0.03)

            x = x * w
            u = self.analysis[0](x)
            p = power(u)
            level = torch.cat((log_s, torch.log(1 + s)), 1) / 4
            parts = [self.gather(p) / 4, level.expand(-1, 2, rx, tx)]
            if rx > 1:
                means = p.exp().mean(2, keepdim=True).log() + p.exp().mean(3, keepdim=True).log()
                parts.append(self.gather(means).mean(1, keepdim=True) / 4)
            first = self.into[0](torch.cat(parts, 1)) + self.place
            if self.told is not None:
                first = first + self.told(number[:, None])[:, :, None, None]
            state = self.layers[0](nn.functional.silu(first))
            gain = torch.sigmoid(self.scatter(self.gains[0](state)) + p - 1)
            passed = gain.mean((2, 3))
            estimate = self.synthesis[0](u * gain)
            for i in range(1, len(depths)):
                left = self.analysis[i](x - estimate * w)
                again = self.refine[i - 1](estimate * w)
                powers = [self.gather(power(v)) / 4 for v in (left, again)]
                state = self.layers[i](state + nn.functional.silu(self.into[i](torch.cat((*powers, state), 1))))
                gain, other = self.gains[i](state).chunk(2, 1)
                mix = left * torch.sigmoid(self.scatter(gain)) + again * self.scatter(other)
                estimate = estimate + self.synthesis[i](mix)
            v = s * w[..., :1, :1] * passed[..., None, None]
            floor = torch.log(v / (1 + v)).reshape(-1, 1)
            log_variance = self.spread(state.mean((2, 3))) + floor
            return estimate.reshape(shape), log_variance.reshape(-1, 1, *shape[2:])

    return AngularGains()
