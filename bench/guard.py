#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How often the guard refutes a posterior on signals of its own prior, and what it costs.

Rows: a Gaussian prior on its own draws (closed form: the theory's case), and members of `ofdm_chanest` on the channels
of its evaluation, the whole band and every second carrier of it; SNR -10 to 35 dB in equal shares, noise variance known
or measured on so many elements. With --elements so many carriers at random in place of the two, a row for each number.
`refuted`: share of items. `wrongly`: share of items that were refuted though the
estimate was nearer to the truth than the measurement. `worst`: the largest of both over the cells (layout, SNR).

    build/env/radio/bin/python bench/guard.py [--trials N] [--members NAME ...] [--cost]
"""

import argparse
import itertools
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from gnuradio import diffsem
from gr_diffsem.air import measure, tdl
from gr_diffsem.base import model_packages
from gr_diffsem.reference import guard
from gr_diffsem.schemes import ofdm_chanest

SNR_DB = range(-10, 40, 5)
FREEDOM = (0, 6, 26)  # known; sync words of 13 carriers, of 52
CLOSED, MEMBERS = "gaussian", ("gaussian", "lmmse", "gmm", "mmse_net", "diffusion")
CHUNK = 20_000


def gaussian_package(folder, size=64, taps=16):
    """A package of a Gaussian prior with an exponential delay profile, and the root of its covariance."""
    power = np.exp(-np.arange(taps) / 4)
    root = np.exp(-2j * np.pi * np.outer(np.arange(size), np.arange(taps)) / size) * np.sqrt(power / power.sum())
    np.save(Path(folder) / "covariance.npy", (root @ root.conj().T).astype(np.complex64))
    manifest = {
        "diffsem.contract": model_packages.CONTRACT,
        "name": CLOSED,
        "signal": {"domain": "complex", "shape": [size], "gain": "unit"},
        "default": CLOSED,
        "members": {CLOSED: {"prior": {"type": "gaussian", "covariance": "covariance.npy"}, "operator": "mask"}},
        "files": {"covariance.npy": model_packages.file_sha256(Path(folder) / "covariance.npy")},
    }
    for key in ("start", "sampler", "plan"):
        manifest["members"][CLOSED][key] = {"start": "matched", "sampler": "one_step", "plan": "geometric"}[key]
    (Path(folder) / "manifest.json").write_text(json.dumps(manifest))
    return root


def trial(spec, x, observed, snr_db, freedom, rng):
    """(refuted, wrongly) of items x [n, 64]: two counts."""
    power = np.mean(np.abs(x[:, observed]) ** 2, axis=1)
    noise_var = power * 10 ** (-snr_db / 10)
    y = measure_noise(x, noise_var, rng) * observed
    told = noise_var * (rng.gamma(freedom, 1 / freedom, len(x)) if freedom else 1)
    y, told = y.astype(np.complex64), told.astype(np.float32)
    mean = diffsem.scheme(f"{spec}:guard=off,fewest_observed=0").estimate(y, told, observed=observed)[0]
    refuted = guard.contradicts(y, mean, told[:, None], observed, freedom)
    square = [np.sum(np.abs(v - x)[:, observed] ** 2, axis=1) for v in (mean, y)]
    return np.count_nonzero(refuted), np.count_nonzero(refuted & (square[0] < square[1]))


def measure_noise(x, noise_var, rng):
    n = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
    return x + np.sqrt(noise_var / 2)[:, None] * n


def layouts_of(elements, rng):
    """Masks [64]: the band and every second carrier of it, or four of so many elements at random."""
    wifi = measure.wifi_mask()
    if not elements:
        return wifi, wifi & (tdl.carriers() % 2 == 0)
    at = [rng.choice(np.flatnonzero(wifi), elements, replace=False) for _ in range(4)]
    return tuple(np.isin(np.arange(wifi.size), chosen) for chosen in at)


def rates(spec, draw, trials, freedom, seed, elements=0):
    """{"refuted", "wrongly", "worst_refuted", "worst_wrongly", "trials"} over all cells."""
    rng = np.random.default_rng(seed)
    layouts = layouts_of(elements, rng)
    cell = -(-trials // (len(layouts) * len(SNR_DB)))
    counts = []
    for observed in layouts:
        for snr_db in SNR_DB:
            count = np.zeros(2)
            for first in range(0, cell, CHUNK):
                x = draw(min(CHUNK, cell - first), rng)
                count += trial(spec, x, observed, snr_db, freedom, rng)
            counts.append(count / cell)
    mean, worst = np.mean(counts, axis=0), np.max(counts, axis=0)
    names = ("refuted", "wrongly", "worst_refuted", "worst_wrongly")
    return {**dict(zip(names, [*mean, *worst], strict=True)), "trials": cell * len(counts)}


def cost(spec, items=64, turns=400):
    """Median over paired turns of the time with the guard over that without, one item and a batch at a time."""
    rng = np.random.default_rng(1)
    x = ofdm_chanest.SCHEME.test_data(items, 5).truth
    observed = measure.wifi_mask()
    y = (measure_noise(x, np.full(items, 0.1), rng) * observed).astype(np.complex64)
    both = [diffsem.core.Estimator(diffsem.scheme(spec + keys), observed=observed) for keys in ("", ":guard=off")]
    report = {}
    for count in (1, items):
        ratios = []
        for turn in range(turns):
            took = [0.0, 0.0]
            for which in ((0, 1), (1, 0))[turn % 2]:
                began = time.perf_counter()
                both[which].run(y[:count], np.float32(0.1))
                took[which] = time.perf_counter() - began
            ratios.append(took[0] / took[1])
        report[str(count)] = float(np.median(ratios))
    return report


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1_000_000, help="of each row")
    parser.add_argument("--members", nargs="+", default=MEMBERS, choices=MEMBERS)
    parser.add_argument("--freedom", type=int, nargs="+", default=FREEDOM)
    parser.add_argument("--elements", type=int, nargs="+", default=(0,), help="that are observed; 0: the two layouts")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cost", action="store_true", help="only what it costs, as a ratio of times")
    args = parser.parse_args()
    if args.cost:
        print("| member | time with the guard over without: one item | 64 items |\n|---|---|---|")
        for name in args.members:
            if name != CLOSED:
                ratios = cost(f"ofdm_chanest/{name}")
                print(f"| `{name}` | {ratios['1']:.3f} | {ratios['64']:.3f} |", flush=True)
        return
    truth = ofdm_chanest.SCHEME.test_data(50_000, 77).truth
    print("| prior | elements | noise measured on | trials | refuted | wrongly | worst: refuted | wrongly |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        root = gaussian_package(folder)
        for name in args.members:
            for elements, freedom in itertools.product(args.elements, args.freedom):
                if name == CLOSED:
                    spec = folder

                    def draw(n, rng):
                        g = rng.standard_normal((n, root.shape[1])) + 1j * rng.standard_normal((n, root.shape[1]))
                        return g @ root.T / np.sqrt(2)
                else:
                    spec = f"ofdm_chanest/{name}"

                    def draw(n, rng):
                        return truth[rng.integers(len(truth), size=n)]

                r = rates(spec, draw, args.trials, freedom, args.seed, elements)
                shares = [f"{r[key]:.1e}" for key in ("refuted", "wrongly", "worst_refuted", "worst_wrongly")]
                row = [f"`{name}`", elements or "52, 26", freedom or "known", f"{r['trials']:,}", *shares]
                print(f"| {' | '.join(map(str, row))} |", flush=True)


if __name__ == "__main__":
    main()
