# SPDX-License-Identifier: GPL-3.0-or-later
"""Small .onnx files written in a test, without the package onnx: the messages of onnx.proto that are needed.

model([node("Add", ["x", "w"], ["y"])], [("x", "float32", ["n", 4])], [("y", "float32", ["n", 4])], {"w": array})
"""

import struct

import numpy as np

TYPES = {
    "float32": 1,
    "uint8": 2,
    "int8": 3,
    "uint16": 4,
    "int16": 5,
    "int32": 6,
    "int64": 7,
    "string": 8,
    "bool": 9,
    "float16": 10,
    "float64": 11,
    "uint32": 12,
    "uint64": 13,
    "bfloat16": 16,
}


def varint(value):
    value &= (1 << 64) - 1  # negative ones take ten bytes
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    """A number, a text or a message."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name, array):
    array = np.asarray(array)
    dims = b"".join(field(1, int(d)) for d in array.shape)
    return dims + field(2, TYPES[str(array.dtype)]) + field(8, name) + field(9, array.tobytes())


def _attribute(name, value):
    """AttributeProto: f (2), i (3), s (4), t (5), floats (7), ints (8), strings (9), type (20)."""
    if isinstance(value, float):
        body, kind = varint(2 << 3 | 5) + struct.pack("<f", value), 1
    elif isinstance(value, int):
        body, kind = field(3, value), 2
    elif isinstance(value, str):
        body, kind = field(4, value), 3
    elif isinstance(value, np.ndarray):
        body, kind = field(5, tensor("", value)), 4
    elif value and isinstance(value[0], float):
        body, kind = b"".join(varint(7 << 3 | 5) + struct.pack("<f", v) for v in value), 6
    elif value and isinstance(value[0], str):
        body, kind = b"".join(field(9, v) for v in value), 8
    else:
        body, kind = b"".join(field(8, v) for v in value), 7
    return field(1, name) + body + field(20, kind)


def node(kind, inputs, outputs, domain="", **attributes):
    parts = [field(1, name) for name in inputs] + [field(2, name) for name in outputs]
    parts += [field(4, kind)] + [field(5, _attribute(*item)) for item in attributes.items()]
    return b"".join(parts) + (field(7, domain) if domain else b"")


def _value(name, kind, shape):
    dims = b"".join(field(1, field(1, d) if isinstance(d, int) else field(2, d) if d else b"") for d in shape)
    return field(1, name) + field(2, field(1, field(1, TYPES[kind]) + field(2, dims)))


def model(nodes, inputs, outputs, weights=None, opset=17, ir=8, opsets=None, **metadata):
    """The bytes of a file. Inputs and outputs: (name, type, shape), a dimension a number, a name, or None."""
    graph = b"".join(field(1, n) for n in nodes) + field(2, "made in a test")
    graph += b"".join(field(5, tensor(name, array)) for name, array in (weights or {}).items())
    graph += b"".join(field(11, _value(*i)) for i in inputs) + b"".join(field(12, _value(*o)) for o in outputs)
    imports = {"": opset, **(opsets or {})}
    return (
        field(1, ir)
        + field(7, graph)
        + b"".join(field(8, field(1, domain) + field(2, version)) for domain, version in imports.items())
        + b"".join(field(14, field(1, f"diffsem.{key}") + field(2, value)) for key, value in metadata.items())
    )
