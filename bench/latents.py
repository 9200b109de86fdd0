#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the prior of `digits_latent` is worth: the numbers of docs/openings/latents.md.

    build/env/radio/bin/python bench/latents.py [--items 1000] [--draws 500] [--seed 1]

Test pictures are encoded, their 32 numbers get noise, and the content of each estimate is compared with the picture:
squared error over power, and what the classifier of tests/data reads. Then draws from noise, read by the same.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "blocks")]

from digit_judge import judge  # noqa: E402
from gr_diffsem.models import digit_images  # noqa: E402

SNR_DB = (-5, 0, 5, 10)
ONE_LOOK = "digits_latent:start=matched,sampler=one_step"


def on_the_air(items, seed):
    from gnuradio import diffsem

    rng = np.random.default_rng(seed)
    pictures, labels = digit_images.load("test")
    chosen = rng.integers(len(pictures), size=items)
    pictures, labels = pictures[chosen], labels[chosen]
    look, lmmse = diffsem.scheme(ONE_LOOK), diffsem.scheme("digits_latent/lmmse")
    sent = look.encode(pictures)
    noise = rng.standard_normal(sent.shape).astype(np.float32)
    print(f"encoded and decoded, without noise: {cell(look.decode(sent), pictures, labels)}\n")
    print("| SNR of an element | received latent decoded | LMMSE decoded | one look, class not told | class told |")
    print("|---|---|---|---|---|")
    for snr_db in SNR_DB:
        noise_var = np.float32(10 ** (-snr_db / 10))
        y = sent + np.sqrt(noise_var) * noise
        told = look.estimate(y, noise_var, condition={"class": labels})
        found = [look.decode(y), look.decode(latent(lmmse, y, noise_var)), look.estimate(y, noise_var)[0], told[0]]
        print(f"| {snr_db} dB | " + " | ".join(cell(f, pictures, labels) for f in found) + " |", flush=True)


def latent(scheme, y, noise_var):
    """The estimate itself, whether or not the member has a decoder."""
    mean, _, info = scheme.estimate(y, noise_var)
    return info.get("latent", mean)


def cell(found, pictures, labels):
    found = np.asarray(found).reshape(pictures.shape)
    error = 10 * np.log10(np.sum((found - pictures) ** 2) / np.sum(pictures**2))
    return f"{error:.1f} / {100 * np.mean(judge(found) == labels):.0f} %"


def from_noise(count, seed):
    from gnuradio import diffsem

    classes = np.arange(count) % 10
    for scale in (2, 1):
        scheme = diffsem.scheme(f"digits_latent:guidance={scale}")
        drawn = scheme.estimate(np.zeros((count, 32), np.float32), np.inf, seed=seed, condition={"class": classes})[0]
        print(f"guidance {scale}: {np.sum(judge(drawn) == classes)} of {count} draws are read as the digit asked for")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    on_the_air(options.items, options.seed)
    print()
    from_noise(options.draws, options.seed)


if __name__ == "__main__":
    main()
