# SPDX-License-Identifier: GPL-3.0-or-later
"""Photograph <-> coefficients: an orthonormal colour transform and the orthonormal DCT-II of the whole image.

Any size. In the precision of what is given: the encoder gives doubles, so that what it rounds does not depend on
who computes it; a network's pictures are single.
"""

import numpy as np

#: Rows: luma (1, 1, 1) / sqrt 3, then two axes that hold no luma.
COLOURS = np.array([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])


def _fft():
    """SciPy takes a while to import: not before a picture is there."""
    from scipy import fft

    return fft


def forward(image):
    """Image [H, W, 3], any range -> coefficients [3, H, W], luma first; float32 of float32, else float64."""
    image = np.asarray(image)
    kind = np.float32 if image.dtype == np.float32 else np.float64
    planes = np.tensordot(COLOURS.astype(kind), image.astype(kind, copy=False), (1, 2))
    return _fft().dctn(planes, axes=(1, 2), norm="ortho")


def inverse(coefficients):
    """Coefficients [3, H, W] -> image [H, W, 3]; float32 of float32, else float64."""
    coefficients = np.asarray(coefficients)
    kind = np.float32 if coefficients.dtype == np.float32 else np.float64
    planes = _fft().idctn(coefficients.astype(kind, copy=False), axes=(1, 2), norm="ortho")
    return np.tensordot(planes, COLOURS.astype(kind), (0, 0))


def dct_matrix(n):
    """Orthonormal DCT-II as a matrix, float32 [n, n]: rows are frequencies."""
    return _fft().dct(np.eye(n), axis=0, norm="ortho").astype(np.float32)
