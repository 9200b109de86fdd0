# SPDX-License-Identifier: GPL-3.0-or-later
"""Mean and variance of a channel from few pilots by variational steps."""

import numpy as np
import pytest
from gr_diffsem.base import model_packages
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.schemes import mimo_chanest
from gr_diffsem.schemes import mimo_pilot_posterior as few
from gr_diffsem.schemes import variational_chanest as variational

COUNT = 8  # channels of each kind and density


@pytest.fixture(scope="module")
def answers():
    """[(error [R, N], variance [R, N], LMMSE's error [R, N])] of each kind and density at 10 dB."""
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    diffsem = pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    package, _ = model_packages.locate("variational_chanest", checkout_first=True)
    scheme, out = diffsem.scheme(str(package)), []
    for i, kind in enumerate(mimo_chanest.KINDS):
        h = mimo_chanest.draw(kind, np.random.default_rng([17, i]), COUNT, few.RX, few.TX)
        x = (h @ few.BASIS).reshape(COUNT, -1)
        for density in few.DENSITIES:
            seen = few.observed(density).ravel()
            y = x + np.sqrt(0.1) * complex_noise32(np.random.default_rng(18), x.shape)
            y = np.where(seen, y, 0).astype(np.complex64)
            mean, variance, info = scheme.estimate(y, np.float32(0.1), observed=seen)
            assert not np.any(info["guarded"]) and not np.any(info["bypassed"])
            rows, columns = (np.load(package / f"{kind}_{part}.npy") for part in ("rows", "columns"))
            lmmse = few.AverageLmmse(rows, columns, few.pilots(density))(y, 0.1)
            out.append((np.abs(mean - x) ** 2, variance, np.abs(lmmse - x) ** 2))
    return out


def test_no_worse_than_when_shipped(answers):
    """At least 5 dB below LMMSE with the average covariance, everywhere."""
    for error, _, lmmse in answers:
        assert 10 * np.log10(error.sum() / lmmse.sum()) < -5


def test_the_variance_says_how_far_off_it_is(answers):
    """Few channels: within a factor of two for every fifth of the stated variances, and larger where not observed."""
    error, variance = (np.concatenate([part[k] for part in answers]) for k in (0, 1))
    errors, variances = variational.decile_sums(error, variance)
    ratios = errors.reshape(5, 2, -1).sum((1, 2)) / variances.reshape(5, 2, -1).sum((1, 2))
    assert np.all((ratios > 0.5) & (ratios < 2)), ratios
    seen = few.observed(few.DENSITIES[0]).ravel()
    assert np.all(answers[0][1][:, ~seen].min(1) > answers[0][1][:, seen].max(1))


def test_deciles_are_of_the_stated_variances():
    variance = np.arange(1.0, 201).reshape(2, 100)
    error = 2 * variance
    errors, variances = variational.decile_sums(error, variance)
    assert errors.shape == (10, 2)
    np.testing.assert_allclose(variances.sum(1), variance.ravel().reshape(10, 20).sum(1))
    np.testing.assert_allclose(errors, 2 * variances)
    over, under = variational.furthest(errors, variances)
    np.testing.assert_allclose(over.sum() / under.sum(), 2)
    over, under = variational.furthest(variances / 4, variances)  # either way
    np.testing.assert_allclose(over.sum() / under.sum(), 4)
