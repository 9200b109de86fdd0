# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a picture fits the link, and options of `send` and `eval semantic_link` that make it fit."""

import math

import numpy as np

from ..base import picture_files
from ..base.errors import UserError
from . import frame_header, frames, picture_codec
from .picture_plan import MAX_PIXELS, MAX_SIDE

FEW_USES = 10_000  #: with more of them there is always room for headers and side information
MOST_USES = frame_header.MAX_TOTAL * frames.CARRIERS  #: channel uses that a header can number, and some more


def code(name, picture, max_side, cbr, scheme_hash, before=b"", codec=None):
    """A picture at `cbr` channel uses a value -> picture_codec.Encoded; UserError names options with which it works.
    before: octets of content.call_sign. codec: a learned_code.LearnedCode, or None for the linear one."""
    h, w = picture.shape[:2]
    side = largest_side(h, w, cbr)
    if side < max(h, w):
        raise UserError(f"{name}: {w} x {h} pixels are too many for --cbr {_short(cbr)}: give --max-side {side}")
    try:
        uses = int(picture.size * cbr)
        if codec:  # `Sent`, whose encoded part says by its hash which code it is
            return codec.encode(picture, uses, scheme_hash=scheme_hash, before=before).encoded
        return picture_codec.encode(picture, uses, scheme_hash=scheme_hash, before=before)
    except picture_codec.TooFewUses as error:
        remedy = more_uses(picture, max_side, cbr, error.needed, scheme_hash, before)
        raise UserError(f"{name}: {w} x {h} pixels are too few for --cbr {_short(cbr)}: {remedy}") from None
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


def check(name, picture, max_side, cbr):
    """UserError as `code` raises it, at little cost for pictures of a usual size."""
    if int(picture.size * cbr) < FEW_USES or largest_side(*picture.shape[:2], cbr) < max(picture.shape[:2]):
        code(name, picture, max_side, cbr, 0)


def largest_side(h, w, cbr):
    """The longer side of the largest reduction of h x w that can be sent at this rate: what --max-side should be."""

    def fits(side):
        a, b = (max(round(n * side / max(h, w)), picture_files.LEAST) for n in (h, w))
        return a * b <= MAX_PIXELS and int(3 * a * b * cbr) <= MOST_USES

    side = min(MAX_SIDE, max(h, w))
    while side > picture_files.LEAST and not fits(side):
        side -= 1
    return side


def more_uses(picture, max_side, cbr, needed, scheme_hash, before=b""):
    """What sends a picture that needs more channel uses than it has: a rate, where one up to 1 does, else its size."""

    def works(image, rate):
        try:
            return (
                picture_codec.encode(image, int(image.size * rate), scheme_hash=scheme_hash, before=before) is not None
            )
        except picture_codec.ContentError:
            return False
        return True

    digits = 100 if picture.size < 100 * needed else 10 ** (3 + int(math.log10(picture.size / needed)))
    rates = (np.arange(1, 9) + math.ceil(needed / picture.size * digits) - 1) / digits
    rate = next((r for r in rates if r <= 1 and works(picture, r)), None)
    if rate:
        return f"give --cbr {rate:g}, or a larger picture"
    # So few pixels that no rate up to 1 is enough.
    from PIL import Image

    h, w = picture.shape[:2]
    scale = math.sqrt(needed / (picture.size * cbr))
    rate = cbr
    if max(h, w) * scale > max_side:  # at a very low rate
        rate, scale = 1.0, math.sqrt(needed / picture.size)
    while True:
        size = math.ceil(w * scale), math.ceil(h * scale)
        if works(np.asarray(Image.fromarray(picture).resize(size, Image.LANCZOS)), rate):
            break
        scale *= 1.02
    options = ["--cbr 1"] * (rate != cbr) + [f"--max-side {max(size)}"] * (max(size) > max_side)
    return f"enlarge it to {size[0]} x {size[1]} pixels" + (f", and give {' '.join(options)}" if options else "")


def _short(cbr):
    """A rate as people write it: 1/12, or 0.02."""
    one_in = round(1 / cbr)
    return f"1/{one_in}" if one_in > 1 and abs(one_in * cbr - 1) < 1e-9 else f"{cbr:.3g}"
