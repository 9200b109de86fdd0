# SPDX-License-Identifier: GPL-3.0-or-later
"""The photograph schemes against `linear`, without the link's symbols: noise variances per coefficient as
the link leaves them (models/link_photographs.py), the same for every receiver. What the link's own code makes
of them, side information and headers counted to the symbol, is `gr-diffsem eval semantic_link`.

    build/env/radio/bin/python bench/photo_gates.py [--images DIR] [--count N] [--draws N] [--steps N ...]

Prints PSNR of `linear` and gains over it: mean, 95 % interval (bootstrap over pictures and draws), share
of pictures that gained, MS-SSIM.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

from gr_diffsem.base import model_packages, picture_bands  # noqa: E402
from gr_diffsem.base.picture_metrics import ms_ssim  # noqa: E402
from gr_diffsem.models import link_photographs, photo_data  # noqa: E402
from gr_diffsem.reference import photo  # noqa: E402

PICTURES = ("astronaut", "chelsea", "coffee", "rocket", "motorcycle", "hubble_deep_field")  # chosen beforehand
SEED = 2026
CONDITIONS = {
    "1/48 awgn 0": (1 / 48, 0, "awgn", 0),
    "1/48 awgn 5": (1 / 48, 5, "awgn", 0),
    "1/48 awgn 10": (1 / 48, 10, "awgn", 0),
    "1/6 awgn 0": (1 / 6, 0, "awgn", 0),
    "1/6 awgn 5": (1 / 6, 5, "awgn", 0),
    "1/6 awgn 10": (1 / 6, 10, "awgn", 0),
    "1/6 tdl 10": (1 / 6, 10, "tdl", 0),
    "1/48 tdl 10": (1 / 48, 10, "tdl", 0),
    "1/6 awgn 10, 10 % lost": (1 / 6, 10, "awgn", 0.1),
    "1/6 awgn 10, 30 % lost": (1 / 6, 10, "awgn", 0.3),
    "1/6 tdl 10, 10 % lost": (1 / 6, 10, "tdl", 0.1),
    "1/6 tdl 10, 30 % lost": (1 / 6, 10, "tdl", 0.3),
}


def sample_pictures(side):
    """scikit-image's photographs, at most `side` pixels a side."""
    from PIL import Image
    from skimage import data

    out = []
    for name in PICTURES:
        array = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
        picture = Image.fromarray(array[..., :3])
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        out.append(np.asarray(picture))
    return out


def as_bytes(x):
    return np.clip(np.round(255 * (x / picture_bands.SCALE + 0.5)), 0, 255).astype(np.uint8)


def quality(x, truth):
    """(PSNR, MS-SSIM) of what would be written to a file."""
    a, b = as_bytes(x), as_bytes(truth)
    mse = np.mean((a.astype(float) - b) ** 2)
    return 10 * np.log10(255**2 / mse), ms_ssim(a, b)


def receivers(steps):
    """{name: (z, v, spectrum) -> image}."""
    out = {"linear": lambda z, v, p: photo.posterior(None, z, v, p, 0)}
    for name in ("photo_mmse", "photo_posterior"):
        folder = ROOT / "models" / name
        if not (folder / "manifest.json").is_file():
            continue
        manifest = model_packages.read_manifest(folder)
        for key, member in manifest["members"].items():
            called = name if key == manifest["default"] else f"{name}/{key}"
            net, plan = photo.OnnxNet(folder / member["prior"]["file"]), member["plan"]

            def run(z, v, p, n, net=net, plan=plan):
                return photo.posterior(net, z, v, p, n, plan["inflation"], plan["final"])

            out[called] = lambda z, v, p, run=run, n=plan["steps"]: run(z, v, p, n)
            if called == "photo_posterior":
                for n in steps:
                    out[f"photo_posterior:steps={n}"] = lambda z, v, p, run=run, n=n: run(z, v, p, n)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", help="folder of photographs (default: scikit-image's)")
    parser.add_argument("--count", type=int, default=1000, help="at most this many of them, evenly spaced")
    parser.add_argument("--side", type=int, default=768, help="reduce scikit-image's to this many pixels a side")
    parser.add_argument("--draws", type=int, default=1, help="noise and fading draws a picture")
    parser.add_argument("--steps", type=int, nargs="*", default=[], help="posterior with so many evaluations too")
    parser.add_argument("--only", nargs="*", default=list(CONDITIONS), help="conditions, by name")
    args = parser.parse_args()
    pictures = photo_data.load(args.images) if args.images else sample_pictures(args.side)
    pictures = [pictures[i] for i in np.unique(np.linspace(0, len(pictures) - 1, args.count).round().astype(int))]
    methods = receivers(args.steps)
    print("| condition | linear | " + " | ".join(name for name in methods if name != "linear") + " |", flush=True)
    for condition in args.only:
        scores = {name: [] for name in methods}
        for i, picture in enumerate(pictures):
            for draw in range(args.draws):
                rng = np.random.default_rng([SEED, i, draw])
                truth, *known = link_photographs.observe(rng, picture, *CONDITIONS[condition])
                for name, method in methods.items():
                    scores[name].append(quality(method(*known), truth))
        print(line(condition, {k: np.array(v) for k, v in scores.items()}, len(pictures)), flush=True)


def line(condition, scores, pictures):
    base = scores.pop("linear")
    cells = [f"{base[:, 0].mean():.2f} dB, {base[:, 1].mean():.3f}"]
    rng = np.random.default_rng(0)
    for score in scores.values():
        gain = (score - base)[:, 0]
        means = gain[rng.integers(len(gain), size=(2000, len(gain)))].mean(1)
        low, high = np.percentile(means, [2.5, 97.5])
        better = (gain.reshape(pictures, -1).mean(1) > 0).sum()
        ssim = (score - base)[:, 1].mean()
        cells.append(f"{gain.mean():+.2f} ({low:+.2f} .. {high:+.2f}), {better}/{pictures}, {ssim:+.3f}")
    return f"| {condition} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
