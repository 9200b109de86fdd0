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

from .grid_variance import Spread

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
    """Phi of (1) and its adjoint, between amplitudes [B, 2 dopplers, delays] (rows of real parts, then of imaginary
    parts) and grids [B, symbols, 2 carriers] (real parts, then imaginary parts) from which the middle delay is taken
    out (`turned`). Between both lie shares [B, 2 times, modes] of the short bases (each time's real part, then its
    imaginary part): Phi is `grid` after `shares`. The order of the factors is one in which each product finds the
    last one's elements where it wants them, so that nothing is ever moved in memory."""

    def __init__(self, carriers, symbols, delays, dopplers):
        super().__init__()
        middle, width = sum(DELAYS) / 2, DELAYS[1] - DELAYS[0]
        self.middle = middle
        self.tau = DELAYS[0] - middle + width * (np.arange(delays) + 0.5) / delays
        even = np.linspace(-1, 1, dopplers)
        self.nu = FASTEST * np.sign(even) * np.abs(even) ** CLOSER
        carrier = slepian(carriers, width, math.ceil(width * carriers) + 5)
        symbol = slepian(symbols, 2 * FASTEST, math.ceil(2 * FASTEST * symbols) + 4)
        d = (carrier.T @ waves(carriers, self.tau, -1)).T  # [delays, modes]
        t = symbol.T @ waves(symbols, self.nu, 1)  # [times, dopplers]
        turn = np.exp(2j * np.pi * middle * (np.arange(carriers) - carriers // 2))
        each_time = np.stack((np.hstack((t.real, -t.imag)), np.hstack((t.imag, t.real))), 1)
        for name, value in (
            ("carrier", carrier.T),
            ("symbol", symbol),
            ("delay", np.block([[d.real, d.imag], [-d.imag, d.real]])),
            ("doppler", each_time.reshape(-1, 2 * dopplers)),
            ("turn", np.stack((turn.real, turn.imag))),
        ):
            self.register_buffer(name, torch.tensor(value, dtype=torch.float32), persistent=False)
            self.register_buffer(f"{name}_t", torch.tensor(value.T.copy(), dtype=torch.float32), persistent=False)
        self.carriers, self.symbols, self.delays, self.dopplers = carriers, symbols, delays, dopplers
        self.modes, self.times = carrier.shape[1], symbol.shape[1]

    def turned(self, re, im, sign=1.0):
        """(re, im) times exp(sign 2j pi k middle delay)."""
        c, s = self.turn[0], self.turn[1] * sign
        return re * c - im * s, re * s + im * c

    def shares(self, x):
        """Shares of the short bases that amplitudes make."""
        v = (self.doppler @ x).reshape(-1, self.times, 2 * self.delays) @ self.delay
        return v.reshape(-1, 2 * self.times, self.modes)

    def shares_adjoint(self, v):
        v = v.reshape(-1, self.times, 2 * self.modes) @ self.delay_t
        return self.doppler_t @ v.reshape(-1, 2 * self.times, self.delays)

    def grid(self, v):
        """The grid of shares of the short bases."""
        return self.symbol @ (v @ self.carrier).reshape(-1, self.times, 2 * self.carriers)

    def grid_adjoint(self, y):
        return (self.symbol_t @ y).reshape(-1, 2 * self.times, self.carriers) @ self.carrier_t

    def forward(self, x):
        return self.grid(self.shares(x))

    def adjoint(self, y):
        return self.shares_adjoint(self.grid_adjoint(y))

    def doppler_profile(self, y):
        """Power of each Doppler, summed over carriers whatever their phases: [B, dopplers]."""
        v = self.doppler_t @ (self.symbol_t @ y).reshape(-1, 2 * self.times, self.carriers)
        return power(v).sum(2)

    def delay_profile(self, y):
        """Power of each delay, summed over symbols whatever their phases: [B, delays]."""
        v = (y.reshape(-1, 2 * self.symbols, self.carriers) @ self.carrier_t).reshape(-1, self.symbols, 2 * self.modes)
        re, im = (v @ self.delay_t).chunk(2, 2)
        return (re * re + im * im).sum(1)

    def profile_multiply_adds(self):
        """Of both profiles, for one tile; the first product of that of Dopplers is the adjoint's too."""
        over_carriers = self.symbols * (2 * self.carriers * self.modes + self.delay.numel())
        return over_carriers + self.carriers * self.doppler.numel()

    def shares_multiply_adds(self):
        """Of `shares`, or of its adjoint, for one tile."""
        return self.doppler.numel() * self.delays + self.delay.numel() * self.times

    def grid_multiply_adds(self):
        """Of `grid`, or of its adjoint, for one tile."""
        return 2 * self.carriers * self.times * (self.modes + self.symbols)


def conjugate_gradients(waves, looks, powers, b, steps):
    """u after `steps` from 0, where x = P M^H u solves (2) for W^2 y = b in the short bases.

    With Phi = B M, the matrix of (2) is 1 + D M^H G M D, G = B^H W^2 B, D^2 = P. All that conjugate gradients make of
    its right side D M^H b are D M^H times something short; that is what is kept here, and it obeys (1 + G C) u = b with
    C = M P M^H, the answers step by step the same (Gratton and Tshimanga 2009). It is shorter than z by the number of
    places to that of shares. looks = 1/sigma^2 as grids are, powers as amplitudes are.
    """

    def seen(v):
        return waves.grid_adjoint(looks * waves.grid(v))

    def expected(v):
        return waves.shares(powers * waves.shares_adjoint(v))

    def product(v, w):
        return (v * w).sum((1, 2), keepdim=True)

    u, r, p = torch.zeros_like(b), b, b
    cr = cp = expected(b)
    energy = product(r, cr)
    least = (1e-8 * energy).clamp(min=1e-20)  # what is left of the gradient is rounding: from here on nothing moves
    for i in range(steps):
        q = p + seen(cp)
        length = energy / (product(cp, q) + least)
        u = u + length * p
        if i + 1 == steps:
            break
        r = r - length * q
        cr = expected(r)
        after = product(r, cr)
        more = after / (energy + least)
        p, cp, energy = r + more * p, cr + more * cp, after
    return u


def solve(waves, b, looks, powers, steps):
    """x of (2), b = B^H W^2 y."""
    return powers * waves.shares_adjoint(conjugate_gradients(waves, looks, powers, b, steps))


class Solved(torch.autograd.Function):
    """`solve` with a gradient that needs no record of its steps. At the minimum x = P M^H u, (1 + G C) u = b, so that
    the gradient by log p is x (g - M^H w), g that by x and (1 + G C) w = G M P g: a second system of the same kind."""

    @staticmethod
    def forward(ctx, waves, b, looks, log_powers, steps):
        powers = of_both_parts(log_powers)
        x = solve(waves, b, looks, powers, steps)
        ctx.save_for_backward(x, looks, powers)
        ctx.waves, ctx.steps = waves, steps
        return x

    @staticmethod
    def backward(ctx, g):
        x, looks, powers = ctx.saved_tensors
        b = ctx.waves.grid_adjoint(looks * ctx.waves(powers * g))
        w = conjugate_gradients(ctx.waves, looks, powers, b, ctx.steps)
        re, im = (x * (g - ctx.waves.shares_adjoint(w))).chunk(2, 1)
        return None, None, None, re + im, None


def of_both_parts(log_powers):
    """p of the real parts and of the imaginary parts: [B, 2 dopplers, delays]."""
    p = torch.exp(log_powers)
    return torch.cat((p, p), 1)


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
        h = h + hidden(self.across, self.back, normal(h).transpose(1, 2)).transpose(1, 2)
        return h + hidden(self.within, self.out, normal(h))

    def multiply_adds(self):
        tokens, channels = self.across.in_features, self.within.in_features
        return 2 * (self.across.weight.numel() * channels + self.within.weight.numel() * tokens)


def hidden(first, second, h):
    """Two layers, of rows that lie one under the other: so each is one matrix product that adds its bias."""
    rows = second(nn.functional.silu(first(h.reshape(-1, h.shape[2]))))
    return rows.reshape(-1, *h.shape[1:])


def normal(h):
    """A token at unit mean square."""
    return h * torch.rsqrt((h * h).mean(-1, keepdim=True) + 1e-3)


def power(x):
    """|x|^2 of [B, 2 dopplers, delays] -> [B, dopplers, delays]."""
    re, im = x.chunk(2, 1)
    return re * re + im * im


def log(*millionths):
    """Logarithms of powers [B, n, delays], about 0 and of about unit size. They are counted in millionths: the
    exporter takes an addition of less than 1e-8 for one of 0."""
    return (torch.log(torch.cat(millionths, 1)) - 6 * math.log(10) + 5) / 3


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
        steps = sum(self.steps[:-1]) + self.last
        # M^H b is the same in each round, and found once.
        total += (2 * steps + 2 * len(self.steps) + 2) * self.waves.shares_multiply_adds()
        total += (2 * steps + 2 * len(self.steps) + 2) * self.waves.grid_multiply_adds()
        return total + self.spread.multiply_adds()

    def for_export(self):
        net = copy.deepcopy(self).eval()
        net.steps = (*self.steps[:-1], self.last)
        net.spread.freeze()
        return net

    def tokens(self, layer, h):
        """A layer of tokens that lie along rows, [B, delays, C] or, as amplitudes do, [B, C, delays]."""
        h = h if h.shape[2] == layer.in_features else h.transpose(1, 2)
        return layer(h.reshape(-1, layer.in_features)).reshape(-1, self.waves.delays, layer.out_features)

    def forward(self, x, sigma):
        """x [B, 2, S, K] of unit component variance, sigma [B, 1, S, K] -> mean as x, log variance as sigma."""
        _, means, log_variance = self.rounds(x, sigma, last=True)
        return means[-1], log_variance

    def rounds(self, x, sigma, last=False, through=True):
        """([log powers of each round], [mean of each round, or of the last alone], log variance). through: whether
        gradients pass through the linear systems."""
        v = sigma[:, 0] * sigma[:, 0] + FLOOR
        seen = (v < UNSEEN**2).to(v.dtype)
        w2 = seen / v
        y = torch.cat(self.waves.turned(x[:, 0] * seen, x[:, 1] * seen), 2)
        share = seen / (1 + v)  # what each look counts while powers are unknown
        total = share.sum((1, 2))[:, None] + 1e-3
        noise = (1e6 * (share * share * v).sum((1, 2))[:, None] + 1) / (1e3 * total) ** 2  # nothing seen: 1
        shares, looks = (torch.cat((part, part), 2) for part in (share, w2))

        def matched(grid):
            return power(self.waves.adjoint(shares * grid)) * (0.5e6 / total**2)[..., None]

        one = torch.cat((share, torch.zeros_like(share)), 2)
        pattern = power(self.waves.adjoint(one)) * (1e6 / total**2)[..., None]
        whole = [torch.log(noise) / 3, torch.log(total) / 3, torch.log(seen.sum((1, 2))[:, None] + 1) / 3]
        # Pilots on few carriers say little of delays and all of Dopplers, a whole symbol the reverse: beside what is
        # summed over both with its phase, what is summed over one of them without.
        each = []
        for profile, over in ((self.waves.delay_profile, 2), (self.waves.doppler_profile, 1)):
            most = share.sum(over).pow(2).sum(1, keepdim=True) + 1e-3
            floor = 0.3e6 * noise * total.pow(2) / most + 1
            each.append((profile(shares * y) * (0.5e6 / most) + floor, profile(one) * (1e6 / most) + 1e2))
        whole = torch.cat((*whole, log(*each[1])), 1)
        least = (0.3e6 * noise + 0.1)[..., None]
        known = log(matched(y) + least, pattern + 1e2, *(f[:, None] for f in each[0]))
        b = self.waves.grid_adjoint(looks * y)
        h, said, means, x, left = self.place, [], [], None, None
        for i, steps in enumerate(self.steps):
            features = known
            if i:
                features = torch.cat((known, said[-1] / 3, log(0.5e6 * power(x) + 1e-2, left + least)), 1)
            h = h + self.tokens(self.into[i], features) + self.tells[i](whole)[:, None]
            for mixer in self.mixers[i]:
                h = mixer(h)
            said.append(self.tokens(self.says[i], h).transpose(1, 2).clamp(-25, 3))
            end = i + 1 == len(self.steps)
            with contextlib.nullcontext() if through else torch.no_grad():
                if end and self.training:
                    x = Solved.apply(self.waves, b, looks, said[-1], steps)
                else:
                    x = solve(self.waves, b, looks, of_both_parts(said[-1]), steps)
                grid = self.waves(x)
            left = None if end else matched(y - grid)
            if end or not last:
                means.append(torch.stack(self.waves.turned(*grid.chunk(2, 2), -1.0), 1))
        return said, means, self.spread(said[-1], h, w2, noise)
