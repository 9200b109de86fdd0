# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs whose transform coefficients were observed with unequal noise: what an image prior learns from.

No link is known here. A photograph's whole-image DCT coefficients get Gaussian noise of a random
spectrum, some of them none and some infinite; the Gaussian estimate under the photograph's own coarse
spectrum is the net's input. Such a denoiser is E[x | x + noise] for whatever noise an operator that
is diagonal in this transform leaves.
"""

import sys
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..base import picture_files
from ..base.errors import UserError
from ..base.picture_bands import SCALE
from ..base.picture_transform import forward

SMALLEST = 160  # pixels along the shorter side of a photograph that can be used
LONGEST = 800  # pixels along the longer side; what is larger is reduced
MOST_SIDE = 400  # of the part of a larger photograph that is drawn from


def load(folder):
    """Photographs of a folder and of those in it, as a list of uint8 [H, W, 3] in order of name."""
    from PIL import Image

    folder = Path(folder)
    suffixes = picture_files.SUFFIXES
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes) if folder.is_dir() else []
    photographs, errors = [], []
    for path in paths:
        try:
            image = Image.fromarray(picture_files.load(path))
        except UserError as error:
            print(f"skipped: {error}", file=sys.stderr)
            errors.append(error)
            continue
        if max(image.size) > LONGEST:
            image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
        if min(image.size) >= SMALLEST:
            photographs.append(np.asarray(image))
    if not photographs:
        why = f" (the first of {len(errors)} that were skipped: {errors[0]})" if errors else ""
        raise UserError(
            f"{folder} holds no photograph of {SMALLEST} pixels a side or more{why}: give --images a folder"
        )
    return photographs


def divided(args, scheme, most):
    """(photographs to train on, at most so many that are held back) of the options --images and --validate; without
    the latter a twentieth of the former is held back."""
    if not args.images:
        raise UserError(f"{scheme} is trained on photographs: give --images FOLDER")
    photographs = load(args.images)
    held = args.validate and load(args.validate)
    if not held:
        share = max(1, len(photographs) // 20) if len(photographs) > 1 else 0
        held, photographs = photographs[-share:], photographs[: len(photographs) - share] or photographs
    return photographs, held[:: max(1, len(held) // most)][:most]


@lru_cache(maxsize=64)
def _zones(h, w, ratio, parts=0):
    def axis(n):
        if parts:
            return np.arange(n) * parts // n
        return np.ceil(np.log(np.arange(n) + 1) / np.log(ratio)).astype(int)

    rows, columns = axis(h), axis(w)
    return (rows[:, None] * (columns.max() + 1) + columns).ravel()


def spectrum(c, ratio=1.5, parts=0):
    """Coarse power spectrum of coefficients [3, H, W]: means over geometric zones, or over so many equal parts of each
    axis, in steps of 3 dB."""
    index = _zones(*c.shape[1:], ratio, parts)
    count = np.maximum(np.bincount(index), 1)
    out = np.empty_like(c)
    for k, plane in enumerate(c):
        mean = np.bincount(index, plane.ravel() ** 2) / count
        out[k] = (2.0 ** np.round(np.log2(mean + 1e-7)))[index].reshape(plane.shape)
    return out


def draw_spectrum(rng, c):
    """What is told of a photograph's spectrum: in one of several ways."""
    if rng.random() < 0.2:
        return spectrum(c, parts=int(rng.integers(6, 24)))
    return spectrum(c, ratio=float(rng.choice((1.5, 1.5, 1.75, 2.25, 3.0))))


def draw_noise(rng, power):
    """Variances of the noise on every coefficient, a random spectrum: like `power` [3, H, W]; inf
    where nothing is observed."""
    shape = power.shape
    few = power.ravel()[rng.integers(power.size, size=2000)]
    faint = float(np.quantile(few, 1 - 10 ** rng.uniform(-2.2, 0)))
    tilt = rng.uniform(0, 0.8)  # the noise follows the signal's spectrum to this power
    v = faint * 10 ** rng.uniform(-2.2, 0.8) * (power / faint) ** tilt
    if rng.random() < 0.4:  # unequal noise, as from fading
        v = v * np.exp(rng.uniform(0.3, 1.5) * rng.standard_normal(shape, np.float32))
    if rng.random() < 0.3:  # some have much more of it
        v[rng.random(shape, np.float32) < rng.uniform(0, 0.7)] *= 10 ** rng.uniform(0.5, 3.5)
    if rng.random() < 0.7:  # the faintest coefficients are not observed
        v[power < faint] = np.inf
    elif rng.random() < 0.7:  # or the highest frequencies, whatever they hold
        v[:, _frequency(*shape[1:]) > 2 ** rng.uniform(-3.5, 0)] = np.inf
    if rng.random() < 0.5:  # some others neither
        v[rng.random(shape, np.float32) < rng.uniform(0, 0.85)] = np.inf
    if rng.random() < 0.4:  # nor a whole region, or with much more noise
        for _ in range(rng.integers(1, 3)):
            v[draw_region(rng, shape)] *= rng.choice((np.inf, np.inf, 10 ** rng.uniform(1, 3)))
    if rng.random() < 0.7:  # and the lowest are exact
        v[:, :4, :6] = 1e-6
    return v


def _frequency(h, w):
    return np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w)


def draw_region(rng, shape):
    """A region of the plane of frequencies, of all colours or some: bool [3, H, W]. A ring, a stripe along an axis, a
    rectangle or a sector."""
    _, h, w = shape
    rows, columns = np.broadcast_arrays(np.arange(h)[:, None] / h, np.arange(w) / w)

    def between(f):
        low = 2 ** rng.uniform(-5, -0.5)
        return (f >= low) & (f < low * 2 ** rng.uniform(0.2, 2))

    kind = rng.integers(5)
    if kind == 0:
        inside = between(_frequency(h, w))
    elif kind == 1:
        inside = between(rows)
    elif kind == 2:
        inside = between(columns)
    elif kind == 3:
        inside = between(rows) & between(columns)
    else:
        angle, middle = np.arctan2(rows, columns), rng.uniform(0, np.pi / 2)
        inside = (np.abs(angle - middle) < rng.uniform(0.05, 0.4)) & (_frequency(h, w) > 2 ** rng.uniform(-5, -2))
    colours = np.array(((1, 1, 1), (1, 1, 1), (1, 0, 0), (0, 1, 1))[rng.integers(4)], bool)
    return colours[:, None, None] & inside


def observe(rng, photograph):
    """One training pair: (truth [H, W, 3] in units of x, z, v, spectrum [3, H, W])."""
    return next(observations(rng, photograph))


def observations(rng, photograph):
    """What `observe` gives, again and again, of one copy of the photograph."""
    image = augment(rng, photograph)
    x = SCALE * (image.astype(np.float32) / 255 - 0.5)
    c = forward(x)
    while True:
        power = draw_spectrum(rng, c)
        v = draw_noise(rng, power).astype(np.float32)
        finite = np.where(np.isfinite(v), v, 0)
        yield x, c + np.sqrt(finite) * rng.standard_normal(c.shape, np.float32), v, power


def augment(rng, photograph):
    """A flipped, turned and perhaps reduced, brighter or darker copy, uint8."""
    from PIL import Image

    image = photograph
    scale = rng.choice((1.0, rng.uniform(0.5, 1)))
    h, w = (round(scale * n) for n in image.shape[:2])
    if scale < 1 and min(h, w) >= SMALLEST:
        image = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC))
    if rng.random() < 0.5:
        curve = np.linspace(0, 1, 256) ** np.exp(rng.uniform(-0.25, 0.25))
        image = np.rint(255 * curve).astype(np.uint8)[image]
    if rng.random() < 0.5:
        image = image[:, ::-1]
    if rng.random() < 0.5:
        image = image[::-1]
    return image.transpose(1, 0, 2) if rng.random() < 0.5 else image


def part(rng, photograph, side):
    """A random square of a photograph, or what there is of it."""
    h, w = (max(n - side, 0) for n in photograph.shape[:2])
    i, j = rng.integers(h + 1), rng.integers(w + 1)
    return photograph[i : i + side, j : j + side]


def cuts(rng, images, size, count):
    """The same `count` random squares of several [H, W, 3] images: a list of float32 [count, 3, size, size]."""
    h, w, _ = images[0].shape
    corners = [(rng.integers(h - size + 1), rng.integers(w - size + 1)) for _ in range(count)]
    return [
        np.stack([image[i : i + size, j : j + size].transpose(2, 0, 1) for i, j in corners]).astype(np.float32)
        for image in images
    ]
