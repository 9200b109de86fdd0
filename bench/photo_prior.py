# SPDX-License-Identifier: GPL-3.0-or-later
"""The prior of photographs where `photo_mmse` was trained, and where it was not: both and `linear` on the same samples.

    build/env/radio/bin/python bench/photo_prior.py [--images DIR] [--count N] [--only NAME ...] [--save DIR]

Where it was trained: the semantic link, noise variances per coefficient as its receiver states them. Where it was not:
octaves of the picture lost whole, a burst that takes more than half of the symbols, an interferer on some of the
carriers, and two other linear codes: `chunks` (the spectrum in 8 x 8 chunks, each scaled by the fourth root of its
variance, the weakest left out) and `plain` (the lowest frequencies, all scaled alike).

Prints PSNR of `linear` and of each scheme, the difference of both schemes with a 95 % interval (bootstrap over
pictures), and how true the prior's variances are: coefficients in ten equal groups by the variance stated, what was
stated over the squared error of each group, the least and the largest.
"""

import argparse
import json
import os
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))

from gr_diffsem.base import model_packages, picture_bands, picture_transform  # noqa: E402
from gr_diffsem.base.picture_bands import SCALE  # noqa: E402
from gr_diffsem.base.signal import complex_noise  # noqa: E402
from gr_diffsem.codec import frames, picture_codec  # noqa: E402
from gr_diffsem.models import link_photographs, photo_data  # noqa: E402
from gr_diffsem.reference import photo  # noqa: E402

DATA = Path(os.environ.get("DIFFSEM_DATA", ROOT.parent / "shared" / "data")) / "bsds500" / "val"
SEED = 2026
COUNT = 12
SCHEMES = ("photo_mmse", "photo_posterior")


@lru_cache(maxsize=64)
def _encoded(photograph, shape, cbr):
    return link_photographs.encode(np.frombuffer(photograph, np.uint8).reshape(shape), cbr)


def link(rng, photograph, cbr, snr_db, kind="awgn", change=None, hide=None):
    """(z, v, spectrum) behind the semantic link. change: (rng, symbols, noise variances, noise) -> the first two anew;
    hide: (H, W) -> which coefficients [3, H, W] are lost."""
    sent = _encoded(photograph.tobytes(), photograph.shape, cbr)
    symbols, stated = link_photographs.receive(rng, sent.symbols, snr_db, kind, 0)
    if change:
        symbols, stated = change(rng, symbols, stated, 10 ** (-snr_db / 10))
    z, v, power = picture_codec.observation(sent.plan, symbols, stated)
    if hide:
        v = np.where(hide(*v.shape[1:]), np.inf, v).astype(np.float32)
    return z, v, power


def on_the_air(n):
    """(frame, carrier) of each of n symbols, and their order in time."""
    turn, frame = np.divmod(np.arange(n), frames.frame_count(n))
    return frame, turn % frames.CARRIERS, np.lexsort((turn, frame))


def burst(share):
    """One run of symbols is lost."""

    def change(rng, symbols, stated, _):
        order = on_the_air(symbols.size)[2]
        length = round(share * symbols.size)
        begin = rng.integers(symbols.size - length + 1)
        lost = stated.copy()
        lost[order[begin : begin + length]] = np.inf
        return symbols, lost

    return change


def interferer(count, over_noise_db):
    """So many neighbouring carriers have more noise, which the receiver states."""

    def change(rng, symbols, stated, noise):
        first = rng.integers(frames.CARRIERS - count + 1)
        carrier = on_the_air(symbols.size)[1]
        hit = (carrier >= first) & (carrier < first + count)
        more = noise * 10 ** (over_noise_db / 10)
        return symbols + hit * complex_noise(rng, symbols.size, more), (stated + hit * more).astype(np.float32)

    return change


def octave(low, high):
    """What lies between these frequencies, in units of Nyquist's."""

    def hide(h, w):
        f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w)
        return np.broadcast_to((f >= low) & (f < high), (3, h, w))

    return hide


def stripe(low, high):
    """What lies between these frequencies of the rows, whatever the columns say: a scanner's or a codec's fault."""

    def hide(h, w):
        f = np.arange(h)[:, None] / h
        return np.broadcast_to((f >= low) & (f < high), (3, h, w))

    return hide


def _noisy(rng, c, gain, sent, snr_db):
    """(z, v) of coefficients sent as reals at a mean power of 1 each, two a symbol."""
    scale = np.sqrt(np.sum((gain * c)[sent] ** 2) / np.count_nonzero(sent))
    noise = 10 ** (-snr_db / 10) * (scale / gain) ** 2
    v = np.where(sent, noise, np.inf)
    v[:, 0, 0] = 1e-6  # the mean goes another way
    z = c + np.sqrt(np.where(np.isfinite(v), v, 0)) * rng.standard_normal(c.shape)
    return z.astype(np.float32), v.astype(np.float32)


def chunks(rng, photograph, cbr, snr_db):
    """Chunks of the spectrum scaled by the fourth root of their variance, the weakest left out; variances are known."""
    c = picture_transform.forward(SCALE * (photograph.astype(np.float32) / 255 - 0.5))
    c_ac = c.copy()
    c_ac[:, 0, 0] = 0
    _, h, w = c.shape
    index = (np.arange(h)[:, None] * 8 // h) * 8 + np.arange(w) * 8 // w
    number = np.bincount(index.ravel())
    variance = np.array([np.bincount(index.ravel(), p.ravel() ** 2) / number for p in c_ac]) + 1e-7
    best = np.argsort(-variance, axis=None)
    kept = best[np.cumsum(np.tile(number, 3)[best]) <= 2 * cbr * photograph.size]
    chosen = np.zeros(variance.size, bool)
    chosen[kept] = True
    power = np.stack([row[index] for row in variance]).astype(np.float32)
    sent = np.stack([row[index] for row in chosen.reshape(variance.shape)])
    power[:, 0, 0] = c[:, 0, 0] ** 2 + 1
    return *_noisy(rng, c, power**-0.25, sent, snr_db), power


def plain(rng, photograph, cbr, snr_db, lost=0.0):
    """The lowest frequencies of all colours alike, unscaled; a share of them is lost in one run."""
    c = picture_transform.forward(SCALE * (photograph.astype(np.float32) / 255 - 0.5))
    f = np.hypot(np.arange(c.shape[1])[:, None] / c.shape[1], np.arange(c.shape[2]) / c.shape[2])
    rank = np.argsort(np.argsort(f, axis=None)).reshape(f.shape)
    number = round(2 * cbr * photograph.size / 3)
    begin = rng.integers(round(0.02 * number), round((1 - lost) * number))
    sent = (rank > 0) & (rank < number)
    z, v = _noisy(rng, c, np.ones_like(c), np.broadcast_to(sent, c.shape), snr_db)
    v[:, (rank >= begin) & (rank < begin + lost * number)] = np.inf
    return z, v, photo_data.spectrum(c)


#: {name: (code, its arguments)}; behind the link, and elsewhere.
TRAINED = {
    "1/48 awgn -5": (link, (1 / 48, -5)),
    "1/48 awgn 0": (link, (1 / 48, 0)),
    "1/48 awgn 10": (link, (1 / 48, 10)),
    "1/48 awgn 20": (link, (1 / 48, 20)),
    "1/6 awgn 0": (link, (1 / 6, 0)),
    "1/6 awgn 10": (link, (1 / 6, 10)),
    "1/6 awgn 20": (link, (1 / 6, 20)),
    "1/48 tdl 0": (link, (1 / 48, 0, "tdl")),
    "1/48 tdl 10": (link, (1 / 48, 10, "tdl")),
    "1/6 tdl 10": (link, (1 / 6, 10, "tdl")),
}
ELSEWHERE = {
    "octave 1/8 to 1/4 lost, 1/6 awgn 10": (link, (1 / 6, 10, "awgn", None, octave(1 / 8, 1 / 4))),
    "octave 1/4 to 1/2 lost, 1/6 awgn 10": (link, (1 / 6, 10, "awgn", None, octave(1 / 4, 1 / 2))),
    "rows 0.06 to 0.16 lost, 1/6 awgn 10": (link, (1 / 6, 10, "awgn", None, stripe(0.06, 0.16))),
    "burst of 60 %, 1/6 awgn 10": (link, (1 / 6, 10, "awgn", burst(0.6))),
    "burst of 80 %, 1/6 tdl 10": (link, (1 / 6, 10, "tdl", burst(0.8))),
    "interferer +20 dB on 12 of 48, 1/6 awgn 10": (link, (1 / 6, 10, "awgn", interferer(12, 20))),
    "interferer +30 dB on 24 of 48, 1/48 awgn 5": (link, (1 / 48, 5, "awgn", interferer(24, 30))),
    "chunks 1/24, 5 dB": (chunks, (1 / 24, 5)),
    "chunks 1/6, 10 dB": (chunks, (1 / 6, 10)),
    "plain 1/12, 10 dB": (plain, (1 / 12, 10)),
    "plain 1/6, 0 dB, 20 % lost in a run": (plain, (1 / 6, 0, 0.2)),
}
CONDITIONS = TRAINED | ELSEWHERE


class Receiver:
    """A package of photographs, NAME[:KEY=VALUE,...]: its plan's keys may be given anew."""

    def __init__(self, spec):
        name, _, keys = spec.partition(":")
        folder, member = model_packages.locate(name, checkout_first=True)
        manifest = model_packages.read_manifest(folder)
        how = manifest["members"][member or manifest["default"]]
        self.plan = how["plan"] | {k: float(v) for k, v in (word.split("=") for word in keys.split(",") if word)}
        self.net = photo.OnnxNet(folder / how["prior"]["file"])

    def __call__(self, z, v, power):
        """(mean, variance) of the coefficients."""
        p = self.plan
        return photo.inferred(self.net, z, v, power, int(p["steps"]), p["inflation"], bool(p["final"]))[:2]


def as_bytes(x):
    return np.clip(np.round(255 * (x / SCALE + 0.5)), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def calibration(variance, error):
    """Stated over squared error in ten equal groups of coefficients by what was stated: [10]."""
    groups = np.array_split(np.argsort(variance, axis=None, kind="stable"), 10)
    return [float(np.sum(variance.ravel()[g]) / np.sum(error.ravel()[g] ** 2)) for g in groups]


def interval(values):
    """95 % interval of the mean, by bootstrap."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(2000, len(values)))].mean(1)
    return [float(x) for x in np.percentile(means, [2.5, 97.5])]


def measure(name, pictures, receivers, save):
    """The scores of one condition."""
    code, arguments = CONDITIONS[name]
    scores = {key: [] for key in ("linear", *receivers)}
    stated, errors, seconds = {k: [] for k in receivers}, {k: [] for k in receivers}, dict.fromkeys(receivers, 0.0)
    for i, (title, picture) in enumerate(pictures.items()):
        z, v, power = code(np.random.default_rng([SEED, i]), picture, *arguments)
        true = picture_transform.forward(SCALE * (picture.astype(np.float32) / 255 - 0.5))
        linear, _ = picture_bands.proximal(0.0, power, z, v)
        shown = {"linear": as_bytes(picture_transform.inverse(linear))}
        for key, receiver in receivers.items():
            began = time.process_time()
            mean, variance = receiver(z, v, power)
            seconds[key] += time.process_time() - began
            shown[key] = as_bytes(picture_transform.inverse(mean))
            stated[key].append(variance.ravel())
            errors[key].append((mean - true).ravel())
        for key, image in shown.items():
            scores[key].append(psnr(image, picture))
        if save and i < 4:
            keep(save / f"{name.replace('/', '_').replace(' ', '-').replace('%', '')}-{title}.png", picture, shown)
    return {
        "psnr": scores,
        "calibration": {k: calibration(*(np.concatenate(x[k]) for x in (stated, errors))) for k in receivers},
        "seconds": {k: t / len(pictures) for k, t in seconds.items()},
    }


def keep(path, picture, shown):
    """The original and what was received, side by side."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.concatenate([picture, *shown.values()], 1)).save(path)


def line(name, scores, receivers):
    """A row of the table."""
    base = np.array(scores["psnr"]["linear"])
    cells = [name, f"{base.mean():.2f}"]
    cells += [f"{np.mean(scores['psnr'][k]):.2f}" for k in receivers]
    first, *others = (np.array(scores["psnr"][k]) for k in receivers)
    for other, key in zip(others, list(receivers)[1:], strict=True):
        gain = other - first
        low, high = interval(gain)
        ratios = scores["calibration"][key]
        cells += [f"{gain.mean():+.2f} [{low:+.2f}, {high:+.2f}]", f"{min(ratios):.2f} .. {max(ratios):.2f}"]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", default=DATA, help="folder of photographs (BSDS500's validation part)")
    parser.add_argument("--count", type=int, default=COUNT, help=f"so many of them, evenly spaced ({COUNT})")
    parser.add_argument("--only", nargs="+", choices=CONDITIONS, default=list(CONDITIONS), metavar="NAME")
    parser.add_argument("--schemes", nargs="+", default=SCHEMES, help="packages, the first to compare with")
    parser.add_argument("--save", type=Path, help="folder for what the first four pictures become")
    parser.add_argument("--json", type=Path, help="file for all scores")
    args = parser.parse_args()
    loaded = photo_data.load(args.images)
    chosen = np.unique(np.linspace(0, len(loaded) - 1, args.count).round().astype(int))
    pictures = {str(i): loaded[i] for i in chosen}
    receivers = {spec: Receiver(spec) for spec in args.schemes}
    head = ["condition", "linear", *receivers]
    for key in args.schemes[1:]:
        head += [f"{key} over {args.schemes[0]}", "stated over actual"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    report = {}
    for name in args.only:
        report[name] = measure(name, pictures, receivers, args.save)
        print(line(name, report[name], receivers), flush=True)
    for key in receivers:
        print(f"\n{key}: {np.mean([r['seconds'][key] for r in report.values()]):.2f} s a picture", end="")
    print()
    if args.json:
        args.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
