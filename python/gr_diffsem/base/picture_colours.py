# SPDX-License-Identifier: GPL-3.0-or-later
"""The colours of a picture as sRGB, as browsers show them.

What they mean a file says by an ICC profile, which Little CMS converts; a PNG also by numbers, gamma and primaries (PNG
specification, 11.3.2: gAMA, cHRM); a camera by a word of EXIF, for Adobe RGB (DCF 2.0: interoperability R03). Where it
says nothing, they are sRGB.
"""

import io

import numpy as np

from .errors import UserError

#: Which modes a profile of a colour space is for.
_SPACES = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK", "LAB": "LAB"}
#: x, y of white, red, green, blue: sRGB's (ITU-R BT.709), and those of Adobe RGB (1998), whose gamma is 563/256.
_SRGB = (0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_ADOBE = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
_EXIF, _INTEROPERABILITY, _COLOUR_SPACE, _INDEX = 0x8769, 0xA005, 0xA001, 0x0001


def said(picture):
    """What an opened file says of its colours: an ICC profile (bytes), (gamma, chromaticities), or None."""
    info = picture.info
    if info.get("icc_profile"):
        return info["icc_profile"]
    if "srgb" not in info and ("gamma" in info or "chromaticity" in info):
        return 1 / max(float(info.get("gamma", 1 / 2.2)), 1e-3), tuple(info.get("chromaticity", _SRGB))
    try:
        exif = picture.getexif()
        adobe = exif.get_ifd(_INTEROPERABILITY).get(_INDEX) == "R03" and exif.get_ifd(_EXIF).get(_COLOUR_SPACE) != 1
    except Exception:  # of any type: damaged EXIF says nothing
        adobe = False
    return (563 / 256, _ADOBE) if adobe else None


def to_srgb(picture, space, say):
    """Modes L, RGB, CMYK, LAB -> RGB; space: what `said` found. say: told where that cannot be used."""
    if picture.mode == "LAB" or space:
        try:
            return _by_numbers(picture, *space) if isinstance(space, tuple) else _by_profile(picture, space)
        except Exception as error:  # of any type: a profile is a stranger's program of curves and tables
            if picture.mode == "LAB":
                raise UserError(f"is in LAB, which cannot be converted here ({error}); save it as RGB") from None
            say(f"has a colour profile that cannot be used ({error}): it is taken as sRGB")
    return picture.convert("RGB")


def _by_profile(picture, profile):
    from PIL import Image, ImageCms

    if picture.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    else:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip().upper()
        if (space, picture.mode) == ("RGB", "L"):  # not allowed, but many programs write it
            picture = picture.convert("RGB")
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


def _to_xyz(chromaticities):
    """Matrix from linear RGB to CIE XYZ, of white 1; x, y of white, red, green, blue."""
    x, y = np.reshape(np.asarray(chromaticities, float), (4, 2)).T
    corners = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return corners[:, 1:] * np.linalg.solve(corners[:, 1:], corners[:, 0])


def _by_numbers(picture, gamma, chromaticities):
    from PIL import Image

    picture = picture.convert("RGB")
    if abs(gamma - 2.2) < 0.1 and np.allclose(chromaticities, _SRGB, atol=0.01):
        return picture  # 2.2 is what programs write for sRGB
    with np.errstate(all="ignore"):
        change = np.linalg.solve(_to_xyz(_SRGB), _to_xyz(chromaticities)).astype(np.float32)
    if not np.isfinite(change).all():
        raise ValueError("its numbers are no colours")
    linear = ((np.arange(256) / 255) ** gamma).astype(np.float32)
    out = np.empty((picture.height, picture.width, 3), np.uint8)
    for row in range(0, picture.height, 256):
        x = np.clip(
            linear[np.asarray(picture.crop((0, row, picture.width, min(row + 256, picture.height))))] @ change.T, 0, 1
        )
        x = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 0.0031308) ** (1 / 2.4) - 0.055)
        out[row : row + 256] = np.rint(255 * x)
    return Image.fromarray(out)
