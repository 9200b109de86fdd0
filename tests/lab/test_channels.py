# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels against closed forms and against sionna's implementation of the same 3GPP tables."""

import numpy as np
import pytest
from gr_diffsem.air import channel_bank, measure, tdl
from gr_diffsem.base.signal import complex_noise32


@pytest.mark.parametrize("name", tdl.PROFILES)
def test_covariance_is_that_of_the_samples(name):
    rng = np.random.default_rng(1)
    h = tdl.frequency_response(name, 1.3, 64, rng, 40_000, timing=2.0)
    sample = h.T @ h.conj() / len(h)
    assert np.abs(sample - tdl.covariance(name, 1.3, 64, timing=2.0)).max() < 0.03
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("name", tdl.PROFILES)
def test_profiles_are_sionna_s(name):
    torch = pytest.importorskip("torch")
    sionna_tdl = pytest.importorskip("sionna.phy.channel.tr38901").TDL
    rate, spread = 20e6, 1.3
    torch.manual_seed(3)
    a, tau = sionna_tdl(name, spread / rate, 2.4e9)(20_000, 1, rate)
    a = a.reshape(20_000, -1).numpy()
    h = a @ tdl.steering(tau.reshape(20_000, -1).numpy()[0] * rate, 64).T
    sample = h.T @ h.conj() / len(h)
    assert np.abs(sample - tdl.covariance(name, spread, 64)).max() < 0.05


def test_unknown_profile_names_the_known():
    with pytest.raises(ValueError, match="A, B, C, D, E"):
        tdl.profile("F")


def test_bank_is_reproducible_and_normalised():
    first, extent = channel_bank.make_plain(500, 3)
    again, _ = channel_bank.make_plain(500, 3)
    assert np.array_equal(first, again)
    assert np.allclose(np.mean(np.abs(first) ** 2, 1), 1, atol=1e-4)
    assert extent.min() >= 0 and extent.max() < 25
    varied = channel_bank.vary(first, extent, np.random.default_rng(0))
    assert varied.dtype == np.complex64 and np.isfinite(varied).all()


def test_taps_lie_where_the_channel_is_said_to_be():
    """Without filters a channel's energy lies from the window's start to the end of its extent."""
    h, extent = channel_bank.make_plain(400, 4)
    taps = np.abs(np.fft.ifft(np.fft.ifftshift(h, axes=1), axis=1)) ** 2
    position = np.arange(64)
    early_or_inside = (position[None] <= np.ceil(extent)[:, None] + 6) | (position[None] >= 56)
    inside = np.sum(taps * early_or_inside, 1) / np.sum(taps, 1)
    assert np.mean(inside > 0.97) > 0.97


def test_measured_gain():
    """P of docs/model_contract.md, and its floor of one standard deviation of the mean noise power."""
    observed = np.zeros((2, 64), bool)
    observed[:, 6:58] = True
    y = np.zeros((2, 64), np.complex64)
    y[0] = 3
    nv = np.full((2, 64), 0.5)
    power = measure.measured_power(y, nv, observed)
    assert power[0] == pytest.approx(9 - 0.5)
    assert power[1] == pytest.approx(0.5 / np.sqrt(52))


def test_unobserved_elements_are_zero_at_the_largest_level():
    rng = np.random.default_rng(0)
    masks = measure.draw_masks(rng, 200)
    assert masks.sum(1).min() >= 4
    batch = measure.observe(np.ones((200, 64), np.complex64), 0.1, 0.1, masks, rng)
    assert np.all(batch.state[~masks] == 0)
    assert np.all(batch.sigma[~masks] == measure.SIGMA_RANGE[1])


def test_layouts_are_of_every_kind():
    """12 carriers at least; some lie on one side, some leave the middle out, some are combs, some are one block."""
    layouts = measure.draw_layouts(np.random.default_rng(4), 600)
    assert layouts.sum(1).min() >= 12 and len(np.unique(layouts, axis=0)) > 500
    assert np.array_equal(layouts, measure.draw_layouts(np.random.default_rng(4), 600))
    positions = [np.flatnonzero(row) for row in layouts]
    one_sided = [p.min() > 32 or p.max() < 32 for p in positions]
    edges = [not np.any((p > 24) & (p < 40)) and p.min() < 32 < p.max() for p in positions]
    block = [np.ptp(p) == len(p) - 1 for p in positions]
    comb = [len(set(np.diff(p)) - {2 * np.diff(p).min()}) == 1 and np.diff(p).min() > 1 for p in positions]
    few = layouts.sum(1) <= 20
    for kind in (one_sided, edges, block, comb, few):
        assert np.mean(kind) > 0.02
    masks = measure.draw_masks(np.random.default_rng(4), 2000)
    assert 0.2 < np.mean((masks == measure.wifi_mask()).all(1)) < 0.5


def test_states_have_the_level_they_claim():
    """(state - clean) / sigma has unit variance where the belief is right, combined or not."""
    rng = np.random.default_rng(2)
    h = complex_noise32(rng, (4000, 64))
    masks = np.repeat(measure.wifi_mask()[None], 4000, 0)
    batch = measure.observe(h, 0.2, 0.2, masks, rng)
    batch = measure.as_prior_state(batch, 1.0, rng)
    z = np.abs(batch.state - batch.clean) ** 2 / batch.sigma**2
    assert np.mean(z[:2000][:, measure.wifi_mask()]) == pytest.approx(1, abs=0.03)
    assert np.mean(z[2000:]) == pytest.approx(1, abs=0.03)
