# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the map of a photograph's uncertainty is right: predicted over actual error variance, by decile.

    PYTHONPATH=python build/env/radio/bin/python bench/uncertainty.py --images DIR [--count 20]

Pixels of all pictures are ordered by what is predicted of them; each decile's mean prediction is divided by its mean
squared error. `flat` is what one number for the whole picture would have: the same total, spread evenly.
"""

import argparse

import numpy as np
from gr_diffsem.base import console, picture_files, picture_transform
from gr_diffsem.eval import photo_receivers
from gr_diffsem.models import link_photographs
from gr_diffsem.reference import photo

AT = ((1 / 48, 0.0), (1 / 48, 10.0), (1 / 12, 5.0), (1 / 6, 10.0))
SCHEMES = ("linear", "photo_mmse", "photo_posterior")


def known(scheme, z, v, spectrum):
    """(mean, error variance) of the coefficients [3, H, W] behind a scheme."""
    if scheme == photo_receivers.LINEAR:
        return photo.inferred(None, z, v, spectrum, 0)[:2]
    receiver = photo_receivers.make(scheme)
    steps, inflation = (receiver.plan[key] for key in ("steps", "inflation"))
    return photo.inferred(receiver.net, z, v, spectrum, steps, inflation, receiver.plan.get("final", True))[:2]


def deciles(predicted, actual):
    """Predicted over actual, of pixels in order of the prediction."""
    parts = np.array_split(np.argsort(predicted), 10)
    return [predicted[part].mean() / actual[part].mean() for part in parts]


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True)
    parser.add_argument("--count", type=int, default=20)
    args = parser.parse_args()
    pictures = list(picture_files.folder(args.images, 768, args.count).values())
    rows = []
    for cbr, snr in AT:
        seen = [
            link_photographs.observe(np.random.default_rng([3, i]), picture, cbr, snr, "awgn", 0.0)
            for i, picture in enumerate(pictures)
        ]
        for scheme in SCHEMES:
            predicted, actual, flat = [], [], []
            for x, *measured in seen:
                mean, error = known(scheme, *measured)
                predicted.append(photo.deviation(mean, error).ravel() ** 2)
                actual.append(((picture_transform.inverse(mean) - x) ** 2).mean(-1).ravel())
                flat.append(np.full(actual[-1].size, error.mean()))
            predicted, actual, flat = (np.concatenate(part) for part in (predicted, actual, flat))
            gain = np.mean(np.log(flat) + actual / flat) - np.mean(np.log(predicted) + actual / predicted)
            ratios = [f"{r:.2f}" for r in deciles(predicted, actual)]
            total = predicted.mean() / actual.mean()
            rows.append([scheme, f"1/{1 / cbr:.0f}", f"{snr:g}", *ratios, f"{total:.2f}", f"{gain:.2f}"])
    heads = ["", "CBR", "dB", *(f"{d}" for d in range(1, 11)), "all", "nats a pixel over flat"]
    print("\n".join(console.table(heads, rows)))


if __name__ == "__main__":
    main()
