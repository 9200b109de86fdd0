#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How near the prior over time and frequency comes to what knows each channel's delays, powers and Doppler.

Five pilot patterns x four SNRs, all methods on the same channels and noise (`ofdm_grid`'s test data). "closing" is the
share of the distance in dB from the bank of 180 Gaussians to the genie that a member covers. Intervals are of 95 %,
paired, bootstrapped over channels.

    build/env/radio/bin/python bench/grid.py [--channels 1000] [--json FILE] [--picture docs/images/grid.png]
    build/env/radio/bin/python bench/grid.py --draws 16 --channels 40
"""

import argparse
import json

import numpy as np
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.eval import scheme_eval, scores
from gr_diffsem.schemes import get

SNR_DB = (0.0, 10.0, 20.0, 30.0)
MEMBERS = ("full", "fast", "mse_net", "robust")
CLOSING_AT = (10.0, 20.0)
TABLE = ("interpolation", "robust", "adaptive", "average", "bank", "mse_net", "fast", "full", "genie")


def run(channels, seed, package):
    """`scheme_eval.Members` of all methods."""
    data = get("ofdm_grid").test_data(5 * channels, seed)
    for part in data:
        part.truth = part.truth.reshape(len(part.truth), -1)
    methods = scheme_eval.Members(data, list(SNR_DB), seed, "core")
    for name in MEMBERS:
        methods(name, f"{package}/{name}")
    for name in data[0].estimators:
        methods.closed_form(name)
    return methods


def table(methods):
    """NMSE of each pattern and SNR, lines of Markdown."""
    yield "| pilots | SNR, dB | " + " | ".join(TABLE) + " | full - bank | full closes |"
    yield "|---" * (len(TABLE) + 4) + "|"
    for part, rows in methods.parts.items():
        for i, snr in enumerate(SNR_DB):
            cells = [f"{methods.nmse(name, part)[i]:.2f}" for name in TABLE]
            full, bank = methods.errors["full"][i][rows], methods.errors["bank"][i][rows]
            low, high = scores.bootstrap(scores.difference_db, (full, bank))
            share = closing(full, bank, methods.errors["genie"][i][rows])
            cells += [f"{scores.difference_db(full, bank):+.2f} ({low:+.2f} .. {high:+.2f})", f"{100 * share:.0f} %"]
            yield f"| {part} | {snr:.0f} | " + " | ".join(cells) + " |"


def closing(ours, bank, genie):
    """Share of the distance in dB from the bank to the genie."""
    return scores.difference_db(ours, bank) / scores.difference_db(genie, bank)


def gates(methods):
    """What was asked for, and whether it holds."""
    at = [(i, rows) for i, snr in enumerate(SNR_DB) if snr in CLOSING_AT for rows in methods.parts.values()]
    names = ("full", "bank", "genie")

    def mean_closing(*chosen):
        sums = dict(zip(((n, k) for n in names for k in range(len(at))), chosen, strict=True))
        return np.mean([closing(*(sums[n, k] for n in names)) for k in range(len(at))])

    columns = [methods.errors[n][i][rows] for n in names for i, rows in at]
    size = min(map(len, columns))
    columns = [c[:size] for c in columns]
    low, high = scores.bootstrap(mean_closing, columns, 300)
    value, low, high = (round(100 * v) for v in (mean_closing(*columns), low, high))
    yield f"full closes, mean of the patterns at 10 and 20 dB: {value} % ({low} .. {high}; asked 30)"
    every = [(i, rows) for i in range(len(SNR_DB)) for rows in methods.parts.values()]

    def over(name, other):
        errors = methods.errors
        return [scores.difference_db(errors[name][i][rows], errors[other][i][rows]) for i, rows in every]

    yield f"full above the bank, worst: {max(over('full', 'bank')):+.2f} dB (at most +0.1)"
    yield f"fast above the adaptive filter, worst: {max(over('fast', 'adaptive')):+.2f} dB (below 0)"
    yield f"fast above the bank, mean: {np.mean(over('fast', 'bank')):+.2f} dB (at most +0.5)"
    for name in ("full", "fast"):
        ratios = methods.calibration()[name]["ratios"]
        yield f"{name}: predicted over actual variance by decile, 0 to 25 dB: " + " ".join(f"{r:.2f}" for r in ratios)
        shares = methods.guarded.get(name, np.zeros(len(SNR_DB)))
        yield f"{name}: guarded, per cent, at 0 / 10 / 20 / 30 dB: " + " / ".join(f"{100 * s:.3f}" for s in shares)


def draws(channels, count, seed, package):
    """What `count` draws of the posterior say, at 10 and 20 dB, lines of Markdown. Their spread should be the error's
    variance, and their mean the mean but for what few draws leave."""
    from gnuradio import diffsem

    one, many = diffsem.scheme(package), diffsem.scheme(f"{package}:sampler=posterior_draw")
    yield f"| pilots | SNR, dB | mean | mean of {count} draws | one draw | spread over error of the mean |"
    yield "|---|---|---|---|---|---|"
    for part in get("ofdm_grid").test_data(5 * channels, seed):
        truth = part.truth.reshape(len(part.truth), -1)
        for snr in CLOSING_AT:
            noise_var = np.float32(10 ** (-snr / 10))
            rng = np.random.default_rng([seed, round(snr)])
            y = (truth + np.sqrt(noise_var) * complex_noise32(rng, truth.shape)) * part.observed
            mean = one.estimate(y.astype(np.complex64), noise_var, observed=part.observed)[0]
            drawn, spread, _ = many.estimate(y.astype(np.complex64), noise_var, observed=part.observed, draws=count)
            errors = [np.abs(x - truth)[:, part.counted] ** 2 for x in (mean, drawn.mean(0), drawn[0])]
            cells = [f"{10 * np.log10(e.mean()):.2f}" for e in errors]
            ratio = spread[:, part.counted].mean() / errors[0].mean()
            yield f"| {part.name} | {snr:.0f} | {' | '.join(cells)} | {ratio:.2f} |"


def picture(methods, path):
    """NMSE over SNR, a panel for each pattern."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(methods.parts), figsize=(17, 4), sharey=True, layout="constrained")
    for axis, part in zip(axes, methods.parts, strict=True):
        for name in ("interpolation", "adaptive", "bank", "fast", "full", "genie"):
            style = {"genie": "k--", "full": "C3o-", "fast": "C1s-"}.get(name, "-")
            axis.plot(SNR_DB, methods.nmse(name, part), style, ms=4, label=name)
        axis.set(title=part, xlabel="SNR, dB")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("NMSE over all elements, dB")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1))
    figure.savefig(path, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--channels", type=int, default=1000, help="of each pattern")
    parser.add_argument("--seed", type=int, default=20261129)
    parser.add_argument("--package", default="ofdm_grid")
    parser.add_argument("--draws", type=int, default=0, help="measure so many draws of the posterior instead")
    parser.add_argument("--json", help="write the numbers to this file")
    parser.add_argument("--picture", help="draw them into this file")
    args = parser.parse_args()
    if args.draws:
        for line in draws(args.channels, args.draws, args.seed, args.package):
            print(line, flush=True)
        return
    methods = run(args.channels, args.seed, args.package)
    print(*table(methods), "", *gates(methods), sep="\n")
    if args.json:
        numbers = {part: {name: methods.nmse(name, part) for name in TABLE} for part in methods.parts}
        with open(args.json, "w") as f:
            json.dump({"snr_db": SNR_DB, "channels": args.channels, "seed": args.seed, "nmse_db": numbers}, f)
    if args.picture:
        picture(methods, args.picture)


if __name__ == "__main__":
    main()
