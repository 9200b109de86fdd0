# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from files, as uint8 [H, W, 3], by rules that are said.

Turned as EXIF says. Transparent pixels lie on white. Grey becomes three equal colours; of 16 bits the upper
8 are kept. Larger pictures than asked for are reduced; what is too small, too large to open or no picture is refused.
"""

from pathlib import Path

import numpy as np

from .errors import UserError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm")
LEAST = 16  #: pixels a side
MOST = 64_000_000  #: pixels that are opened at all
#: The photographs that scikit-image brings.
BUNDLED = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg")


def load(path, max_side=None):
    """One file -> uint8 [H, W, 3], its longer side at most max_side. UserError says what to do."""
    from PIL import Image

    try:
        return _load(path, max_side)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file") from None
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: {error}: scale it down first") from None
    except Exception as error:  # of any type: decoders stumble over what is damaged
        raise UserError(f"{path}: not a picture that can be read ({error}); give one of {' '.join(SUFFIXES)}") from None


def _load(path, max_side):
    from PIL import Image, ImageOps

    picture = Image.open(path)
    w, h = picture.size
    if w * h > MOST:
        raise UserError(f"{path}: {w} x {h} pixels; at most {MOST // 10**6} million are opened: scale it down first")
    if min(w, h) < LEAST:
        raise UserError(f"{path}: {w} x {h} pixels; a photograph needs {LEAST} a side")
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits(picture, path)
    if picture.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    picture = picture.convert("RGB")
    if max_side and max(picture.size) > max_side:
        scale = max_side / max(picture.size)
        picture = picture.resize([max(round(n * scale), LEAST) for n in picture.size], Image.LANCZOS)
    return np.array(picture)


def _eight_bits(picture, path):
    from PIL import Image

    values = np.asarray(picture)
    if picture.mode.startswith("F") or values.min() < 0 or values.max() > 65535:
        raise UserError(f"{path}: pixels of {values.min():g} to {values.max():g}; give 8 or 16 bits a colour")
    return Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8))


def files(path):
    """The picture files of a folder, by name, or the one file; UserError where there are none."""
    path = Path(path)
    if not path.exists():
        raise UserError(f"{path}: there is no such folder, and no such file")
    if not path.is_dir():
        return [path]
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
    if not found:
        raise UserError(f"{path}: no pictures in it; they end in {' '.join(SUFFIXES)}")
    return found


def folder(path, max_side=None, count=None):
    """The photographs of a folder (or one file) -> {name: uint8 [H, W, 3]}, in the order of their names."""
    chosen = files(path)[:count]
    stems = [p.stem for p in chosen]
    return {p.stem if stems.count(p.stem) == 1 else p.name: load(p, max_side) for p in chosen}


def bundled(max_side=None, count=None):
    """The photographs of scikit-image."""
    try:
        import skimage
    except ModuleNotFoundError:
        raise UserError("scikit-image, whose photographs are the default, is missing: give --images DIR") from None
    files = [Path(skimage.__file__).parent / "data" / name for name in BUNDLED]
    return {p.stem: load(p, max_side) for p in [p for p in files if p.exists()][:count]}
