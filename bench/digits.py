#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Digits drawn from noise through the block, judged by the classifier of tests/data; --figure FILE: a sheet of them.

    build/env/radio/bin/python bench/digits.py [--each 100] [--seed 1] [--figure docs/images/digits.png]

Seeds are fixed before; the interval is Wilson's at 95 %.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "blocks")]

from digit_judge import judge, said_right  # noqa: E402
from gr_diffsem.models import digit_images  # noqa: E402

SCALES = (0, 1, 2, 3)


def wilson(right, n, z=1.96):
    """95 % interval of a share."""
    p = right / n
    centre, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (centre - half) / (1 + z * z / n), (centre + half) / (1 + z * z / n)


def main():
    from gnuradio import diffsem
    from gr_diffsem.eval.flowgraph import through_block

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--figure")
    args = parser.parse_args()
    labels = np.arange(10 * args.each) % 10
    nothing = np.zeros((len(labels), 784), np.float32)
    print(f"judge: {100 * said_right():.2f} % of the test pictures; {len(labels)} draws, seed {args.seed}")
    for scale in SCALES:
        handle = diffsem.scheme(f"digits:guidance_scale={scale}")
        began = time.monotonic()
        drawn, _, failed, _ = through_block(handle, nothing, np.inf, seed=args.seed, condition={"class": labels})
        took = (time.monotonic() - began) / len(labels)
        right = int(np.sum(judge(drawn) == labels))
        low, high = wilson(right, len(labels))
        spread = np.mean([drawn[k::10].var(0).mean() for k in range(10)])
        print(
            f"scale {scale}: {100 * right / len(labels):.1f} % ({100 * low:.1f} .. {100 * high:.1f}) agree, "
            f"power {np.mean(drawn**2):.2f}, spread within a class {spread:.3f}, {1e3 * took:.0f} ms each, "
            f"{failed} failed"
        )
        if scale == 2 and args.figure:
            sheet(drawn, args.figure)


def sheet(drawn, file, columns=16, up=2):
    """A row of draws for each digit."""
    from PIL import Image

    rows = [np.concatenate(list(drawn[k::10][:columns].reshape(-1, 28, 28)), 1) for k in range(10)]
    pixels = digit_images.to_pixels(np.concatenate(rows, 0))
    image = Image.fromarray(pixels)
    image.resize((up * image.width, up * image.height), Image.Resampling.BICUBIC).save(file, optimize=True)


if __name__ == "__main__":
    main()
