# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of generators: what their training minimises is the error of v; the baseline learns a distribution."""

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.models import sample_sets, training, wgan

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("name", ["tap_generator_uses", "tap_generator_clarke"])
def test_the_loss_is_the_error_of_v(name):
    """v = a n - a sigma x0 with a = 1/sqrt(1 + sigma^2) (Salimans and Ho 2022), from the answer and from the truth."""
    torch.manual_seed(0)
    scheme = schemes.get(name)
    net = scheme.networks()["diffusion"].build()
    batch = scheme.batch(np.random.default_rng(1), 64, 1.0)
    clean, state, sigma, observed, *condition = training.tensors(batch)
    fit, spread = training.loss(net, clean, state, sigma, observed, *condition, warm=True)
    mean, _ = training.answer(net, state, sigma, condition)
    a = 1 / torch.sqrt(1 + sigma**2)

    def v_of(x0):
        return a * (state - x0) / sigma - a * sigma * x0

    error = (v_of(mean) - v_of(clean)).pow(2)
    error = error.sum(1) / 2 if clean.ndim > observed.ndim else error
    assert float(spread) == 0
    assert float(fit.detach()) == pytest.approx(float(error.mean().detach()), rel=1e-3)


def test_a_turned_tap_gives_a_turned_answer():
    torch.manual_seed(0)
    net = schemes.get("tap_generator_clarke").networks()["diffusion"].build()
    x, sigma = torch.randn(4, 2, 128), torch.rand(4) + 0.05
    mean, turned = net(x, sigma), net(torch.stack((-x[:, 1], x[:, 0]), 1), sigma)
    assert torch.allclose(torch.stack((-mean[:, 1], mean[:, 0]), 1), turned, atol=1e-5)


def test_the_baseline_learns_what_it_is_shown():
    """A Gaussian whose mean is what it is told, a few seconds."""

    def draw(rng, n):
        told = rng.uniform(-1, 1, (n, 1))
        return told + 0.5 * rng.standard_normal((n, 2)), told

    sizes = wgan.layers(4, 1, 32, 2, 2)
    flat = wgan.fit(draw, 4, sizes, 4.0, seed=1, batch=64, rate=2e-3, progress=lambda text: None)
    rng = np.random.default_rng(2)
    real, told = draw(rng, 2000)
    made = wgan.generate(flat, rng.standard_normal((2000, 4)), told, sizes)
    untrained = wgan.generate(0 * flat, rng.standard_normal((2000, 4)), told, sizes)
    near, far = (sample_sets.sliced_wasserstein(real, x, 1) for x in (made, untrained))
    assert near < 0.7 * far
