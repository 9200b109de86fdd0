# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidance behind a dense matrix, and draws, against closed forms.

    build/env/radio/bin/python bench/guidance.py            # the table of docs/openings/guidance.md
    build/env/radio/bin/python bench/guidance.py --draws    # that of docs/openings/draws.md

First: y = A x + n, A 12 x 32, noise variance 0.01, x from the known mixture of `compressed_mixture`; its network with
each guidance that takes the pair and each sampler, beside the exact conditional mean and LMMSE on the same samples.
Second: the spread of draws over the posterior's exact variance, on `known_mixture`, at each sampler's default plan; and
through the matrix of `compressed_mixture`, by each guidance.
"""

import argparse

import numpy as np
from gnuradio import diffsem
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.schemes import compressed_mixture, known_mixture

NOISE, DRAWS = 0.01, 8


def nmse_db(error, truth):
    """(dB, half a 95 % confidence interval in dB), items being independent."""
    each = np.sum(np.abs(error) ** 2, -1) / np.mean(np.sum(np.abs(truth) ** 2, -1))
    mean, spread = each.mean(), each.std() / np.sqrt(len(each))
    return 10 * np.log10(mean), 10 * np.log10(1 + 1.96 * spread / mean)


def matrix_case(items, seed):
    rng = np.random.default_rng(seed)
    x, a = compressed_mixture.draw(rng, items), compressed_mixture.matrix()
    y = x @ a.T + np.sqrt(NOISE).astype(np.float32) * complex_noise32(rng, (items, len(a)))
    print(
        f"A {len(a)} x {a.shape[1]}, noise variance {NOISE}, {items} items, seed {seed}; NMSE in dB (95 % interval)\n"
    )
    print("| who | sampler | evaluations | one answer | mean of 8 draws | residual / noise |")
    print("|---|---|---|---|---|---|")

    def row(who, sampler, spec, draws=0):
        scheme = diffsem.scheme(spec)
        mean, _, info = scheme.estimate(y, NOISE, seed=1)
        assert not np.any(info["bypassed"]), info["reason"][0]
        whole = "-"
        if draws:
            # `first` far apart: other random numbers; draws=K asks more of a sampler than a comparison may
            more = [scheme.estimate(y, NOISE, seed=1, first=(k + 1) * items)[0] for k in range(draws)]
            whole = "{:.2f} ({:.2f})".format(*nmse_db(np.mean(more, 0) - x, x))
        left = np.mean(np.abs(y - mean @ a.T) ** 2) / NOISE
        db = "{:.2f} ({:.2f})".format(*nmse_db(mean - x, x))
        print(f"| {who} | {sampler} | {info['steps'][0]} | {db} | {whole} | {left:.2f} |", flush=True)

    row("exact", "-", "compressed_mixture/gmm")
    row("LMMSE", "-", "compressed_mixture/lmmse")
    for guidance in ("proximal", "dps", "pigdm"):
        for sampler, draws in (("posterior_mean", 0), ("heun", DRAWS), ("ddpm", DRAWS), ("posterior_draw", DRAWS)):
            row(guidance, sampler, f"compressed_mixture:guidance={guidance},sampler={sampler}", draws)
    for steps in (1, 2, 8):
        row(
            f"pigdm, guidance_steps={steps}",
            "posterior_mean",
            f"compressed_mixture:guidance=pigdm,guidance_steps={steps}",
        )
    for steps in (5, 10, 40):
        row(f"pigdm, steps={steps}", "posterior_mean", f"compressed_mixture:guidance=pigdm,steps={steps}")


def spread(member, sampler, snr_db, items, count, seed):
    """Spread of draws over the exact variance, of the default plan."""
    rng = np.random.default_rng(seed)
    noise = np.float32(10 ** (-snr_db / 10))
    y = known_mixture.draw(rng, items) + np.sqrt(noise) * complex_noise32(rng, (items, 64))
    exact = diffsem.scheme("known_mixture/gmm").estimate(y, noise)[1]
    scheme = diffsem.scheme(f"known_mixture/{member}:sampler={sampler},guard=off")
    draws = np.stack([scheme.estimate(y, noise, seed=1, first=k * items)[0] for k in range(count)])
    return np.sum(np.var(draws, 0, ddof=1)) / np.sum(exact)


def draws_case(items, seed):
    print(f"spread of 16 draws over the exact variance, known_mixture, {items} items, default plan (10 levels)\n")
    points = (-5, 0, 5, 10, 15, 20)
    print("| member | sampler | " + " | ".join(f"{p} dB" for p in points) + " |")
    print("|---" * (2 + len(points)) + "|")
    for member in ("diffusion", "gmm"):
        for sampler in ("ddpm", "ddim,eta=1", "posterior_draw"):
            values = [spread(member, sampler, p, items, 16, seed) for p in points]
            print(f"| {member} | {sampler} | " + " | ".join(f"{v:.2f}" for v in values) + " |", flush=True)


def levels_case(items, seed):
    print(f"\nthe same of posterior_draw with fewer and more levels, {items} items\n")
    points, counts = (-5, 0, 10), (3, 5, 7, 10, 20)
    print("| member | SNR | " + " | ".join(f"{n} levels" for n in counts) + " |")
    print("|---" * (2 + len(counts)) + "|")
    for member in ("diffusion", "gmm"):
        for snr_db in points:
            values = [spread(member, f"posterior_draw,steps={n}", snr_db, items, 16, seed) for n in counts]
            print(f"| {member} | {snr_db} dB | " + " | ".join(f"{v:.2f}" for v in values) + " |", flush=True)


def matrix_spread(items, seed):
    """Through approximate guidances, which `draws=` refuses: how wide single answers are, and how good their mean."""
    count, a = 16, compressed_mixture.matrix()
    print(f"\nspread of {count} answers of posterior_draw over the exact variance (and what their mean loses, less its")
    print(f"10 log10(1 + 1/{count}), in dB), compressed_mixture, {items} items, default plan (20 levels)\n")
    points = (0, 10, 20, 30)
    print("| prior | guidance | " + " | ".join(f"{p} dB" for p in points) + " |")
    print("|---" * (2 + len(points)) + "|")
    plan = "start=noise,plan=geometric,steps=20,sigma_max=10,sigma_min=0.01"
    cases = [
        ("gmm", "joint"),
        ("gmm", "pigdm"),
        ("diffusion", "pigdm"),
        ("diffusion", "dps"),
        ("diffusion", "proximal"),
    ]
    for member, guidance in cases:
        values = []
        for snr_db in points:
            rng, noise = np.random.default_rng(seed), np.float32(10 ** (-snr_db / 10))
            x = compressed_mixture.draw(rng, items)
            y = x @ a.T + np.sqrt(noise) * complex_noise32(rng, (items, len(a)))
            mean, variance, _ = diffsem.scheme("compressed_mixture/gmm").estimate(y, noise)
            scheme = diffsem.scheme(f"compressed_mixture/{member}:guidance={guidance},sampler=posterior_draw,{plan}")
            drawn = np.stack([scheme.estimate(y, noise, seed=1, first=k * items)[0] for k in range(count)])
            wide = np.sum(np.var(drawn, 0, ddof=1)) / np.sum(variance)
            lost = np.sum(np.abs(drawn.mean(0) - x) ** 2) / np.sum(np.abs(mean - x) ** 2) / (1 + 1 / count)
            values.append(f"{wide:.2f} ({10 * np.log10(lost):.2f})")
        print(f"| {member} | {guidance} | " + " | ".join(values) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", action="store_true")
    parser.add_argument("--items", type=int, default=500)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    if options.draws:
        draws_case(options.items, options.seed)
        levels_case(options.items, options.seed)
        matrix_spread(options.items, options.seed)
    else:
        matrix_case(options.items, options.seed)


if __name__ == "__main__":
    main()
