# SPDX-License-Identifier: GPL-3.0-or-later
"""How near a received picture is to the one that was sent: PSNR and MS-SSIM, on uint8 RGB.

MS-SSIM after Wang, Simoncelli, Bovik, Asilomar 2003: five scales, their exponents, the 11 x 11 Gaussian window of
deviation 1.5 where it lies wholly inside the picture, means of 2 x 2 pixels between scales, K1 = 0.01,
K2 = 0.03. In this variant luma (BT.601) is compared, as theirs is for grey pictures, and a scale whose mean
contrast-structure term is negative counts as 0. It says nothing of colours; PSNR does.
"""

import numpy as np

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  #: exponents of the scales, finest first (their section 3.2)
WINDOW = 11
LUMA = (0.299, 0.587, 0.114)
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def _pair(a, b):
    a, b = np.asarray(a), np.asarray(b)
    for name, image in (("first", a), ("second", b)):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(f"{name} picture: {image.dtype} {list(image.shape)}; give uint8 [H, W, 3]")
    if a.shape != b.shape:
        raise ValueError(f"pictures of {list(a.shape)} and {list(b.shape)} cannot be compared; scale one of them")
    return a, b


def psnr(a, b):
    """Peak signal-to-noise ratio in dB of two uint8 [H, W, 3], over all pixels and colours; inf if equal."""
    a, b = _pair(a, b)
    difference = a.astype(np.int32) - b
    error = np.mean(np.square(difference), dtype=np.float64)
    return float(10 * np.log10(255.0**2 / error)) if error else float("inf")


def _gaussian():
    taps = np.exp(-0.5 * ((np.arange(WINDOW) - WINDOW // 2) / 1.5) ** 2)
    return (taps / taps.sum()).astype(np.float32)


def _blur(x, axis):
    """The window along one axis, only where it fits."""
    taps, reach = _gaussian(), WINDOW // 2
    n = x.shape[axis] - 2 * reach

    def shifted(start):
        return x[tuple(slice(start, start + n) if a == axis else slice(None) for a in range(x.ndim))]

    out = taps[reach] * shifted(reach)
    for i in range(1, reach + 1):
        out += taps[reach + i] * (shifted(reach - i) + shifted(reach + i))
    return out


def ssim_terms(a, b):
    """Means of luminance times contrast-structure, and of contrast-structure alone, for planes float32 [H, W].

    The first is SSIM (Wang et al. 2004). H and W of at least WINDOW.
    """
    mean_a, mean_b, squares, product = (_blur(_blur(x, 0), 1) for x in (a, b, a * a + b * b, a * b))
    means = mean_a * mean_b
    mean_squares = mean_a**2 + mean_b**2
    structure = (2 * (product - means) + _C2) / (squares - mean_squares + _C2)
    luminance = (2 * means + _C1) / (mean_squares + _C1)
    return float(np.mean(luminance * structure, dtype=np.float64)), float(np.mean(structure, dtype=np.float64))


def scales(height, width):
    """How many of the five scales a picture has: its shorter side must hold the window at the last. At least 1."""
    count = 1
    while count < len(WEIGHTS) and min(height, width) >> count >= WINDOW:
        count += 1
    return count


def ms_ssim(a, b):
    """MS-SSIM of two uint8 [H, W, 3], 0..1.

    A picture whose shorter side is under 176 pixels has fewer than five scales; their exponents are then
    scaled to the sum of 1. ValueError below 11 pixels.
    """
    a, b = _pair(a, b)
    if min(a.shape[:2]) < WINDOW:
        raise ValueError(f"pictures of {a.shape[0]} x {a.shape[1]}: MS-SSIM needs {WINDOW} pixels a side")
    a, b = (image @ np.array(LUMA, np.float32) for image in (a, b))
    count = scales(*a.shape)
    weights = np.array(WEIGHTS[:count]) / sum(WEIGHTS[:count])
    result = 1.0
    for scale, weight in enumerate(weights):
        if scale:
            a, b = _halve(a), _halve(b)
        whole, structure = ssim_terms(a, b)
        result *= max(whole if scale == count - 1 else structure, 0) ** weight
    return result


def _halve(x):
    x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
    return (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
