#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the channel estimator is worth where only part of the band is observed.

200 random sets of carriers (blocks, one side, edges, combs, gaps, scattered; 12 carriers and up), drawn with a seed
that no training uses, times SNRs, times three kinds of channel: four Gaussian taps in the first four samples, four
paths anywhere in the cyclic prefix, and the scheme's test data. All methods see the same channels and noise. Told is
the error on the observed carriers over that of least squares, which is what gr-digital's block does.

    build/env/radio/bin/python bench/layouts.py [--scheme NAME ...] [--json FILE] [--picture docs/images/layouts.png]
"""

import argparse
import json

import numpy as np
from gnuradio import diffsem
from gr_diffsem.air import measure, tdl
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.schemes import get

SNR_DB = (0, 5, 10, 15, 20, 25, 30, 35)
NEVER = 0.5  # dB above least squares: the gate at every layout and SNR
GAIN, GAIN_AT, SHARE = -3.0, 10, 0.9  # at 10 dB nine of ten layouts gain 3 dB
KINDS = ("taps", "paths", "bank")
K = tdl.carriers()
NAMED = {
    "-26..26": measure.wifi_mask(),
    "1..30": (K >= 1) & (K <= 30),
    "-26..-1": (K >= -26) & (K <= -1),
    "17..30, both sides": (np.abs(K) >= 17) & (np.abs(K) <= 30),
    "1..16": (K >= 1) & (K <= 16),
    "16..27": (K >= 16) & (K <= 27),
    "every 4th": measure.wifi_mask() & (K % 4 == 0),
    "15..27": (K >= 15) & (K <= 27),
    "-6..6": (np.abs(K) <= 6) & (K != 0),
}


def channels(kind, count, seed):
    """Frequency responses [count, 64] of one kind."""
    rng = np.random.default_rng([seed, 7])
    if kind == "bank":
        return get("ofdm_chanest").test_data(count, seed).truth
    delays = np.broadcast_to(np.arange(4.0), (count, 4)) if kind == "taps" else rng.uniform(0, 16, (count, 4))
    return np.einsum("nkl,nl->nk", tdl.steering(delays), complex_noise(rng, (count, 4))).astype(np.complex64)


def ratios(scheme, h, mask, rng):
    """Per SNR: (error over that of least squares in dB, share of items that a guard took back)."""
    h = h / np.sqrt(np.mean(np.abs(h[:, mask]) ** 2, 1, keepdims=True))
    noise = complex_noise(rng, h.shape)
    out = []
    for snr in SNR_DB:
        nv = np.float32(10 ** (-snr / 10))
        y = (h + np.sqrt(nv) * noise).astype(np.complex64)
        mean, _, info = scheme.estimate(y, nv, observed=mask)
        error = np.sum(np.abs(mean - h)[:, mask] ** 2) / np.sum(np.abs(y - h)[:, mask] ** 2)
        guarded = np.mean(info["guarded"]) if "guarded" in info else 0.0
        out.append((10 * np.log10(error), guarded))
    return np.array(out)


def measure_all(names, layouts, count, seed, kinds=KINDS):
    """{kind: {method: [layouts, SNRs, 2]}}; every method gets the same channels and noise of a layout."""
    schemes = {name: diffsem.scheme(name) for name in names}
    out = {}
    for kind in kinds:
        h = channels(kind, count, seed)
        out[kind] = {
            name: np.stack([ratios(s, h, m, np.random.default_rng([seed, i])) for i, m in enumerate(layouts)])
            for name, s in schemes.items()
        }
    return out


def summary(rows):
    """Per SNR and method, over layouts and kinds of channel, lines of a table in Markdown."""
    yield "| SNR, dB | method | median | 90 % below | worst | above +0.5 dB | 3 dB below | guarded |"
    yield "|---|---|---|---|---|---|---|---|"
    for i, snr in enumerate(SNR_DB):
        for name in next(iter(rows.values())):
            ratio = np.concatenate([kind[name][:, i, 0] for kind in rows.values()])
            guarded = np.mean([kind[name][:, i, 1].mean() for kind in rows.values()])
            yield (
                f"| {snr} | {name} | {np.median(ratio):.2f} | {np.quantile(ratio, 0.9):.2f} | {ratio.max():+.2f} | "
                f"{100 * np.mean(ratio > NEVER):.1f} % | {100 * np.mean(ratio <= GAIN):.0f} % | {100 * guarded:.2f} % |"
            )


def gates(rows, name):
    """Whether the two promises hold for a method, as lines."""
    at = SNR_DB.index(GAIN_AT)
    for kind, methods in rows.items():
        ratio = methods[name][..., 0]
        share = np.mean(ratio[:, at] <= GAIN)
        yield (
            f"{kind}: worst {ratio.max():+.2f} dB ({'holds' if ratio.max() <= NEVER else 'MISSED'}, {NEVER:+g}), "
            f"{100 * share:.0f} % gain {-GAIN:g} dB at {GAIN_AT} dB ({'holds' if share >= SHARE else 'MISSED'}, 90 %)"
        )


def picture(rows, layouts, names, path):
    """The ratio over the number of observed carriers at three SNRs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 3, figsize=(14, 4), sharey=True, layout="constrained")
    size = layouts.sum(1)
    for axis, snr in zip(axes, (10, 20, 30), strict=True):
        for name in names:
            for kind, mark in zip(rows, "o^s", strict=True):
                label = f"{name}, {kind}"
                colour = f"C{list(names).index(name)}"
                ratio = rows[kind][name][:, SNR_DB.index(snr), 0]
                axis.plot(size, ratio, mark, color=colour, ms=3, alpha=0.6, label=label)
        axis.axhline(0, color="black", lw=0.8)
        axis.set(title=f"{snr} dB", xlabel="observed carriers")
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("error over that of least squares, dB")
    axes[-1].legend(loc="upper left", bbox_to_anchor=(1.02, 1), fontsize="small")
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scheme", nargs="+", default=["ofdm_chanest", "ofdm_chanest/gmm"], help="first is judged")
    parser.add_argument("--layouts", type=int, default=200)
    parser.add_argument("--channels", type=int, default=100, help="of each kind, for each layout")
    parser.add_argument("--seed", type=int, default=20261128)
    parser.add_argument("--json", help="write the numbers to this file")
    parser.add_argument("--picture", help="draw them into this file")
    args = parser.parse_args()
    named = measure_all(args.scheme, np.stack(list(NAMED.values())), 10 * args.channels, args.seed, ["taps"])["taps"]
    print("four taps, error over that of least squares in dB at 10 / 20 / 30 / 35 dB\n")
    print("| carriers |", " | ".join(args.scheme), "|\n|---|" + "---|" * len(args.scheme))
    for i, name in enumerate(NAMED):
        cells = [" / ".join(f"{named[s][i, SNR_DB.index(x), 0]:.2f}" for x in (10, 20, 30, 35)) for s in args.scheme]
        print("|", " | ".join([name, *cells]), "|")
    layouts = measure.draw_layouts(np.random.default_rng(args.seed), args.layouts)
    rows = measure_all(args.scheme, layouts, args.channels, args.seed)
    print("", *summary(rows), "", *gates(rows, args.scheme[0]), sep="\n")
    if args.json:
        numbers = {kind: {name: r.tolist() for name, r in methods.items()} for kind, methods in rows.items()}
        with open(args.json, "w") as f:
            json.dump({"snr_db": SNR_DB, "layouts": layouts.astype(int).tolist(), "ratio_and_guarded": numbers}, f)
    if args.picture:
        picture(rows, layouts, args.scheme, args.picture)


if __name__ == "__main__":
    main()
