# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of an opened picture as 8 bits a colour, sRGB, upright, on white: what a screen would show of the file.

Samples of more than 8 bits: the upper 8 of the bits in use, 8, 10, 12, 14 or 16 of them. A TIFF may say how many
(BitsPerSample, MaxSampleValue), a PPM always does; of another file the largest sample tells. Floats from 0 to 1 are
black to white; whole ones count as integers. Colours become sRGB (picture_colours.py).
"""

import sys

import numpy as np

from . import picture_colours
from .errors import UserError

BITS = (8, 10, 12, 14, 16)
_BITS_PER_SAMPLE, _PHOTOMETRIC, _ORIENTATION, _MAX_SAMPLE_VALUE, _SAMPLE_FORMAT = 258, 262, 274, 281, 339


def colours(picture, say, again):
    """An opened PIL picture -> a PIL picture RGB.

    say: called with what was decided in the user's place, as the end of a sentence. again: opens the same file once
    more. UserError, the end of a sentence, where the samples mean nothing.
    """
    from PIL import Image

    if _several(picture):
        say(
            "has several pages: the first is taken"
            if picture.format == "TIFF"
            else "is animated: its first frame is taken"
        )
    layout = _deep_layout(picture)
    picture.load()
    way = None if picture.format == "TIFF" else _turn(picture, say)  # Pillow turns a TIFF itself, at loading
    space = picture_colours.said(picture)
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits_of_grey(picture, say)
    elif layout:
        picture = _eight_bits_of_colours(picture, layout, again, say)
    picture, alpha = _apart(picture)
    picture = picture_colours.to_srgb(picture, space, say)
    if alpha is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    return picture if way is None else picture.transpose(way)


def _apart(picture):
    """(picture of mode L, RGB, CMYK or LAB, its alpha or None): palettes and transparent values are resolved."""
    if picture.mode in ("La", "RGBa"):
        picture = picture.convert({"La": "LA", "RGBa": "RGBA"}[picture.mode])
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        whole = picture.convert("RGBA")
        grey = picture.mode in ("1", "L", "LA")
        return whole.getchannel("R") if grey else whole.convert("RGB"), whole.getchannel("A")
    if picture.mode in ("L", "RGB", "CMYK", "LAB"):
        return picture, None
    return picture.convert("L" if picture.mode == "1" else "RGB"), None


def _several(picture):
    """Whether it has frames in time, or pages; the two views of a camera's MPO are neither."""
    try:
        return picture.format in ("GIF", "PNG", "WEBP", "AVIF", "TIFF") and bool(getattr(picture, "is_animated", False))
    except Exception:  # what follows the first frame may be damaged
        return False


def _turn(picture, say):
    """How EXIF wants the picture turned, or None."""
    try:
        return turn(picture.getexif().get(_ORIENTATION))
    except Exception as error:  # of any type: the pixels are whole all the same
        say(f"has EXIF that cannot be read ({error}): it is taken as upright")
        return None


def turn(orientation):
    """What Image.transpose does for a value of the tag, or None."""
    from PIL import Image

    way = Image.Transpose
    ways = (way.FLIP_LEFT_RIGHT, way.ROTATE_180, way.FLIP_TOP_BOTTOM, way.TRANSPOSE, way.ROTATE_270)
    return dict(enumerate((*ways, way.TRANSVERSE, way.ROTATE_90), 2)).get(orientation)


# --- more than 8 bits ---------------------------------------------------------------------------------------


def depths(tags, kind=""):
    """Numbers of bits that samples may have in use, by what a file says of them; tags: of a TIFF, kind: its format."""
    if kind == "PPM":
        return (16,)  # Pillow has scaled them by the header's largest value
    try:
        bits = int(np.max(tags.get(_BITS_PER_SAMPLE, 0)))
        said = int(np.max(tags[_MAX_SAMPLE_VALUE])).bit_length() if _MAX_SAMPLE_VALUE in tags else bits
        signed = 2 in np.atleast_1d(tags.get(_SAMPLE_FORMAT, 1))
    except (TypeError, ValueError, OverflowError):
        return BITS
    if bits == 32:
        return (*BITS, 24, 31, 32)
    least = said if 8 < said < 16 else 8  # 16 are the container of fewer, often
    return tuple(b for b in ((*BITS[:-1], 15) if signed else BITS) if b >= least)


def _bits(largest, possible=BITS):
    """Bits in use, by the largest sample; None where there are more than possible."""
    return next((b for b in possible if largest < 1 << b), None)


def _eight_bits_of_grey(picture, say):
    """Modes I, I;16, F -> L, or LA where one value is said to be transparent."""
    from PIL import Image

    tags, values = getattr(picture, "tag_v2", {}), np.asarray(picture)
    grey = octets(values, depths(tags, picture.format), say)
    if tags.get(_PHOTOMETRIC) == 0 and picture.mode != "I":
        grey = 255 - grey  # WhiteIsZero, which Pillow heeds up to 8 bits
    grey, clear = Image.fromarray(grey), picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def octets(values, possible, say):
    """Integers or floats -> uint8; UserError, the end of a sentence, where it is not known what is white."""
    low, high = values.min(), values.max()
    if np.isfinite(low) and np.isfinite(high) and low >= 0:
        if values.dtype.kind == "f" and (high <= 1 or (values != np.floor(values)).any()):
            white = 1 if high <= 1 else 255 if 32 <= high <= 255 else None  # between: beyond white, or very dark?
            if white:
                return np.rint(values * (255 / white)).astype(np.uint8)
        elif bits := _bits(high, possible):
            return _shifted(values.astype(np.uint32), bits, say)
    raise UserError(f"has samples of {low:g} to {high:g}; give 8 or 16 bits a colour, or floats from 0 to 1")


def _shifted(values, bits, say):
    if bits not in (8, 16, 32) or values.dtype.itemsize > 1 and bits == 8:
        say(f"has {bits} bits in use: {(1 << bits) - 1} is taken as white")
    return (values >> (bits - 8)).astype(np.uint8)


#: What Pillow takes from 16 bits a colour is the upper octet; the layout of the other byte order gives the lower one.
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}


def _deep_layout(picture):
    """How an opened file stores 16 bits a colour ("RGB;16B"), or "" ."""
    parts = getattr(picture, "tile", None)
    args = parts[0][3] if parts else ""
    layout = args[0] if isinstance(args, tuple) and args else args
    return layout if isinstance(layout, str) and ";16" in layout and picture.mode not in ("I", "I;16", "I;16B") else ""


def _eight_bits_of_colours(picture, layout, again, say):
    """16 bits a colour, of which Pillow has read the upper octets -> the upper octets of the bits in use."""
    from PIL import Image

    bands = len(picture.getbands()) - (picture.mode in ("RGBA", "LA"))
    upper = np.asarray(picture)
    possible = depths(getattr(picture, "tag_v2", {}))
    bits = _bits((int(upper[..., :bands].max()) << 8) + 255, possible)
    if bits in (16, None):
        return picture
    kind, _, order = layout.partition(";16")
    if layout == "LA;16B":
        return _eight_bits_of_grey_with_alpha(again(), possible, say)
    if kind not in ("RGB", "RGBA", "RGBX", "CMYK") or order not in _OTHER_ORDER:
        raise UserError(f"uses the lowest {bits} of 16 bits, stored as {layout}; save it with 8 bits a colour")
    lower = again()
    lower.tile = [_with_layout(part, f"{kind};16{_OTHER_ORDER[order]}") for part in lower.tile]
    lower.load()
    values = (upper.astype(np.uint32) << 8) + np.asarray(lower)
    parts = [octets(values[..., :bands], possible, say)]
    if bands < values.shape[-1]:  # alpha may use other bits than the colours
        parts.append(octets(values[..., bands:], possible, lambda text: None))
    out = Image.fromarray(np.dstack(parts), picture.mode)
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple):
        out.putalpha(Image.fromarray(np.where((values == clear).all(-1), 0, 255).astype(np.uint8)))
    return out


def _eight_bits_of_grey_with_alpha(picture, possible, say):
    """An opened file of 16 bits of grey and 16 of alpha -> LA: its octets lie as those of 8 bits RGBA would."""
    from PIL import Image

    picture.tile = [_with_layout(part, "RGBA") for part in picture.tile]
    picture.load()
    octet = np.asarray(picture).astype(np.uint32)
    grey = octets((octet[..., 0] << 8) + octet[..., 1], possible, say)
    alpha = octets((octet[..., 2] << 8) + octet[..., 3], possible, lambda text: None)
    return Image.fromarray(np.dstack([grey, alpha]), "LA")


def _with_layout(part, layout):
    """A tile of Pillow's with another layout of its samples."""
    args = part[3]
    args = (layout, *args[1:]) if isinstance(args, tuple) else layout
    return part._replace(args=args) if hasattr(part, "_replace") else (*part[:3], args)
