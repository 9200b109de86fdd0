# SPDX-License-Identifier: GPL-3.0-or-later
"""The derivative of a torch network as an .onnx of its own: out = J(x)^T v (docs/openings/network_operators.md).

The graph has the inputs of the network and `v`, of the shape of its first output, and answers the gradient of
<v, net(x)> by x, its first input. torch traces the backward pass (`torch.func.vjp`) to plain operators, because the
exporter does not look through autograd; the batch stays open.
"""

import numpy as np

from ..base.errors import UserError
from . import onnx_export

TOLERANCE = 1e-3  # of <v, J u> by the exported graph against torch's forward mode, relative to |v| |J u|
_BATCHES = (11, 13, 17, 19, 23, 29, 31)  # of the example: no other dimension may equal it, or both count as one


def example_batch(*shapes):
    """A batch that differs from every dimension of these shapes."""
    taken = {size for shape in shapes for size in shape}
    return next(batch for batch in _BATCHES if batch not in taken)


def graph_of(net, example):
    """J(x)^T v of a torch module as an ONNX model.

    example: {input: tensor}, the first of them x; all with one batch, see `example_batch`. Throws UserError where torch
    knows an operator of the backward pass that ONNX does not."""
    import torch
    from torch.fx.experimental.proxy_tensor import make_fx

    _quiet()
    net = net.eval().requires_grad_(False)
    names, inputs = list(example), tuple(example.values())
    with torch.no_grad():
        v = torch.zeros_like(_first(net(*inputs)))

    def gradient(*arguments):
        x, *rest, given = arguments
        _, pull = torch.func.vjp(lambda x_: _first(net(x_, *rest)), x)
        return pull(given)[0]

    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    try:
        # Attention in plain operators: the fused ones have a fused derivative, which ONNX lacks.
        plain = torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)
        with torch.no_grad(), plain, _plain_linear():
            pure = torch.func.functionalize(gradient, remove="mutations_and_views")
            trace = make_fx(pure, _decompositions(), tracing_mode="symbolic", _allow_non_fake_inputs=True)
            traced = trace(*inputs, v)
        traced.graph.eliminate_dead_code()
        traced.recompile()
        given = {**dict(zip(names, inputs, strict=True)), "v": v}
        return onnx_export.graph_of(traced, given, tuple({0: batch} for _ in given))
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"the derivative of {type(net).__name__} cannot be exported: {_reason(error)}. Build the network of "
            f"convolutions, linear layers, normalisations, attention and activations: strides in place of pooling"
        ) from error


def compare(net, path, example, seed=0):
    """Largest |<v, J u> - <graph(x, v), u>| / (|v| |J u|) of the exported graph against torch's forward mode, for
    random directions u and v and random x; other inputs as in `example`."""
    import torch

    graph = onnx_export.session(path)
    rng = np.random.default_rng(seed)
    worst = 0.0
    for n in (1, 3, 8):
        inputs = tuple(t[:1].expand(n, *t.shape[1:]).clone() for t in example.values())
        x = torch.from_numpy(rng.standard_normal(inputs[0].shape).astype(np.float32))
        u = torch.from_numpy(rng.standard_normal(x.shape).astype(np.float32))
        with torch.no_grad(), torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
            pushed = torch.func.jvp(lambda x_, rest=inputs[1:]: _first(net(x_, *rest)), (x,), (u,))[1].numpy()
        # v leans on J u: so that what is compared is no chance product near 0.
        v = (pushed / max(float(np.std(pushed)), 1e-12) + rng.standard_normal(pushed.shape)).astype(np.float32)
        arrays = [x, *inputs[1:], torch.from_numpy(v)]
        feed = {i.name: t.numpy() for i, t in zip(graph.get_inputs(), arrays, strict=True)}
        pulled = graph.run(None, feed)[0]
        if pulled.shape != tuple(x.shape):
            return float("inf")
        for b in range(n):
            scale = np.linalg.norm(v[b]) * np.linalg.norm(pushed[b])
            error = abs(np.sum(v[b] * pushed[b]) - np.sum(pulled[b] * u[b].numpy()))
            worst = float(np.maximum(worst, error / (scale if scale > 0 else 1.0)))
    return worst


def write(net, path, example, metadata):
    """Write the derivative of `net` to `path`, checked against torch; returns the largest difference.

    metadata: {key: string}, as `onnx_export.as_metadata` gives it."""
    return onnx_export.save(
        graph_of(net, example),
        metadata,
        path,
        lambda file: compare(net, file, example),
        outputs=("gradient",),
        limit=TOLERANCE,
        what=f"derivative of {type(net).__name__}",
    )


def _first(answer):
    return answer[0] if isinstance(answer, (tuple, list)) else answer


def _reason(error):
    """The last line that names an operator, of an exporter's long report."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__


def _plain_linear():
    """torch adds the bias of a linear layer in place where its input is not contiguous, whose derivative writes into
    strided memory: here as a product and a sum."""
    import torch

    class Plain(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, function, types, arguments=(), keywords=None):
            if function is not torch.nn.functional.linear:
                return function(*arguments, **(keywords or {}))
            return product(*arguments, **(keywords or {}))

    def product(x, weight, bias=None):
        y = torch.matmul(x, weight.t())
        return y if bias is None else y + bias

    return Plain()


def _quiet():
    """torch's exporter warns of packages that are not needed here."""
    import logging

    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)


def _decompositions():
    """Operators of a backward pass in terms of those that ONNX has."""
    import torch

    aten = torch.ops.aten
    table = dict(torch._decomp.core_aten_decompositions())
    table[aten.convolution_backward.default] = _convolution_backward
    for name in ("view", "select", "split", "split_with_sizes", "permute", "slice", "unsqueeze", "squeeze", "expand",
                 "t", "transpose", "detach", "alias", "unbind"):  # fmt: skip
        copies, views = getattr(aten, f"{name}_copy"), getattr(aten, name)
        for overload in set(copies.overloads()) & set(views.overloads()):
            table[getattr(copies, overload)] = getattr(views, overload)
    return table


def _convolution_backward(
    gradient, x, weight, bias_sizes, stride, padding, dilation, transposed, output_padding, groups, mask
):
    """Of a convolution by its input: the transposed convolution with the same weights; and the other way round."""
    import torch

    convolution = torch.ops.aten.convolution
    if mask[1] or mask[2]:
        raise UserError("a derivative by weights was asked for: the network's parameters must not depend on x")
    if transposed:
        return (
            convolution(gradient, weight, None, stride, padding, dilation, False, [0] * len(stride), groups),
            None,
            None,
        )
    lost = [
        x.shape[2 + i] - ((gradient.shape[2 + i] - 1) * s - 2 * p + d * (weight.shape[2 + i] - 1) + 1)
        for i, (s, p, d) in enumerate(zip(stride, padding, dilation, strict=True))
    ]
    return convolution(gradient, weight, None, stride, padding, dilation, True, lost, groups), None, None
