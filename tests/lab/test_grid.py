# SPDX-License-Identifier: GPL-3.0-or-later
"""The delay-Doppler network: its waves, its linear systems, its training."""

import numpy as np
import pytest
import torch
from gr_diffsem.air import grid_channel
from gr_diffsem.models import delay_doppler, grid_training, grid_variance
from gr_diffsem.schemes import get


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return delay_doppler.Waves(24, 6, delays=16, dopplers=5).double()


def dense(waves):
    """Phi as a real matrix [grid, amplitudes]."""
    n = waves.delays * 2 * waves.dopplers
    columns = torch.eye(n, dtype=torch.float64).reshape(n, -1, waves.delays)
    return waves(columns).reshape(n, -1).T


def test_waves_are_complex_exponentials(small):
    # One amplitude gives exp(-2j pi k tau + 2j pi nu s) with the middle delay taken out, to what the short bases leave.
    x = torch.zeros(1, 10, 16, dtype=torch.float64)
    x[0, 1, 3] = 1
    re, im = small.turned(*small(x)[0].chunk(2, 1), -1.0)
    k, s = np.arange(24) - 12, np.arange(6) - 2.5
    delay = small.middle + small.tau[3]
    wanted = np.exp(2j * np.pi * small.nu[1] * s)[:, None] * np.exp(-2j * np.pi * k * delay)
    assert np.abs(re.numpy() + 1j * im.numpy() - wanted).max() < 1e-2


def test_adjoint(small):
    rng = torch.Generator().manual_seed(1)
    x = torch.randn(2, 10, 16, dtype=torch.float64, generator=rng)
    y = torch.randn(2, 6, 48, dtype=torch.float64, generator=rng)
    assert torch.allclose((small(x) * y).sum((1, 2)), (x * small.adjoint(y)).sum((1, 2)))


def test_solve_is_the_posterior_mean(small):
    # Equation (2) against the normal equations: H^ = P Phi^T (Phi P Phi^T + R)^-1 y.
    rng = torch.Generator().manual_seed(2)
    y = torch.randn(1, 6, 48, dtype=torch.float64, generator=rng)
    w = 0.5 + torch.rand(1, 6, 24, dtype=torch.float64, generator=rng)
    w = w * (torch.rand(1, 6, 24, generator=rng) < 0.4)
    w = torch.cat((w, w), 2)
    d = torch.rand(1, 5, 16, dtype=torch.float64, generator=rng)
    d = torch.cat((d, d), 1)
    x = delay_doppler.solve(small, small.grid_adjoint(w * w * y), w * w, d * d, 80)
    phi = dense(small) * d.reshape(-1)
    a = phi * w.reshape(-1, 1)
    z = torch.linalg.solve(a.T @ a + torch.eye(a.shape[1], dtype=torch.float64), a.T @ (w * y).reshape(-1))
    assert torch.allclose(x.reshape(-1), d.reshape(-1) * z, atol=1e-3)  # it stops at a gradient of 1e-4


def test_a_solved_system_has_the_gradient_of_its_steps(small):
    rng = torch.Generator().manual_seed(3)
    looks = (torch.rand(2, 6, 24, generator=rng) < 0.4).double()
    looks = torch.cat((looks, looks), 2)
    b = small.grid_adjoint(looks * torch.randn(2, 6, 48, dtype=torch.float64, generator=rng))
    weights = torch.randn(2, 10, 16, dtype=torch.float64, generator=rng)
    log_powers = (torch.randn(2, 5, 16, dtype=torch.float64, generator=rng) - 3).requires_grad_(True)
    with_record = delay_doppler.solve(small, b, looks, delay_doppler.of_both_parts(log_powers), 80)
    without = delay_doppler.Solved.apply(small, b, looks, log_powers, 80)
    assert torch.equal(with_record, without)
    wanted, got = (torch.autograd.grad((x * weights).sum(), log_powers)[0] for x in (with_record, without))
    assert torch.allclose(got, wanted, rtol=1e-2, atol=1e-3 * float(wanted.abs().max()))


def test_powers_of_channels_lie_where_their_paths_do():
    waves = delay_doppler.Waves(64, 16, delays=64, dopplers=13)
    channels = grid_channel.draw(np.random.default_rng(3), 30, 16, 64)
    powers = grid_training.cells(channels, waves)
    assert np.allclose(powers.sum((1, 2)), 1, atol=1e-5)
    mean = (powers.sum(1) * (waves.middle + waves.tau)).sum(1)
    wanted = (channels.powers * channels.delays).sum(1) + channels.sight * channels.delays[:, 0]
    assert np.allclose(mean, wanted, atol=1e-4)
    doppler = (powers.sum(2) * waves.nu).sum(1)
    assert np.allclose(doppler, channels.sight * channels.sight_doppler, atol=1e-4)  # Clarke's spectrum is even


def test_turning_the_measurement_turns_the_answer():
    torch.manual_seed(1)
    net = delay_doppler.DelayDoppler(delays=32, dopplers=7, steps=(3, 4), last=4, channels=16, hidden=16, blocks=1)
    batch = get("ofdm_grid").batch(np.random.default_rng(4), 4, 0.0)
    planes = grid_training.training.planes
    sigma = torch.from_numpy(batch.sigma[:, None])
    with torch.no_grad():
        mean, spread = net(planes(batch.state), sigma)
        turned, same = net(planes(batch.state * np.exp(0.7j)), sigma)
    mean, turned = (torch.complex(m[:, 0], m[:, 1]) for m in (mean, turned))
    assert torch.allclose(turned, (mean * np.exp(0.7j)).to(torch.complex64), atol=2e-3)
    assert torch.allclose(spread, same, atol=1e-2)


def test_nothing_seen_is_the_prior():
    net = delay_doppler.DelayDoppler(delays=32, dopplers=7, steps=(3, 4), last=4, channels=16, hidden=16, blocks=1)
    x, sigma = torch.randn(2, 2, 16, 64), torch.full((2, 1, 16, 64), 30.0)
    with torch.no_grad():
        mean, log_variance = net(x, sigma)
    assert mean.abs().max() == 0 and torch.isfinite(log_variance).all()


def test_matrix_by_lag():
    c = torch.randn(2, 9)
    matrix = grid_variance.by_lag(c, 5)
    assert all(torch.equal(matrix[:, i, j], c[:, j - i]) for i in range(5) for j in range(5))


def test_biases_that_go_along_are_those_of_the_layers():
    torch.manual_seed(2)
    spread = grid_variance.Spread(delay_doppler.Waves(8, 4, 6, 3), 4, 8, channels=5, pooled=3, hidden=7)
    torch.nn.init.normal_(spread.third.weight)
    features, about = torch.randn(2, spread.FEATURES, 32), torch.randn(2, 4)
    f = torch.cat((features.transpose(1, 2), about[:, None].expand(-1, 32, -1)), 2)
    f = torch.nn.functional.silu(spread.first(f))
    wanted = spread.third(f + torch.nn.functional.silu(spread.second(f))).transpose(1, 2)
    assert torch.allclose(spread.correction(features, about), wanted, atol=1e-5)


def test_an_exported_network_states_no_more_than_the_calibrated_variance():
    torch.manual_seed(3)
    net = delay_doppler.DelayDoppler(delays=32, dopplers=7, steps=(3, 4), last=4, channels=16, hidden=16, blocks=1)
    torch.nn.init.constant_(net.spread.third.bias, 2.0)  # what it says is anything up to exp(4)
    batch = get("ofdm_grid").batch(np.random.default_rng(5), 8, 0.0)
    x, sigma = grid_training.training.planes(batch.state), torch.from_numpy(batch.sigma[:, None])
    with torch.no_grad():
        (mean, said), (same, stated) = net(x, sigma), net.for_export()(x, sigma)
    assert said.max() > 1 and said.min() < 0  # so that both sides of it are tried
    assert torch.equal(stated, said.clamp(max=grid_variance.MOST)) and torch.equal(same, mean)
