# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussians of a few directions for each class."""

import numpy as np
import pytest
from gr_diffsem.models import class_gaussians


def told(rng, n):
    """Two classes of 6 numbers: one strong direction each, about means of their own."""
    labels = np.arange(n) % 2
    lines = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 2)))[0].T
    x = 5.0 * labels[:, None] + 3 * rng.standard_normal((n, 1)) * lines[labels]
    return x + 0.1 * rng.standard_normal((n, 6)), labels, lines


def test_draws_have_the_classes_means_and_covariances():
    rng = np.random.default_rng(2)
    x, labels, lines = told(rng, 4000)
    found = class_gaussians.fit(x, labels, 2, 1, 0.1)
    assert found.mean.shape == (3, 6) and found.basis.shape == (3, 6, 1) and found.variance.shape == (3, 1)
    made = found.draw(rng, np.full(20000, 1))
    np.testing.assert_allclose(made.mean(0), 5, atol=0.15)
    wanted = 9 * np.outer(lines[1], lines[1]) + 0.01 * np.eye(6)
    assert np.linalg.norm(np.cov(made.T) - wanted) < 0.06 * np.linalg.norm(wanted)
    assert abs(found.basis[2, :, 0] @ np.ones(6)) == pytest.approx(np.sqrt(6), rel=0.2), "all: from mean to mean"


def test_classes_of_few_items_have_the_floor():
    x, labels, _ = told(np.random.default_rng(3), 3)
    found = class_gaussians.fit(x, labels, 3, 4, 0.5)
    assert np.all(found.mean[2] == 0) and np.all(found.variance[2] == 0.25)
    np.testing.assert_allclose(found.mean[1], x[1], rtol=1e-6)
    assert np.all(found.variance >= 0.25) and np.all(np.isfinite(found.draw(np.random.default_rng(4), np.arange(4))))
