# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and export of real and conditional schemes: shapes, dropped conditions, and what is refused."""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.air import measure
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import onnx_export, training
from gr_diffsem.package import export

torch = pytest.importorskip("torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "data"))
import tiny_real  # noqa: E402

PLAIN, TOLD = tiny_real.SCHEMES


def test_batches_of_real_data():
    batch = PLAIN.batch(np.random.default_rng(0), 4000, 0.5)
    assert batch.clean.dtype == batch.state.dtype == np.float32 and batch.state.shape == (4000, 8)
    noise = (batch.state - batch.clean) / batch.sigma
    assert np.mean(noise**2) == pytest.approx(1, abs=0.03), "sigma is that of each real element"
    parts = training.tensors(batch)
    assert [tuple(p.shape) for p in parts] == [(4000, 8)] * 4


def test_a_share_of_the_conditions_is_dropped():
    batch = TOLD.batch(np.random.default_rng(0), 5000, 0.25)
    labels = batch.condition["class"]
    assert labels.dtype == np.int64 and set(labels) == {-1, 0, 1, 2}
    assert np.mean(labels == -1) == pytest.approx(0.1, abs=0.02)
    kept = labels >= 0
    assert np.mean((batch.clean - tiny_real.MEANS[labels])[kept] ** 2) == pytest.approx(0.5, rel=0.05)
    assert training.tensors(batch)[4].dtype == torch.int64


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"sample": lambda self, rng, n: np.ones((n, 8), np.complex64)},
            "is of real signals .8., its samples are complex",
        ),
        (
            {"sample": lambda self, rng, n: np.ones((n, 9), np.float32)},
            "its samples are real .9.: correct domain and shape",
        ),
        ({"domain": "complex"}, "is of complex signals .8., its samples are real"),
        (
            {"sample": lambda self, rng, n: np.where(np.arange(8) == 3, np.nan, np.ones((n, 8), np.float32))},
            r"its samples hold NaN or infinite values: correct sample\(\) or batch\(\)",
        ),
        (
            {"sample": lambda self, rng, n: np.full((n, 8), np.inf, np.float32)},
            "its samples hold NaN or infinite values",
        ),
        (
            {"condition": ({"name": "class", "type": "int64"},)},
            r"declares the conditions \['class'\], its batches come",
        ),
    ],
)
def test_samples_that_are_not_what_the_scheme_says(tmp_path, change, said):
    from gr_diffsem.apps import train

    scheme = type("Wrong", (tiny_real.TinyReal,), {"name": "wrong", **change})()
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(["wrong", "--minutes", "0.02", "--batch", "8"])
    if "condition" in change:
        scheme.batch = lambda rng, n, share: tiny_real.TinyReal().batch(rng, n, share)
    with pytest.raises(UserError, match=said):
        training.Training(scheme, "diffusion", scheme.networks()["diffusion"], args, tmp_path).run()


def test_data_of_another_power_than_declared_are_said(tmp_path, capsys):
    """What is declared to have unit power: training says at its beginning that it has not, and export at its end."""
    from gr_diffsem.apps import train

    def scheme(scale, **change):
        sample = {"sample": lambda self, rng, n: scale * rng.standard_normal((n, 8)).astype(np.float32)}
        return type("Loud", (tiny_real.TinyReal,), {"name": "loud", **sample, **change})()

    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(["loud", "--minutes", "0.01", "--batch", "8"])
    for scale, said in ((3, True), (1, False)):
        loud = scheme(scale)
        training.Training(loud, "diffusion", loud.networks()["diffusion"], args, tmp_path / str(scale)).run()
        assert ("E|x|^2 of its samples is" in capsys.readouterr().out) is said
    assert re.search(r"is (8\.[89]|9).* declare gain 'measured'", export.power_warning(scheme(3)))
    assert export.power_warning(scheme(3, gain="measured")) == ""
    report = {"model": "m", "bytes": 1, "cost": "", "largest_difference": 0.0, "scheme_changed": False}
    assert export.power_warning(scheme(3)) in export.table({**report, "warning": export.power_warning(scheme(3))})


def exact(net):
    """A net of the file as it would be after a perfect training."""
    with torch.no_grad():
        if net.means is None:
            net.log_variance.copy_(torch.from_numpy(np.log(tiny_real.VARIANCE)))
        else:
            net.log_variance.fill_(float(np.log(tiny_real.SPREAD)))
            net.means[1:] = torch.from_numpy(tiny_real.MEANS)
    return net


@pytest.mark.parametrize("scheme", [PLAIN, TOLD], ids=lambda s: s.name)
def test_loss_has_its_minimum_at_the_closed_form(scheme):
    batch = training.tensors(scheme.batch(np.random.default_rng(1), 20000, 0.0))
    network = scheme.networks()["diffusion"]
    best = training.loss(exact(network.build()), *batch, warm=False)
    for shift in (0.3, -0.3):
        other = exact(network.build())
        with torch.no_grad():
            other.log_variance += shift
        worse = training.loss(other, *batch, warm=False)
        assert best[0] < worse[0] and best[1] < worse[1]
    said, calibration = training.score(exact(network.build()), scheme.validation()["all"](10))
    assert calibration == pytest.approx(1, abs=0.1) and said < -8.5


def test_a_net_without_a_variance_of_one_level(tmp_path):
    """What gives the mean alone and is told one level for the item: loss, score, metadata and the graph's inputs."""

    class Mean(torch.nn.Module):
        one_level = True

        def __init__(self):
            super().__init__()
            self.gain = torch.nn.Parameter(torch.ones(()))

        def for_export(self):
            return self.eval()

        def forward(self, x, sigma, which):
            s2 = (sigma * sigma)[:, None]
            return self.gain * x / (1 + s2) + 0 * which[:, None].float()

    net = Mean()
    batch = TOLD.batch(np.random.default_rng(2), 500, 0.0)
    fit, spread = training.loss(net, *training.tensors(batch), warm=True)
    assert float(fit) > 0 and float(spread) == 0
    assert training.score(net, batch)[1] is None
    path = tmp_path / "net.onnx"
    network = TOLD.networks()["diffusion"]
    assert onnx_export.write(net, path, TOLD, network, {}) < onnx_export.TOLERANCE
    import onnx

    model = onnx.load(str(path))
    said = {p.key: p.value for p in model.metadata_props}
    assert said["diffsem.learned_variance"] == "none" and said["diffsem.domain"] == "real"
    assert json.loads(said["diffsem.condition"]) == list(TOLD.condition)
    shapes = {i.name: len(i.type.tensor_type.shape.dim) for i in model.graph.input}
    assert list(shapes) == ["x", "sigma", "class"] and list(shapes.values()) == [2, 1, 1]


def test_complex_batches_are_as_before():
    h = np.ones((3, 4), np.complex64)
    batch = measure.observe(h, 0.1, 0.1, np.ones(h.shape, bool), np.random.default_rng(0), "unit")
    assert batch.state.dtype == np.complex64 and type(measure.conditioned(batch, {})) is measure.Batch
