# SPDX-License-Identifier: GPL-3.0-or-later
"""Graphs beside a denoiser: an operator network with its derivative, a codec, the derivative of a denoiser."""

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import graph_export, onnx_export, onnx_vjp
from gr_diffsem.schemes.base import Network, Scheme

torch = pytest.importorskip("torch")
nn = torch.nn


class Attention(nn.Module):
    """Over the positions of [B, C, T]."""

    def __init__(self, channels):
        super().__init__()
        self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x):
        q, k, v = self.qkv(x.transpose(1, 2))[:, None].chunk(3, -1)  # one head
        seen = nn.functional.scaled_dot_product_attention(q, k, v)[:, 0]
        return x + self.out(seen).transpose(1, 2)


class Measured(Scheme):
    name, title = "measured", "a test"
    domain, shape = "complex", (8,)
    operator = "network"
    start = "noise"

    def operator_network(self):
        torch.manual_seed(1)
        return nn.Sequential(
            nn.Conv1d(2, 6, 3, 2, 1), nn.GroupNorm(2, 6), nn.SiLU(), Attention(6), nn.Conv1d(6, 2, 3, padding=1)
        )

    def codec(self):
        torch.manual_seed(2)
        shape = nn.Unflatten(1, (2, 8))
        encoder = nn.Sequential(nn.Flatten(), nn.Linear(15, 16), nn.GELU(), shape)
        return encoder, nn.Sequential(nn.Flatten(), nn.Linear(16, 15), nn.ReLU(), nn.Unflatten(1, (3, 5)))


def test_operator_and_codec_are_exported_and_fit(tmp_path):
    scheme = Measured()
    written = graph_export.write_missing(scheme, tmp_path)
    assert written == ["operator.onnx", "operator_vjp.onnx", "encoder.onnx", "decoder.onnx"]
    assert graph_export.write_missing(scheme, tmp_path) == []
    assert scheme.choices("any")["operator"] == {"type": "network", "file": written[0], "vjp": written[1]}
    assert scheme.choices("any")["codec"] == {"encoder": written[2], "decoder": written[3]}
    forward, vjp = (onnx_export.session(tmp_path / name) for name in written[:2])
    rng = np.random.default_rng(3)
    x, u = rng.standard_normal((2, 5, 2, 8))
    v = rng.standard_normal((5, 2, 4)).astype(np.float32)
    step = 1e-2

    def f(at):
        return forward.run(None, {"x": at.astype(np.float32)})[0].astype(float)

    change = (f(x + step * u) - f(x - step * u)) / (2 * step)
    pulled = vjp.run(None, {"x": x.astype(np.float32), "v": v})[0]
    np.testing.assert_allclose((pulled * u).sum((1, 2)), (change * v).sum((1, 2)), atol=2e-2)
    encoder, decoder = (onnx_export.session(tmp_path / name) for name in written[2:])
    content = decoder.run(None, {"x": x.astype(np.float32)})[0]
    assert content.shape == (5, 3, 5) and encoder.run(None, {"x": content})[0].shape == (5, 2, 8)


def test_a_codec_that_does_not_fit_is_refused(tmp_path):
    class Odd(Measured):
        def codec(self):
            _, decoder = super().codec()
            return nn.Sequential(nn.Flatten(), nn.Linear(15, 14), nn.Unflatten(1, (2, 7))), decoder

    with pytest.raises(UserError, match="the encoder makes"):
        graph_export.write_codec(*Odd().codec(), Odd(), tmp_path)


def example(net, *shape):
    x = torch.zeros(2, *shape)
    return {"x": torch.randn(onnx_vjp.example_batch(shape, net(x).shape[1:]), *shape)}


def test_the_derivative_of_another_network_is_told_apart(tmp_path):
    net, other = nn.Sequential(nn.Linear(6, 4), nn.Tanh()), nn.Sequential(nn.Linear(6, 4), nn.Tanh())
    said = onnx_export.as_metadata({"contract": "1", "role": "operator_vjp"})
    assert onnx_vjp.write(net, tmp_path / "own.onnx", example(net, 6), said) < 1e-5
    assert onnx_vjp.compare(other, tmp_path / "own.onnx", example(net, 6)) > 0.1


def test_what_the_exporter_does_not_know_is_named(tmp_path):
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2))
    with pytest.raises(UserError, match=r"Sequential cannot be exported.*avg_pool2d_backward.*strides"):
        onnx_vjp.graph_of(net, example(net, 1, 6, 6))


class Denoiser(nn.Module):
    one_level = True

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(7, 16), nn.SiLU(), nn.Linear(16, 6))

    def for_export(self):
        return self.eval()

    def forward(self, x, sigma):
        return self.layers(torch.cat((x / torch.sqrt(1 + sigma[:, None] ** 2), torch.log(sigma)[:, None]), 1))


class Real(Scheme):
    name, title = "real", "a test"
    domain, shape, axes = "real", (6,), ("element",)


def test_a_denoiser_is_written_with_its_derivative(tmp_path):
    torch.manual_seed(4)
    net, path = Denoiser(), tmp_path / "net.onnx"
    Real().write_network(net, path, Network(Denoiser, "a test", vjp=True), {})
    graph = onnx_export.session(tmp_path / "net_vjp.onnx")
    assert [i.name for i in graph.get_inputs()] == ["x", "sigma", "v"]
    rng = np.random.default_rng(5)
    x, v = (torch.from_numpy(rng.standard_normal((3, 6)).astype(np.float32)) for _ in range(2))
    sigma = torch.tensor([0.1, 1.0, 10.0])
    expected = torch.func.vjp(lambda at: net(at, sigma), x)[1](v)[0]
    actual = graph.run(None, {"x": x.numpy(), "sigma": sigma.numpy(), "v": v.numpy()})[0]
    np.testing.assert_allclose(actual, expected.detach().numpy(), atol=1e-5)
