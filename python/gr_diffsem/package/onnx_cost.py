# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters and multiply-adds of an .onnx graph, without the onnx package.

Walks the protobuf wire format (https://protobuf.dev/programming-guides/encoding) and reads of
ModelProto only what is needed: graph (7); of the graph node (1), initializer (5), input (11),
output (12), value_info (13). Shapes are the file's own, or propagated (onnx_shapes); where one that is
needed cannot be had, the count is None rather than a guess.
"""

import math
import struct
from pathlib import Path

from . import onnx_shapes

MAX_BYTES = 512 << 20
INT64 = 7
COUNTED = ("MatMul", "Gemm", "Conv", "ConvTranspose")


def cost(path):
    """{"parameters": int, "macs": int or None} for one item (batch 1) of the graph in a file."""
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    graph = next((v for n, v in fields(memoryview(path.read_bytes())) if n == 7), None)
    if graph is None:
        raise ValueError(f"{path} holds no graph")
    shapes, integers, nodes, parameters = {}, {}, [], 0
    for number, value in fields(graph):
        if number == 1:
            nodes.append(_node(value))
        elif number == 5:
            name, shape, values = _tensor(value)
            shapes[name], integers[name] = shape, values
            parameters += math.prod(shape)
        elif number in (11, 12, 13):
            name, shape = _value_info(value)
            if shape and shape[0] is None:
                shape = (1, *shape[1:])  # a symbolic leading dimension is the batch: one item
            if shape is not None and None not in shape:
                shapes.setdefault(name, shape)
    for node in nodes:
        if node["op"] == "Constant" and node["tensor"]:
            _, shapes[node["out"][0]], integers[node["out"][0]] = node["tensor"]
    integers = {name: values for name, values in integers.items() if values is not None}
    onnx_shapes.propagate(nodes, shapes, integers)
    counts = [_macs(node, shapes) for node in nodes if node["op"] in COUNTED]
    return {"parameters": parameters, "macs": None if None in counts else sum(counts)}


def fields(data):
    """(field number, value) of a message: int for varints, memoryview for length-delimited ones."""
    if isinstance(data, int):
        raise ValueError("not an ONNX file: a number where a message belongs")
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
        elif kind == 2:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError("not an ONNX file: unknown wire type")
        if at > len(data):
            raise ValueError("truncated ONNX file")
        yield key >> 3, value


def _varint(data, at):
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("truncated ONNX file")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _ints(value):
    """A repeated int64 field: packed or one by one; negative numbers as 10-byte varints."""
    values = [value] if isinstance(value, int) else []
    at = 0
    while not isinstance(value, int) and at < len(value):
        item, at = _varint(value, at)
        values.append(item)
    return [item - (1 << 64) if item >> 63 else item for item in values]


def _text(value):
    if isinstance(value, int):  # bytes(n) would be n zeros
        raise ValueError("not an ONNX file: a number where a text belongs")
    return bytes(value).decode("utf-8", "replace")


def _tensor(message):
    """TensorProto: dims (1), data_type (2), int64_data (7), name (8), raw_data (9).

    Returns (name, shape, values); values only of int64 tensors of up to 64 elements, else None.
    """
    name, shape, kind, values, raw = "", [], 0, [], None
    for number, value in fields(message):
        if number == 1:
            shape += _ints(value)
        elif number == 2:
            kind = value
        elif number == 7:
            values += _ints(value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = value
    if kind != INT64 or math.prod(shape) > 64:
        return name, tuple(shape), None
    if raw is not None and len(raw) % 8 == 0:
        values = list(struct.unpack(f"<{len(raw) // 8}q", raw))
    return name, tuple(shape), values


def _value_info(message):
    """ValueInfoProto: name (1), type (2) -> tensor_type (1) -> shape (2) -> dim (1) -> value (1).

    A symbolic dimension is None; without a shape, None.
    """
    name, shape = "", None
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for dims in _descend(value, 1, 2):
                sizes = [dim for n, dim in fields(dims) if n == 1]
                shape = tuple(next((v for n, v in fields(dim) if n == 1), None) for dim in sizes)
    return name, shape


def _descend(message, *path):
    """The sub-messages at a path of field numbers."""
    found = [message]
    for step in path:
        found = [v for m in found for n, v in fields(m) if n == step and not isinstance(v, int)]
    return found


def _node(message):
    """NodeProto: input (1), output (2), op_type (4), attribute (5)."""
    node = {"in": [], "out": [], "op": "", "attributes": {}, "tensor": None}
    for number, value in fields(message):
        if number == 1:
            node["in"].append(_text(value))
        elif number == 2:
            node["out"].append(_text(value))
        elif number == 4:
            node["op"] = _text(value)
        elif number == 5:
            _attribute(value, node)
    return node


def _attribute(message, node):
    """AttributeProto: name (1), i (3), s (4), t (5), ints (8)."""
    name, ints, text = "", [], ""
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number in (3, 8):
            ints += _ints(value)
        elif number == 4:
            text = _text(value)
        elif number == 5:
            node["tensor"] = _tensor(value)
    node["attributes"][name] = ints
    if name == "auto_pad":
        node["attributes"]["auto_pad_same"] = [int(text.startswith("SAME"))]


def _macs(node, shapes):
    """Multiply-adds of one node for one item, None when a shape is missing."""
    first, weight = (shapes.get(name) for name in node["in"][:2])
    out = shapes.get(node["out"][0])
    if first is None or weight is None or out is None:
        return None
    if node["op"] == "ConvTranspose":  # every input element meets the whole kernel of its channel
        return math.prod(first) * math.prod(weight[1:])
    if node["op"] == "Conv":  # every output element is one dot product
        return math.prod(out) * math.prod(weight[1:])
    transposed = node["op"] == "Gemm" and node["attributes"].get("transA", [0])[0]
    return math.prod(out) * first[-2 if transposed else -1]
