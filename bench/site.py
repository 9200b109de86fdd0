#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a prior gains from recordings of the place where it is used (`gr-diffsem train ofdm_grid --from`).

simulate: a site of our own (four fixed paths, walking pace), noisy looks at it in a file; the shipped network adapted
to the looks, and to the clean channels themselves for as long; all on new channels of the site, and on those of
everywhere. wifi: the captures of a folder in two halves, adapted to the looks of one, measured on the packets of the
other, and the reverse. Intervals are of 95 %, paired.

    build/env/lab/bin/python bench/site.py simulate --work DIR [--minutes 6]      (trains)
    build/env/radio/bin/python bench/site.py simulate --work DIR --measure        (measures what was trained)
    build/env/lab/bin/python bench/site.py wifi --data DIR --work DIR [--minutes 6]
    build/env/radio/bin/python bench/site.py wifi --data DIR --work DIR --measure
"""

import argparse
from pathlib import Path

import numpy as np
from gr_diffsem.air import grid_channel
from gr_diffsem.air.looks import Looks
from gr_diffsem.apps import train
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.eval import scores, wifi_scores
from gr_diffsem.eval.tiled_grid import TiledGrid
from gr_diffsem.package import export
from gr_diffsem.receivers.wifi import wifi_truth
from gr_diffsem.receivers.wifi.wifi_capture import Capture

SEED = 20261129
SHAPE, LOOKS, LOOK_SNR_DB = (16, 64), 300, 12.0
DELAYS, POWERS = np.array([0.0, 0.02, 0.055, 0.13]), np.array([0.5, 0.25, 0.15, 0.1])  # of a symbol
DOPPLER = (0.002, 0.01)  # cycles a symbol
SNR_DB = (0.0, 10.0, 20.0)
PATTERNS = ("LTE cell reference", "DVB-T scattered", "preamble and 4 pilots")


def site(rng, n):
    """Responses [n, S, K] of the site: its paths are always the same, how they fade is not."""
    turn = np.exp(-2j * np.pi * np.outer(DELAYS, grid_channel.middle(SHAPE[1])))
    # A path fades as a channel of one carrier does.
    fading = [grid_channel.draw(rng, n, SHAPE[0], 1, DOPPLER, ("exponential",)).response for _ in DELAYS]
    return sum(np.sqrt(p) * g * t for p, g, t in zip(POWERS, fading, turn, strict=True)).astype(np.complex64)


def noisy(rng, h, noise_var):
    return (h + np.sqrt(np.float32(noise_var)) * complex_noise32(rng, h.shape)).astype(np.complex64)


def write_looks(folder):
    """looks.npz: pilots of a comb at 12 dB; clean.npz: the same channels, as they are."""
    rng = np.random.default_rng(SEED)
    h = site(rng, LOOKS)
    seen = np.zeros(SHAPE, bool)
    seen[:, ::2] = True
    noise_var = np.where(seen, 10 ** (-LOOK_SNR_DB / 10), np.inf).astype(np.float32)
    Looks(noisy(rng, h, 10 ** (-LOOK_SNR_DB / 10)), np.broadcast_to(noise_var, h.shape), "noisy").save(
        folder / "looks.npz"
    )
    Looks(h, np.full(h.shape, 1e-4, np.float32), "clean").save(folder / "clean.npz")


def adapt(sources, out, args):
    """The package out/site of a network adapted to `sources`."""
    words = ["ofdm_grid", "--member", args.member, "--from", *map(str, sources), "--out", str(out), "--device", "cpu"]
    words += ["--minutes", str(args.minutes), "--seed", "1"]
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    report = train.run(parser.parse_args(words))
    print(train.table(report), flush=True)
    export.export(report["networks"][0]["checkpoint"], str(out / "site"))


def simulate(args):
    folder = Path(args.work)
    folder.mkdir(parents=True, exist_ok=True)
    write_looks(folder)
    for name in ("looks", "clean"):
        adapt([folder / f"{name}.npz"], folder / name, args)


def measure_simulation(args):
    folder = Path(args.work)
    spec = {"generic": "ofdm_grid", "looks": folder / "looks" / "site", "clean": folder / "clean" / "site"}
    methods = {name: TiledGrid(f"{where}/{args.member}", SHAPE) for name, where in spec.items()}
    everywhere = grid_channel.draw(np.random.default_rng(SEED + 1), args.channels, *SHAPE).response
    here = site(np.random.default_rng(SEED + 2), args.channels)
    print("| channels | pilots | SNR, dB | generic | adapted to noisy looks | to clean channels | noisy - clean |")
    print("|---" * 7 + "|")
    patterns = grid_channel.patterns(*SHAPE)
    for where, h in (("the site", here), ("everywhere", everywhere)):
        for pattern in PATTERNS:
            seen = patterns[pattern]
            for snr in SNR_DB:
                noise_var = 10 ** (-snr / 10)
                y = noisy(np.random.default_rng([SEED, round(snr)]), h, noise_var) * seen
                errors = {
                    name: (np.abs(method(y, seen, noise_var) - h) ** 2).sum((1, 2)) for name, method in methods.items()
                }
                power = (np.abs(h) ** 2).sum()
                cells = [f"{10 * np.log10(e.sum() / power):.2f}" for e in errors.values()]
                cells.append(between(errors["looks"], errors["clean"]))
                print(f"| {where} | {pattern} | {snr:.0f} | {' | '.join(cells)} |", flush=True)


def between(ours, other):
    """Difference in dB with its interval."""
    low, high = scores.bootstrap(scores.difference_db, (ours, other))
    return f"{scores.difference_db(ours, other):+.2f} ({low:+.2f} .. {high:+.2f})"


def halves(args):
    files = sorted(Path(args.data).glob("*.dat"))
    return {"even": files[::2], "odd": files[1::2]}


def wifi(args):
    for name, files in halves(args).items():
        adapt(files, Path(args.work) / name, args)


def measure_wifi(args):
    print("| adapted to | measured on | SNR, dB | generic | adapted | adapted - generic | answered by another member |")
    print("|---" * 7 + "|")
    parts = halves(args)
    for learned, other in (("even", "odd"), ("odd", "even"), ("even", "even")):
        packets = [p for f in parts[other] for p in wifi_truth.from_receiver(Capture(f), [])[0]]
        where = str(Path(args.work) / learned / "site" / args.member)
        methods = {n: TiledGrid(s, (1, 64)) for n, s in (("generic", f"ofdm_grid/{args.member}"), ("ours", where))}
        truth = np.stack([p.h for p in packets])
        for snr in (0.0, 5.0, 10.0, 15.0, 20.0):
            y, noise_var, _ = wifi_scores.observe(packets, snr, SEED)
            errors, guarded = {}, 0
            for name, method in methods.items():
                h, _, info = method.told(y[:, None], wifi_scores.USED_MASK[None], noise_var[:, None, None])
                errors[name] = wifi_scores.nmse(h[:, 0], truth)
                guarded = np.mean([i["guarded"] > 0 for i in info])
            cells = [f"{10 * np.log10(e.mean()):.2f}" for e in errors.values()]
            cells += [between(errors["ours"], errors["generic"]), f"{100 * guarded:.1f} %"]
            label = other if other != learned else f"{other} (the same)"
            print(f"| {learned} | {label}, {len(packets)} packets | {snr:.0f} | {' | '.join(cells)} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("simulate", "wifi"))
    parser.add_argument("--work", required=True, help="folder for looks, checkpoints and packages")
    parser.add_argument("--data", help="folder of 802.11 captures (.dat)")
    parser.add_argument("--member", default="full")
    parser.add_argument("--minutes", type=float, default=6)
    parser.add_argument("--channels", type=int, default=300)
    parser.add_argument("--measure", action="store_true", help="measure what was trained")
    args = parser.parse_args()
    if args.what == "wifi" and not args.data:
        parser.error("wifi needs --data, a folder of captures")
    ways = {("simulate", False): simulate, ("simulate", True): measure_simulation}
    ways |= {("wifi", False): wifi, ("wifi", True): measure_wifi}
    ways[args.what, args.measure](args)


if __name__ == "__main__":
    main()
