# SPDX-License-Identifier: GPL-3.0-or-later
"""Training, resuming and exporting, in seconds; what a wrong argument is told."""

import argparse
import json

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.base import model_packages
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import onnx_export, training
from gr_diffsem.models.batches import Data
from gr_diffsem.package import export, package_writer

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("train")
    report = call(train, "known_mixture", "--minutes", 0.05, "--batch", 64, "--out", out)
    return out, report["networks"][0]


def test_training_learns_and_leaves_a_checkpoint(trained):
    out, report = trained
    assert report["steps"] > 3
    state = training.load_checkpoint(report["checkpoint"])
    assert state["scheme"] == "known_mixture" and state["step"] == report["steps"]
    assert list((out / "diffusion" / "log").glob("events*"))


def test_resume_goes_on(trained):
    out, report = trained
    again = call(train, "known_mixture", "--minutes", 0.08, "--batch", 64, "--out", out, "--resume")
    assert again["networks"][0]["steps"] > report["steps"]


def test_data_is_the_same_for_the_same_seed():
    scheme = schemes.get("known_mixture")
    a, b = (scheme.batch(np.random.default_rng([1, 0]), 32, 0.25) for _ in range(2))
    assert np.array_equal(a.state, b.state) and np.array_equal(a.sigma, b.sigma)


@pytest.mark.parametrize("workers", [0, 2])
def test_the_seed_says_what_is_drawn_whoever_draws(workers):
    scheme = schemes.get("known_mixture")
    data = Data(lambda rng: training.tensors(scheme.batch(rng, 8, 0.25)), seed=1, first=5, workers=workers)
    items = [data.next() for _ in range(6)]
    data.close()
    for i, item in enumerate(items):
        again = training.tensors(scheme.batch(np.random.default_rng([1, 5 + i]), 8, 0.25))
        assert all(torch.equal(a, b) for a, b in zip(item, again, strict=True))


@pytest.mark.parametrize("workers", [0, 1])
def test_what_stops_the_drawing_is_said(workers):
    def draw(rng):
        if rng.random() < 0.5:
            raise UserError("no more channels")
        return torch.zeros(1)

    seed = next(s for s in range(99) if np.random.default_rng([s, 0]).random() > 0.5)
    data = Data(draw, seed, 0, workers)
    with pytest.raises(UserError, match="no more channels"):
        for _ in range(99):
            data.next()
    data.close()


def test_a_device_that_is_not_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert training.device("auto") == training.device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="no CUDA device"):
        call(train, "known_mixture", "--device", "cuda", "--out", tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert training.device("auto") == training.device("cuda") == torch.device("cuda")
    assert training.device("cpu") == torch.device("cpu")


def test_loss_prefers_the_posterior_mean_and_its_variance():
    """For a scalar Gaussian the closed form beats shifted means and wrong variances."""
    torch.manual_seed(0)
    clean = torch.randn(200_000, 2, 1)
    sigma = torch.full((200_000, 1, 1), 0.7)
    state = clean + 0.7 * torch.randn_like(clean)
    observed = torch.ones(200_000, 1, dtype=torch.bool)
    gain, variance = 1 / 1.49, 0.49 / 1.49

    def losses(g, v):
        def net(x, s):
            return g * x, torch.full_like(s, np.log(v))

        return [t.item() for t in training.loss(net, clean, state, sigma, observed, warm=False)]

    fit, spread = losses(gain, variance)
    assert fit < losses(gain * 1.1, variance)[0] and fit < losses(gain * 0.9, variance)[0]
    assert spread < losses(gain, variance * 1.2)[1] and spread < losses(gain, variance / 1.2)[1]


def test_a_step_that_overflows_trains_nothing(tmp_path):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    scheme = schemes.get("known_mixture")
    args = parser.parse_args(["known_mixture", "--minutes", "1"])
    one = training.Training(scheme, "diffusion", scheme.networks()["diffusion"], args, tmp_path)
    batch = training.tensors(scheme.batch(np.random.default_rng(0), 16, 0.25))
    before = [p.detach().clone() for p in one.net.parameters()]
    one.loss = lambda *batch: [part * torch.inf for part in type(one).loss(one, *batch)]
    one._advance(batch)
    assert all(torch.equal(p, q) for p, q in zip(one.net.parameters(), before, strict=True))
    del one.loss
    one._advance(batch)
    assert not all(torch.equal(p, q) for p, q in zip(one.net.parameters(), before, strict=True))


def test_a_network_that_gives_nan_is_not_exported(trained, tmp_path):
    state = training.load_checkpoint(trained[1]["checkpoint"])
    for value in state["average"].values():
        value.fill_(torch.nan)
    torch.save(state, tmp_path / "checkpoint.pt")
    with pytest.raises(UserError, match="differs"):
        call(export, tmp_path / "checkpoint.pt", tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_export_describes_itself_and_agrees_with_torch(trained, tmp_path):
    _, report = trained
    path = tmp_path / "one.onnx"
    done = call(export, report["checkpoint"], path)
    assert done["largest_difference"] < onnx_export.TOLERANCE
    model = onnx.load(str(path))
    meta = {p.key: p.value for p in model.metadata_props}
    assert meta["diffsem.contract"] == "1" and meta["diffsem.prediction"] == "x0"
    assert meta["diffsem.time_embedding"] == "sigma" and json.loads(meta["diffsem.shape"]) == [64]
    assert [i.name for i in model.graph.input] == ["x", "sigma"]
    assert [o.name for o in model.graph.output] == ["mean", "log_variance"]
    assert not any(t.external_data for t in model.graph.initializer)
    assert not [n for n in model.graph.node if n.domain not in ("", "ai.onnx")]


def test_export_into_a_package(trained, tmp_path):
    _, report = trained
    folder = tmp_path / "known_mixture"
    done = call(export, report["checkpoint"], folder)
    assert model_packages.problems(folder) == []
    assert done["content_hash"] == model_packages.content_hash(folder)
    manifest = model_packages.read_manifest(folder)
    assert manifest["default"] == "diffusion" and set(manifest["members"]) == {"diffusion", "gmm"}
    with open(folder / "mixture_weights.npy", "ab") as f:
        f.write(b"x")
    assert "SHA-256" in model_packages.problems(folder)[0]
    before = done["content_hash"]
    assert package_writer.write(schemes.get("known_mixture"), folder) != before


@pytest.mark.parametrize(
    "words, said",
    [
        (("known_mixtur",), "known_mixture"),
        (("known_mixture", "--member", "diffusio"), "diffusion"),
        (("known_mixture", "--minutes", "-1"), "--minutes -1: give more than 0"),
        (("known_mixture", "--workers", "-1"), "--workers -1: give 0 to"),
        (("known_mixture", "--resume", "--out", "/nonexistent/there"), "exist|Permission|denied"),
    ],
)
def test_wrong_arguments_of_train(words, said):
    with pytest.raises((UserError, OSError), match=said):
        call(train, *words)


def test_wrong_arguments_of_export(trained, tmp_path):
    _, report = trained
    with pytest.raises(UserError, match="does not exist"):
        call(export, tmp_path / "none.pt", tmp_path / "x.onnx")
    with pytest.raises(UserError, match=r"\.onnx"):
        call(export, report["checkpoint"], tmp_path / "x.pth")
    junk = tmp_path / "junk.pt"
    junk.write_bytes(b"junk")
    with pytest.raises(UserError, match="no checkpoint"):
        call(export, junk, tmp_path / "x.onnx")


def test_outputs_are_named_even_if_something_inside_is_called_so():
    """PyTorch calls the result of a mean over an axis `mean`, too."""
    from onnx import TensorProto, helper

    floats = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 4]) for n in ("x", "add", "neg")]
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["mean"], keepdims=1),
        helper.make_node("Add", ["x", "mean"], ["add"]),
        helper.make_node("Neg", ["add"], ["neg"]),
    ]
    graph = helper.make_graph(nodes, "g", floats[:1], floats[1:])
    onnx_export.name_outputs(graph, ("mean", "log_variance"))
    assert [o.name for o in graph.output] == ["mean", "log_variance"]
    onnx.checker.check_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), full_check=True)
