# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise variances found from a picture's own symbols."""

import numpy as np
import pytest
from gr_diffsem.base import picture_bands, picture_files
from gr_diffsem.codec import picture_codec, symbol_noise

PICTURE = next(iter(picture_files.bundled(256, 1).values()))
FADES = 48  # in the middle of these frames: two frames of 24 carriers


@pytest.fixture(scope="module")
def sent():
    return picture_codec.encode(PICTURE, PICTURE.size // 16)


def noisy(sent, variance, seed=0):
    rng = np.random.default_rng(seed)
    drawn = rng.standard_normal((2, sent.symbols.size)) * np.sqrt(np.broadcast_to(variance, sent.symbols.shape) / 2)
    return (sent.symbols + drawn[0] + 1j * drawn[1]).astype(np.complex64)


def db(x):
    return 10 * np.log10(x)


@pytest.mark.parametrize("snr_db", [-3.0, 0.0, 5.0])
@pytest.mark.parametrize("misstated_db", [-10.0, 5.0])
def test_one_factor_is_found_whatever_was_told(sent, snr_db, misstated_db):
    true = 10 ** (-snr_db / 10)
    told = np.full(sent.symbols.size, true * 10 ** (misstated_db / 10), np.float32)
    found = symbol_noise.likeliest(sent.plan, noisy(sent, true), told, "scaled")
    assert np.ptp(found) == 0 and abs(db(found[0] / true)) < 2.0


def test_each_fade_is_found_when_nothing_is_told(sent):
    fades = np.arange(sent.symbols.size) % FADES
    true = 10 ** (np.random.default_rng(1).uniform(-5, 5, FADES) / 10)
    y, told = noisy(sent, true[fades]), np.ones(sent.symbols.size, np.float32)
    found = symbol_noise.likeliest(sent.plan, y, told, "estimated", fades)
    each = np.array([found[fades == f][0] for f in range(FADES)])
    assert np.sqrt(np.mean(db(each / true) ** 2)) < 2.0 < np.std(db(true))
    one = symbol_noise.likeliest(sent.plan, y, told, "scaled", fades)
    assert np.ptp(one) == 0  # what was told says that they are alike


def test_what_is_told_does_not_matter_where_nothing_is_believed(sent):
    fades, y = np.arange(sent.symbols.size) % FADES, noisy(sent, 0.5)
    rng = np.random.default_rng(2)
    tellings = [np.full(y.size, 0.5, np.float32), rng.uniform(0.01, 5, FADES).astype(np.float32)[fades]]
    a, b = (symbol_noise.likeliest(sent.plan, y, told, "estimated", fades) for told in tellings)
    np.testing.assert_allclose(a, b, rtol=1e-3)


def test_what_is_known_to_be_hit_stays_so(sent):
    """Of one fade it is believed how its symbols compare: an impulse on some of them costs those alone."""
    fades = np.arange(sent.symbols.size) % FADES
    hit = (np.arange(sent.symbols.size) // FADES) % 8 == 0
    true = np.where(hit, 50.0, 0.1)
    y = noisy(sent, true)
    y[5], stated = 1e18, true.astype(np.float32)
    stated[5] = 1e36
    found = symbol_noise.likeliest(sent.plan, y, stated, "estimated", fades)
    usual = (~hit) & (fades != fades[5])
    assert abs(db(np.median(found[usual]) / 0.1)) < 2.5 and abs(db(np.median(found[hit]) / 50.0)) < 2.5
    assert found[5] > 1e30


def test_the_lost_stay_lost_and_say_nothing(sent):
    y, told = noisy(sent, 0.5), np.full(sent.symbols.size, 0.5, np.float32)
    lost = np.arange(y.size) % 3 == 0
    told[lost] = np.inf
    broken = np.where(lost, 1e20, y)
    for kind in ("scaled", "estimated"):
        found = symbol_noise.likeliest(sent.plan, broken, told, kind)
        assert np.all(np.isinf(found[lost])) and abs(db(np.mean(found[~lost]) / 0.5)) < 1.0
        nothing = symbol_noise.likeliest(sent.plan, y, np.full(y.size, np.inf, np.float32), kind)
        assert np.all(np.isinf(nothing))


def test_a_picture_that_is_known_says_the_noise_better(sent):
    """With the true coefficients the noise is what is left: exact to its own scatter."""
    fades = np.arange(sent.symbols.size) % FADES
    true = 10 ** (np.random.default_rng(3).uniform(-5, 5, FADES) / 10)
    y, told = noisy(sent, true[fades]), np.ones(sent.symbols.size, np.float32)
    z, _, _ = picture_codec.observation(sent.plan, sent.symbols, np.full(y.size, 1e-9, np.float32))
    found = symbol_noise.refined(sent.plan, y, told, "estimated", z, np.zeros_like(z), fades)
    before = symbol_noise.likeliest(sent.plan, y, told, "estimated", fades)
    errors = [np.sqrt(np.mean(db(v / true[fades]) ** 2)) for v in (found, before)]
    assert errors[0] < 0.7 and errors[0] < errors[1]


def test_what_is_known_is_left_alone(sent):
    told = np.full(sent.symbols.size, 0.3, np.float32)
    y, zero = noisy(sent, 1.0), np.zeros((3, *PICTURE.shape[:2]))
    assert symbol_noise.likeliest(sent.plan, y, told, "told") is told
    assert symbol_noise.refined(sent.plan, y, told, "told", zero, zero) is told


def test_symbols_without_noise_leave_finite_variances(sent):
    told = np.full(sent.symbols.size, 1e-9, np.float32)
    for y in (sent.symbols, np.zeros_like(sent.symbols)):
        for kind in ("scaled", "estimated"):
            found = symbol_noise.likeliest(sent.plan, y, told, kind)
            assert np.all(np.isfinite(found)) and np.all(found > 0)
            z, v, spectrum = picture_codec.observation(sent.plan, y, found)
            assert np.all(np.isfinite(picture_bands.proximal(0.0, spectrum, z, v)[0]))
