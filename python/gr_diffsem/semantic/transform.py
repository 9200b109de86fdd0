# SPDX-License-Identifier: GPL-3.0-or-later
"""Photograph <-> coefficients: an orthonormal colour transform and the orthonormal DCT-II of the whole image.

Any size. The DCT goes through one FFT of the reordered row (Makhoul, "A fast cosine transform in one and two
dimensions", IEEE Trans. ASSP 1980). Double precision: what the encoder rounds must not depend on who computes it.
"""

import numpy as np

#: Rows: luma (1, 1, 1) / sqrt 3, then two axes that hold no luma.
COLOURS = np.array([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])


def _dct(x):
    """Orthonormal DCT-II along the last axis."""
    n = x.shape[-1]
    reordered = np.concatenate([x[..., ::2], x[..., 1::2][..., ::-1]], -1)
    k = np.arange(n)
    y = (np.fft.fft(reordered) * np.exp(-0.5j * np.pi * k / n)).real * np.sqrt(2 / n)
    y[..., 0] *= np.sqrt(0.5)
    return y


def _idct(y):
    """Its inverse (and adjoint), the DCT-III."""
    n = y.shape[-1]
    scaled = y * np.sqrt(n / 2)
    scaled[..., 0] *= np.sqrt(2)
    mirrored = np.zeros_like(scaled)
    mirrored[..., 1:] = scaled[..., :0:-1]
    v = np.fft.ifft((scaled - 1j * mirrored) * np.exp(0.5j * np.pi * np.arange(n) / n)).real
    x = np.empty_like(v)
    x[..., ::2] = v[..., : (n + 1) // 2]
    x[..., 1::2] = v[..., : (n + 1) // 2 - 1 : -1]
    return x


def forward(image):
    """Image [H, W, 3], any range -> coefficients float64 [3, H, W], luma first."""
    planes = np.tensordot(COLOURS, np.asarray(image, np.float64), (1, 2))
    return _dct(_dct(planes).swapaxes(1, 2)).swapaxes(1, 2)


def inverse(coefficients):
    """Coefficients [3, H, W] -> image float64 [H, W, 3]."""
    planes = _idct(_idct(np.asarray(coefficients, np.float64).swapaxes(1, 2)).swapaxes(1, 2))
    return np.tensordot(planes, COLOURS, (0, 0))
