# SPDX-License-Identifier: GPL-3.0-or-later
"""Radio maps in `lab`: kriging against scikit-learn's Gaussian process, and what a network of maps is trained on."""

import numpy as np
import pytest
from gr_diffsem.air import traced_maps
from gr_diffsem.radiomap import city_samples, kriging, map_units, sites

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def city():
    """Two maps as `traced_maps.load` gives them: streets between blocks of 12 cells, power that falls with distance."""
    at = np.arange(traced_maps.CELLS)
    street = (at[:, None] % 16 < 4) | (at % 16 < 4)
    metres = 4 * np.hypot(at[:, None] - 40, at - 30)
    gain = -60 - 30 * np.log10(1 + metres / 20)
    arrays = {"gain": np.stack([gain, gain.T]), "height": np.stack([np.where(street, 0.0, 15.0)] * 2)}
    sender = np.array([[40.0, 30.0, 25.0], [30.0, 40.0, 25.0]])
    return {**arrays, "step": np.array([4.0, 6.0]), "transmitter": sender}


def test_kriging_is_scikit_learns_gaussian_process():
    """The same covariance, the same noise: the same answer, but for the mean's flat prior (here a wide kernel)."""
    gaussian_process = pytest.importorskip("sklearn.gaussian_process")
    kernels = gaussian_process.kernels
    rng = np.random.default_rng(1)
    places, asked = rng.uniform(0, 500, (60, 2)), rng.uniform(0, 500, (20, 2))
    value = -90 + 5 * np.sin(places[:, 0] / 60) + rng.normal(0, 1, 60)
    own = sites.Sites(places, value, np.ones(60), np.zeros(60, bool), np.zeros(60), 1.0)
    method = kriging.Kriging(own, None)
    k = method.covariance
    kernel = kernels.ConstantKernel(k.amplitude**2) * kernels.Matern(k.length, nu=0.5) + kernels.ConstantKernel(1e6)
    other = gaussian_process.GaussianProcessRegressor(kernel, alpha=k.noise(own), optimizer=None).fit(places, value)
    mean, deviation = other.predict(asked, return_std=True)
    got = method.predict(asked)
    assert got[0] == pytest.approx(mean, abs=0.01) and got[1] == pytest.approx(deviation, rel=0.01)
    # and its own optimiser, from where ours ends, finds nothing likelier
    free = kernels.ConstantKernel(k.amplitude**2) * kernels.Matern(k.length, (1, 1e5), nu=0.5)
    free = free + kernels.WhiteKernel(k.noise(own)[0], (1e-3, 1e3))
    fitted = gaussian_process.GaussianProcessRegressor(free).fit(places, value - method.coefficients[0])
    assert fitted.log_marginal_likelihood_value_ < fitted.log_marginal_likelihood(free.theta) + 1.0


@pytest.mark.parametrize("kind", ["MapNet", "FlowNet"])
def test_a_network_begins_as_what_it_is_given(kind):
    from gr_diffsem.models import map_net

    net = getattr(map_net, kind)()
    x, sigma = torch.randn(2, 64, 64), torch.rand(2, 64, 64) + 0.1
    told = [torch.full_like(x, -1.0), torch.tensor([4.0, 10.0]), torch.full_like(x, map_units.FAR)]
    told += [torch.full_like(x, -1.0)] + ([x, torch.log(sigma)] if kind == "FlowNet" else [])
    with torch.no_grad():
        mean, log_variance = net(x, sigma, *told)
    assert torch.equal(mean, x) and torch.allclose(log_variance, 2 * torch.log(sigma), atol=1e-6)
    assert net.multiply_adds() < 200e6


def test_a_network_of_more_planes_begins_as_the_smaller_one():
    from gr_diffsem.models import map_net

    small, large = map_net.MapNet(), map_net.FlowNet()
    torch.nn.init.normal_(small.leave.weight, std=0.05)
    large.load_state_dict(large.widened(small.state_dict()))
    x, sigma = torch.randn(2, 64, 64), torch.rand(2, 64, 64) + 0.1
    told = torch.zeros_like(x), torch.tensor([4.0, 10.0]), torch.zeros_like(x), torch.ones_like(x)
    with torch.no_grad():
        assert torch.allclose(small(x, sigma, *told)[0], large(x, sigma, *told, x, sigma)[0], atol=1e-5)


def test_an_exported_networks_norms_begin_a_training(tmp_path):
    from gr_diffsem.models import map_net, onnx_start
    from gr_diffsem.schemes import map_posterior

    scheme, net = map_posterior.SCHEME, map_net.MapNet()
    with torch.no_grad():
        for part in net.parameters():  # as after a training: of parts that are alike the exporter keeps one
            part.add_(0.03 * torch.randn_like(part))
    scheme.write_network(net, tmp_path / "net.onnx", scheme.networks()["diffusion"], {})
    weights, _ = onnx_start.read(tmp_path / "net.onnx", net)
    found = onnx_start.fitting(weights, net, "net.onnx")
    assert all(torch.allclose(found[name], value) for name, value in net.state_dict().items())


def test_pairs_are_kriged_samples_of_a_city(city):
    from gr_diffsem.models import map_training

    told = {"shadowed": 0, "placed": 0}, {"shadowed": 1}, {"shares": None}
    kinds = [map_training.Kind("k", **more) for more in told]
    kinds.append(map_training.Kind("k", shares=(0.005, 0.01), elects=1.0))
    made = [map_training.pair(np.random.default_rng(seed), city, kind) for seed, kind in enumerate(kinds)]
    pairs = [np.array(part) for part in zip(*made, strict=True)]
    for x, variance, truth, height, _, outdoor, *_ in made:
        assert x.shape == (64, 64) and (variance > 0).all() and outdoor.any()
        assert ((height > 0) != outdoor).all()
        assert np.abs((x - truth)[outdoor]).mean() * map_units.SCALE < 20
    assert [bool((part[7] >= 0).all()) for part in made] == [False, True, True, True]
    batch = map_training.batch_of(pairs, np.random.default_rng(1), 16, blind=0.5)
    blind = (batch.condition["height"] == map_units.UNKNOWN).all((1, 2))
    assert 0 < blind.sum() < 12 and batch.clean.shape == (16, 64, 64) and batch.state.dtype == np.float32
    flow = map_training.flow_of(batch, np.random.default_rng(2))
    share = flow.sigma / batch.sigma
    assert np.ptp(share, axis=(1, 2)).max() < 1e-5 and share.min() > 0.04 and share.max() <= 1.001
    assert list(flow.condition)[-2:] == ["kriged", "doubt"]


def test_a_walk_stays_on_the_streets(city):
    outdoor = city["height"][0] < traced_maps.GROUND
    cells = city_samples.walk(np.random.default_rng(1), outdoor, 100)
    assert len(set(cells)) == len(cells) == 100 and outdoor.ravel()[cells].all()
