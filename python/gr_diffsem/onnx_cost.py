# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters and multiply-adds of an .onnx graph, without the onnx package.

Walks the protobuf wire format (https://protobuf.dev/programming-guides/encoding) and reads of
ModelProto only what is needed: graph (7); of the graph node (1), initializer (5), input (11),
output (12), value_info (13). Shapes come from value_info, which exporters write; where one that is
needed is missing, the count is None rather than a guess.
"""

from pathlib import Path

MAX_BYTES = 512 << 20
COUNTED = ("MatMul", "Gemm", "Conv", "ConvTranspose")


def cost(path):
    """{"parameters": int, "macs": int or None} for one item (batch 1) of the graph in a file."""
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    graph = next((v for n, v in fields(memoryview(path.read_bytes())) if n == 7), None)
    if graph is None:
        raise ValueError(f"{path} holds no graph")
    shapes, nodes, parameters = {}, [], 0
    for number, value in fields(graph):
        if number == 1:
            nodes.append(_node(value))
        elif number == 5:
            name, shape = _tensor(value)
            shapes[name] = shape
            parameters += _product(shape)
        elif number in (11, 12, 13):
            name, shape = _value_info(value)
            shapes.setdefault(name, shape)
    counts = [_macs(node, shapes) for node in nodes if node["op"] in COUNTED]
    return {"parameters": parameters, "macs": None if None in counts else sum(counts)}


def fields(data):
    """(field number, value) of a message: int for varints, memoryview for length-delimited ones."""
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
    return bytes(value).decode("utf-8", "replace")


def _product(shape):
    total = 1
    for size in shape:
        total *= size
    return total


def _tensor(message):
    """TensorProto: dims (1), name (8)."""
    name, shape = "", []
    for number, value in fields(message):
        if number == 1:
            shape += _ints(value)
        elif number == 8:
            name = _text(value)
    return name, shape


def _value_info(message):
    """ValueInfoProto: name (1), type (2) -> tensor_type (1) -> shape (2) -> dim (1) -> value (1).

    A symbolic dimension is None.
    """
    name, shape = "", None
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for dims in _descend(value, 1, 2):
                shape = [next((v for n, v in fields(dim) if n == 1), None) for n_dim, dim in fields(dims) if n_dim == 1]
    return name, shape


def _descend(message, *path):
    """The sub-messages at a path of field numbers."""
    found = [message]
    for step in path:
        found = [v for m in found for n, v in fields(m) if n == step and not isinstance(v, int)]
    return found


def _node(message):
    """NodeProto: input (1), output (2), op_type (4), attribute (5)."""
    node = {"in": [], "out": [], "op": "", "attributes": {}}
    for number, value in fields(message):
        if number == 1:
            node["in"].append(_text(value))
        elif number == 2:
            node["out"].append(_text(value))
        elif number == 4:
            node["op"] = _text(value)
        elif number == 5:
            name, ints = "", []
            for inner, item in fields(value):
                if inner == 1:
                    name = _text(item)
                elif inner in (3, 8):
                    ints += _ints(item)
            node["attributes"][name] = ints
    return node


def _macs(node, shapes):
    """Multiply-adds of one node for one item, None when a shape is missing.

    A symbolic first dimension is the batch and counts as 1; any other makes the answer None.
    """
    first, weight = shapes.get(node["in"][0]), shapes.get(node["in"][1])
    out = shapes.get(node["out"][0])
    if node["op"] == "ConvTranspose":  # every input element meets the whole kernel
        size, per = _items(first), weight
    elif node["op"] == "Conv":  # every output element is one dot product
        size, per = _items(out), weight
    elif node["op"] == "Gemm":
        transposed = node["attributes"].get("transA", [0])[0]
        size = _items(out)
        per = [0, first[-2 if transposed else -1]] if first else None
    else:
        size = _items(out)
        per = [0, first[-1]] if first else None
        if first and first[-1] is None and weight and len(weight) > 1:
            per = [0, weight[-2]]
    if size is None or per is None or None in per[1:]:
        return None
    return size * _product(per[1:])


def _items(shape):
    """Elements of one item: a symbolic leading dimension counts as 1; None when unknown."""
    if shape is None or None in shape[1:]:
        return None
    return _product([1 if size is None else size for size in shape])
