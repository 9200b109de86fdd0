# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pictures of evaluations share. Matplotlib is imported when one is drawn."""

import importlib.util
import os

from ..base.errors import UserError

ENDINGS = (".png", ".svg", ".pdf", ".jpg")


def check(option, path):
    """UserError where a picture could not be written there."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UserError(f"{option}: needs matplotlib; install it, or leave {option} out")
    if not path or os.path.isdir(path):
        raise UserError(f"{option} {path!r}: is {'a folder' if path else 'empty'}; name a .png file")
    ending = os.path.splitext(path)[1].lower()
    if ending not in ENDINGS:
        raise UserError(f"{option} {path}: pictures are written as {' '.join(ENDINGS)}; name such a file")
    folder = os.path.dirname(os.path.abspath(path))
    if not os.path.isdir(folder):
        raise UserError(f"{option} {path}: there is no folder {folder}")


def panels(count, rows=1):
    """(figure, axes) for figure.savefig; no display is needed. `count` axes side by side in each of `rows` rows, a flat
    array [count * rows]."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4.4 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, count, squeeze=False).ravel()
