# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem train --start`: a training that begins where another ended, also from an exported network."""

import argparse

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import onnx_export, onnx_start, training

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")


def begun(tmp_path, scheme, member, *words):
    """A Training as the command line makes it, not run."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args([scheme, "--minutes", "1", *map(str, words)])
    scheme = schemes.get(scheme)
    return training.Training(scheme, member, scheme.networks()[member], args, tmp_path)


def exported(net, path, scheme, member):
    """The network as an .onnx."""
    scheme = schemes.get(scheme)
    onnx_export.write(net, path, scheme, scheme.networks()[member], {"steps": 12, "command": "gr-diffsem train it"})
    return path


def trained(scheme, member):
    """A network whose parameters all differ, as training makes them (equal ones an exported graph keeps once)."""
    torch.manual_seed(3)
    net = schemes.get(scheme).networks()[member].build()
    with torch.no_grad():
        for value in net.parameters():
            value.add_(0.01 * torch.randn_like(value))
    return net


def test_an_exported_network_is_begun_from_and_exported_the_same(tmp_path, monkeypatch):
    first = exported(trained("known_mixture", "diffusion"), tmp_path / "first.onnx", "known_mixture", "diffusion")
    again = begun(tmp_path, "known_mixture", "diffusion", "--start", first)
    assert "12 steps (`gr-diffsem train it`)" in again.start
    second = exported(again.average, tmp_path / "second.onnx", "known_mixture", "diffusion")
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 2, 64)).astype(np.float32)
    sigma = rng.uniform(0.05, 2, (5, 1, 64)).astype(np.float32)
    a, b = (onnx_export.session(path).run(None, {"x": x, "sigma": sigma}) for path in (first, second))
    assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))

    # Warm-up is for a net that knows nothing: its rough weights would spoil one that is trained.
    seen = []
    monkeypatch.setattr(training, "loss", lambda net, *batch, warm: seen.append(warm))
    begun(tmp_path, "known_mixture", "diffusion").loss()
    again.loss()
    assert seen == [False, True]


@pytest.mark.parametrize(
    "scheme, member", [("ofdm_chanest", "diffusion"), ("ofdm_chanest", "mmse_net"), ("mimo_chanest_64x1", "diffusion")]
)
def test_shipped_networks_are_begun_from(tmp_path, models, scheme, member):
    path = models / scheme / f"{member}.onnx"
    one = begun(tmp_path, scheme, member, "--start", path)
    assert onnx_export.compare(one.average.eval(), path, schemes.get(scheme)) < onnx_export.TOLERANCE


@pytest.mark.parametrize("name, member", [("photo_mmse", "net"), ("photo_posterior", "prior")])
def test_photographs_networks_too(models, name, member):
    """All but the range of levels seen, which training finds again."""
    net = schemes.get(name).networks()[member].build()
    path = models / name / f"{member}.onnx"
    weights, words = onnx_start.read(path, net)
    state = onnx_start.fitting(weights, net, path)
    assert set(state) - set(weights) == {"seen"} and f"{name}/{member}.onnx" in words


def test_parts_that_begin_idle_may_be_missing():
    """A network that was exported before the part was thought of; without it nothing else may be missing."""
    from gr_diffsem.models.gated import GatedFilterBank

    old = GatedFilterBank(16, atoms=8, hidden=8)
    new = GatedFilterBank(16, atoms=8, hidden=8, direct=True)
    new.load_state_dict(onnx_start.fitting(old.state_dict(), new, "old.onnx"))
    x, sigma = torch.randn(4, 2, 16), torch.rand(4, 1, 16) + 0.1
    (mean, spread), (same, told) = old(x, sigma), new(x, sigma)
    assert (mean - same).abs().max() < 0.01 * (x - mean).abs().max()
    assert torch.equal(spread, told)


def damaged(source, path, change):
    model = onnx.load(str(source))
    change(model)
    onnx.save(model, str(path))
    return path


def poison(model):
    tensor = next(t for t in model.graph.initializer if t.name == "spread.bias")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0] = np.nan
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def twist(model):
    tensor = next(t for t in model.graph.initializer if t.name == "analysis.0.weight")
    values = onnx.numpy_helper.to_array(tensor).copy()
    values[0, 0] += 1
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))


def elsewhere(model):
    tensor = next(t for t in model.graph.initializer if t.name == "spread.bias")
    onnx.external_data_helper.set_external_data(tensor, "weights.bin")


@pytest.mark.parametrize(
    "make, said",
    [
        (lambda models, tmp: models / "ofdm_chanest" / "diffusion.onnx", r"analysis.0.weight has shape"),
        (lambda models, tmp: models / "photo_mmse" / "net.onnx", r"another network: analysis.0.real is missing"),
        (lambda models, tmp: damaged(mmse_net(models), tmp / "a.onnx", poison), r"spread.bias is not finite"),
        (lambda models, tmp: damaged(mmse_net(models), tmp / "a.onnx", twist), r"analysis.0.weight is no complex"),
        (lambda models, tmp: damaged(mmse_net(models), tmp / "a.onnx", elsewhere), r"spread.bias elsewhere"),
        (lambda models, tmp: tmp / "none.onnx", "does not exist"),
        (lambda models, tmp: junk(tmp / "junk.onnx"), "no .onnx that can be read"),
    ],
)
def test_what_cannot_be_begun_from_is_told(tmp_path, models, make, said):
    with pytest.raises(UserError, match=said):
        begun(tmp_path, "ofdm_chanest", "mmse_net", "--start", make(models, tmp_path))


def mmse_net(models):
    return models / "ofdm_chanest" / "mmse_net.onnx"


def junk(path):
    path.write_bytes(b"\xff\xfe junk")
    return path
