# SPDX-License-Identifier: GPL-3.0-or-later
"""What steers a network of photographs: variances in five frequency bands of luma and of colour.

Pixels are x = SCALE (image - 1/2), image in 0..1; variances are in units of x squared, [3, H, W].
"""

from functools import lru_cache

import numpy as np

EDGES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of the frequency bands, in units of the Nyquist frequency
SCALE = 4.0
MULTIPLE = 8  # a network's rows and columns come in multiples of this
LOG_VARIANCE = (-16.0, 8.0)  # what a network says of its error is held within these


@lru_cache(maxsize=64)
def band_index(h, w):
    """Band 0..4 of every coefficient: uint8 [H, W]."""
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w)
    return np.searchsorted(EDGES, f, side="right").astype(np.uint8)


def band_means(power):
    """Mean over each band of [3, H, W]: float32 [10], luma's five, then those of both other colours."""
    index = band_index(*power.shape[1:]).ravel()
    count = np.maximum(np.bincount(index, minlength=5), 1)
    sums = [np.bincount(index, p.ravel(), minlength=5) / count for p in power]
    return np.concatenate((sums[0], (sums[1] + sums[2]) / 2)).astype(np.float32)


def per_coefficient(bands, h, w):
    """Values of the bands [10] at every coefficient: [3, H, W]."""
    index = band_index(h, w)
    luma, chroma = bands[:5][index], bands[5:][index]
    return np.stack((luma, chroma, chroma))


def levels(error, spectrum):
    """A net's second input, float32 [20], from variances per coefficient [3, H, W]."""
    return np.sqrt(np.concatenate((band_means(error), band_means(spectrum))))


def padded(image, multiple=MULTIPLE):
    """[H, W, 3] -> float32 [1, 3, H', W'], continued by its last row and column."""
    h, w, _ = image.shape
    wide = np.pad(image, ((0, -h % multiple), (0, -w % multiple), (0, 0)), mode="edge")
    return np.ascontiguousarray(wide.transpose(2, 0, 1)[None], np.float32)


def proximal(mean, variance, z, v):
    """Gaussian posterior (mean, variance) of coefficients with that prior and z = x + noise of variance
    v; inf: not observed."""
    seen = np.isfinite(v)
    total = np.asarray(variance + v)
    weight = np.divide(variance, total, out=np.zeros_like(total), where=total > 0)  # both 0: nothing is left to weigh
    return mean + weight * np.where(seen, z - mean, 0), np.where(seen, weight * np.where(seen, v, 0), variance)
