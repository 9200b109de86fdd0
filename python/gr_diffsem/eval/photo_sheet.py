# SPDX-License-Identifier: GPL-3.0-or-later
"""A contact sheet of received pictures: a row for each method, the original in front, a column for each SNR."""

from pathlib import Path

import numpy as np

from ..base import picture_metrics
from .photo_trials import CLASSICAL

MOST = 2  #: photographs on one sheet
WIDTH = 300  #: pixels of one picture on the sheet
_CAPTION, _GAP = 22, 6
TITLES = {"webp": "WebP, K=7 code", "webp_ldpc": "WebP, LDPC", "webp_capacity": "WebP, ideal code (bound)"}


def shown(methods):
    """Of these methods, the ones a sheet shows: WebP, `linear`, and the schemes."""
    return [name for name in methods if name == "webp" or name not in CLASSICAL]


def spread(values, most=4):
    """At most so many of them, evenly spaced."""
    return [values[i] for i in sorted(set(np.linspace(0, len(values) - 1, most).round().astype(int)))]


def from_folder(folder, originals, snr_db, methods, path, titles=None, part=""):
    """Sheet of folder/method/snr/part/name.png as `eval semantic_link --save` writes them.

    originals: {name: uint8 [H, W, 3]}. snr_db: columns, from left to right. methods: rows. path: PNG to write.
    """
    from PIL import Image

    def read(method, snr, name):
        file = Path(folder) / method / f"{snr:g}" / part / f"{name}.png"
        return np.asarray(Image.open(file).convert("RGB"))

    received = {name: {method: [read(method, snr, name) for snr in snr_db] for method in methods} for name in originals}
    draw(originals, received, [f"{snr:g} dB" for snr in snr_db], path, titles)


def draw(originals, received, columns, path, titles=None, prefix="SNR "):
    """originals {name: picture}; received {name: {method: [picture, one a column]}}; columns: their titles.

    Pictures uint8 [H, W, 3]; titles: {method: words} instead of its name; prefix: in front of the columns' titles. All
    are scaled to one width; PSNR is of what was received, before that.
    """
    from PIL import Image, ImageDraw

    titles = {**TITLES, **(titles or {})}
    font = _font(14)
    rows = []
    for name, original in originals.items():
        for method, pictures in received[name].items():
            captions = [(p, _caption(original, p)) for p in pictures]
            rows.append([(original, f"{name}; right: {titles.get(method, method)}"), *captions])
    heights = [round(WIDTH * row[0][0].shape[0] / row[0][0].shape[1]) for row in rows]
    width = (1 + len(columns)) * (WIDTH + _GAP) - _GAP
    sheet = Image.new("RGB", (width, _CAPTION + sum(h + _CAPTION + _GAP for h in heights)), "white")
    pen = ImageDraw.Draw(sheet)
    for c, title in enumerate(["original", *(f"{prefix}{title}" for title in columns)]):
        pen.text((c * (WIDTH + _GAP) + 2, 3), title, "black", font)
    y = _CAPTION
    for row, height in zip(rows, heights, strict=True):
        for c, (picture, caption) in enumerate(row):
            x = c * (WIDTH + _GAP)
            small = Image.fromarray(np.ascontiguousarray(picture)).resize((WIDTH, height), Image.LANCZOS)
            sheet.paste(small, (x, y))
            pen.text((x + 2, y + height + 2), caption, "black", font)
        y += height + _CAPTION + _GAP
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def _caption(original, picture):
    text = f"{picture_metrics.psnr(original, picture):.1f} dB"
    return text if np.ptp(picture.reshape(-1, 3), axis=0).any() else f"{text}, nothing delivered"


def _font(size):
    """Matplotlib brings a font with it; Pillow's own has one size."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
