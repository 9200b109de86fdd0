# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: what levels they visit, from where, and in how many steps."""

import numpy as np
import pytest
from gr_diffsem.reference import plans


@pytest.mark.parametrize("kind", plans.PLANS)
@pytest.mark.parametrize("start", [50.0, 1.0, 0.05])
def test_descends_from_the_start_to_zero(kind, start):
    plan = plans.Plan({"type": kind, "steps": 8})
    levels = plan.levels(start)
    assert levels[0] == start and levels[-1] == 0 and len(levels) <= 9
    assert np.all(np.diff(levels) < 0)
    if kind in ("geometric", "karras"):
        assert len(levels) == 9 and levels[-2] == pytest.approx(0.01)


def test_one_step_and_a_start_below_the_plan():
    for kind in plans.PLANS:
        assert list(plans.Plan({"type": kind, "steps": 1}).levels(0.7)) == [0.7, 0.0]
        assert list(plans.Plan({"type": kind, "steps": 9}).levels(0.001)) == [0.001, 0.0]


def test_linear_vp_grid():
    """T = 100, beta from 1e-4 to 0.1: the first level is sqrt(beta_1/(1-beta_1)), the last about 12."""
    grid = plans.linear_vp_grid()
    assert len(grid) == 100
    assert grid[-1] == pytest.approx(np.sqrt(1e-4 / (1 - 1e-4)))
    log_alpha_bar = np.sum(np.log1p(-np.linspace(1e-4, 0.1, 100)))
    assert grid[0] == pytest.approx(np.sqrt(np.expm1(-log_alpha_bar)))


def test_cosine_grid_is_the_cosine():
    """Away from the clipped end alpha_bar = cos^2(...) / cos^2(0...)."""
    grid = plans.cosine_grid(1000)[::-1]
    t = np.arange(1, 900) / 1000
    ideal = np.cos((t + 0.008) / 1.008 * np.pi / 2) ** 2 / np.cos(0.008 / 1.008 * np.pi / 2) ** 2
    np.testing.assert_allclose(1 / (1 + grid[:899] ** 2), ideal, rtol=1e-9)


def test_thinning_keeps_the_last():
    levels = np.arange(10, 0, -1.0)
    assert list(plans.thin(levels, 3)) == [7, 4, 1]
    assert list(plans.thin(levels, 10)) == list(levels)
    assert list(plans.thin(levels, 50)) == list(levels)
    assert list(plans.thin(levels, 0)) == []


def test_grid_is_cut_at_the_start():
    plan = plans.Plan({"type": "linear_vp", "steps_train": 100})
    levels = plan.levels(1.0)
    assert np.all(levels[1:-1] < 1.0)
    assert len(levels) - 2 == np.sum((plans.linear_vp_grid() < 1.0) & (plans.linear_vp_grid() >= 0.01))


def test_elements_join_when_the_plan_comes_down_to_them():
    levels = plans.Plan({"steps": 4}).element_levels([1.0, 0.1, np.inf, 0.001])
    path = plans.Plan({"steps": 4}).levels(1.0)
    assert len(levels) == 5
    np.testing.assert_allclose([v[0] for v in levels], path)
    np.testing.assert_allclose([v[1] for v in levels], np.minimum(0.1, path))
    np.testing.assert_allclose([v[2] for v in levels], [np.inf, *path[1:]])
    np.testing.assert_allclose([v[3] for v in levels], [0.001] * 4 + [0.0])


def test_nothing_observed_starts_at_the_top():
    levels = plans.Plan({"steps": 4, "sigma_max": 20.0}).element_levels([np.inf, np.inf])
    assert levels[1][0] == pytest.approx(plans.Plan({"steps": 4}).levels(20.0)[1])
