#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel autoencoder that learns from 500 samples of a site, and from draws of a generator beside them.

    build/env/radio/bin/python bench/site_generator.py draws            # writes them, through the core
    build/env/lab/bin/python bench/site_generator.py autoencoder        # trains and measures, five seeds

256 complex numbers of a channel are said by CODE reals (T. Lee et al., cDDIM, have their augmentation judged so). Every
autoencoder sees as many items in as many steps; half of them are the 500 samples, turned by a phase, the other half
by each method: the samples again, the samples with noise at 15 dB, Gaussian channels of the samples' covariance (the
mean over the site), draws of the generator that saw the 500 samples alone, and of that which knew cities before. NMSE
at 500 other places, and its difference to the samples alone: 95 % of resampled places and seeds.
"""

import argparse
from pathlib import Path

import numpy as np
from gr_diffsem.schemes import site_generator as site

CODE, HIDDEN, STEPS, BATCH, SEEDS, DRAWN = 32, 384, 3000, 128, 5, 5000
METHODS = ("samples", "noise", "gaussian", site.SCRATCH, site.SITE)
JITTER = 0.05  # of a sample's place, where draws are made: 10 m


def draws(args):
    from gr_diffsem.base import model_packages
    from gr_diffsem.eval import generated

    known, _ = site.SCHEME.site(True)
    rng, made = np.random.default_rng(args.seed), {}
    places = known["place"][rng.integers(len(known["place"]), size=DRAWN)]
    places = (places + JITTER * rng.standard_normal(places.shape)).astype(np.float32)
    draw = generated.drawer(model_packages.locate("site_generator", checkout_first=True)[0])
    for member in (site.SCRATCH, site.SITE):
        made[member] = draw(member, DRAWN, args.seed, {"place": places})
    np.savez(args.file, **made)


def autoencoder(items, others, seed):
    """A trained torch module of channels as 512 reals; `others` gives the second half of each batch."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    rng, n = np.random.default_rng([seed, 3]), 2 * items.shape[1]
    net = nn.Sequential(
        nn.Linear(n, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, CODE), nn.Linear(CODE, HIDDEN), nn.SiLU(),
        nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, n),
    )  # fmt: skip
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-3)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = 1e-3 * (0.5 * (1 + np.cos(np.pi * step / STEPS)) + 0.01)
        half = items[rng.integers(len(items), size=BATCH // 2)]
        h = np.concatenate((half, others(rng, BATCH // 2)))
        x = reals(h * np.exp(2j * np.pi * rng.random((len(h), 1))))
        loss = ((net(x) - x) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.eval()


def reals(h):
    import torch

    return torch.from_numpy(np.concatenate((h.real, h.imag), 1).astype(np.float32))


def others_of(method, items, made):
    """f(rng, n) -> channels [n, 256]: the second half of a batch."""
    covariance = items.T @ items.conj() / len(items)
    root = np.linalg.cholesky(covariance + 1e-3 * np.eye(len(covariance)))

    def normal(rng, n):
        return (rng.standard_normal((n, items.shape[1], 2)) @ [1, 1j]) / np.sqrt(2)

    def some(rng, n, of=items):
        return of[rng.integers(len(of), size=n)]

    return {
        "samples": some,
        "noise": lambda rng, n: some(rng, n) + 10 ** (-15 / 20) * normal(rng, n),
        "gaussian": lambda rng, n: normal(rng, n) @ root.T,
    }.get(method) or (lambda rng, n: some(rng, n, made[method].reshape(-1, items.shape[1])))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=("draws", "autoencoder"))
    parser.add_argument("--file", type=Path, default=Path("build/site_draws.npz"))
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    if args.what == "draws":
        return draws(args)
    import torch

    torch.set_num_threads(1)
    items, held = (site.SCHEME.site(known)[1].reshape(-1, 256) for known in (True, False))
    with np.load(args.file) as file:
        made = {name: file[name] for name in file}
    power = np.sum(np.abs(held) ** 2, 1)
    errors = {method: [] for method in METHODS}  # [seeds, places]
    for seed in range(SEEDS):
        for method in METHODS:
            net = autoencoder(items, others_of(method, items, made), seed)
            with torch.no_grad():
                left = (net(reals(held)) - reals(held)).pow(2).sum(1).numpy()
            errors[method].append(left)
            print(f"seed {seed}, {method}: {10 * np.log10(left.sum() / power.sum()):.2f} dB", flush=True)
    rng, base = np.random.default_rng(5), np.array(errors["samples"])
    for method in METHODS:
        own, ratios = np.array(errors[method]), []
        for _ in range(2000):
            seeds, places = rng.integers(SEEDS, size=SEEDS), rng.integers(len(power), size=len(power))
            ratios.append(own[seeds][:, places].sum() / base[seeds][:, places].sum())
        low, high = 10 * np.log10(np.percentile(ratios, (2.5, 97.5)))
        level, gain = 10 * np.log10(own.mean(0).sum() / power.sum()), 10 * np.log10(own.sum() / base.sum())
        print(f"{method}: {level:.2f} dB, over the samples alone {gain:+.2f} ({low:+.2f} .. {high:+.2f})")


if __name__ == "__main__":
    main()
