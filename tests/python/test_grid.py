# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels over time and frequency, their classical estimators, and the package `ofdm_grid`."""

import numpy as np
import pytest
from gr_diffsem.air import grid_channel, grid_pilots
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.models import grid_bank
from gr_diffsem.schemes import get, ofdm_grid


def nmse(estimate, truth):
    return 10 * np.log10(np.sum(np.abs(estimate - truth) ** 2) / np.sum(np.abs(truth) ** 2))


@pytest.fixture(scope="module")
def channels():
    return grid_channel.draw(np.random.default_rng(1), 40, 16, 48)


def test_channels_have_the_covariance_that_the_genie_is_told():
    # 20,000 draws of the fading of one channel: its parameters drawn once, its waves again and again.
    rng = np.random.default_rng(2)
    c = grid_channel.draw(rng, 20_000, 6, 5, doppler=(0.05, 0.05 + 1e-9), kinds=("exponential",))
    over_time = np.einsum("nsk,ntk->st", c.response, c.response.conj()) / (5 * len(c.response))
    assert np.allclose(over_time, grid_bank.over_time(6, 0.05), atol=0.02)
    assert np.mean(np.abs(c.response) ** 2) == pytest.approx(1, abs=0.02)
    assert np.allclose(c.powers.sum(1) + c.sight, 1)


def test_bessel_function():
    # Abramowitz and Stegun, table 9.1: J0 at 0, 1, 2.4048 (its first zero), 10, and of 50 by its asymptote's next term.
    assert np.allclose(grid_bank.bessel0([0, 1, 2.404825557695773, 10]), [1, 0.7651976866, 0, -0.2459357645], atol=1e-9)
    assert grid_bank.bessel0(50.0) == pytest.approx(0.05581232767, abs=1e-9)


@pytest.mark.parametrize("name", grid_channel.patterns())
def test_who_knows_more_errs_less(channels, name):
    pattern = grid_channel.patterns()[name]
    y = channels.response + np.sqrt(0.1) * complex_noise(np.random.default_rng(3), channels.response.shape)
    error = {
        "genie": nmse(grid_bank.genie(channels)(y, pattern, 0.1), channels.response),
        "bank": nmse(grid_bank.bank_of_180(16, 48)(y, pattern, 0.1), channels.response),
        "robust": nmse(grid_bank.robust(16, 48)(y, pattern, 0.1), channels.response),
    }
    assert error["genie"] < error["bank"] < error["robust"], error


def test_interpolation_is_exact_at_pilots_and_between_them_on_a_plane():
    s, k = np.mgrid[:16, :48]
    plane = (1 + 0.1 * s + 0.02j * k)[None]
    pattern = (s % 5 == 0) & (k % 47 == 0)
    assert np.allclose(grid_bank.interpolate(plane, pattern), plane)


def test_patterns_of_training_are_of_all_kinds():
    masks, parts = grid_pilots.draw(np.random.default_rng(4), 400, 16, 64)
    assert not np.any(masks & ~parts)
    seen = masks.sum((1, 2))
    assert seen.min() >= grid_pilots.FEWEST and seen.max() > 700
    symbols = masks.any(2).sum(1)
    assert np.mean(symbols == 1) > 0.05 and np.mean(symbols == 16) > 0.3


def test_tiles_of_the_test_are_observed_inside_of_what_counts():
    parts = get("ofdm_grid").test_data(10, 1)
    assert [part.name for part in parts] == list(grid_channel.patterns())
    for part in parts:
        assert part.truth.shape == (2, 16, 64) and part.counted.sum() == 16 * 48
        assert not np.any(part.observed & ~part.counted)
        y = np.where(part.observed, part.truth.reshape(2, -1), 0)
        for name in ("interpolation", "adaptive", "genie"):
            assert part.estimators[name](y, 0.01).shape == (2, 1024), name


def test_the_robust_member_is_its_twin(channels):
    diffsem = pytest.importorskip("gnuradio.diffsem")
    pattern = grid_channel.patterns()["DVB-T scattered"]
    y = channels.response[:4] + 0.1 * complex_noise(np.random.default_rng(5), (4, 16, 48))
    tile = ofdm_grid.in_tile(np.where(pattern, y, 0), 0).reshape(4, -1).astype(np.complex64)
    seen = ofdm_grid.in_tile(pattern, False).reshape(-1)
    mean, _, _ = diffsem.scheme("ofdm_grid/robust").estimate(tile, 0.01, observed=seen)
    gain = np.sqrt(np.mean(np.abs(y[:, pattern]) ** 2, 1) - 0.01)[:, None, None]
    wanted = gain * np.concatenate(
        [grid_bank.robust(16, 48)(row[None] / g, pattern, 0.01 / g.item() ** 2) for row, g in zip(y, gain, strict=True)]
    )
    assert nmse(mean.reshape(4, 16, 64)[:, :, 8:56], wanted) < -40


@pytest.mark.parametrize("member, most", [("full", 0.1), ("fast", 0.8)])
@pytest.mark.parametrize("name", ["LTE cell reference", "DVB-T scattered"])
def test_the_networks_are_near_the_bank(channels, name, member, most):
    """Measured on 1,000 channels: bench/results.md. These are 40."""
    diffsem = pytest.importorskip("gnuradio.diffsem")
    pattern = grid_channel.patterns()[name]
    y = channels.response + np.sqrt(0.05) * complex_noise(np.random.default_rng(6), channels.response.shape)
    tile = ofdm_grid.in_tile(np.where(pattern, y, 0), 0).reshape(len(y), -1).astype(np.complex64)
    seen = ofdm_grid.in_tile(pattern, False).reshape(-1)
    mean, _, info = diffsem.scheme(f"ofdm_grid/{member}").estimate(tile, 0.05, observed=seen)
    assert not np.any(info["bypassed"])
    bank = nmse(grid_bank.bank_of_180(16, 48)(y, pattern, 0.05), channels.response)
    assert nmse(mean.reshape(-1, 16, 64)[:, :, 8:56], channels.response) < bank + most
