# SPDX-License-Identifier: GPL-3.0-or-later
"""TIFFs beyond Pillow, read by the package tifffile: what Pillow reads wrongly, colours of 16 bits in planes or
premultiplied by alpha, and what it does not read, floats of colours, of 16 and 64 bits, integers of 32 bits, grey of 16
bits with alpha."""

import sys

import numpy as np

from . import picture_pixels
from .errors import UserError

_BITS_PER_SAMPLE, _PLANAR, _EXTRA_SAMPLES, _ORIENTATION, _ICC = 258, 284, 338, 274, 34675
_PREMULTIPLIED = 1  # a value of _EXTRA_SAMPLES


def beyond_pillow(picture):
    """Whether Pillow opens a TIFF whose samples it reads wrongly."""
    tags = getattr(picture, "tag_v2", {})
    bits = np.max(tags.get(_BITS_PER_SAMPLE, 8))
    planes = tags.get(_PLANAR, 1) == 2 and len(picture.getbands()) > 1
    premultiplied = _PREMULTIPLIED in np.atleast_1d(tags.get(_EXTRA_SAMPLES, 0))
    return bits == 32 and picture.mode == "I" or bits > 8 and (planes or premultiplied)


def read(path, most, say):
    """The first page as a PIL picture of 8 bits, L, LA, RGB or RGBA, upright, with its colour profile.

    most: pixels that are read at all. UserError, the end of a sentence, where that cannot be.
    """
    from PIL import Image

    try:
        import tifffile
    except ImportError:
        raise UserError(
            f"is a TIFF that Pillow cannot read: {sys.executable} -m pip install tifffile, or save it as PNG"
        ) from None
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        tags = {tag.code: tag.value for tag in page.tags}
        if page.imagelength * page.imagewidth > most or page.nbytes > 32 * most:
            raise UserError(f"has {page.imagelength * page.imagewidth} pixels: scale it down first")
        if page.photometric.name not in ("MINISWHITE", "MINISBLACK", "RGB") or page.axes not in ("YX", "YXS", "SYX"):
            raise UserError(f"is a TIFF of {page.photometric.name}, {page.axes}, that cannot be read: save it as PNG")
        values = page.asarray()
        several = len(file.pages) > 1
    if several:
        say("has several pages: the first is taken")
    values = np.moveaxis(values, 0, -1) if page.axes == "SYX" else values.reshape(*values.shape[:2], -1)
    colours = 3 if page.photometric.name == "RGB" else 1
    possible = picture_pixels.depths(tags)
    parts = [picture_pixels.octets(values[..., :colours], possible, say)]
    if page.photometric.name == "MINISWHITE":
        parts[0] = 255 - parts[0]
    mode = "RGB" if colours == 3 else "L"
    if values.shape[-1] > colours and page.extrasamples and page.extrasamples[0].value in (1, 2):
        alpha = picture_pixels.octets(values[..., colours : colours + 1], possible, lambda text: None)
        if page.extrasamples[0].value == _PREMULTIPLIED:
            parts[0] = np.minimum(parts[0] * (255 / np.maximum(alpha, 1)), 255).astype(np.uint8)
        parts, mode = [*parts, alpha], f"{mode}A"
    picture = Image.fromarray(np.dstack(parts).squeeze(), mode)
    way = picture_pixels.turn(tags.get(_ORIENTATION))
    picture = picture if way is None else picture.transpose(way)
    if isinstance(tags.get(_ICC), bytes):
        picture.info["icc_profile"] = tags[_ICC]
    return picture
