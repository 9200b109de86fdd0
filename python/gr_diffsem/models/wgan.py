# SPDX-License-Identifier: GPL-3.0-or-later
"""Generators that are no diffusion, of plain layers: the baselines of ours. A Wasserstein GAN with gradient penalty
(Gulrajani et al. 2017) and a variational autoencoder (Kingma and Welling 2014), both told a condition."""

import time

import numpy as np

from . import plain_mlp

CRITIC_STEPS, PENALTY = 3, 10.0


def layers(latent, told, hidden, count, outputs):
    """Sizes of a generator's layers."""
    return (latent + told, *[hidden] * count, outputs)


def generate(flat, z, condition, sizes):
    """[n, outputs] float32 of latents z [n, k] and conditions [n, c] (c may be 0)."""
    return plain_mlp.run(flat, np.concatenate((z, condition), 1), sizes)


def _drawn(draw, rng, batch):
    import torch

    return (torch.from_numpy(np.ascontiguousarray(v, np.float32)) for v in draw(rng, batch))


class _Clock:
    """Time of a training, or its steps where their number is given: loops until it is over."""

    def __init__(self, seconds, most=None):
        self.start, self.seconds, self.most, self.steps = time.monotonic(), seconds, most, 0

    def going(self):
        self.done = self.steps / self.most if self.most else (time.monotonic() - self.start) / self.seconds
        self.steps += self.done < 1
        return self.done < 1

    @property
    def minutes(self):
        return (time.monotonic() - self.start) / 60


def fit(draw, latent, sizes, seconds, seed, batch=256, rate=5e-4, progress=print, steps=None):
    """Train a WGAN on draw(rng, n) -> (y [n, d], condition [n, c]); the generator's weights, averaged. With `steps` of
    the generator so many, whatever time they take."""
    import torch

    torch.manual_seed(seed)
    rng, told = np.random.default_rng([seed, 17]), sizes[0] - latent
    made = plain_mlp.build(sizes)
    critic = plain_mlp.build((sizes[-1] + told, *sizes[1:-1], 1))
    both = [torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.9)) for net in (made, critic)]
    average, clock = [p.detach().clone() for p in made.parameters()], _Clock(seconds, steps)

    def draws(c):
        return made(torch.cat((torch.randn(batch, latent), c), 1))

    while clock.going():
        for group in (*both[0].param_groups, *both[1].param_groups):
            group["lr"] = rate * min(1.0, 2.2 - 2 * clock.done)
        for _ in range(CRITIC_STEPS):
            y, c = _drawn(draw, rng, batch)
            with torch.no_grad():
                fake = draws(c)
            mixed = torch.lerp(y, fake, torch.rand(batch, 1)).requires_grad_()
            slope = torch.autograd.grad(critic(torch.cat((mixed, c), 1)).sum(), mixed, create_graph=True)[0]
            penalty = PENALTY * (slope.norm(dim=1) - 1).pow(2).mean()
            loss = critic(torch.cat((fake, c), 1)).mean() - critic(torch.cat((y, c), 1)).mean() + penalty
            both[1].zero_grad()
            loss.backward()
            both[1].step()
        loss = -critic(torch.cat((draws(c), c), 1)).mean()
        both[0].zero_grad()
        loss.backward()
        both[0].step()
        torch._foreach_lerp_(average, [p.detach() for p in made.parameters()], 0.005)
    progress(f"WGAN: {clock.steps} steps of the generator in {clock.minutes:.1f} minutes")
    return plain_mlp.flat(average)


def fit_vae(draw, latent, sizes, seconds, seed, batch=256, rate=1e-3, progress=print, steps=None):
    """Train a VAE on the same; its decoder's weights and, as the last number, the deviation of its noise."""
    import torch

    torch.manual_seed(seed)
    rng, told = np.random.default_rng([seed, 18]), sizes[0] - latent
    decoder = plain_mlp.build(sizes)
    encoder = plain_mlp.build((sizes[-1] + told, *sizes[1:-1], 2 * latent))
    log_noise = torch.zeros(1, requires_grad=True)
    every = [*decoder.parameters(), *encoder.parameters(), log_noise]
    optimiser, clock = torch.optim.Adam(every, lr=rate), _Clock(seconds, steps)
    while clock.going():
        optimiser.param_groups[0]["lr"] = rate * min(1.0, 2.2 - 2 * clock.done)
        y, c = _drawn(draw, rng, batch)
        mean, log_variance = encoder(torch.cat((y, c), 1)).chunk(2, 1)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        error = (decoder(torch.cat((z, c), 1)) - y).pow(2)
        fit_ = (error / torch.exp(2 * log_noise) / 2 + log_noise).sum(1).mean()
        prior = 0.5 * (mean.pow(2) + log_variance.exp() - 1 - log_variance).sum(1).mean()
        optimiser.zero_grad()
        (fit_ + prior).backward()
        optimiser.step()
    progress(f"VAE: {clock.steps} steps in {clock.minutes:.1f} minutes")
    return np.append(plain_mlp.flat(decoder.parameters()), np.exp(log_noise.item())).astype(np.float32)
