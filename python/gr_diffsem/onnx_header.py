# SPDX-License-Identifier: GPL-3.0-or-later
"""What an .onnx file says of itself, in pure Python: inputs, outputs, opset, metadata.

Imports neither onnx nor protobuf nor onnxruntime: GRC asks for the ports of a model at every
keystroke, and the answer is kept until the file or its sidecar changes.
"""

import functools
import json
import math
import os

from .onnx_cost import _text, fields

MAX_BYTES = 512 << 20
TYPES = (
    *("undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool"),
    *("float16", "float64", "uint32", "uint64"),
)
INTEGERS = ("uint8", "int8", "int32", "int64", "bool")
UNKNOWN = {"in_type": "float", "in_vlen": 1, "out_type": "float", "out_vlen": 1}


def read_header(path):
    """{"inputs", "outputs", "opset", "opsets", "producer", "metadata"} of a file; raises ValueError, OSError.

    Inputs and outputs are {"name", "type", "shape"}; an open dimension is its name, or None without one.
    Inputs that are merely initialisers are left out. `opset` is that of ai.onnx.
    """
    status = os.stat(path)
    if status.st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
    return _read(str(path), status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=64)
def _read(path, mtime, size):
    with open(path, "rb") as file:
        data = memoryview(file.read(MAX_BYTES))
    header = {"inputs": [], "outputs": [], "opset": None, "opsets": {}, "producer": "", "metadata": {}}
    initialisers, graphs = set(), 0
    for number, value in fields(data):
        if number == 2 and not isinstance(value, int):
            header["producer"] = _text(value)
        elif number == 7:
            graphs += 1
            _graph(value, header, initialisers)
        elif number == 8:
            entry = dict(fields(value))
            header["opsets"][_text(entry.get(1, b"")) or "ai.onnx"] = _number(entry.get(2, 0))
        elif number == 14:
            entry = dict(fields(value))
            header["metadata"][_text(entry.get(1, b""))] = _text(entry.get(2, b""))
    if not graphs:
        raise ValueError(f"{path} is not an ONNX model: there is no graph in it")
    header["opset"] = header["opsets"].get("ai.onnx")
    header["inputs"] = [t for t in header["inputs"] if t["name"] not in initialisers]
    return header


def _graph(message, header, initialisers):
    for number, value in fields(message):
        if number == 5:
            initialisers.add(next((_text(v) for n, v in fields(value) if n == 8), ""))
        elif number in (11, 12):
            header["inputs" if number == 11 else "outputs"].append(_value(value))


def _value(message):
    """ValueInfoProto: name (1), type (2) -> tensor_type (1) -> elem_type (1), shape (2) -> dim (1)."""
    tensor = {"name": "", "type": None, "shape": None}
    for number, value in fields(message):
        if number == 1:
            tensor["name"] = _text(value)
        elif number == 2:
            for kind, body in fields(value):
                if kind == 1:
                    _tensor_type(body, tensor)
    return tensor


def _tensor_type(message, tensor):
    for number, value in fields(message):
        if number == 1:
            value = _number(value)
            tensor["type"] = TYPES[value] if value < len(TYPES) else f"type {value}"
        elif number == 2:
            tensor["shape"] = [_dimension(dim) for n, dim in fields(value) if n == 1]


def _dimension(message):
    entry = dict(fields(message))
    size = _number(entry.get(1, 0))
    if 0 < size < 1 << 62:
        return size
    return _text(entry.get(2, b"")) or None


def _number(value):
    if not isinstance(value, int):
        raise ValueError("not an ONNX file: a text where a number belongs")
    return value


def metadata(path):
    """The metadata of a file, filled up from its sidecar `model.onnx.json`; all values strings."""
    found = {}
    if os.path.isfile(f"{path}.json"):
        with open(f"{path}.json", encoding="utf-8") as file:
            sidecar = json.load(file)
        found = {k: v if isinstance(v, str) else json.dumps(v) for k, v in sidecar.items()}
    return {**found, **read_header(path)["metadata"]}


def ports(model, **said):
    """The ports that the block onnx_inference will have: {"in_type", "in_vlen", "out_type", "out_vlen"}.

    `said` are the block's own parameters of the same names; they win. For GRC: never raises, an
    unreadable file gives floats of length 1 (the block itself then says what is wrong).
    """
    try:
        return _ports(os.path.expanduser(model), said)
    except Exception:
        result = dict(UNKNOWN)
        for key in result:
            if said.get(key) not in (None, "", 0, "auto"):
                result[key] = said[key]
        return result


def problem(model):
    """Why GRC cannot use this file, in one sentence; empty when it can."""
    if not model:
        return "no model is given: choose an .onnx file"
    try:
        read_header(os.path.expanduser(model))
    except (ValueError, OSError, TypeError) as error:
        return f"{model} cannot be read: {error}"
    return ""


def _ports(model, said):
    header, meta = read_header(model), metadata(model)

    def value(key):
        given = said.get(key)
        return meta.get(f"diffsem.{key}", "") if given in (None, "", "auto") else given

    x = _pick(header["inputs"], value("input"))
    y = _pick(header["outputs"], value("output"))
    layout = value("layout")
    domain = meta.get("diffsem.domain", "complex" if layout else "real")
    in_type = _given(said, "input_type") or ("complex" if domain == "complex" else "float")
    item = said.get("shape") or json.loads(meta.get("diffsem.shape", "[]"))
    batched = _has_batch(x["shape"], value("batch_axis"), list(item), in_type == "complex", layout)
    total = math.prod(item) if item else _count(x["shape"], batched)
    width = total * (2 if item and in_type == "complex" else 1)
    elements = width // 2 if in_type == "complex" else width

    given = y["shape"]
    out = _count(given, batched if given else None)
    if out is None and given and x["shape"]:  # open dimensions of the same name are of the same size
        known = dict(zip(x["shape"][-len(item) :], item, strict=False)) if item else {}
        out = _count([known.get(d, d) for d in given], batched)
    same = out == width and meta.get("diffsem.layout")
    out_type = _given(said, "output_type")
    if not out_type and y["type"] in INTEGERS:
        out_type = "int"
    elif not out_type:
        out_type = "complex" if said.get("output_layout") or (same and in_type == "complex") else "float"
    out = out or 1
    return {
        "in_type": in_type,
        "in_vlen": said.get("in_vlen") or elements or 1,
        "out_type": out_type,
        "out_vlen": said.get("out_vlen") or (out // 2 if out_type == "complex" else out),
    }


def _given(said, key):
    return said.get(key) if said.get(key) not in (None, "", "auto") else ""


def _pick(tensors, name):
    return next((t for t in tensors if not name or t["name"] == name), tensors[0])


def _has_batch(shape, axis, item, is_complex, layout):
    """The axis that counts items, or None: the same rule as the block's."""
    if axis == "none" or not shape:
        return None
    if axis not in ("", None):
        return int(axis)
    if item:
        planes = ([2, *item] if layout != "interleaved" else [*item, 2]) if is_complex else item
        rest = shape[1:]
        bare = [d for d in rest if d != 1], [d for d in planes if d != 1]
        fits = len(bare[0]) == len(bare[1]) or len(rest) == len(planes)
        return 0 if fits else None
    if not isinstance(shape[0], int):
        return 0
    if len(shape) == 1 or (is_complex and layout != "interleaved" and shape[0] == 2):
        return None
    return 0


def _count(shape, batch):
    """Elements of one item; None when a dimension is open."""
    if shape is None:
        return None
    rest = [d for i, d in enumerate(shape) if i != batch]
    return math.prod(rest) if all(isinstance(d, int) for d in rest) else None
