# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from files, as uint8 [H, W, 3], by rules that are said.

Turned as EXIF says. Transparent pixels lie on white. Grey becomes three equal colours; of more than 8 bits the upper 8
of those in use are kept, and a colour profile is converted to sRGB (picture_pixels.py). Of an animation the first frame
is taken. Larger pictures than asked for are reduced; what is too small, too large to open or no picture is refused.
"""

import itertools
import os
import sys
from pathlib import Path

import numpy as np

from . import picture_pixels, regular_file, tiff_samples
from .errors import UserError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".gif", ".jp2", ".avif", ".heic", ".heif"),
)
UNCERTAINTY = ".uncertainty.png"  # ending of a map beside a received picture
#: A camera's raw files begin with a small preview, which Pillow takes for the picture.
CAMERA = (".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".pef", ".raf", ".srw")
LEAST = 16  #: pixels a side
MOST = 64_000_000  #: pixels that are opened at all
#: The photographs that scikit-image brings.
BUNDLED = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "motorcycle_left.png", "rocket.jpg")
#: Brands in a file's first box -> what it is, the module that reads it where Pillow does not, the package to install.
_BOXED = {
    b"avif": ("AVIF", "pillow_avif", "'pillow>=11.3'"),
    b"avis": ("AVIF", "pillow_avif", "'pillow>=11.3'"),
    **dict.fromkeys(
        (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), ("HEIC", "pillow_heif", "pillow-heif")
    ),
    b"JXL ": ("JPEG XL", "pillow_jxl", "pillow-jxl-plugin"),
}


def load(path, max_side=None, say=None):
    """One file -> uint8 [H, W, 3], its longer side at most max_side. UserError says what to do.

    say: called with a sentence for each thing that was decided in the user's place, such as the frame of an animation.
    """
    from PIL import Image

    try:
        fault = regular_file.fault(path)
        if fault:
            raise UserError(f"{path}: {fault}")
        if Path(path).suffix.lower() in CAMERA:
            raise UserError(f"{path}: a camera's raw file, not yet a picture: develop it, and give the JPEG or TIFF")
        return _load(path, max_side, lambda text: say and say(f"{path}: {text}"))
    except UserError:
        raise
    except Image.DecompressionBombError as error:
        raise UserError(f"{path}: {error}: scale it down first") from None
    except Exception as error:  # of any type: decoders stumble over what is damaged
        kinds = "" if Path(path).suffix.lower() in SUFFIXES else f"; give one of {' '.join(SUFFIXES)}"
        raise UserError(f"{path}: not a picture that can be read ({error}){kinds}") from None


def _load(path, max_side, say):
    from PIL import Image

    try:
        picture = _open(path, say)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    w, h = picture.size
    if w * h > MOST:
        raise UserError(f"{path}: {w} x {h} pixels; at most {MOST // 10**6} million are opened: scale it down first")
    if min(w, h) < LEAST:
        raise UserError(f"{path}: {w} x {h} pixels; a photograph needs {LEAST} a side: enlarge it")
    try:
        picture = picture_pixels.colours(picture, say, lambda: Image.open(path))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    if max_side and max(picture.size) > max_side:
        scale = max_side / max(picture.size)
        if min(picture.size) * scale < LEAST - 0.5:
            say(f"is too long for {max_side} pixels: it is squeezed, for its shorter side to keep {LEAST}")
        picture = picture.resize([max(round(n * scale), LEAST) for n in picture.size], Image.LANCZOS)
    return np.array(picture)


def _open(path, say):
    """Image.open, with the plugin that the file needs where it is installed; UserError, the end of a sentence, naming
    it where it is not."""
    from PIL import Image, UnidentifiedImageError

    try:
        picture = Image.open(path)
        return tiff_samples.read(path, MOST, say) if tiff_samples.beyond_pillow(picture) else picture
    except UnidentifiedImageError:
        with open(path, "rb") as file:
            head = file.read(64)
        if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            return tiff_samples.read(path, MOST, say)
        size = int.from_bytes(head[:4], "big") if head[4:8] == b"ftyp" else 0
        brands = {head[i : i + 4] for i in range(8, min(size, len(head)), 4)} | {head[4:8]}
        brand = next((b for b in _BOXED if b in brands), None)  # of several, AVIF is the one that is meant
        if brand is None:
            raise
    kind, module, package = _BOXED[brand]
    try:
        plugin = __import__(module)
        getattr(plugin, "register_heif_opener", lambda: None)()  # the others register themselves
        return Image.open(path)
    except (ImportError, UnidentifiedImageError):
        remedy = f"{sys.executable} -m pip install {package}"
        raise UserError(f"{kind}, which needs a plugin to be read: {remedy}, or save it as JPEG") from None


def _is_picture(name):
    """By its name; what `receive --uncertainty` wrote beside a picture is none."""
    return Path(name).suffix.lower() in SUFFIXES and not name.endswith(UNCERTAINTY)


def files(path):
    """The picture files of a folder, by name, or the one file; UserError where there are none."""
    path = Path(path)
    try:
        if not path.exists():
            raise UserError(f"{path}: there is no such folder, and no such file")
        if not path.is_dir():
            return [path]
        found = sorted(p for p in path.iterdir() if _is_picture(p.name))
    except OSError as error:
        raise UserError(f"{path}: cannot be opened ({error.strerror})") from None
    if not found:
        raise UserError(f"{path}: no pictures in it; they end in {' '.join(SUFFIXES)}")
    return found


def left_out(path):
    """A sentence about what lies in a folder and is no picture by its name, or None."""
    names = sorted(e.name for e in os.scandir(path) if not _is_picture(e.name))
    some = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return f"{path}: left out, no pictures by their names: {some}" if names else None


def each(path, max_side=None, say=None, skip=None):
    """(name, uint8 [H, W, 3]) of each photograph of a folder, or of the one file, in the order of their names.

    say: called with a sentence for each thing that was decided in the user's place. skip: called with a sentence for
    each picture that cannot be read; without it the first of them is a UserError.
    """
    chosen = files(path)
    if say and Path(path).is_dir() and (sentence := left_out(path)):
        say(sentence)
    stems = [p.stem for p in chosen]
    for file in chosen:
        try:
            picture = load(file, max_side, say)
        except UserError as error:
            if not skip:
                raise
            skip(str(error))
        else:
            yield file.stem if stems.count(file.stem) == 1 else file.name, picture


def folder(path, max_side=None, count=None, say=None, skip=None):
    """The first `count` photographs of `each`, as {name: picture}; UserError where none can be read."""
    errors = []
    found = each(path, max_side, say, skip and (lambda text: (errors.append(text), skip(text))))
    pictures = dict(itertools.islice(found, count))
    if len(errors) == 1 and not pictures:
        raise UserError(errors[0])
    if not pictures:
        raise UserError(f"{path}: none of its {len(errors)} pictures can be read, the first because: {errors[0]}")
    return pictures


def bundled(max_side=None, count=None):
    """The photographs of scikit-image."""
    try:
        import skimage
    except ModuleNotFoundError:
        raise UserError("scikit-image, whose photographs are the default, is missing: give --images DIR") from None
    files = [Path(skimage.__file__).parent / "data" / name for name in BUNDLED]
    return {p.stem: load(p, max_side) for p in [p for p in files if p.exists()][:count]}
