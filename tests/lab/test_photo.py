# SPDX-License-Identifier: GPL-3.0-or-later
"""Nets of photographs: the contract, training on a few small pictures, resuming, exporting."""

import argparse
import ast
import inspect
import json

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.base import model_packages, picture_bands, picture_transform
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import link_photographs, onnx_export, photo_data
from gr_diffsem.package import export
from gr_diffsem.reference import photo
from PIL import Image

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from gr_diffsem.models import photo as photo_net  # noqa: E402
from gr_diffsem.models.photo_pool import Pool, turned_levels  # noqa: E402
from gr_diffsem.models.photo_training import PhotoTraining  # noqa: E402


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three pictures with edges, 200 x 168 pixels."""
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[:200, :168]
    for i in range(3):
        discs = (rows - 60 - 20 * i) ** 2 + (columns - 80) ** 2 < (30 + 10 * i) ** 2
        image = np.stack([200 * discs, rows / 2 + 40, columns / 2 + 60 * discs], 2).clip(0, 255)
        Image.fromarray(image.astype(np.uint8)).save(path / f"{i}.png")
    (path / "notes.txt").write_text("not a picture")
    return path


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("train")
    reports = call(train, "photo", "--images", folder, "--minutes", 0.05, "--batch", 8, "--out", out)
    return out, {r["checkpoint"].split("/")[-3]: r for r in reports["networks"]}


def test_the_prior_s_training_knows_no_link():
    """Neither the data of the prior nor what it reads imports anything of the link."""
    for module in (photo_data, photo):
        tree = ast.parse(inspect.getsource(module))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom | ast.Import):
                names = [getattr(node, "module", "") or "", *(alias.name for alias in node.names)]
                assert not any(word in name for name in names for word in ("semantic", "link", "channels", "air"))


def test_training_resumes(trained, folder):
    out, reports = trained
    assert set(reports) == {"photo_posterior", "photo_mmse"}
    first = reports["photo_posterior"]
    assert first["steps"] >= 1 and first["multiply_adds"] <= 100_000
    again = call(
        train, "photo_posterior", "--images", folder, "--minutes", 0.1, "--batch", 8,
        "--out", out / "photo_posterior", "--resume",
    )  # fmt: skip
    assert again["networks"][0]["steps"] > first["steps"]


def test_one_training_starts_from_another(trained, folder, tmp_path):
    _, reports = trained
    start = reports["photo_mmse"]["checkpoint"]
    call(train, "photo_mmse", "--images", folder, "--minutes", 0.02, "--batch", 8, "--out", tmp_path, "--start", start)
    with pytest.raises(UserError, match="another network"):
        other = call(train, "known_mixture", "--minutes", 0.02, "--batch", 64, "--out", tmp_path / "other")
        wrong = other["networks"][0]["checkpoint"]
        call(train, "photo_mmse", "--images", folder, "--out", tmp_path, "--start", wrong)


def test_a_pool_s_crops_are_what_was_drawn_turned(folder, tmp_path):
    """Truth and input are turned alike, every one of a square's positions comes, and no crop is used too often."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    words = ["photo_mmse", "--images", str(folder), "--batch", "16", "--device", "cpu"]
    scheme = schemes.get("photo_mmse")
    training = PhotoTraining(scheme, "net", scheme.networks()["net"], parser.parse_args(words), tmp_path)
    ramp = torch.linspace(0, 1, 96)[:, None] + 2 * torch.linspace(0, 1, 96)

    class Ramps:
        count = 0

        def ready(self):
            return False

        def next(self):
            self.count += 1
            squares = ramp.expand(8, 3, 96, 96)
            return 0, [squares, squares + 1, torch.ones(8, 20)]

    source = Ramps()
    pool = Pool(training, source)
    for step in range(1, 65):
        truth, x, level = pool.next()
        assert torch.allclose(x, truth + 1) and level.shape == (16, 20)
        assert 16 * step <= 32 * 8 * source.count
    corners = {tuple(np.rint(t[0, [0, 0, -1, -1], [0, -1, 0, -1]].tolist()).astype(int)) for t in truth}
    assert len(corners) == 8


@pytest.mark.parametrize("words, message", [((), "--images"), (("--images", "/nonexistent"), "no photograph")])
def test_training_without_photographs_is_refused(tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        call(train, "photo_posterior", "--out", tmp_path, *words)


def test_a_broken_picture_is_named_and_skipped(tmp_path, capsys):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    with pytest.raises(UserError, match=r"no photograph .*broken\.jpg: not a picture"):
        photo_data.load(tmp_path)
    Image.new("RGB", (200, 170)).save(tmp_path / "whole.gif")
    assert [p.shape for p in photo_data.load(tmp_path)] == [(170, 200, 3)]
    assert "skipped: " in capsys.readouterr().err


@pytest.mark.timeout(400)
def test_export_describes_itself(trained, tmp_path):
    name, member = "photo_posterior", "prior"
    done = call(export, trained[1][name]["checkpoint"], tmp_path / name)
    assert done["largest_difference"] < onnx_export.TOLERANCE
    assert model_packages.problems(tmp_path / name) == []
    model = onnx.load(str(tmp_path / name / f"{member}.onnx"))
    meta = {p.key: p.value for p in model.metadata_props}
    assert meta["diffsem.role"] == "image_denoiser" and json.loads(meta["diffsem.multiple"]) == picture_bands.MULTIPLE
    assert [i.name for i in model.graph.input] == ["x", "level"]
    assert [o.name for o in model.graph.output] == ["mean", "log_variance"]
    manifest = model_packages.read_manifest(tmp_path / name)
    assert manifest["members"][member]["operator"] == {"type": "transform"}
    assert "multiply-adds per pixel" in (tmp_path / name / "README.md").read_text()


def test_a_new_net_changes_nothing_and_counts_its_arithmetic():
    """Before training the mean is the input; multiply-adds are those of its convolutions, by hooks."""
    torch.manual_seed(0)
    net = schemes.get("photo_posterior").networks()["prior"].build()
    bands = net.bands.count
    x, level = torch.randn(2, 3, 32, 48), torch.rand(2, 2 * bands) + 0.1
    counted = []

    def hook(layer, inputs, output):
        where = inputs[0] if isinstance(layer, torch.nn.ConvTranspose2d) else output
        counted.append(layer.weight.numel() * where.shape[2] * where.shape[3])

    for layer in net.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            layer.register_forward_hook(hook)
    mean, log_variance = net(x, level)
    assert torch.equal(mean, x) and log_variance.shape == (2, bands)
    assert net.multiply_adds() == pytest.approx(sum(counted) / (32 * 48), abs=1)


def test_levels_that_were_not_seen_leave_the_input():
    """The correction is whole inside the range of training, gone from 4.3 dB beyond it on, and never above MOST."""
    torch.manual_seed(0)
    net = schemes.get("photo_mmse").networks()["net"].build()
    torch.nn.init.normal_(net.out.weight, std=100.0)
    x, level = torch.randn(2, 3, 32, 48), torch.rand(2, 20) + 0.1
    level[:, :10] *= level[:, 10:]
    trained, _ = net(x, level)
    net.eval()
    with torch.no_grad():
        again, _ = net(x, level)
        near, _ = net(x, 1.2 * level[1:].repeat(2, 1))
        far, _ = net(x, 10 * level)
    scale = ((level[:, :10] ** 2 * net.shares).sum(1)).sqrt()[:, None, None, None]
    assert torch.equal(again, trained) and torch.equal(far, x)
    assert (near - x).abs().max() > 0 and ((again - x).abs() / scale).max() == pytest.approx(photo_net.MOST, rel=1e-4)


def test_a_net_of_fine_bands_begins_as_one_of_octaves():
    """The same answer where the levels are alike within an octave; what is finer is learned from there."""
    torch.manual_seed(1)
    old = schemes.get("photo_mmse").networks()["net"].build()
    new = schemes.get("photo_posterior").networks()["prior"].build()
    for layer in (old.out, old.spread[2], *(block.steer for block in old.encoder[0])):
        torch.nn.init.normal_(layer.weight, std=0.2)
    new.load_state_dict({"seen": new.seen, **new.widened({k: v for k, v in old.state_dict().items() if k != "seen"})})
    x, level = torch.randn(2, 3, 32, 48), torch.rand(2, 20) + 0.1
    parent = new.joined.argmax(0)
    fine = torch.cat([part[:, parent] for part in level.chunk(2, 1)], 1)
    expected, found = old(x, level), new(x, fine)
    assert (expected[0] - x).abs().max() > 0.1
    assert torch.allclose(found[0], expected[0], atol=1e-4)
    assert torch.allclose(found[1], expected[1][:, parent], atol=1e-4)


def test_levels_turn_with_their_crops():
    """A turned square's sectors change places: rows' bands of the one are columns' of the other."""
    rng = np.random.default_rng(0)
    bands = picture_bands.FINE
    power = rng.random((8, 3, 32, 32)) ** 2 * (1 + np.arange(32)[:, None])
    level = np.stack([bands.means(p) for p in power])
    found = turned_levels(torch.from_numpy(level), bands.sectors).numpy()
    expected = [bands.means(p.transpose(0, 2, 1) if i & 4 else p) for i, p in enumerate(power)]
    own = np.bincount(bands.index(32, 32).ravel(), minlength=bands.each) > 9  # one on a sector's edge goes either way
    own = np.tile(own, 2)
    assert np.allclose(found[:, own], np.array(expected)[:, own], rtol=0.35)
    assert not np.allclose(found[4:, own], level[4:, own], rtol=0.35)


@pytest.mark.parametrize("observe", [photo_data.observe, link_photographs.observe])
def test_stated_variances_are_those_of_the_errors(observe, folder):
    """Noise drawn has the variance that is stated, and inf says that nothing was observed."""
    pictures = photo_data.load(folder)
    ratios = []
    for seed in range(6):
        x, z, v, power = observe(np.random.default_rng(seed), pictures[seed % 3])
        seen = np.isfinite(v) & (v > 1e-5)
        assert x.shape == (*z.shape[1:], 3) and power.shape == z.shape and (v > 0).all()
        ratios.append(np.mean((z - picture_transform.forward(x))[seen] ** 2 / v[seen]))
    assert np.allclose(ratios, 1, atol=0.15)


@pytest.mark.parametrize("kind", ["awgn", "tdl", "tdl_c"])
def test_link_states_the_noise_that_its_symbols_have(kind):
    rng = np.random.default_rng(0)
    symbols = (rng.standard_normal(60000) + 1j * rng.standard_normal(60000)) / np.sqrt(2)
    got, stated = link_photographs.receive(rng, symbols, 5.0, kind, 0.25)
    seen = np.isfinite(stated)
    assert np.mean(~seen) == pytest.approx(0.25, abs=0.03), "whole frames are lost"
    assert np.mean(np.abs(got - symbols)[seen] ** 2 / stated[seen]) == pytest.approx(1, abs=0.15)
