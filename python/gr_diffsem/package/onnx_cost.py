# SPDX-License-Identifier: GPL-3.0-or-later
"""Parameters and multiply-adds of an .onnx graph, without the onnx package: the one counter of all commands.

Walks the protobuf wire format (https://protobuf.dev/programming-guides/encoding) and reads of
ModelProto only what is needed: graph (7); of the graph node (1), initializer (5), input (11),
output (12), value_info (13). Shapes are the file's own, or propagated (onnx_shapes); where one that is
needed cannot be had, the count is None rather than a guess. So it is where an operator multiplies in a way
that is not known here: another domain's, a loop, a transform.
"""

import math
import struct
from pathlib import Path

from . import onnx_growth, onnx_shapes

MAX_BYTES = 512 << 20
FLOAT, INT64 = 1, 7
DENSE = ("MatMul", "Gemm", "Conv", "ConvTranspose", "MatMulInteger", "QLinearMatMul", "ConvInteger", "QLinearConv")
RECURRENT = ("LSTM", "GRU", "RNN")
UNKNOWN = ("If", "Loop", "Scan", "SequenceMap", "Attention", "DeformConv", "DFT", "STFT")
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")


def cost(path, shape=None):
    """{"parameters": int, "macs": int or None} for one item (batch 1) of the graph in a file.

    Where the graph leaves sizes open there is a "per" too, which says what `macs` is counted for (onnx_growth).
    shape: of one item of the first input, where that is known from elsewhere; it closes sizes that are open."""
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    graph = next((v for n, v in fields(memoryview(path.read_bytes())) if n == 7), None)
    if graph is None:
        raise ValueError(f"{path} holds no graph")
    known, integers, nodes, parameters, values, inputs = {}, {}, [], 0, {}, []
    for number, value in fields(graph):
        if number == 1:
            nodes.append(_node(value))
        elif number == 5:
            name, size, integers[name] = _tensor(value)
            known[name] = size
            parameters += math.prod(size)
        elif number in (11, 12, 13):
            name, dims = _value_info(value)
            if dims is not None:
                values.setdefault(name, dims)
                inputs += [name] if number == 11 else []
    for node in nodes:
        if node["op"] == "Constant" and node["tensor"]:
            _, known[node["out"][0]], integers[node["out"][0]] = node["tensor"]
    scales = {name for node in nodes if node["op"] in ("Resize", "Upsample") for name in node["in"][1:3]}
    integers = {name: _whole(numbers, name in scales) for name, numbers in integers.items()}
    integers = {name: numbers for name, numbers in integers.items() if numbers is not None}
    inputs = [name for name in inputs if name not in known]
    one = dict.fromkeys(filter(None, (_batch(name, values[name]) for name in inputs)), 1)
    sizes, multiples = _open(inputs, values, one, shape)

    def count(chosen):
        shapes = dict(known)
        for name, dims in values.items():
            closed = _closed(name, dims, {**one, **sizes, **chosen}, name in inputs)
            if closed is not None:
                shapes.setdefault(name, closed)
        onnx_shapes.propagate(nodes, shapes, dict(integers))
        counts = [_macs(node, shapes) for node in nodes]
        return None if None in counts else sum(counts)

    if multiples:
        return {"parameters": parameters, **onnx_growth.per_element(count, multiples)}
    return {"parameters": parameters, "macs": count({})}


def text(cost, pixels=False):
    """What `cost` gave, in words; pixels: what is counted per rows and columns is per pixel."""
    if cost["macs"] is None:
        return "unknown multiply-adds"
    per = cost.get("per") or ""
    per = "pixel" if pixels and per.count(" x ") == 1 else per
    return f"{cost['macs']:,} multiply-adds" + (f" per {per}" if per else "")


# ---- sizes that a graph leaves open ----


def _batch(name, dims):
    """Name of the dimension that counts items: the one called so, else a first one that is open; or None."""
    called = [d for d in dims if isinstance(d, str) and "batch" in d.lower()]
    first = dims[0] if dims and isinstance(dims[0], str) else None
    return called[0] if called else first


def _open(inputs, values, one, shape):
    """({name: size} that `shape` gives, {name: multiple} of those still open), of the inputs' dimensions."""
    sizes, multiples = {}, {}
    for index, name in enumerate(inputs):
        dims = [d for d in values[name] if d not in one]
        fits = index == 0 and shape is not None and len(shape) == len(dims)
        for axis, dim in enumerate(dims):
            if isinstance(dim, str):
                multiple, symbol = onnx_growth.split(dim)
                if fits and isinstance(shape[axis], int) and shape[axis] % multiple == 0:
                    sizes[symbol] = shape[axis] // multiple
                else:
                    multiples.setdefault(symbol, multiple)
    return sizes, {symbol: multiple for symbol, multiple in multiples.items() if symbol not in sizes}


def _closed(name, dims, sizes, is_input):
    """A shape with its open dimensions put in; None where one is not known. What the file says of tensors inside may
    be an expression: those follow from the inputs."""
    out = []
    for axis, dim in enumerate(dims):
        if isinstance(dim, str):
            multiple, symbol = (1, dim) if dim in sizes else onnx_growth.split(dim)
            if symbol not in sizes and axis == 0 and not is_input:
                symbol, sizes = dim, {**sizes, dim: 1}  # a leading dimension is the batch
            if symbol not in sizes:
                return None
            dim = multiple * sizes[symbol]
        out.append(dim)
    return tuple(out)


# ---- the file ----


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

    Returns (name, shape, values); values only of int64 tensors of up to 64 elements, and of float ones of up to 8,
    else None.
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
    if math.prod(shape) > {INT64: 64, FLOAT: 8}.get(kind, -1):
        return name, tuple(shape), None
    size, code = (8, "q") if kind == INT64 else (4, "f")
    if not isinstance(raw, (int, type(None))) and len(raw) % size == 0:
        values = list(struct.unpack(f"<{len(raw) // size}{code}", raw))
    return name, tuple(shape), values if kind == INT64 or raw is not None else None


def _whole(values, floats):
    """The values as integers; None where they are none. floats: whether floats may stand for integers, as scales do."""
    if values is None or any(isinstance(v, float) and not (floats and v.is_integer()) for v in values):
        return None
    return [int(v) for v in values]


def _value_info(message):
    """ValueInfoProto: name (1), type (2) -> tensor_type (1) -> shape (2) -> dim (1) -> value (1).

    A dimension: dim_value (1), or dim_param (2), its name; without either it gets a name of its own. Without a
    shape, None.
    """
    name, shape = "", None
    for number, value in fields(message):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for dims in _descend(value, 1, 2):
                sizes = [dim for n, dim in fields(dims) if n == 1]
                shape = [_dimension(dim) for dim in sizes]
    if shape is not None:
        shape = tuple(d if d is not None else f"{name}[{axis}]" for axis, d in enumerate(shape))
    return name, shape


def _dimension(message):
    """A size, a name, or None."""
    found = None
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            found = value if 0 < value < 1 << 62 else None
        elif number == 2 and not found:
            found = _text(value) or None
    return found


def _descend(message, *path):
    """The sub-messages at a path of field numbers."""
    found = [message]
    for step in path:
        found = [v for m in found for n, v in fields(m) if n == step and not isinstance(v, int)]
    return found


def _node(message):
    """NodeProto: input (1), output (2), op_type (4), attribute (5), domain (7)."""
    node = {"in": [], "out": [], "op": "", "domain": "", "attributes": {}, "texts": {}, "tensor": None}
    for number, value in fields(message):
        if number == 1:
            node["in"].append(_text(value))
        elif number == 2:
            node["out"].append(_text(value))
        elif number == 4:
            node["op"] = _text(value)
        elif number == 5:
            _attribute(value, node)
        elif number == 7:
            node["domain"] = _text(value)
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
    node["texts"][name] = text
    if name == "auto_pad":
        node["attributes"]["auto_pad_same"] = [int(text.startswith("SAME"))]


def _macs(node, shapes):
    """Multiply-adds of one node for one item, None when a shape is missing or the operator is not known."""
    if node["domain"] not in DOMAINS or node["op"] in UNKNOWN:
        return None
    try:
        if node["op"] == "Einsum":
            sizes, _ = onnx_shapes.labels(node, shapes)
            return math.prod(sizes.values()) if len(node["in"]) > 1 else 0
        if node["op"] in RECURRENT:  # every step meets both matrices
            steps, batch = shapes[node["in"][0]][:2]
            return steps * batch * sum(math.prod(shapes[name]) for name in node["in"][1:3])
        if node["op"] not in DENSE:
            return 0
        return _dense(node, *onnx_shapes.operands(node, shapes), shapes[node["out"][0]])
    except (KeyError, TypeError, IndexError, ValueError):
        return None


def _dense(node, first, weight, out):
    if node["op"] == "ConvTranspose":  # every input element meets the whole kernel of its channel
        return math.prod(first) * math.prod(weight[1:])
    if "Conv" in node["op"]:  # every output element is one dot product
        return math.prod(out) * math.prod(weight[1:])
    transposed = node["op"] == "Gemm" and node["attributes"].get("transA", [0])[0]
    return math.prod(out) * first[-2 if transposed else -1]
