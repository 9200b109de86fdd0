# SPDX-License-Identifier: GPL-3.0-or-later
"""PSNR and MS-SSIM against closed cases and scikit-image."""

import numpy as np
import pytest
from gr_diffsem.base import picture_metrics


def picture(h=200, w=240, seed=0):
    """Smooth structure and noise, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    wave = 100 + 60 * np.sin(np.arange(h)[:, None, None] / 9) * np.cos(np.arange(w)[None, :, None] / 13)
    return np.clip(wave + rng.normal(0, 15, (h, w, 3)), 0, 255).astype(np.uint8)


def test_psnr_of_a_constant_error():
    a = np.full((4, 5, 3), 100, np.uint8)
    assert picture_metrics.psnr(a, a + np.uint8(16)) == pytest.approx(20 * np.log10(255 / 16))
    assert picture_metrics.psnr(a + np.uint8(16), a) == pytest.approx(20 * np.log10(255 / 16))
    assert picture_metrics.psnr(a, a) == float("inf")
    assert picture_metrics.psnr(np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)) == pytest.approx(0)


def test_ssim_of_one_scale_is_scikit_images():
    from skimage.metrics import structural_similarity

    a = picture()[..., 0].astype(np.float32)
    b = np.clip(a + np.random.default_rng(1).normal(0, 20, a.shape), 0, 255).astype(np.float32)
    same = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    assert picture_metrics.ssim_terms(a, b)[0] == pytest.approx(structural_similarity(a, b, **same), abs=1e-5)


def test_ms_ssim_of_equal_pictures_is_one():
    assert picture_metrics.ms_ssim(picture(), picture()) == pytest.approx(1, abs=1e-6)


def test_ms_ssim_of_two_grey_levels_is_the_luminance_term():
    """Without structure only the coarsest scale's luminance is left: (2 m n + C1) / (m^2 + n^2 + C1)."""
    a, b = np.full((200, 200, 3), 100, np.uint8), np.full((200, 200, 3), 150, np.uint8)
    c1 = (0.01 * 255) ** 2
    expected = ((2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)) ** picture_metrics.WEIGHTS[-1]
    assert picture_metrics.ms_ssim(a, b) == pytest.approx(expected, rel=1e-4)


def test_ms_ssim_of_a_small_picture_is_ssim():
    """Under 22 pixels there is one scale, whose exponent becomes 1."""
    a, b = picture(16, 18), picture(16, 18, seed=2)
    assert picture_metrics.scales(16, 18) == 1
    luma = [x @ np.array(picture_metrics.LUMA, np.float32) for x in (a, b)]
    assert picture_metrics.ms_ssim(a, b) == pytest.approx(picture_metrics.ssim_terms(*luma)[0], abs=1e-6)
    assert [picture_metrics.scales(n, 999) for n in (21, 22, 44, 88, 175, 176)] == [1, 2, 3, 4, 4, 5]


def test_ms_ssim_falls_with_noise():
    a, rng = picture(), np.random.default_rng(3)
    noisy = [np.clip(a + rng.normal(0, s, a.shape), 0, 255).astype(np.uint8) for s in (5, 20, 60)]
    values = [picture_metrics.ms_ssim(a, b) for b in noisy]
    assert 1 > values[0] > values[1] > values[2] > 0


def test_what_cannot_be_compared():
    a = picture(20, 20)
    with pytest.raises(ValueError, match="cannot be compared"):
        picture_metrics.psnr(a, a[:10])
    with pytest.raises(ValueError, match="uint8"):
        picture_metrics.psnr(a, a.astype(float))
    with pytest.raises(ValueError, match="11 pixels"):
        picture_metrics.ms_ssim(a[:9], a[:9])
