# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoisers of a learned code's latents against the code's own decoder: what is known of the channel, and what is not.

    PYTHONPATH=python build/env/radio/bin/python bench/denoisers.py --images DIR [--count 12] [--cbr 1/48]

Each row is a channel and what receivers are told of it. Every method has the same received symbols; differences to
`jscc`, told the same, with 95 % intervals over pictures. `jscc, told right` is the decoder where nothing is wrong.
"""

import argparse
import sys

from gr_diffsem.base import console
from gr_diffsem.eval import photo_trials, semantic_link

METHODS = ("jscc", "cddm", "latent_onestep", "djscc_csi", "latent_dnsc", "latent_ednsc")
ROWS = (
    ("AWGN, known", "awgn", 0.0, True),
    ("AWGN, SNR told 5 dB too high", "awgn", 5.0, True),
    ("AWGN, SNR told 5 dB too low", "awgn", -5.0, True),
    ("Rayleigh a frame, known", "rayleigh", 0.0, True),
    ("Rayleigh a frame, no CSI", "rayleigh", 0.0, False),
    ("TDL, known", "tdl", 0.0, True),
    ("TDL, SNR told 5 dB too high", "tdl", 5.0, True),
    ("TDL, no CSI", "tdl", 0.0, False),
)


def measured(args, channel, misstated, csi):
    """The report of `gr-diffsem eval semantic_link`."""
    parser = argparse.ArgumentParser()
    semantic_link.add_arguments(parser)
    words = ["--images", args.images, "--count", args.count, "--cbr", args.cbr, "--snr", *args.snr, "--features"]
    words += ["--channel", channel, f"--misstated={misstated}", "--methods", *METHODS, "--seed", args.seed]
    words += [] if csi else ["--no-csi"]
    return semantic_link.run(parser.parse_args([str(word) for word in words]))


def main():
    """Print one table an SNR."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--cbr", default="1/48")
    parser.add_argument("--snr", type=float, nargs="+", default=[0.0, 5.0, 10.0])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    reports = []
    for title, *how in ROWS:
        print(title, file=sys.stderr)
        reports.append((title, measured(args, *how)["methods"]))
    features = next(key for key in reports[0][1]["jscc"] if key.startswith("feature"))
    for s, snr in enumerate(args.snr):
        rows = []
        for title, scores in reports:
            row = [title, f"{scores['jscc']['psnr_db'][s]:.2f}"]
            for name in METHODS[1:]:
                over = scores[name]["over_jscc"]
                low, high = over["ci95"][s]
                row.append(f"{over['psnr_db'][s]:+.2f} ({low:+.2f} .. {high:+.2f})")
            rows.append(row)
            for key, places in (("ms_ssim", 3), (features, 3)):
                rows.append([f"- {key}", *(f"{scores[name][key][s]:.{places}f}" for name in METHODS)])
        where = f"CBR {args.cbr}, {snr:g} dB, {args.count} photographs"
        print(f"\n{where}; PSNR of jscc, and what others have over it, dB\n")
        print(*console.plain(["channel, told", *METHODS], rows), sep="\n")


if __name__ == "__main__":
    assert set(METHODS) <= set(photo_trials.methods())
    main()
