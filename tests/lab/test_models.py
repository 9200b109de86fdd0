# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks and classical priors: shapes, symmetry, arithmetic, fits."""

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.models import classical, training

torch = pytest.importorskip("torch")

DENOISERS = [s for s in schemes.all_schemes().values() if s.domain == "complex" and s.name != "e2e_autoencoder"]
NETWORKS = [(s.name, m) for s in DENOISERS for m in s.networks()]
BUDGET = {"diffusion": 2_000_000, "mmse_net": 200_000}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("scheme, member", NETWORKS)
def test_shapes_and_what_is_exported(scheme, member):
    scheme = schemes.get(scheme)
    net = scheme.networks()[member].build()
    x = torch.randn(3, 2, *scheme.shape)
    sigma = torch.rand(3, 1, *scheme.shape) + 0.1
    told = [torch.rand(3, *said["shape"]) for said in scheme.condition]  # numbers, where there are any
    mean, log_variance = training.answer(net, x, sigma, told)
    assert mean.shape == x.shape and (log_variance is None or log_variance.shape == sigma.shape)
    exported = net.for_export()
    if hasattr(net, "steps"):  # of conjugate gradients there are more once it is trained
        net.steps = exported.steps
        mean, log_variance = training.answer(net, x, sigma, told)
    again = training.answer(exported, x, sigma, told)
    assert torch.allclose(again[0], mean, atol=1e-5)
    assert log_variance is again[1] is None or torch.allclose(again[1], log_variance, atol=1e-5)


@pytest.mark.parametrize("member", BUDGET)
def test_arithmetic_of_channel_estimation(member):
    net = schemes.get("ofdm_chanest").networks()[member].build()
    assert net.multiply_adds() <= BUDGET[member]


def test_a_rotated_input_gives_a_rotated_estimate():
    from gr_diffsem.models.gated import GatedFilterBank

    net = GatedFilterBank(64, atoms=32, hidden=32)
    x = torch.randn(4, 2, 64)
    sigma = torch.rand(4, 1, 64) + 0.05
    turn = torch.stack((-x[:, 1], x[:, 0]), 1)  # times j
    mean, log_variance = net(x, sigma)
    turned, same = net(turn, sigma)
    assert torch.allclose(torch.stack((-mean[:, 1], mean[:, 0]), 1), turned, atol=1e-5)
    assert torch.allclose(log_variance, same, atol=1e-5)


def test_what_is_left_at_the_end_may_be_added():
    """A share of each element's own remainder: all of it where the net says so and the noise is small."""
    from gr_diffsem.models.gated import GatedFilterBank

    net = GatedFilterBank(64, atoms=32, hidden=32, direct=True)
    x = torch.randn(4, 2, 64)
    sigma = torch.full((4, 1, 64), 0.01)
    sigma[:, :, 40:] = 30.0
    before, _ = net(x, sigma)
    torch.nn.init.constant_(net.direct.bias, 30.0)
    after, _ = net(x, sigma)
    assert torch.allclose(after[..., :40], x[..., :40], atol=1e-3)
    assert torch.allclose(after[..., 40:], before[..., 40:], atol=0.03), "an element without a measurement stays"


def test_covariance_of_samples():
    rng = np.random.default_rng(0)
    root = rng.standard_normal((8, 8)) + 1j * rng.standard_normal((8, 8))
    z = (rng.standard_normal((200_000, 8)) + 1j * rng.standard_normal((200_000, 8))) / np.sqrt(2)
    c = classical.covariance(z @ root.T)
    assert np.abs(c - root @ root.conj().T).max() < 0.3
    assert np.allclose(c, c.conj().T)


def test_mixture_fit_finds_the_mixture():
    """Two components that differ in where their power lies; the posterior mean under the fit is that
    under the truth to within 0.1 dB."""
    rng = np.random.default_rng(1)
    n, size = 20_000, 16
    powers = np.full((2, size), 0.01)
    powers[0, :4], powers[1, 8:12] = 2, 1
    labels = (rng.random(n) < 0.3).astype(int)
    taps = (rng.standard_normal((n, size)) + 1j * rng.standard_normal((n, size))) * np.sqrt(powers[labels] / 2)
    x = np.fft.fft(taps, axis=1, norm="ortho").astype(np.complex64)
    weights, covariances = classical.fit_mixture(x, 2, rng, iterations=10)
    assert np.sort(weights) == pytest.approx([0.3, 0.7], abs=0.02)
    f = np.fft.fft(np.eye(size), axis=0, norm="ortho")
    for k, want in enumerate([0, 1] if weights[0] > weights[1] else [1, 0]):
        found = np.real(np.diag(f.conj().T @ covariances[k] @ f))
        assert np.abs(found - powers[want]).max() < 0.1


def test_window_is_a_least_squares_fit():
    """At a moderate SNR a channel inside the window comes through, one outside it does not."""
    c = classical.window_covariance(64, -4, 20)
    gain = c @ np.linalg.inv(c + 0.01 * np.eye(64))
    k = np.arange(64) - 32
    inside, outside = (np.exp(-2j * np.pi * k * d / 64) for d in (7, 40))
    assert np.abs(gain @ inside - inside).max() < 1e-3
    assert np.abs(gain @ outside).max() < 1e-3
