# SPDX-License-Identifier: GPL-3.0-or-later
"""Variational inference of a channel behind missing pilots, with a denoiser of channels as prior: mean and variance.

The posterior is approximated by q(x) = CN(mean, diag v). The divergence of q from it, taken at noise levels s_1 > .. >
s_K instead of at none (Mardani et al. 2023, "A variational perspective on solving inverse problems with diffusion
models", proposition 2), has in the mean the gradient

    (m - y) / e^2  +  w_k (m - D(m, s_k)),                 w_k: the weight of level s_k,

with e^2 the noise of each element (infinite: not observed). Each step goes to where it vanishes with D held fixed. Its
weights are not those of the bound (1 / s_k^2), which believe the prior's error to be white: w_k = (1 + s_k^2) / (TRUST
s_k^2), as the published method weighs its prior anew.

In v the divergence knows the curvature at the mean alone, and where pilots leave a few directions open that variance is
far too small. So v is amortised (Kingma and Welling 2014): a small network sees what the steps did and minimises the
divergence the other way round, E[-log q(x) | y], on drawn channels. It says two numbers an item: the variance of
elements that were not observed, and the one that the prior alone would leave of those that were.
"""

from .training import Training, square_error

# Those of the core's guidance `plug_and_play`; a network that was trained behind them keeps its own.
STEPS, FIRST, LAST, TRUST, MOMENTUM = 20, 2.0, 0.025, 4.5, 0.2
SEEN = (5, 10, 15, 20)  # steps that the small network sees
FEATURES = 3 + 5 * len(SEEN) + 4
NOT_OBSERVED = 100.0  # variances from here on are of elements that nothing is known of
WIDTH = 32
MEMORY = 8192  # items that the training of the variance keeps


def variational_steps(rx, tx, **keys):
    """Mean and log variance of x = H U, U = pilot_basis(tx): planes x [B, 2, rx, tx] and a level for each element
    [B, 1, rx, tx] -> mean, log variance of the same shapes. A torch module. keys: of its prior, `angular_gains`."""
    import copy
    import math

    import torch
    from torch import nn

    from . import onnx_start
    from .angular_gains import angular_gains
    from .pilot_gains import pilot_basis, turned

    basis = torch.from_numpy(pilot_basis(tx))
    levels = torch.logspace(math.log10(FIRST), math.log10(LAST), STEPS).tolist()

    def dft(n):
        a = torch.arange(n)
        return torch.polar(torch.full((n, n), n**-0.5), -2 * torch.pi * torch.outer(a, a) / n)

    class VariationalSteps(nn.Module):
        START_NAMES = ("place",)  # parameters of `angular_gains` that no layer holds
        START_MAY_LACK = ("spread",)

        def __init__(self):
            super().__init__()
            self.prior = angular_gains(rx, tx, **keys).requires_grad_(False)
            self.into, self.back = turned(basis), turned(basis.conj().T.contiguous())
            self.angles = turned(dft(tx).to(torch.complex64))
            self.register_buffer("rows", torch.view_as_real(dft(rx)).movedim(-1, 0).float(), persistent=False)
            sizes = (FEATURES, WIDTH, WIDTH, 2)
            layers = [nn.Linear(a, b) for a, b in zip(sizes, sizes[1:], strict=False)]
            self.spread = nn.Sequential(layers[0], nn.SiLU(), layers[1], nn.SiLU(), layers[2])
            nn.init.normal_(layers[2].weight, std=0.01)
            nn.init.constant_(layers[2].bias, -3.0)

        def multiply_adds(self):
            """Multiply-adds of one evaluation of one item."""
            turns = 2 * 4 * rx * tx * tx
            small = sum(m.weight.numel() for m in self.spread if isinstance(m, nn.Linear))
            return STEPS * (self.prior.multiply_adds() + turns) + 4 * rx * tx * (tx + rx) + small

        def for_export(self):
            """A copy with ordinary layers in place of complex ones."""
            net = copy.deepcopy(self)
            net.prior = self.prior.for_export()
            return net.eval()

        def widened(self, weights):
            """Weights of one `angular_gains` as the prior's; those of such a network as they are."""
            weights = dict(weights)
            if not any(name.startswith("prior.") for name in weights):
                weights = {f"prior.{name}": value for name, value in weights.items()}
            thawed = onnx_start.thaw(weights, self)
            return weights | thawed

        def angular_counts(self, h, noise):
            """How many angles h has: participation of both ends' and of pairs, and what is above the noise [B, 4]."""
            there = self.angles(h)
            re = self.rows[0] @ there[:, 0] - self.rows[1] @ there[:, 1]
            im = self.rows[0] @ there[:, 1] + self.rows[1] @ there[:, 0]
            power = (re * re + im * im) / 2 + 1e-9

            def participation(p):
                return p.sum(-1) ** 2 / (p * p).sum(-1)

            above = (power / (power + noise[:, None, None])).sum((1, 2))
            counts = [participation(power.sum(1)), participation(power.sum(2)), participation(power.flatten(1)), above]
            return torch.log(torch.stack(counts, 1))

        def step(self, h, before, x, noise, level):
            """One step at a level, one number [1]: (x's mean, h, the prior's mean of x, what it states [B])."""
            mean, stated = self.prior(h + MOMENTUM * (h - before), level * torch.ones_like(noise))
            mean = self.into(mean)
            open_to = TRUST * level**2 / (1 + level**2)
            now = mean + open_to / (open_to + noise) * (x - mean)
            return now, self.back(now), mean, stated.mean((1, 2, 3)).clamp(min=-18.0)  # nothing is passed: -inf

        def features(self, x, sigma, h, trace):
            """(noise of the observed elements [B], what was observed [B, 1, rx, tx], features [B, FEATURES]).

            trace: x's mean, the prior's and what it stated, at each of SEEN."""
            noise = sigma.reshape(-1, 1, rx, tx) ** 2
            there = (noise < NOT_OBSERVED).to(x.dtype)
            number = there.sum((1, 2, 3))

            def of_both(z):  # mean power of z over the elements observed, and over the others
                power = (z * z).sum(1, keepdim=True) / 2
                seen = (power * there).sum((1, 2, 3)) / number.clamp(min=1)
                other = (power * (1 - there)).sum((1, 2, 3)) / (rx * tx - number).clamp(min=1)
                return [torch.log(part + 1e-7) for part in (seen, other)]

            known = (noise * there).sum((1, 2, 3)) / number.clamp(min=1)
            seen, told = torch.zeros_like(x), []
            for now, mean, stated in trace:
                told += [*of_both(now - seen), *of_both(now - mean), stated]
                seen = now
            left = ((x - seen) ** 2 / noise * there).sum((1, 2, 3)) / 2 / number.clamp(min=1)
            told += [torch.log(known + 1e-7), number / (rx * tx), torch.log(left + 1e-3)]
            features = torch.cat((torch.stack(told, 1), self.angular_counts(h, known)), 1)
            return known, there, features / 4

        def steps(self, x, sigma):
            """(mean [B, 2, rx, tx], and what `features` gives)."""
            noise = sigma.reshape(-1, 1, rx, tx) ** 2
            h = before = torch.zeros_like(x)
            trace = []
            for k, level in enumerate(levels, 1):
                now, after, mean, stated = self.step(h, before, x, noise, torch.full((1,), level, device=x.device))
                before, h = h, after
                if k in SEEN:
                    trace.append((now, mean, stated))
            return now, *self.features(x, sigma, h, trace)

        def variances(self, features, known):
            """Variance of an element that was observed, and of one that was not, each [B]."""
            alone = torch.exp(self.spread(features).clamp(-18, 2))
            return 1 / (1 / (known + 1e-9) + 1 / alone[:, 0]), alone[:, 1]

        def log_variance(self, known, there, features):
            """[B, 1, rx, tx]."""
            seen, other = (v.reshape(-1, 1, 1, 1) for v in self.variances(features, known))
            return torch.log(there * seen + (1 - there) * other)

        def forward(self, x, sigma):
            shape = x.shape
            mean, *told = self.steps(x.reshape(-1, 2, rx, tx), sigma)
            return mean.reshape(shape), self.log_variance(*told).reshape(-1, 1, *shape[2:])

        def onnx_graph(self, example):
            """Its graph: a step's, as often as there are steps, and the variance's. All at once takes torch many
            minutes. example: {"x", "sigma"} tensors."""
            from . import unrolled

            net = self

            class Step(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.prior, self.into, self.back = net.prior, net.into, net.back

                def forward(self, h, before, x, sigma, level):
                    *found, stated = net.step(h, before, x, sigma**2, level)
                    return *found, stated[:, None]

            class Spread(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.spread, self.angles = net.spread, net.angles
                    self.register_buffer("rows", net.rows)

                def forward(self, x, sigma, h, means, priors, stated):
                    parts = zip(means.chunk(len(SEEN), 1), priors.chunk(len(SEEN), 1), stated.unbind(1), strict=True)
                    return net.log_variance(*net.features(x, sigma, h, list(parts)))

            return unrolled.graph(Step(), Spread(), example, levels, SEEN)

    return VariationalSteps()


def large_array():
    """The network of 16 x 64 antennas, whose prior is that of `mimo_chanest_16x64`."""
    return variational_steps(16, 64, channels=16, depths=(2, 2), reach=(3, 3))


class VarianceTraining(Training):
    """Trains the variance alone: the steps are taken once for each item, and what they gave is kept and used again."""

    TURNS = 20  # of the small network for each batch of the large one

    def __init__(self, *args):
        super().__init__(*args)
        self.memory = []

    def _advance(self, batch):
        self._keep(*(part.to(self.device) for part in batch))
        return [super(VarianceTraining, self)._advance(()) for _ in range(self.TURNS)][-1]

    def _keep(self, clean, state, sigma, observed, *condition):
        import torch

        del observed, condition
        with torch.no_grad():
            mean, known, there, features = self.net.steps(state, sigma)
            error, there = square_error(mean, clean, there[:, 0]), there[:, 0]
            count = there.sum((1, 2))
            seen, other = (error * there).sum((1, 2)), (error * (1 - there)).sum((1, 2))
            self.memory.append(torch.cat((features, torch.stack((known, count, seen, other), 1)), 1))
        if len(self.memory) * self.batch > MEMORY:
            self.memory.pop(0)

    def loss(self):
        """(0, the mean of -log q of an element)."""
        import torch

        kept = torch.cat(self.memory)
        kept = kept[torch.randint(len(kept), (min(512, len(kept)),))]
        known, count, seen, other = kept[:, FEATURES:].T
        size = self.net.prior.place.shape[-2] * self.net.prior.place.shape[-1]
        of_seen, of_other = self.net.variances(kept[:, :FEATURES], known)
        parts = count * torch.log(of_seen) + seen / of_seen + (size - count) * torch.log(of_other) + other / of_other
        spread = parts.mean() / size
        return torch.zeros_like(spread), spread
