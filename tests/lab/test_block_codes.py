# SPDX-License-Identifier: GPL-3.0-or-later
"""Codes trained through channels: the sampler that is differentiated, equal beginnings, training and export."""

import argparse

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.models import block_codes, training
from gr_diffsem.package import export
from gr_diffsem.reference import plans, samplers

torch = pytest.importorskip("torch")
from gr_diffsem.models import block_codes_training  # noqa: E402
from gr_diffsem.models.block_codes_net import BlockCodes  # noqa: E402


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(word) for word in words]))


def test_the_sampler_is_the_twin_s():
    """Of a Gaussian's denoiser, D = m + (x - m) / (1 + sigma^2), beside reference/samplers.py; with a derivative by m,
    which a draw of N(m, 1) moves along with."""
    levels = block_codes_training.karras(25.0, 0.05, 8)
    assert levels == [*plans.karras(25.0, 0.05, 8), 0.0]
    x, m = np.random.default_rng(0).standard_normal((2, 5, 3))
    told = torch.tensor(m, requires_grad=True)
    ours = block_codes_training.dpmpp_2m(lambda x, s: told + (x - told) / (1 + s * s), torch.tensor(25 * x), levels)
    theirs = samplers.dpmpp_2m(lambda x, s: (m + (x - m) / (1 + s * s), None), 25 * x, levels)
    np.testing.assert_allclose(ours.detach().numpy(), theirs, atol=1e-10)
    ours.sum().backward()
    np.testing.assert_allclose(told.grad.numpy(), 1, atol=0.1)


def test_codes_of_all_trainings_begin_alike():
    torch.manual_seed(3)
    net = BlockCodes(2)
    words = net.words().detach().reshape(3, 2, 16, 8)
    assert torch.equal(words[0], words[1]) and torch.equal(words[0], words[2])
    assert not torch.allclose(words[0, 0], words[0, 1])
    np.testing.assert_allclose(words.pow(2).mean(3).numpy(), 1, rtol=1e-5)


def test_arrays_and_graphs_are_the_network():
    torch.manual_seed(4)
    net, y = BlockCodes(2), torch.randn(6, 50, 8)
    flat, logits = net.flat(), net.logits(y).detach()
    for at in range(6):
        np.testing.assert_allclose(block_codes.words_of(flat[at]), net.words()[at].detach(), atol=1e-6)
        assert np.array_equal(block_codes.decided(flat[at], y[at].numpy()), logits[at].argmax(1))
    encoder, decoder = net.pair("wgan", 1)
    planes = y[5].reshape(50, 2, 4) / np.sqrt(2)
    np.testing.assert_allclose(decoder(planes).detach(), logits[5].log_softmax(1), atol=1e-5)
    sent = encoder(torch.eye(16)[[3, 7]])
    np.testing.assert_allclose(sent.flatten(1) * np.sqrt(2), net.words()[5, [3, 7]].detach(), atol=1e-6)
    assert net.multiply_adds() == sum(p.numel() for p in decoder.parameters() if p.dim() == 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp("train")
    words = ("e2e_autoencoder", "--member", "sspa", "--batch", 16, "--out", out)
    return out, words, call(train, *words, "--minutes", 0.01)["networks"][0]


def test_each_code_learns_from_its_own_channel(trained):
    """The word of a code that was trained through a generator moves by it alone."""
    out, words, report = trained
    scheme, args = schemes.get("e2e_autoencoder"), None
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args([str(word) for word in words])
    one = block_codes_training.BlockCodesTraining(scheme, "sspa", scheme.networks()["sspa"], args, out)
    sent = one.net.words()[:, [2]].reshape(3, -1, 1, 8).detach().requires_grad_()
    one.batch = 1
    y = one.received(sent, *one.draw(np.random.default_rng(0))[1:]).reshape(3, -1, 8)
    for k in range(3):
        (slope,) = torch.autograd.grad(y[k].sum(), sent, retain_graph=True)
        norms = slope.flatten(1).norm(dim=1)
        assert norms[k] > 0 and norms.sum() == norms[k]


def test_training_resumes_and_exports(trained, tmp_path):
    out, words, report = trained
    more = call(train, *words, "--minutes", 0.02, "--resume")["networks"][0]
    assert more["steps"] > report["steps"]
    facts = training.load_checkpoint(more["checkpoint"])
    assert facts["behind"].startswith("tap_generator_uses/diffusion.onnx")
    said = call(export, more["checkpoint"], tmp_path / "e2e_autoencoder")
    assert said["multiply_adds"] == 5632 and said["largest_difference"] < 1e-4
    assert np.load(tmp_path / "e2e_autoencoder" / "sspa_codes.npy").shape == (15, 128 + 64 * 8 + 64 + 64 * 65 + 16 * 65)
