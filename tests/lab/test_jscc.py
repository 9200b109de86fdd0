# SPDX-License-Identifier: GPL-3.0-or-later
"""The learned code: its differentiable link against the real one, its compander, training and export."""

import argparse

import numpy as np
import pytest
from gr_diffsem.apps import train
from gr_diffsem.base import model_packages, picture_bands, picture_transform
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import learned_code, picture_codec
from gr_diffsem.package import export
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from gr_diffsem.models import jscc, jscc_training  # noqa: E402

SIDE = 320


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


@pytest.fixture(scope="module")
def photographs():
    """Fields whose spectrum falls as a photograph's, busy in some places and quiet in others: uint8 [SIDE, SIDE, 3]."""
    f = np.hypot(np.arange(SIDE)[:, None], np.arange(SIDE)) + 1
    out = []
    for seed in range(3):
        rng = np.random.default_rng(seed)

        def field(power, rng=rng):
            planes = [rng.standard_normal((SIDE, SIDE)) / f**power for _ in range(3)]
            return picture_transform.inverse(np.array(planes) * np.array([1, 0.3, 0.3])[:, None, None])

        where = field(2.5)[..., :1]
        image = field(1.6) / 0.05 + np.exp(1.5 * where / where.std()) * field(1.0)
        out.append(np.rint(127 + 45 * image / image.std()).clip(0, 255).astype(np.uint8))
    return out


@pytest.mark.parametrize(("cbr", "snr_db"), [(1 / 48, 5.0), (1 / 12, 0.0), (1 / 6, 10.0)])
def test_the_link_that_is_trained_through_is_the_link(photographs, cbr, snr_db):
    """Error of the linear receiver, and what it says of it, within a dB of the real encoder and receiver."""
    link, noise = jscc.Link(SIDE), 10 ** (-snr_db / 10)
    rng = np.random.default_rng(1)
    for image in photographs:
        x = (picture_bands.SCALE * (image.astype(np.float32) / 255 - 0.5)).transpose(2, 0, 1)[None]
        sent = picture_codec.encode(image, int(cbr * image.size))
        n = sent.plan.n_symbols
        heard = sent.symbols + np.sqrt(noise / 2) * (rng.standard_normal((n, 2)) @ (1, 1j))
        z, v, power = picture_codec.observation(sent.plan, heard.astype(np.complex64), np.full(n, noise, np.float32))
        mean, error = picture_bands.proximal(0.0, power, z, v)
        real = np.mean((picture_transform.inverse(mean) - x[0].transpose(1, 2, 0)) ** 2)
        ours, level, stated, *_ = link.through(
            torch.from_numpy(x), torch.tensor([sent.plan.model == 0]), torch.tensor([2.0 * n]),
            torch.tensor([10**-0.5]), torch.full((1, 2, 3, SIDE, SIDE), noise), torch.randn(1, 3, SIDE, SIDE),
        )  # fmt: skip
        made = (ours - torch.from_numpy(x)).pow(2).mean().item()
        assert abs(10 * np.log10(made / real)) < 1
        assert abs(10 * np.log10(stated.mean().item() / made)) < 1
        luma = 20 * np.log10(level[0, 1:5].numpy() / picture_bands.levels(error, power)[1:5])  # 0 is digital, or not
        assert np.all(np.abs(luma) < 3), luma


def test_the_link_has_a_gradient(photographs):
    """To the picture, through powers, spectrum and normalisation: going down it, the error falls."""
    link = jscc.Link(64)
    x = torch.from_numpy(photographs[0][100:164, 100:164].astype(np.float32) / 64 - 2).permute(2, 0, 1)[None]
    sender = torch.tensor([False]), torch.tensor([1500.0]), torch.tensor([0.3])
    given = *sender, torch.full((1, 2, 3, 64, 64), 0.1), torch.randn(1, 3, 64, 64)

    def error(picture):
        return (link.through(picture, *given)[0] - x).pow(2).mean()

    errors, sent = [], x * 1.1
    for _ in range(20):
        sent.requires_grad_(True)
        errors.append(error(sent))
        (gradient,) = torch.autograd.grad(errors[-1], sent)
        sent = (sent - 0.02 * gradient / gradient.pow(2).mean().sqrt()).detach()
    assert errors[-1] < 0.9 * errors[0]


@pytest.mark.parametrize("law", [False, True])
def test_what_is_lost_comes_as_it_is_expected(photographs, law):
    link = jscc.Link(64)
    x = torch.from_numpy(photographs[0][:64, :64].astype(np.float32) / 64 - 2).permute(2, 0, 1)[None]
    lost = torch.full((1, 2, 3, 64, 64), torch.inf)
    sender = torch.tensor([law]), torch.tensor([1500.0]), torch.tensor([0.3])
    mean, level, error, *_ = link.through(x, *sender, lost, torch.randn(1, 3, 64, 64))
    assert torch.isfinite(mean).all() and torch.isfinite(level).all() and torch.isfinite(error).all()
    assert (link(mean)[0][:, 4:, 6:].abs() < 1e-4).all()  # only the lowest came, digitally


def test_a_compander_evens_out_contrast_and_the_opposite_one_brings_it_back(photographs):
    x = torch.from_numpy(photographs[0].astype(np.float32) / 64 - 2).permute(2, 0, 1)[None]
    with torch.no_grad():
        there = jscc.Compander(-0.35)(x)
        back = jscc.Compander(0.35 / 0.65)(there)
        plain = jscc.Compander(0.0)(x)

    def unevenness(image):
        blocks = torch.nn.functional.avg_pool2d(image.diff(dim=-1).pow(2).mean(1, keepdim=True), 16)
        return blocks.clamp(min=1e-5).log().std().item()

    assert torch.allclose(plain, x, atol=1e-5)
    assert unevenness(there) < 0.85 * unevenness(x)
    assert (back - x).pow(2).mean() < 0.15 * (there - x).pow(2).mean()


def test_it_is_trained_and_exported_and_its_sender_takes_the_better_code(tmp_path, photographs, monkeypatch):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, image in enumerate(photographs[:2]):
        Image.fromarray(image[:200, :200]).save(folder / f"{i}.png")
    monkeypatch.setattr(jscc_training, "SIDE", 64)
    monkeypatch.setattr(jscc_training, "CHECKED", 64)
    words = ("jscc", "--images", folder, "--minutes", 0.02, "--batch", 2, "--out", tmp_path / "train")
    report = call(train, *words)["networks"][0]
    assert report["steps"] >= 1
    package = tmp_path / "jscc"
    call(export, report["checkpoint"], package)
    manifest = model_packages.read_manifest(package)
    assert learned_code.encoder_of(manifest) == "encoder.onnx" and "encoder.onnx" in manifest["files"]
    again = call(train, *words[:-1], tmp_path / "again", "--start", package / "net.onnx")["networks"][0]
    assert again["steps"] >= 1
    code = learned_code.LearnedCode(package)
    image = photographs[0]
    made = code.encode(image, 25_000)
    assert made.encoded.plan.is_for(code.hash) == made.learned
    with pytest.raises(UserError, match="no encoder"):
        learned_code.make("photo_mmse")
