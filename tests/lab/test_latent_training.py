# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoisers of a learned code's latents: their steps against the NumPy twin, where training begins, and export."""

import argparse

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.base import model_packages, picture_bands, picture_transform
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import latent_receiver
from gr_diffsem.package import export
from PIL import Image

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from gr_diffsem.models import jscc, jscc_training, latent_training  # noqa: E402

SIDE = 64
NAMES = ("cddm", "latent_dnsc", "latent_ednsc", "latent_onestep", "djscc_csi")


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of two pictures with structure at all scales."""
    folder = tmp_path_factory.mktemp("pictures")
    f = np.hypot(np.arange(200)[:, None], np.arange(200)) + 1
    for seed in range(2):
        rng = np.random.default_rng(seed)
        planes = np.array([rng.standard_normal((200, 200)) / f**1.5 for _ in range(3)])
        image = picture_transform.inverse(planes)
        image = np.rint(127 + 45 * image / image.std()).clip(0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"{seed}.png")
    return folder


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(jscc_training, "SIDE", SIDE)
    monkeypatch.setattr(jscc_training, "CHECKED", SIDE)


def training_of(name, pictures, folder):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args([name, "--images", str(pictures), "--batch", "2", "--device", "cpu"])
    scheme = schemes.find(name)[0]
    return scheme.training()(scheme, "prior", scheme.networks()["prior"], args, folder)


@pytest.mark.parametrize("name", NAMES)
def test_training_begins_at_the_code_alone(small, pictures, tmp_path, name):
    """A denoiser that does nothing: in one step exactly so, and in several nearly."""
    run = training_of(name, pictures, tmp_path)
    items = run.draw(np.random.default_rng(1))
    x, law, slots, planned, noise, unit, doubt = items
    run.net.eval()
    run.net.seen[0].fill_(-torch.inf)
    run.net.seen[1].fill_(torch.inf)
    with torch.no_grad():
        sent = run.run_net(run.coder.encoder, x, run.link.expected(x, law, slots, planned))[0]
        arrived = run.link.through(sent, law, slots, planned, noise, unit)
        picture, latent, _ = run.pictures(run.net, run.link, arrived)
        alone = run.run_net(run.coder.decoder, arrived.picture, arrived.level)[0]
    assert (latent is None) == run.scheme.after
    if run.scheme.plan["final"]:
        assert (latent - arrived.picture).pow(2).mean() < arrived.error.mean()
    else:
        torch.testing.assert_close(picture, alone, atol=0.1, rtol=0)  # in bfloat16
    fit, spread = run.loss(*items)
    (fit + spread).backward()
    assert all(torch.isfinite(p.grad).all() for p in run.net.parameters() if p.grad is not None)
    assert run.net.out.weight.grad.abs().sum() > 0
    assert all(p.grad is None for p in run.coder.parameters())  # the code is held


def test_a_step_is_that_of_the_receiver():
    """`completed` and `proximal` of a batch against base.picture_bands, which the core is held to."""
    torch.manual_seed(0)
    link, shape = jscc.Link(SIDE), (1, 3, SIDE, SIDE)
    fall = 1 / (1 + torch.hypot(torch.arange(SIDE)[:, None].float(), torch.arange(SIDE).float()))
    spectrum = (fall**1.5)[None, None].expand(shape) + 0.01
    noise = torch.where(torch.rand(shape) < 0.4, torch.inf, 0.05 + torch.rand(shape))
    c = torch.randn(shape) * spectrum.sqrt()
    seen = c + torch.where(torch.isfinite(noise), noise, 0.0).sqrt() * torch.randn(shape)
    m, e = (torch.from_numpy(np.asarray(v, np.float32)) for v in picture_bands.proximal(
        0.0, spectrum[0].numpy(), seen[0].numpy(), noise[0].numpy()))  # fmt: skip
    answer = link.inverse(0.9 * m[None] + 0.05 * torch.randn(shape) * spectrum.sqrt())
    said = torch.log(link.levels(e[None], e[None])[:, :10].pow(2) * 0.7)
    ours = latent_training.completed(link, link.inverse(m[None]), e[None], answer, said)
    theirs = picture_bands.completed(
        m.numpy(), e.numpy(), link(answer)[0].numpy(), said[0].exp().numpy(), picture_bands.OCTAVES
    )
    inner = (slice(None), slice(6, -6), slice(6, -6))  # at the edge one mirrors about a coefficient, one about its side
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a[0].numpy()[inner], b[inner], rtol=5e-3, atol=5e-4)
    arrived = jscc.Arrived(None, None, None, seen, noise, spectrum)
    picture, left = latent_training.proximal(link, ours[0], ours[1], arrived, 2.0)
    mean, variance = picture_bands.proximal(
        ours[0][0].numpy(), ours[1][0].numpy(), seen[0].numpy(), 2.0 * noise[0].numpy()
    )
    np.testing.assert_allclose(link(picture)[0].numpy(), mean, atol=1e-4)
    np.testing.assert_allclose(left[0].numpy(), variance, rtol=1e-4, atol=1e-6)


def test_one_is_trained_and_exported(small, pictures, tmp_path):
    words = ("latent_ednsc", "--images", pictures, "--minutes", 0.02, "--batch", 2, "--out", tmp_path / "train")
    report = call(train, *words)["networks"][0]
    assert report["steps"] >= 1
    call(export, report["checkpoint"], tmp_path / "mine")
    manifest = model_packages.read_manifest(tmp_path / "mine")
    latent = latent_receiver.Latent.of(manifest)
    assert (latent.code, latent.noise, latent.after) == ("jscc", "scaled", False)
    assert "jscc/net.onnx" in manifest["trained_on"]["behind"]  # which weights it stands in front of
    assert call(train, *words[:-1], tmp_path / "again", "--start", tmp_path / "mine" / "prior.onnx")


def test_without_its_code_it_cannot_be_trained(monkeypatch, pictures, tmp_path):
    monkeypatch.setattr(latent_training, "find_packages", lambda **_: {})
    with pytest.raises(UserError, match="train and export that first"):
        training_of("cddm", pictures, tmp_path)
