# SPDX-License-Identifier: GPL-3.0-or-later
"""Bands that a network of photographs is told of, and what its word for a band says of each coefficient."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import picture_bands, picture_transform
from gr_diffsem.models import photo_data
from gr_diffsem.reference import photo

BENCH = Path(__file__).parents[2] / "bench" / "photo_prior.py"


def field(h, w, seed=0):
    """A picture of a photograph's spectrum, uint8 [H, W, 3]."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) + 1e-2
    image = picture_transform.inverse(rng.standard_normal((3, h, w)) / f**1.3 * np.array([1, 0.25, 0.2])[:, None, None])
    return np.rint((0.5 + 0.16 * image / image.std()).clip(0, 1) * 255).astype(np.uint8)


def test_fine_bands_make_up_the_octaves():
    """Every octave is a union of fine bands; a turned picture has rows' bands where the columns' were."""
    index, octave = picture_bands.FINE.index(48, 80), picture_bands.OCTAVES.index(48, 80)
    for band in np.unique(index):
        assert len(set(octave[index == band])) == 1
    across = picture_bands.FINE.index(80, 48).T
    ring, sector = np.divmod(index, picture_bands.SECTORS)
    assert np.array_equal(ring, across // picture_bands.SECTORS)
    assert np.array_equal(sector[1:, 1:], (picture_bands.SECTORS - 1 - across % picture_bands.SECTORS)[1:, 1:])
    values = np.arange(1, 1 + picture_bands.FINE.count, dtype=np.float32)
    assert np.allclose(picture_bands.FINE.means(picture_bands.FINE.per_coefficient(values, 48, 80)), values)


def test_an_empty_sector_says_what_its_ring_says():
    power = np.zeros((3, 16, 16), np.float32)
    power[:, 0, 0] = 7
    assert np.allclose(picture_bands.FINE.means(power)[: picture_bands.SECTORS], 7)


def test_window_means_are_those_of_a_plain_loop():
    x = np.random.default_rng(1).random((3, 7, 5))
    wide = np.pad(x, [(0, 0), (3, 3), (3, 3)], mode="symmetric")
    plain = [[wide[:, i : i + 7, j : j + 7].mean((1, 2)) for j in range(5)] for i in range(7)]
    assert np.allclose(picture_bands.around(x, 7), np.transpose(plain, (2, 0, 1)))


def observed(seed=2, s=0.8):
    """(x, m, e, a net's mean, the variance of it in its band) where half of the coefficients have a tenth of the error:
    the net does what is best for one that is told the mean of e only."""
    rng = np.random.default_rng(seed)
    shape = (3, 60, 80)
    e = np.where(rng.random(shape) < 0.5, 1.0, 0.1)
    x = 3 * rng.standard_normal(shape)
    m = x + np.sqrt(e) * rng.standard_normal(shape)
    structure = x + np.sqrt(s) * rng.standard_normal(shape)
    share = e.mean() / (e.mean() + s)
    return x, m, e, m + share * (structure - m), np.full(2, e.mean() * (1 - share))


def test_completed_is_the_posterior_mean_of_each_coefficient():
    x, m, e, mean, variance = observed()
    whole, left = picture_bands.completed(m, e, mean, variance, picture_bands.Bands((), 1), 15)
    for level in (0.1, 1.0):
        at, best = e == level, level * 0.8 / (level + 0.8)
        assert np.mean((whole - x)[at] ** 2) < 0.95 * np.mean((mean - x)[at] ** 2)
        assert np.mean((whole - x)[at] ** 2) == pytest.approx(best, rel=0.06)
        assert np.mean(left[at]) == pytest.approx(best, rel=0.06)


def test_completed_has_bounds():
    x, m, e, mean, variance = observed()
    one = picture_bands.Bands((), 1)
    whole, left = picture_bands.completed(m, e, mean, variance + 10, one)
    assert np.allclose(whole, m, atol=1e-6) and np.allclose(left, e), "a net that is out of its depth"
    whole, left = picture_bands.completed(m, np.full_like(e, 0.5), mean, np.full(2, 0.2), one)
    assert np.allclose(whole, mean, atol=1e-5) and np.allclose(left, 0.2), "where all are alike: its own word"
    e[:, :9, :9] = 0
    whole, left = picture_bands.completed(m, e, mean, variance, one)
    assert np.allclose(whole[e == 0], m[e == 0]) and not left[e == 0].any(), "what is exact stays"
    alone = np.full_like(e, 1e-6)
    alone[:, 30, 40] = 1
    whole, _ = picture_bands.completed(m, alone, mean, np.full(2, alone.mean()), one)
    assert (np.abs(whole - m) <= 3 * np.abs(mean - m) + 1e-5).all(), "nothing goes far beyond what the net said"


def test_random_noise_is_of_every_kind():
    """Rings, stripes and whole colours are lost at times; what is left of a picture is never nothing."""
    power = photo_data.spectrum(picture_transform.forward(field(64, 80).astype(np.float32) / 64))
    lost_bands, shares = 0, []
    for seed in range(60):
        v = photo_data.draw_noise(np.random.default_rng(seed), power)
        assert v.shape == power.shape and (v > 0).all()
        lost = picture_bands.FINE.means(np.isinf(v).astype(np.float32))
        lost_bands += lost[:27].max() == 1 and lost[18:27].min() < 0.9
        shares.append(np.isfinite(v).mean())
    assert lost_bands > 5 and min(shares) > 0 and max(shares) > 0.5
    regions = [photo_data.draw_region(np.random.default_rng(s), (3, 40, 50)) for s in range(40)]
    assert any((r[0] != r[1]).any() for r in regions) and np.mean([r.any() for r in regions]) > 0.9


def bench():
    spec = importlib.util.spec_from_file_location("photo_prior", BENCH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_bench_s_links_state_the_noise_that_they_have():
    module = bench()
    picture = field(160, 176)
    c = picture_transform.forward(picture_bands.SCALE * (picture.astype(np.float32) / 255 - 0.5))
    for name, (code, arguments) in module.ELSEWHERE.items():
        arguments = (1 / 6, *arguments[1:])  # so small a picture has room for its side information
        z, v, power = code(np.random.default_rng(1), picture, *arguments)
        seen = np.isfinite(v) & (v > 1e-5)
        assert 50 < seen.sum() < 0.95 * seen.size and np.isfinite(power).all(), name
        assert np.mean((z - c)[seen] ** 2 / v[seen]) == pytest.approx(1, abs=0.15), name


def test_the_bench_scores_a_scheme_that_is_right():
    """The Gaussian posterior of what is Gaussian is calibrated, and scored so."""
    module = bench()
    rng = np.random.default_rng(1)
    power = np.exp(rng.standard_normal((3, 64, 64)))
    v = np.exp(rng.standard_normal(power.shape))
    c = np.sqrt(power) * rng.standard_normal(power.shape)
    mean, variance, _ = photo.inferred(None, c + np.sqrt(v) * rng.standard_normal(v.shape), v, power, 0)
    assert min(module.calibration(variance, mean - c)) > 0.85 and max(module.calibration(variance, mean - c)) < 1.15
    assert max(module.calibration(2 * variance, mean - c)) > 1.7
