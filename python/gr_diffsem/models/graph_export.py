# SPDX-License-Identifier: GPL-3.0-or-later
"""The graphs of a package that are no denoiser: a network that measures with its derivative, an encoder, a decoder."""

import numpy as np

from ..base.errors import UserError
from . import onnx_export, onnx_vjp

OPERATOR, OPERATOR_VJP = "operator.onnx", "operator_vjp.onnx"
ENCODER, DECODER = "encoder.onnx", "decoder.onnx"


def write_missing(scheme, folder, again=False):
    """Write the graphs that a scheme declares and the folder lacks (all of them if `again`): their names."""
    written = []
    lacks = lambda *names: again or not all((folder / name).is_file() for name in names)  # noqa: E731
    if scheme.has_operator_network() and lacks(OPERATOR, OPERATOR_VJP):
        folder.mkdir(parents=True, exist_ok=True)
        write_operator(scheme.operator_network(), scheme, folder)
        written += [OPERATOR, OPERATOR_VJP]
    if scheme.has_codec() and lacks(ENCODER, DECODER):
        folder.mkdir(parents=True, exist_ok=True)
        write_codec(*scheme.codec(), scheme, folder)
        written += [ENCODER, DECODER]
    return written


def write_operator(net, scheme, folder):
    """f as operator.onnx and J(x)^H v as operator_vjp.onnx, each checked against torch: so one against the other."""
    net = _still(net)
    said = _said(scheme, "operator", scheme.domain, scheme.shape, f"{scheme.title}: the measurement")
    example = _example(net, _planes(scheme.domain, scheme.shape))
    _write(net, example, said, folder / OPERATOR, "y", "operator network")
    said = _said(scheme, "operator_vjp", scheme.domain, scheme.shape, f"{scheme.title}: its derivative")
    onnx_vjp.write(net, folder / OPERATOR_VJP, {"x": example}, said)


def write_codec(encoder, decoder, scheme, folder, names=(ENCODER, DECODER), facts=None):
    """The encoder [B, *content] -> latent and the decoder back, as files of these names; the largest difference.
    facts: of the decoder's training, where it has one of its own."""
    encoder, decoder = _still(encoder), _still(decoder)
    latent = _example(decoder, _planes(scheme.domain, scheme.shape))
    content = _answer(decoder, latent)
    shape = list(content.shape[1:])
    if _answer(encoder, content).shape != latent.shape:
        raise UserError(
            f"scheme {scheme.name}: the decoder gives {shape} of a latent {list(scheme.shape)}, of which the encoder "
            f"makes {list(_answer(encoder, content).shape[1:])}: let codec() return two that fit each other"
        )
    said = _said(scheme, "decoder", scheme.domain, scheme.shape, f"{scheme.title}: the decoder")
    said |= onnx_export.as_metadata({"trained_on": facts}) if facts else {}
    back = _write(decoder, latent, said, folder / names[1], "content", "decoder")
    said = _said(scheme, "encoder", "real", shape, f"{scheme.title}: the encoder")
    return max(back, _write(encoder, content, said, folder / names[0], "latent", "encoder"))


def write_denoiser_vjp(net, path, scheme):
    """The derivative of a denoiser's mean by x, beside its own graph; returns the largest difference."""
    import torch

    net = _still(net.for_export())
    few = onnx_export.inputs(net, scheme, 2, np.random.default_rng(0))
    n = onnx_vjp.example_batch(*(value.shape[1:] for value in few.values()))
    told = onnx_export.inputs(net, scheme, n, np.random.default_rng(0))
    example = {name: torch.from_numpy(value) for name, value in told.items()}
    said = {"contract": "1", "role": "denoiser_vjp", "title": f"{scheme.title}: its derivative"}
    return onnx_vjp.write(net, path, example, onnx_export.as_metadata(said))


def _planes(domain, shape):
    return (2, *shape) if domain == "complex" else tuple(shape)


def _still(net):
    return net.eval().requires_grad_(False)


def _answer(net, x):
    import torch

    with torch.no_grad():
        return net(x)


def _example(net, shape):
    """Items for an exporter: random, as many as no other dimension has."""
    import torch

    torch.manual_seed(0)
    out = _answer(net, torch.randn(2, *shape))
    return torch.randn(onnx_vjp.example_batch(shape, tuple(out.shape[1:])), *shape)


def _said(scheme, role, domain, shape, title):
    values = {"contract": "1", "role": role, "domain": domain, "layout": "planar", "shape": list(shape)}
    return onnx_export.as_metadata({**values, "title": title, "licence": scheme.licence})


def _write(net, example, said, path, output, what):
    import torch

    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    model = onnx_export.graph_of(net, {"x": example}, ({0: batch},))

    def difference(file):
        graph = onnx_export.session(file)
        rng = np.random.default_rng(0)
        worst = 0.0
        for n in (1, 3, 32):
            x = rng.standard_normal((n, *example.shape[1:])).astype(np.float32)
            expected = _answer(net, torch.from_numpy(x)).numpy()
            actual = graph.run([output], {"x": x})[0]
            worst = float(np.maximum(worst, np.max(np.abs(actual - expected) / (1 + np.abs(expected)))))
        return worst

    return onnx_export.save(model, said, path, difference, outputs=(output,), what=what)
