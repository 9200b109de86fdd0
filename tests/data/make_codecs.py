#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/codecs/*: small encoders and decoders, and what does not fit them (run in `lab`).

decoder: content [2, 5] = s + 0.2 tanh(s), s = W z; encoder: z = E content, over real planes of a complex latent [4].
maps.npy: [W, E^T], 10 x 16.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent / "codecs"


def write(name, role, w, into, out, shape, domain, bend=0.0, root=False):
    """out = s + bend tanh(s) of s = W x, or with `root` the square root of what is mostly negative."""
    consts = [
        numpy_helper.from_array(w.T.copy(), "w"),
        numpy_helper.from_array(np.array([0, int(np.prod(into))], np.int64), "flat"),
        numpy_helper.from_array(np.array([0, *out], np.int64), "shape"),
        numpy_helper.from_array(np.float32(bend), "bend"),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["rows"]),
        helper.make_node("MatMul", ["rows", "w"], ["s"]),
        helper.make_node("Sqrt" if root else "Tanh", ["s"], ["t"]),
        helper.make_node("Mul", ["bend", "t"], ["bent"]),
        helper.make_node("Add", ["s", "bent"], ["sum"]),
        helper.make_node("Reshape", ["sum", "shape"], ["y"]),
    ]
    ends = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *s])] for n, s in (("x", into), ("y", out))]
    model = helper.make_model(
        helper.make_graph(nodes, name, *ends, consts), opset_imports=[helper.make_opsetid("", 18)], ir_version=9
    )
    said = {"contract": "1", "role": role, "domain": domain, "layout": "planar", "shape": json.dumps(shape)}
    for key, value in said.items():
        model.metadata_props.add(key=f"diffsem.{key}", value=value)
    onnx.checker.check_model(model)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main():
    OUT.mkdir(exist_ok=True)
    rng = np.random.default_rng(5)
    w = (rng.standard_normal((10, 8)) / 2).astype(np.float32)
    e = np.linalg.pinv(w).astype(np.float32)
    np.save(OUT / "maps.npy", np.column_stack([w, e.T]))
    latent, content = (2, 4), (2, 5)
    write("decoder", "decoder", w, latent, content, [4], "complex", 0.2)
    write("encoder", "encoder", e, content, latent, [2, 5], "real")
    write("real_decoder", "decoder", w, (8,), content, [8], "real", 0.2)
    # what does not fit
    write("long_decoder", "decoder", np.zeros((10, 10), np.float32), (2, 5), content, [5], "complex")
    write("wide_encoder", "encoder", np.zeros((8, 12), np.float32), (2, 6), latent, [2, 6], "real")
    write("short_encoder", "encoder", np.zeros((6, 10), np.float32), content, (2, 3), [2, 5], "real")
    write("endless_decoder", "decoder", w, latent, content, [4], "complex", 1.0, root=True)


if __name__ == "__main__":
    main()
