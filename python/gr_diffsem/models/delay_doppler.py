# SPDX-License-Identifier: GPL-3.0-or-later
"""A denoiser of channels over time and frequency, in the delay-Doppler domain.

Given the power of each delay and Doppler, a channel is Gaussian, and its posterior mean a linear system. So the network
says the powers, and the system is solved:

    H = Phi x,  x ~ CN(0, diag p),  y = H + n,                                                  (1)
    z minimises |W (y - Phi sqrt(p) z)|^2 + |z|^2,  W = 1/sigma,  H^ = Phi sqrt(p) z            (2)

Phi: waves at `delays` x `dopplers` places; (2) by conjugate gradients (Hestenes and Stiefel 1952), without forming its
matrix: in float32 24 steps of it differ by -53 dB from those in float64 at 30 dB. What was solved for says more of the
powers: some rounds of asking and solving are sparse Bayesian learning (Tipping 2001) with a network in place of its
update. Powers come from powers, never from a phase: turning y turns the answer alike.

Waves pass through two short bases (prolate spheroidal sequences: Slepian 1978), of the delays and of the Dopplers that
there are; both are real once the middle delay is taken out, which halves the arithmetic.
"""

import contextlib
import copy
import math

import numpy as np
import torch
from torch import nn

DELAYS = (-0.04, 0.228)  # symbols
FASTEST = 0.135  # largest Doppler, cycles a symbol
CLOSER = 1.7  # power by which places of Dopplers lie closer about 0, where most channels are
UNSEEN = 29.0  # a level from here on says that nothing was measured
FLOOR = 1e-4  # added to every noise variance: no look counts as nearer than 40 dB, which bounds what rounding may do


def slepian(n, width, count):
    """[n, count]: the sequences of n elements that hold most of their energy within +-width/2 cycles an element."""
    apart = np.subtract.outer(np.arange(n), np.arange(n))
    _, vectors = np.linalg.eigh(width * np.sinc(width * apart))
    return vectors[:, ::-1][:, :count].copy()


def waves(n, places, sign):
    """exp(sign 2j pi place i), i counted from the middle: [n, len(places)]."""
    at = np.arange(n) - (n // 2 if sign < 0 else (n - 1) / 2)
    return np.exp(sign * 2j * np.pi * np.outer(at, places))


class Waves(nn.Module):
    """Phi of (1) and its adjoint, between amplitudes [B, delays, 2 dopplers] (real parts, then imaginary parts) and
    grids [B, symbols, 2, carriers] from which the middle delay is taken out (`turned`)."""

    def __init__(self, carriers, symbols, delays, dopplers):
        super().__init__()
        middle, width = sum(DELAYS) / 2, DELAYS[1] - DELAYS[0]
        self.middle = middle
        self.tau = DELAYS[0] - middle + width * (np.arange(delays) + 0.5) / delays
        even = np.linspace(-1, 1, dopplers)
        self.nu = FASTEST * np.sign(even) * np.abs(even) ** CLOSER
        carrier = slepian(carriers, width, math.ceil(width * carriers) + 5)
        symbol = slepian(symbols, 2 * FASTEST, math.ceil(2 * FASTEST * symbols) + 4)
        d = carrier.T @ waves(carriers, self.tau, -1)  # [modes, delays]
        t = (symbol.T @ waves(symbols, self.nu, 1)).T  # [dopplers, modes]
        turn = np.exp(2j * np.pi * middle * (np.arange(carriers) - carriers // 2))
        for name, value in (
            ("carrier", carrier.T),
            ("symbol", symbol.T),
            ("delay", np.block([[d.real, -d.imag], [d.imag, d.real]]).T),
            ("doppler", np.block([[t.real, t.imag], [-t.imag, t.real]])),
            ("turn", np.stack((turn.real, turn.imag))),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)
            self.register_buffer(f"{name}_t", torch.tensor(value.T.copy(), dtype=torch.float32), persistent=False)
        self.delays, self.modes, self.times = delays, carrier.shape[1], symbol.shape[1]

    def turned(self, y, sign=1.0):
        """[B, symbols, 2, carriers] times exp(sign 2j pi k middle delay)."""
        c, s = self.turn[0], self.turn[1] * sign
        re, im = y[:, :, 0], y[:, :, 1]
        return torch.stack((re * c - im * s, re * s + im * c), 2)

    # Each product has the short basis on its right and all else as rows: one matrix product for a whole batch.

    def forward(self, x):
        v = (x @ self.doppler).reshape(-1, self.delays, 2, self.times).permute(0, 3, 2, 1)
        v = v.reshape(-1, self.times, 2 * self.delays) @ self.delay
        v = (v.transpose(1, 2) @ self.symbol).transpose(1, 2)
        return v.reshape(-1, v.shape[1], 2, self.modes) @ self.carrier

    def adjoint(self, y):
        v = (y @ self.carrier_t).reshape(-1, y.shape[1], 2 * self.modes)
        v = (v.transpose(1, 2) @ self.symbol_t).transpose(1, 2) @ self.delay_t
        v = v.reshape(-1, self.times, 2, self.delays).permute(0, 3, 2, 1)
        return v.reshape(-1, self.delays, 2 * self.times) @ self.doppler_t

    def doppler_profile(self, y):
        """Power of each Doppler, summed over carriers whatever their phases: [B, dopplers]."""
        v = (y.transpose(1, 3) @ self.symbol_t).reshape(-1, y.shape[3], 2 * self.times) @ self.doppler_t
        return power(v).sum(1)

    def delay_profile(self, y):
        """Power of each delay, summed over symbols whatever their phases: [B, delays]."""
        v = (y @ self.carrier_t).reshape(-1, y.shape[1], 2 * self.modes) @ self.delay_t
        return power(v).sum(1)

    def profile_multiply_adds(self):
        """Of both profiles, for one tile."""
        symbols, carriers = self.symbol.shape[1], self.carrier.shape[1]
        over_symbols = carriers * (2 * symbols * self.times + self.doppler.numel())
        return over_symbols + symbols * (2 * carriers * self.modes + self.delay.numel())

    def multiply_adds(self):
        """Of Phi, or of its adjoint, for one tile."""
        symbols, carriers = self.symbol.shape[1], self.carrier.shape[1]
        return (
            self.doppler.numel() * self.delays
            + self.delay.numel() * self.times
            + 2 * self.modes * symbols * self.times
            + 2 * carriers * self.modes * symbols
        )


def conjugate_gradients(waves, looks, d, b, steps):
    """A^-1 b after `steps` from 0, A = I + D Phi^H W^2 Phi D. looks = 1/sigma^2 [B, S, 1, K]; d as amplitudes are."""
    dims = (1, 2)
    z, r, p = torch.zeros_like(b), b, b
    energy = (r * r).sum(dims, keepdim=True)
    least = (1e-8 * energy).clamp(min=1e-20)  # what is left of the gradient is rounding: from here on nothing moves
    for i in range(steps):
        q = p + d * waves.adjoint(looks * waves(d * p))
        length = energy / ((p * q).sum(dims, keepdim=True) + least)
        z = z + length * p
        if i + 1 == steps:
            break
        r = r - length * q
        after = (r * r).sum(dims, keepdim=True)
        p = r + (after / (energy + least)) * p
        energy = after
    return z


def solve(waves, y, looks, d, steps):
    """sqrt(p) z of (2)."""
    return d * conjugate_gradients(waves, looks, d, d * waves.adjoint(looks * y), steps)


class Solved(torch.autograd.Function):
    """`solve` with a gradient that needs no record of its steps. At the minimum A z = b, so that the gradient by log p
    is z A^-1 (d g), g that by x: a second system of the same kind."""

    @staticmethod
    def forward(ctx, waves, y, looks, log_powers, steps):
        d = amplitudes(log_powers)
        x = solve(waves, y, looks, d, steps)
        ctx.save_for_backward(x, looks, d)
        ctx.waves, ctx.steps = waves, steps
        return x

    @staticmethod
    def backward(ctx, g):
        x, looks, d = ctx.saved_tensors
        re, im = (x / d * conjugate_gradients(ctx.waves, looks, d, d * g, ctx.steps)).chunk(2, 2)
        return None, None, None, re + im, None


def amplitudes(log_powers):
    """sqrt(p), for the real parts and for the imaginary parts."""
    d = torch.exp(log_powers / 2)
    return torch.cat((d, d), 2)


class Mixer(nn.Module):
    """Tokens [B, T, C] exchange what they know among each other, then among their channels (Tolstikhin et al. 2021)."""

    def __init__(self, tokens, channels, hidden):
        super().__init__()
        self.across, self.back = nn.Linear(tokens, hidden), nn.Linear(hidden, tokens)
        self.within, self.out = nn.Linear(channels, 2 * channels), nn.Linear(2 * channels, channels)
        for layer in (self.back, self.out):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)

    def forward(self, h):
        t = nn.functional.silu(self.across(normal(h).transpose(1, 2)))
        h = h + self.back(t).transpose(1, 2)
        return h + self.out(nn.functional.silu(self.within(normal(h))))

    def multiply_adds(self):
        tokens, channels = self.across.in_features, self.within.in_features
        return 2 * (self.across.weight.numel() * channels + self.within.weight.numel() * tokens)


def normal(h):
    """A token at unit mean square."""
    return h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + 1e-3)


def power(x):
    """|x|^2 of [B, delays, 2 dopplers] -> [B, delays, dopplers]."""
    re, im = x.chunk(2, 2)
    return re * re + im * im


def log(x, least):
    """Logarithm of powers of at least `least`, about 0 and of about unit size. They are counted in millionths: the
    exporter takes an addition of less than 1e-8 for one of 0."""
    return (torch.log(1e6 * x + 1e6 * least) - 6 * math.log(10) + 5) / 3


class DelayDoppler(nn.Module):
    """The denoiser of tiles [symbols, carriers]. steps: of conjugate gradients, in each round; last: those of the last
    round once it is trained (at 30 dB 14 leave up to 1 dB, and in training they cost what they take); delays,
    dopplers: places; channels, hidden: of the mixers; blocks: mixers in a round; spread: what is pooled for the error
    variance, and its layers' width."""

    def __init__(
        self,
        symbols=16,
        carriers=64,
        delays=64,
        dopplers=17,
        steps=(3, 5, 8, 16),
        last=40,
        channels=64,
        hidden=64,
        blocks=3,
        spread=(16, 32),
    ):
        super().__init__()
        self.symbols, self.carriers, self.steps, self.last = symbols, carriers, tuple(steps), last
        self.waves = Waves(carriers, symbols, delays, dopplers)
        first, later, whole = 2 * dopplers + 2, 5 * dopplers + 2, 2 * dopplers + 3
        self.into = nn.ModuleList(nn.Linear(later if i else first, channels) for i in range(len(steps)))
        self.tells = nn.ModuleList(nn.Linear(whole, channels, bias=False) for _ in steps)
        self.mixers = nn.ModuleList(
            nn.ModuleList(Mixer(delays, channels, hidden) for _ in range(blocks)) for _ in steps
        )
        self.says = nn.ModuleList(nn.Linear(channels, dopplers) for _ in steps)
        for layer in self.says:
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.constant_(layer.bias, -math.log(delays * dopplers))
        self.place = nn.Parameter(0.02 * torch.randn(delays, channels))
        self.spread = Spread(self.waves, symbols, carriers, channels, *spread)

    def multiply_adds(self):
        """Of one tile, once it is trained."""
        layers = [m for m in self.modules() if isinstance(m, Mixer)]
        total = sum(m.multiply_adds() for m in layers)
        tokens = [*self.into, *self.says]
        total += sum(m.weight.numel() for m in tokens) * self.waves.delays + sum(m.weight.numel() for m in self.tells)
        total += 2 * self.waves.profile_multiply_adds()
        total += (2 * (sum(self.steps[:-1]) + self.last) + len(self.steps) + 3) * self.waves.multiply_adds()
        return total + self.spread.multiply_adds()

    def for_export(self):
        net = copy.deepcopy(self).eval()
        net.steps = (*self.steps[:-1], self.last)
        return net

    def forward(self, x, sigma):
        """x [B, 2, S, K] of unit component variance, sigma [B, 1, S, K] -> mean as x, log variance as sigma."""
        _, means, log_variance = self.rounds(x, sigma, last=True)
        return means[-1], log_variance

    def rounds(self, x, sigma, last=False, through=True):
        """([log powers of each round], [mean of each round, or of the last alone], log variance). through: whether
        gradients pass through the linear systems."""
        v = (sigma * sigma).reshape(-1, self.symbols, 1, self.carriers) + FLOOR
        seen = (v < UNSEEN**2).to(v.dtype)
        w2 = seen / v
        y = x.reshape(-1, 2, self.symbols, self.carriers).transpose(1, 2) * seen
        y = self.waves.turned(y)
        share = seen / (1 + v)  # what each look counts while powers are unknown
        total = share.sum((1, 3)) + 1e-3
        noise = (1e6 * (share * share * v).sum((1, 3)) + 1) / (1e3 * total) ** 2  # nothing seen: 1

        def matched(grid):
            return power(self.waves.adjoint(share * grid)) / (2 * total[..., None] ** 2)

        looks = torch.cat((share, torch.zeros_like(share)), 2)
        pattern = power(self.waves.adjoint(looks)) / total[..., None] ** 2
        whole = [torch.log(noise) / 3, torch.log(total) / 3, torch.log(seen.sum((1, 3)) + 1) / 3]
        # Pilots on few carriers say little of delays and all of Dopplers, a whole symbol the reverse: beside what is
        # summed over both with its phase, what is summed over one of them without.
        each = []
        for profile, over in ((self.waves.delay_profile, 3), (self.waves.doppler_profile, 1)):
            most = share.sum(over).pow(2).sum((1, 2))[:, None] + 1e-3
            floor = 0.3 * noise * total.pow(2) / most + 1e-6
            each.append((log(profile(share * y) / (2 * most), floor), log(profile(looks) / most, 1e-4)))
        whole = torch.cat((*whole, *each[1]), 1)
        least = (0.3e6 * noise[..., None] + 0.1) / 1e6
        known = (log(matched(y), least), log(pattern, 1e-4), *(f[..., None] for f in each[0]))
        h, said, means, x, left = self.place, [], [], None, None
        for i, steps in enumerate(self.steps):
            features = known
            if i:
                features = (*known, said[-1] / 3, log(power(x) / 2, 1e-8), log(left, least))
            h = h + self.into[i](torch.cat(features, 2)) + self.tells[i](whole)[:, None]
            for mixer in self.mixers[i]:
                h = mixer(h)
            said.append(self.says[i](h).clamp(-25, 3))
            end = i + 1 == len(self.steps)
            with contextlib.nullcontext() if through else torch.no_grad():
                if end and self.training:
                    x = Solved.apply(self.waves, y, w2, said[-1], steps)
                else:
                    x = solve(self.waves, y, w2, amplitudes(said[-1]), steps)
                grid = self.waves(x)
            left = None if end else matched(y - grid)
            if end or not last:
                means.append(self.waves.turned(grid, -1.0).transpose(1, 2))
        return said, means, self.spread(said[-1], h, w2, noise)


class Spread(nn.Module):
    """The error variance of each element: what the looks about it leave open, each counting by how it correlates under
    the powers that were said, corrected by a small network."""

    POWERS = (1, 4)  # of the correlation's square: how near a look has to be
    EACH = 4  # features for each: all looks, all of them saturated, those of the same symbol, of the same carrier

    def __init__(self, waves, symbols, carriers, channels, pooled, hidden):
        super().__init__()
        for name, places, n in (("k", waves.tau, carriers), ("s", waves.nu, symbols)):
            phase = 2 * np.pi * np.outer(places, np.arange(-n + 1, n))
            self.register_buffer(f"cos_{name}", torch.tensor(np.cos(phase), dtype=torch.float32), persistent=False)
            self.register_buffer(f"sin_{name}", torch.tensor(np.sin(phase), dtype=torch.float32), persistent=False)
            index = np.subtract.outer(np.arange(n), np.arange(n)) + n - 1
            self.register_buffer(f"lag_{name}", torch.tensor(index.reshape(-1)), persistent=False)
        self.symbols, self.carriers = symbols, carriers
        self.pooled = nn.Linear(channels, pooled)
        self.first = nn.Linear(self.EACH * len(self.POWERS) + 1 + pooled + 1, hidden)
        self.second, self.third = nn.Linear(hidden, hidden), nn.Linear(hidden, 1)
        nn.init.zeros_(self.third.weight)
        nn.init.zeros_(self.third.bias)

    def multiply_adds(self):
        k, s = self.carriers, self.symbols
        net = self.first.weight.numel() + self.second.weight.numel() + self.third.weight.numel()
        return k * s * (net + 3 * len(self.POWERS) * (k + s)) + 2 * (self.cos_k.numel() + self.cos_s.numel())

    def correlation(self, p, name):
        """Squared correlation by lag [B, 2n - 1] of the powers [B, places]."""
        p = p / p.sum(1, keepdim=True)
        re, im = p @ getattr(self, f"cos_{name}"), p @ getattr(self, f"sin_{name}")
        return re * re + im * im

    def forward(self, said, h, w2, noise):
        k, s = self.carriers, self.symbols
        p = torch.exp(said)
        total = p.sum((1, 2))
        along, across = self.correlation(p.sum(2), "k"), self.correlation(p.sum(1), "s")
        looks = w2[:, :, 0] * total[:, None, None]  # signal over noise of each
        features = [looks]
        for power in self.POWERS:
            near = along.pow(power)[:, self.lag_k].reshape(-1, k, k)
            late = across.pow(power)[:, self.lag_s].reshape(-1, s, s)
            same = looks @ near
            features += [late @ same, late @ (looks / (1 + looks)) @ near, same, late @ looks]
        features = torch.log(torch.stack(features, 3) + 1e-4) / 4
        about = torch.cat((self.pooled(h).mean(1), torch.log(noise) / 3), 1)[:, None, None]
        about = about.expand(-1, s, k, -1)
        f = nn.functional.silu(self.first(torch.cat((features, about), 3)))
        f = f + nn.functional.silu(self.second(f))
        prior = (torch.log(1e3 * total + 1e-3) - 3 * math.log(10))[:, None, None, None]
        rough = prior - nn.functional.softplus(4 * features[..., 1:2] - 1.5)
        return (rough + self.third(f)).permute(0, 3, 1, 2).clamp(-16, 4)
