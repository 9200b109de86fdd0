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
    *("float16", "float64", "uint32", "uint64", "complex64", "complex128", "bfloat16"),
)
INTEGERS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "bool")
# What other kinds of model files begin with: (at, mark, what to say).
OTHER_FORMATS = (
    (4, b"ORTM", "is in ONNX Runtime's own format (.ort): give the .onnx file that it was made from"),
    (4, b"TFL3", "is a TensorFlow Lite model: convert it with tf2onnx"),
    (0, b"PK\x03\x04", "is a zip archive, as PyTorch and Keras save models: export it to .onnx"),
    (0, b"\x89HDF", "is an HDF5 file, as Keras saves models: export it to .onnx"),
)
SINGLE = {  # the parameters of a block with one input and one output, and what its lists call them
    "inputs": {"input": "name", "input_type": "type", "layout": "layout", "shape": "shape", "in_vlen": "vlen"},
    "outputs": {"output": "name", "output_type": "type", "output_layout": "layout", "out_vlen": "vlen"},
}


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
    for at, mark, remedy in OTHER_FORMATS:
        if data[at : at + len(mark)] == mark:
            raise ValueError(f"{path} {remedy}")
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
    """The ports of the block onnx_inference: {"inputs": [{"type", "vlen"}, ...], "outputs": [...]}.

    `said` are the block's own parameters of the same names; they win. For GRC: never raises, an
    unreadable file gives floats of length 1 (the block itself then says what is wrong).
    """
    try:
        return _ports(os.path.expanduser(model), said)
    except Exception:
        sides = {side: _said_streams(said, side) or [{}] for side in SINGLE}
        return {
            side: [{"type": s.get("type") or "float", "vlen": s.get("vlen") or 1} for s in streams]
            for side, streams in sides.items()
        }


def grc_port(said, side, index):
    """One port as GRC draws it: {"type", "vlen", "hide"}; `said`: the values of all its parameters."""
    found = ports(**{key: value for key, value in said.items() if not key.startswith("_")})[side]
    hide = index >= len(found)
    port = found[0 if hide else index]
    return {**port, "type": "f64" if port["type"] == "double" else port["type"], "hide": hide}


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
    wanted = {side: _said_streams(said, side) or _listed(meta, side) or [{}] for side in SINGLE}
    alone = len(wanted["inputs"]) == 1
    axis = _given(said, "batch_axis") or meta.get("diffsem.batch_axis", "")
    fixed, fed = (json.loads(_given(said, k) or meta.get(f"diffsem.{k}") or "{}") for k in ("constants", "state"))
    needs_none = {"inputs": {*fixed, *fed}, "outputs": set(fed.values())}
    vlen = _sample if said.get("overlap", "none") != "none" else _whole
    result, known, first = {"inputs": [], "outputs": []}, {}, None
    for stream in wanted["inputs"]:
        if alone:  # then "the" item of the metadata is this one
            named = {key: meta.get(f"diffsem.{name}", "") for name, key in SINGLE["inputs"].items()}
            named["shape"] = json.loads(named["shape"] or "[]")
            stream = {**named, **stream}
        x = _pick(header["inputs"], stream.get("name"), needs_none["inputs"])
        layout = stream.get("layout")
        domain = meta.get("diffsem.domain") if alone else None
        kind = stream.get("type") or domain or ("complex" if layout else "real")
        kind = _natural(x["type"]) if kind == "real" else kind
        item = list(stream.get("shape") or [])
        planes = ([2, *item] if layout != "interleaved" else [*item, 2]) if item and kind == "complex" else item
        batch = _has_batch(x["shape"], axis, planes)
        dims = [d for i, d in enumerate(x["shape"] or []) if i != batch]
        if item:
            if len(dims) != len(planes):  # the graph's own dimensions of 1 are not in the shape
                dims = [d for d in dims if d != 1]
            known.update(zip(dims, planes, strict=False))
            dims = planes
        first = first or {"type": kind, "layout": layout, "width": _count(dims), "batch": batch}
        result["inputs"].append({"type": kind, "vlen": stream.get("vlen") or vlen(dims, kind, layout, said)})

    if len(wanted["outputs"]) == 1:
        wanted["outputs"] = [{"name": meta.get("diffsem.output", ""), **wanted["outputs"][0]}]
    for stream in wanted["outputs"]:
        y = _pick(header["outputs"], stream.get("name"), needs_none["outputs"])
        # Open dimensions of the same name are of the same size.
        given = y["shape"] if y["shape"] is not None else [None]
        dims = [known.get(d, d) for i, d in enumerate(given) if i != first["batch"]]
        same = _count(dims) is not None and _count(dims) == first["width"] and meta.get("diffsem.layout")
        kind = stream.get("type")
        if not kind and y["type"] in INTEGERS:
            kind = "int"
        elif not kind:
            is_complex = stream.get("layout") or (same and first["type"] == "complex")
            kind = "complex" if is_complex else _natural(y["type"])
        layout = stream.get("layout") or first["layout"]
        result["outputs"].append({"type": kind, "vlen": stream.get("vlen") or vlen(dims, kind, layout, said)})
    return result


def _said_streams(said, side):
    """What the block is told of its ports on one side, as a list of dictionaries; empty: nothing."""
    if said.get(side):
        several = said[side] if isinstance(said[side], (list, tuple)) else [said[side]]
        return [_stream(s) for s in several]
    one = {key: _given(said, name) for name, key in SINGLE[side].items()}
    one = {key: value for key, value in one.items() if value}
    return [one] if one else []


def _listed(meta, side):
    return [_stream(s) for s in json.loads(meta.get(f"diffsem.{side}", "[]"))]


def _stream(said):
    return {"name": said} if isinstance(said, str) else said if isinstance(said, dict) else {}


def _given(said, key):
    return said.get(key) if said.get(key) not in (None, "", "auto") else ""


def _whole(dims, kind, layout, said):
    """Elements of one inference."""
    width = _count(dims) or 1
    return width // 2 if kind == "complex" else width


def _sample(dims, kind, layout, said):
    """Elements of one sample of a window: those of the dimensions that are not time."""
    dims = [d for d in dims if d != 1]
    if kind == "complex" and dims:
        dims = dims[:-1] if layout == "interleaved" else dims[1:]
    time = {"first": 0, "last": -1}.get(said.get("time_axis") or "")
    if len(dims) < 2 or time is None or _count(dims) is None:
        return 1
    return _count(dims) // dims[time]


def _natural(tensor_type):
    """The port that loses nothing of a tensor."""
    return "double" if tensor_type == "float64" else "int" if tensor_type in INTEGERS else "float"


def _pick(tensors, name, taken=()):
    """The tensor of that name; without one the first that needs a stream."""
    free = [t for t in tensors if t["name"] not in taken] or tensors
    return next((t for t in tensors if name and t["name"] == name), free[0])


def _has_batch(shape, axis, item):
    """The axis that counts items, or None: the same rule as the block's. `item`: with its planes."""
    if axis == "none" or not shape:
        return None
    if axis not in ("", None):
        return int(axis)
    if item:
        rest = shape[1:]
        if _fits(shape, item):
            return None
        return 0 if _fits(*([d for d in dims if d != 1] for dims in (rest, item))) or _fits(rest, item) else None
    return 0 if not isinstance(shape[0], int) or (len(shape) > 1 and shape[0] == 1) else None


def _fits(shape, item):
    return len(shape) == len(item) and all(not isinstance(d, int) or d == n for d, n in zip(shape, item, strict=True))


def _count(dims):
    """Their product; None when a dimension is open."""
    return math.prod(dims) if all(isinstance(d, int) for d in dims) else None
