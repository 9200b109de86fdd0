# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of generators: what their training minimises is the error of v; the baseline learns a distribution."""

import argparse

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.models import plain_classifier, plain_mlp, sample_sets, training, wgan
from gr_diffsem.receivers.csi import activity_maps
from gr_diffsem.schemes import rf_generator

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


def people(rng, n):
    """Generated recordings: each activity is a line of its own over the coefficients, and a little noise."""
    activities = np.arange(n) % activity_maps.ACTIVITIES
    lines = np.random.default_rng(11).standard_normal((activity_maps.ACTIVITIES, *activity_maps.KEPT))
    signals = lines[activities] + 0.2 * rng.standard_normal((n, *activity_maps.KEPT))
    return signals.astype(np.float32), activities, np.arange(n) // 16 % 3, np.arange(n) // 16


@pytest.fixture
def recorded(monkeypatch):
    found = people(np.random.default_rng(12), 640)
    monkeypatch.setattr(activity_maps, "load", lambda: found)
    return rf_generator.RfGenerator()


def test_a_network_that_is_told_activities_learns_them(recorded):
    """So many steps, whatever time they take, twice: the same weights; and its loss is the error of v."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(["rf_generator", "--device", "cpu", "--rate", "3e-3"])
    network = recorded.networks()["diffusion"]
    nets = [training.Training(recorded, "diffusion", network, args, ".").count(steps) for steps in (120, 120, 1)]
    weights = [next(net.parameters()) for net in nets]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    batch = recorded.batch(np.random.default_rng(1), 64, 1.0)
    clean, state, sigma, observed, *told = training.tensors(batch)
    losses = [float(training.loss(net, clean, state, sigma, observed, *told, warm=True)[0].detach()) for net in nets]
    assert losses[0] < 0.85 * losses[2]  # which begins beside the linear answer, and that is good here
    mean, _ = training.answer(nets[0], state, sigma, told)
    a = 1 / torch.sqrt(1 + sigma**2)
    error = ((a * (state - mean) / sigma - a * sigma * mean) - (a * (state - clean) / sigma - a * sigma * clean)).pow(2)
    assert losses[0] == pytest.approx(float(error.mean().detach()), rel=1e-2)


def test_a_network_that_says_nothing_gives_the_linear_answer(recorded):
    """m + C (C + sigma^2)^-1 (x - m) of the activity, of all together where it is told none."""
    net = recorded.networks()["diffusion"].build()
    torch.nn.init.zeros_(net.leave.weight)
    torch.nn.init.zeros_(net.leave.bias)
    found, rng = recorded.gaussians(), np.random.default_rng(15)
    n, levels, kinds = found.mean.shape[1], np.array([0.1, 1.0, 9.0]), np.array([3, 7, -1])
    x = found.mean[kinds] + rng.standard_normal((3, n))
    mean = net(*(torch.tensor(v) for v in (x.astype(np.float32), levels.astype(np.float32), kinds))).detach().numpy()
    for at, level, kind, answer in zip(x, levels, kinds, mean.reshape(3, n), strict=True):
        basis, rest = found.basis[kind].astype(float), found.floor**2
        covariance = (basis * (found.variance[kind] - rest)) @ basis.T + rest * np.eye(n)
        off = np.linalg.solve(covariance + level**2 * np.eye(n), at - found.mean[kind])
        np.testing.assert_allclose(answer, found.mean[kind] + covariance @ off, atol=1e-4)


def test_a_classifier_learns_activities_and_weights_say_what_it_is_shown(recorded):
    signals, activities = recorded.recordings(False)
    flat, sizes = signals.reshape(len(signals), -1), rf_generator.FEATURES
    held, asked = recorded.recordings(True)
    held = held.reshape(len(held), -1)
    told = plain_classifier.fit(flat, activities, sizes, 1, steps=150)
    assert plain_classifier.accuracy(told, held, asked, sizes).mean() > 0.9
    half = (activities < 8).astype(float)  # the others are never shown
    told = plain_classifier.fit(flat, activities, sizes, 1, steps=150, weights=half)
    right = plain_classifier.accuracy(told, held, asked, sizes)
    assert right[asked < 8].mean() > 0.9 and right[asked >= 8].mean() == 0


def test_an_autoencoder_learns_what_it_is_shown():
    rng = np.random.default_rng(13)

    def draw(rng, n):
        told = rng.uniform(-1, 1, (n, 1))
        return told + 0.5 * rng.standard_normal((n, 2)), told

    sizes = wgan.layers(4, 1, 32, 2, 2)
    flat = wgan.fit_vae(draw, 4, sizes, 1, seed=1, batch=64, rate=2e-3, progress=lambda text: None, steps=400)
    real, told = draw(rng, 2000)
    made = wgan.generate(flat[:-1], rng.standard_normal((2000, 4)), told, sizes)
    made = made + flat[-1] * rng.standard_normal(made.shape)
    assert sample_sets.sliced_wasserstein(real, made, 1) < 0.15


def test_draws_are_held_to_recordings_that_were_held_out(recorded):
    """The measures rank what is right before what is not; a copy is found."""
    rng = np.random.default_rng(14)
    signals, activities = recorded.recordings(False)
    flat = plain_classifier.fit(signals.reshape(len(signals), -1), activities, rf_generator.FEATURES, 1, steps=150)
    size = sum(int(np.prod(shape)) for shape in plain_mlp.shapes(rf_generator.BASELINE))
    recorded.shipped = (
        lambda name: flat if name == "features.npy" else 0.05 * rng.standard_normal(size + (name[0] == "v"))
    )

    def draw(member, n, seed, told):
        own = people(np.random.default_rng(seed), 640)[0]
        own = signals if member == "copies" else own
        labels = activities if member == "copies" else people(rng, 640)[1]
        chosen = [rng.choice(np.flatnonzero(labels == k)) for k in told["activity"]]
        return own[chosen] * rf_generator.weights(recorded.colour)

    rows = {
        (r.quantity, r.method): np.mean(r.values) for r in recorded.generated(draw, ["diffusion", "copies"], 200, 1)
    }
    assert rows[rf_generator.FRECHET, "diffusion"] < 0.5 * rows[rf_generator.FRECHET, "gan"]
    assert rows[rf_generator.SIMILARITY, "diffusion"] > 0.9 > 0.5 > rows[rf_generator.SIMILARITY, "gan"]
    assert rows[rf_generator.COPIES, "copies"] == 1
