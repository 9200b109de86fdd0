# SPDX-License-Identifier: GPL-3.0-or-later
"""A conditional Wasserstein GAN of plain layers: the baseline of generators of short signals.

Critic with gradient penalty (Gulrajani et al. 2017). The generator's weights are one array, which NumPy runs: an
evaluation needs no PyTorch.
"""

import time

import numpy as np

CRITIC_STEPS, PENALTY = 3, 10.0
SLOPE = 0.2  # of leaky rectifiers


def shapes(inputs, hidden, layers, outputs):
    """Shapes of the generator's weights and biases, in order."""
    sizes = [inputs, *[hidden] * layers, outputs]
    return [shape for a, b in zip(sizes[:-1], sizes[1:], strict=True) for shape in ((b, a), (b,))]


def generate(flat, z, condition, hidden, layers, outputs):
    """[n, outputs] float32 of latents z [n, k] and conditions [n, c] (c may be 0)."""
    x = np.concatenate((z, condition), 1).astype(np.float32)
    parts, first = [], 0
    for shape in shapes(x.shape[1], hidden, layers, outputs):
        size = int(np.prod(shape))
        parts.append(np.asarray(flat[first : first + size], np.float32).reshape(shape))
        first += size
    for i in range(0, len(parts), 2):
        x = x @ parts[i].T + parts[i + 1]
        x = np.where(x > 0, x, np.float32(SLOPE) * x) if i + 2 < len(parts) else x
    return x


def fit(draw, latent, hidden, layers, seconds, seed, batch=256, rate=5e-4, progress=print):
    """Train on draw(rng, n) -> (y [n, d], condition [n, c]); the generator's weights as one float32 array."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 17])
    y, c = draw(rng, 2)
    outputs, told = y.shape[1], c.shape[1]

    def mlp(into, out):
        sizes = [into, *[hidden] * layers]
        parts = [p for a, b in zip(sizes[:-1], sizes[1:], strict=True) for p in (nn.Linear(a, b), nn.LeakyReLU(SLOPE))]
        return nn.Sequential(*parts, nn.Linear(hidden, out))

    made, critic = mlp(latent + told, outputs), mlp(outputs + told, 1)
    both = [torch.optim.Adam(net.parameters(), lr=rate, betas=(0.5, 0.9)) for net in (made, critic)]
    average = [p.detach().clone() for p in made.parameters()]
    start, step = time.monotonic(), 0
    while (done := (time.monotonic() - start) / seconds) < 1:
        for group in (*both[0].param_groups, *both[1].param_groups):
            group["lr"] = rate * min(1.0, 2.2 - 2 * done)
        for _ in range(CRITIC_STEPS):
            y, c = (torch.from_numpy(np.ascontiguousarray(v, np.float32)) for v in draw(rng, batch))
            with torch.no_grad():
                fake = made(torch.cat((torch.randn(batch, latent), c), 1))
            mixed = torch.lerp(y, fake, torch.rand(batch, 1)).requires_grad_()
            slope = torch.autograd.grad(critic(torch.cat((mixed, c), 1)).sum(), mixed, create_graph=True)[0]
            penalty = PENALTY * (slope.norm(dim=1) - 1).pow(2).mean()
            loss = critic(torch.cat((fake, c), 1)).mean() - critic(torch.cat((y, c), 1)).mean() + penalty
            both[1].zero_grad()
            loss.backward()
            both[1].step()
        fake = made(torch.cat((torch.randn(batch, latent), c), 1))
        loss = -critic(torch.cat((fake, c), 1)).mean()
        both[0].zero_grad()
        loss.backward()
        both[0].step()
        step += 1
        torch._foreach_lerp_(average, [p.detach() for p in made.parameters()], 0.005)
    progress(f"WGAN: {step} steps of the generator in {seconds / 60:.1f} minutes")
    return np.concatenate([p.numpy().ravel() for p in average]).astype(np.float32)
