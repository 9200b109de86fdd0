#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two unknowns at once: what docs/openings/several_unknowns.md says beside `gr-diffsem eval mimo_joint`.

    build/env/radio/bin/python bench/several_unknowns.py            # settle, wrong optima (minutes)
    build/env/radio/bin/python bench/several_unknowns.py --exact    # against the exact answer (an hour of a core)

First: NMSE of H without rounds by mean field, with them alone, and as it is; then the frames of `mimo_joint_8x4` that
end at a wrong optimum (NMSE above ten times the median), what their residual says, and what becomes of those above
`--residual` when they are tried again with other drivers.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "python")]

from gr_diffsem import schemes  # noqa: E402
from gr_diffsem.base.signal import complex_noise32  # noqa: E402

DRIVERS = {"noise alone": "settle=0", "mean field alone": "settle=10", "half and half": "settle=5"}
POINTS = {"mimo_joint": (0, 8, 12), "mimo_joint_8x4": (6, 10, 20)}
AGAIN = ("rounds=40", "settle=0", "settle=10", "rounds=4,settle=0", "rounds=20,settle=2")


def frames(name, snr_db, count, seed):
    """(channels, measurements, noise variance)."""
    scheme, rng = schemes.get(name), np.random.default_rng(seed)
    h, x = scheme.draw(rng, count)
    noise_var = scheme.transmit * 10 ** (-snr_db / 10)
    return h, h @ x + np.sqrt(np.float32(noise_var)) * complex_noise32(rng, (count, *scheme.shape)), noise_var


def estimate(spec, y, noise_var):
    """(channels, residuals)."""
    from gnuradio import diffsem

    means, _, info = diffsem.scheme(spec).estimate(y.astype(np.complex64), np.float32(noise_var))
    return means["H"], np.asarray(info["residual"])


def errors(found, h):
    return np.sum(np.abs(found - h) ** 2, (1, 2))


def settling(count, seed):
    print(f"NMSE of H in dB, 10 rounds, {count} frames, seed {seed}\n")
    print("| | " + " | ".join(f"{n} {db} dB" for n, points in POINTS.items() for db in points) + " |")
    print("|---" * (1 + sum(map(len, POINTS.values()))) + "|")
    for label, keys in DRIVERS.items():
        row = []
        for name, points in POINTS.items():
            for snr_db in points:
                h, y, noise_var = frames(name, snr_db, count, seed)
                found, _ = estimate(f"{name}:{keys}", y, noise_var)
                row.append(10 * np.log10(np.sum(errors(found, h)) / np.sum(np.abs(h) ** 2)))
        print(f"| {label} | " + " | ".join(f"{v:.1f}" for v in row) + " |", flush=True)


def wrong_optima(count, seed, limit):
    name = "mimo_joint_8x4"
    for snr_db in (20, 10):
        h, y, noise_var = frames(name, snr_db, count, seed)
        began = time.process_time()
        found, residual = estimate(name, y, noise_var)
        took = time.process_time() - began
        error = errors(found, h)
        wrong = error > 10 * np.median(error)
        far = residual > limit
        print(f"\n{name}, {snr_db} dB, {count} frames, seed {seed}: {wrong.sum()} end at a wrong optimum", end="; ")
        if wrong.any():
            print(f"their residuals {residual[wrong].min():.1f} .. {residual[wrong].max():.1f}", end="; ")
        print(f"the others' at most {residual[~wrong].max():.2f}; {1e3 * took / count:.1f} ms a frame")
        best, told = error.copy(), residual.copy()
        for keys in AGAIN:
            again, its = estimate(f"{name}:{keys}", y[far], noise_var)
            better = its < told[far]
            best[far] = np.where(better, errors(again, h[far]), best[far])
            told[far] = np.where(better, its, told[far])
            print(f"  above {limit} again with {keys}: {(best > 10 * np.median(error)).sum()} left")
        for label, e in (("as it is", error), ("tried again", best)):
            print(f"  {label}: NMSE of H {10 * np.log10(np.sum(e) / np.sum(np.abs(h) ** 2)):.2f} dB", flush=True)


def against_exact(count):
    import test_unknowns

    print("| SNR, dB | exact, dB | joint loses | pilots alone lose | distance, dB | errors: exact, joint, pilots |")
    print("|---|---|---|---|---|---|")
    for snr_db in (0, 6, 12, 20):
        total, apart, wrong = test_unknowns.small_case(count, 2 * 10 ** (-snr_db / 10), 1000 + snr_db)
        exact, power = total["exact"], 4 * count
        lost = [10 * np.log10(total[name] / exact) for name in ("joint", "pilots")]
        cells = [10 * np.log10(exact / power), *lost, 10 * np.log10(apart / power)]
        symbols = ", ".join(str(wrong[name]) for name in ("exact", "joint", "pilots"))
        print(f"| {snr_db} | " + " | ".join(f"{v:.2f}" for v in cells) + f" | {symbols} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exact", action="store_true")
    parser.add_argument("--frames", type=int, help="default: 1500, with --exact 120")
    parser.add_argument("--seed", type=int, default=100, help="not of --exact, whose seeds are 1000 + SNR")
    parser.add_argument("--residual", type=float, default=2.0, help="above it a frame is tried again")
    options = parser.parse_args()
    if options.exact:
        against_exact(options.frames or 120)
        return
    settling(min(options.frames or 300, 300), options.seed)
    wrong_optima(options.frames or 1500, options.seed, options.residual)


if __name__ == "__main__":
    main()
