# SPDX-License-Identifier: GPL-3.0-or-later
"""Handwritten digits (MNIST), 28 x 28, as real pictures of unit power.

The pictures are not shipped: DIFFSEM_DATA names the folder that holds mnist/mnist_from_png.npz (made of
github.com/rasbt/mnist-pngs, whose licence is given as MIT). A pixel p in 0 .. 1 becomes x = (p - MEAN)/DEVIATION, mean
and deviation being those of all pixels of the training pictures: zero mean, so that 0 is what an unknown pixel is
expected to be, and E x^2 = 1 per element, as signals have here.
"""

from functools import lru_cache

import numpy as np

from ..base.errors import UserError
from ..base.places import data_folder

SHAPE = (28, 28)
CLASSES = 10
MEAN, DEVIATION = 0.1306605, 0.3081078  #: of all training pixels, in 0 .. 1
FILE = "mnist/mnist_from_png.npz"
LICENCE = "MIT"  #: as its source states
ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def path():
    """The file of the pictures. Raises UserError where it is not there."""
    place = data_folder()
    file = place / FILE if place else None
    if file is None or not file.is_file():
        raise UserError(
            f"the digits are not in {file or 'DIFFSEM_DATA, which is not set'}: set DIFFSEM_DATA to a folder that "
            f"holds {FILE}, an .npz of {', '.join(ARRAYS)} (uint8, pictures [n, 28, 28])"
        )
    return file


@lru_cache(maxsize=1)
def _arrays(file):
    with np.load(file) as archive:
        lacking = [name for name in ARRAYS if name not in archive]
        if lacking:
            raise UserError(f"{file} has no array '{lacking[0]}': give one with {', '.join(ARRAYS)}")
        arrays = {name: archive[name] for name in ARRAYS}
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        if x.dtype != np.uint8 or x.shape[1:] != SHAPE or y.shape != x.shape[:1]:
            raise UserError(f"{file}: x_{part} is {x.dtype} {list(x.shape)}: give uint8 [n, 28, 28] and n labels")
    return arrays


def pixels(part="train"):
    """(pictures uint8 [n, 28, 28], labels int64 [n]) of `train` or `test`; the file is read once."""
    arrays = _arrays(path())
    return arrays[f"x_{part}"], arrays[f"y_{part}"].astype(np.int64)


def load(part="train"):
    """(pictures float32 [n, 28, 28], zero mean and unit power; labels int64 [n]) of `train` or `test`."""
    pictures, labels = pixels(part)
    return to_signal(pictures), labels


def to_signal(pictures):
    """uint8 pictures as x."""
    return (pictures.astype(np.float32) / np.float32(255) - np.float32(MEAN)) / np.float32(DEVIATION)


def to_pixels(x):
    """x as uint8 pixels, clipped."""
    return np.clip(np.rint(255 * (np.asarray(x) * DEVIATION + MEAN)), 0, 255).astype(np.uint8)
