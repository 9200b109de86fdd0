# SPDX-License-Identifier: GPL-3.0-or-later
"""A small classifier of plain layers: a judge of what generators draw, and what more data are to help."""

import numpy as np

from . import plain_mlp

STEPS, BATCH, RATE, DECAY, DROPOUT, NOISE = 600, 64, 1e-3, 1e-2, 0.3, 0.2


def fit(x, labels, sizes, seed, steps=STEPS, weights=None):
    """Weights of a classifier of x [n, d] into sizes[-1] classes, as `plain_mlp.run` takes them. weights: [n],
    how often an item is shown; None: equally."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 23])
    net = plain_mlp.build(sizes)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    x, labels = torch.from_numpy(np.ascontiguousarray(x, np.float32)), torch.from_numpy(np.asarray(labels, np.int64))
    share = None if weights is None else np.asarray(weights, float) / np.sum(weights)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
        chosen = torch.from_numpy(rng.choice(len(x), BATCH, p=share))
        seen = nn.functional.dropout(x[chosen] + NOISE * torch.randn(BATCH, x.shape[1]), DROPOUT)
        loss = nn.functional.cross_entropy(net(seen), labels[chosen], label_smoothing=0.1)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return plain_mlp.flat(net.parameters())


def accuracy(flat, x, labels, sizes):
    """Which items [n] are told right."""
    return np.argmax(plain_mlp.run(flat, x, sizes), 1) == labels
