# SPDX-License-Identifier: GPL-3.0-or-later
"""Nets of random weights for benchmarks, written as .onnx without the onnx package (seeded)."""

import math

import numpy as np

FLOAT, INTS = 1, 7  # TensorProto.FLOAT, AttributeProto.INTS


def mlp(path, sizes, seed=1):
    """Fully connected, ReLU between: x [batch, sizes[0]] -> y [batch, sizes[-1]]. Returns its parameters."""
    rng = np.random.default_rng(seed)
    nodes, weights, x = [], [], "x"
    for i, (n, m) in enumerate(zip(sizes, sizes[1:], strict=False)):
        weights += [
            _tensor(f"w{i}", rng.normal(0, math.sqrt(2 / n), (n, m))),
            _tensor(f"b{i}", rng.normal(0, 0.1, m)),
        ]
        last = i == len(sizes) - 2
        nodes.append(_node("Gemm", [x, f"w{i}", f"b{i}"], "y" if last else f"h{i}"))
        if not last:
            nodes.append(_node("Relu", [f"h{i}"], f"a{i}"))
            x = f"a{i}"
    _save(path, nodes, weights, ["batch", sizes[0]], ["batch", sizes[-1]])
    return sum((n + 1) * m for n, m in zip(sizes, sizes[1:], strict=False))


def conv(path, channels, length, kernel=7, seed=1):
    """1-D convolutions over [batch, channels[0] * length] floats in planes. Returns its parameters."""
    rng = np.random.default_rng(seed)
    nodes = [_node("Reshape", ["x", "split"], "p")]
    weights = [
        _tensor("split", np.array([-1, channels[0], length]), kind=7),
        _tensor("join", np.array([-1, channels[-1] * length]), kind=7),
    ]
    x = "p"
    for i, (n, m) in enumerate(zip(channels, channels[1:], strict=False)):
        weights += [
            _tensor(f"w{i}", rng.normal(0, math.sqrt(2 / n / kernel), (m, n, kernel))),
            _tensor(f"b{i}", rng.normal(0, 0.1, m)),
        ]
        pads = _attribute("pads", [kernel // 2, kernel // 2])
        nodes.append(_node("Conv", [x, f"w{i}", f"b{i}"], f"h{i}", pads))
        x = f"h{i}"
        if i < len(channels) - 2:
            nodes.append(_node("Relu", [x], f"a{i}"))
            x = f"a{i}"
    nodes.append(_node("Reshape", [x, "join"], "y"))
    _save(path, nodes, weights, ["batch", channels[0] * length], ["batch", channels[-1] * length])
    return sum((n * kernel + 1) * m for n, m in zip(channels, channels[1:], strict=False))


# The wire format: https://protobuf.dev/programming-guides/encoding; the numbers are those of onnx.proto.


def _varint(value):
    out = bytearray()
    value &= (1 << 64) - 1
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out) + bytes([value])


def _field(number, value):
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    value = value.encode() if isinstance(value, str) else value
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _tensor(name, values, kind=FLOAT):
    values = np.asarray(values)
    raw = values.astype("<f4" if kind == FLOAT else "<i8").tobytes()
    dims = b"".join(_field(1, int(d)) for d in values.shape)
    return dims + _field(2, kind) + _field(8, name) + _field(9, raw)


def _attribute(name, integers):
    return _field(1, name) + b"".join(_field(8, i) for i in integers) + _field(20, INTS)


def _node(kind, inputs, output, attribute=None):
    message = b"".join(_field(1, name) for name in inputs) + _field(2, output)
    message += _field(3, f"{kind}_{output}") + _field(4, kind)
    return message + (_field(5, attribute) if attribute else b"")


def _value(name, shape):
    dims = b"".join(_field(1, _field(2 if isinstance(d, str) else 1, d)) for d in shape)
    tensor = _field(1, FLOAT) + _field(2, dims)
    return _field(1, name) + _field(2, _field(1, tensor))


def _save(path, nodes, weights, inputs, outputs):
    graph = b"".join(_field(1, node) for node in nodes) + _field(2, "bench")
    graph += b"".join(_field(5, w) for w in weights)
    graph += _field(11, _value("x", inputs)) + _field(12, _value("y", outputs))
    opset = _field(8, _field(1, "") + _field(2, 17))
    model = _field(1, 8) + _field(2, "gr-diffsem") + _field(7, graph) + opset
    with open(path, "wb") as file:
        file.write(model)
