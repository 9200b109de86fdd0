# SPDX-License-Identifier: GPL-3.0-or-later
"""The pixels of an opened picture as 8 bits a colour, sRGB, upright, on white: what a screen would show of the file.

Samples of more than 8 bits: the upper 8 of the bits in use, 8, 10, 12, 14 or 16 of them. A TIFF may say how many
(BitsPerSample, MaxSampleValue), a PPM always does; of another file the largest sample tells. Floats from 0 to 1 are
black to white; whole ones count as integers. A colour profile is converted to sRGB by Little CMS, as browsers do.
"""

import io
import sys

import numpy as np

from .errors import UserError

BITS = (8, 10, 12, 14, 16)
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE, _ORIENTATION = 258, 262, 281, 274
#: Which modes a profile of a colour space is for.
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}


def colours(picture, say, again):
    """An opened PIL picture -> a PIL picture RGB.

    say: called with what was decided in the user's place, as the end of a sentence. again: opens the same file once
    more. UserError, the end of a sentence, where the samples mean nothing.
    """
    from PIL import Image

    if _animated(picture):
        say("is animated: its first frame is taken")
    layout = _deep_layout(picture)
    picture.load()
    turn = None if picture.format == "TIFF" else _turn(picture, say)  # Pillow turns a TIFF itself, at loading
    profile = picture.info.get("icc_profile")
    if picture.mode.startswith(("I", "F")):
        picture = _eight_bits_of_grey(picture, say)
    elif layout:
        picture = _eight_bits_of_colours(picture, layout, again, say)
    picture, alpha = _apart(picture)
    picture = _to_srgb(picture, profile, say)
    if alpha is not None:
        picture = Image.composite(picture, Image.new("RGB", picture.size, "white"), alpha)
    return picture if turn is None else picture.transpose(turn)


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


def _animated(picture):
    """Whether it has frames in time; the two views of a camera's MPO, and a TIFF's pages, are none."""
    try:
        return picture.format in ("GIF", "PNG", "WEBP", "AVIF") and bool(getattr(picture, "is_animated", False))
    except Exception:  # what follows the first frame may be damaged
        return False


def _turn(picture, say):
    """How EXIF wants the picture turned, or None."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    try:
        return turns.get(picture.getexif().get(_ORIENTATION))
    except Exception as error:  # of any type: the pixels are whole all the same
        say(f"has EXIF that cannot be read ({error}): it is taken as upright")
        return None


# --- more than 8 bits ---------------------------------------------------------------------------------------


def _bits(largest, said=None):
    """Bits in use, by what the file says or by its largest sample; None where there are more than 16."""
    return next((b for b in BITS if b >= (said or 0) and largest < 1 << b), None)


def _said_bits(picture):
    """Bits of a sample that the file speaks of, or None."""
    if picture.format == "PPM":
        return 16  # Pillow has scaled them by the header's largest value
    tags = getattr(picture, "tag_v2", None)
    if tags is None:
        return None
    try:
        if _MAX_SAMPLE_VALUE in tags:
            return int(np.max(tags[_MAX_SAMPLE_VALUE])).bit_length()
        bits = int(np.max(tags.get(_BITS_PER_SAMPLE, 0)))
    except (TypeError, ValueError, OverflowError):
        return None
    return bits if 8 < bits < 16 else None  # 16 are the container of fewer, often


def _eight_bits_of_grey(picture, say):
    """Modes I, I;16, F -> L, or LA where one value is said to be transparent."""
    from PIL import Image

    values = np.asarray(picture)
    octets = _octets(values, _said_bits(picture), say)
    if octets is None:
        raise UserError(
            f"has samples of {values.min():g} to {values.max():g}; give 8 or 16 bits a colour, or floats from 0 to 1"
        )
    tags = getattr(picture, "tag_v2", {})
    if tags.get(_PHOTOMETRIC) == 0 and picture.mode != "I":
        octets = 255 - octets  # WhiteIsZero, which Pillow heeds up to 8 bits
    grey, clear = Image.fromarray(octets), picture.info.get("transparency")
    if isinstance(clear, int):
        grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _octets(values, said, say):
    """Integers or floats -> uint8, or None where it is not known what is white."""
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0:
        return None
    if values.dtype.kind == "f" and (high <= 1 or (values != np.floor(values)).any()):
        white = 1 if high <= 1 else 255 if 32 <= high <= 255 else None  # between: brighter than white, or very dark?
        return white and np.rint(values * (255 / white)).astype(np.uint8)
    bits = _bits(high, said)
    return bits and _shifted(values.astype(np.uint32), bits, say)


def _shifted(values, bits, say):
    if bits < 16:
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
    said = _said_bits(picture)
    bits = _bits((int(upper[..., :bands].max()) << 8) + 255, said)
    if bits == 16:
        return picture
    kind, _, order = layout.partition(";16")
    if kind not in ("RGB", "RGBA", "RGBX", "CMYK") or order not in _OTHER_ORDER:
        raise UserError(f"uses the lowest {bits} of 16 bits, stored as {layout}; save it with 8 bits a colour")
    lower = again()
    lower.tile = [_with_layout(part, f"{kind};16{_OTHER_ORDER[order]}") for part in lower.tile]
    lower.load()
    values = (upper.astype(np.uint32) << 8) + np.asarray(lower)
    bits = _bits(int(values[..., :bands].max()), said)
    octets = _shifted(values, bits, say)
    if bands < octets.shape[-1]:  # alpha may use other bits than the colours
        octets[..., bands:] = values[..., bands:] >> (_bits(int(values[..., bands:].max())) - 8)
    out = Image.fromarray(octets, picture.mode)
    clear = picture.info.get("transparency")
    if isinstance(clear, tuple):
        out.putalpha(Image.fromarray(np.where((values == clear).all(-1), 0, 255).astype(np.uint8)))
    return out


def _with_layout(part, layout):
    """A tile of Pillow's with another layout of its samples."""
    args = part[3]
    args = (layout, *args[1:]) if isinstance(args, tuple) else layout
    return part._replace(args=args) if hasattr(part, "_replace") else (*part[:3], args)


# --- colour -------------------------------------------------------------------------------------------------


def _to_srgb(picture, profile, say):
    """Modes L, RGB, CMYK, LAB -> RGB as sRGB shows it."""
    if picture.mode == "LAB" or profile:
        try:
            return _converted(picture, profile)
        except Exception as error:  # of any type: a profile is a stranger's program of curves and tables
            if picture.mode == "LAB":
                raise UserError(f"is in LAB, which cannot be converted here ({error}); save it as RGB") from None
            say(f"has a colour profile that cannot be used ({error}): it is taken as sRGB")
    return picture.convert("RGB")


def _converted(picture, profile):
    from PIL import Image, ImageCms

    if picture.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    else:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip().upper()
        if _SPACES.get(space) != picture.mode:
            raise ValueError(f"it is for {space}, the picture is {picture.mode}")
    change = ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), picture.mode, "RGB")
    if picture.mode == "RGB":
        steps = np.linspace(0, 255, 9).round().astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(27, 27, 3)
        seen = np.asarray(ImageCms.applyTransform(Image.fromarray(cube), change))
        if np.abs(seen.astype(int) - cube).max() <= 1:
            return picture  # it is sRGB: what is exact stays exact
    return ImageCms.applyTransform(picture, change)
