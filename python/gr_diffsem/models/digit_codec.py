# SPDX-License-Identifier: GPL-3.0-or-later
"""An autoencoder of digits, and their latents: trained once, by a fixed seed, and kept in the cache folder.

The encoder's last step gives each element of the latent zero mean and unit variance over the digits, so that 0 is
what an unknown one is expected to be and noise has the meaning it has elsewhere. In training the decoder sees the
latent with noise of up to NOISE on it: what is near a latent then decodes to nearly the same picture.
"""

import os

import numpy as np

from ..air.channel_bank import cache_folder
from . import digit_images

LATENT = 32
NOISE = 0.4
STEPS, BATCH, RATE = 1600, 128, 3e-3
VERSION = 1


def build():
    """(encoder [B, 28, 28] -> [B, LATENT], decoder back), untrained."""
    from torch import nn

    encoder = nn.Sequential(
        nn.Unflatten(1, (1, 28)),
        nn.Conv2d(1, 16, 3, 2, 1),
        nn.SiLU(),
        nn.Conv2d(16, 32, 3, 2, 1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * 32, LATENT),
        nn.BatchNorm1d(LATENT, affine=False, momentum=0.02),
    )
    decoder = nn.Sequential(
        nn.Linear(LATENT, 7 * 7 * 32),
        nn.SiLU(),
        nn.Unflatten(1, (32, 7, 7)),
        nn.ConvTranspose2d(32, 16, 4, 2, 1),
        nn.SiLU(),
        nn.ConvTranspose2d(16, 1, 4, 2, 1),
        nn.Flatten(1, 2),
    )
    return encoder, decoder


def trained(seed=1, progress=print):
    """The same two, trained; from the cache folder where they lie there."""
    import torch

    path = cache_folder() / f"digit-codec-v{VERSION}-{LATENT}-{seed}.pt"
    encoder, decoder = build()
    if path.is_file():
        state = torch.load(path, map_location="cpu", weights_only=True)
        encoder.load_state_dict(state["encoder"])
        decoder.load_state_dict(state["decoder"])
    else:
        encoder, decoder = _train(seed, progress)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.tmp")
        torch.save({"encoder": encoder.state_dict(), "decoder": decoder.state_dict()}, partial)
        os.replace(partial, path)
    return encoder.eval().requires_grad_(False), decoder.eval().requires_grad_(False)


def _train(seed, progress):
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pictures, _ = digit_images.pixels("train")
    encoder, decoder = build()
    weights = [*encoder.parameters(), *decoder.parameters()]
    optimiser = torch.optim.AdamW(weights, RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for step in range(STEPS):
        x = torch.from_numpy(digit_images.to_signal(pictures[rng.integers(len(pictures), size=BATCH)]))
        z = encoder(x)
        level = NOISE * torch.rand(len(z), 1)
        loss = (decoder(z + level * torch.randn_like(z)) - x).pow(2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if (step + 1) % 200 == 0:
            progress(f"autoencoder of digits: step {step + 1} of {STEPS}, squared error {loss.item():.3f}")
    return encoder, decoder


def latents(part="train", seed=1):
    """(latents float32 [n, LATENT], labels int64 [n]) of the pictures of `train` or `test`."""
    import torch

    encoder, _ = trained(seed)
    pictures, labels = digit_images.load(part)
    with torch.no_grad():
        rows = [encoder(torch.from_numpy(pictures[i : i + 2000])).numpy() for i in range(0, len(pictures), 2000)]
    return np.concatenate(rows), labels
