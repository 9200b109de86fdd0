#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/operators/*: a small network that measures, its derivative, what does not fit (run in `lab`).

y = z + 0.3 tanh(z), z = W x + b over real planes, whose derivative by x is W^T diag(1.3 - 0.3 tanh(z)^2): both graphs
are written from these equations. weights.npy: [W, b] of the complex one, 8 x 13, in planes.
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent / "operators"
COMPLEX, REAL = (6, 4), ((1, 2, 3), (5,))


def weights(seed, inputs, outputs):
    rng = np.random.default_rng(seed)
    w = rng.standard_normal((outputs, inputs)) * np.sqrt(2 / inputs)
    return w.astype(np.float32), (0.2 * rng.standard_normal(outputs)).astype(np.float32)


def write(name, role, w, b, x, y, layout="planar", domain="complex", shape=None, batch="batch", derivative=False):
    """x, y: shapes of one item in the graph."""
    consts = [
        numpy_helper.from_array(w.T.copy(), "wt"),
        numpy_helper.from_array(w, "w"),
        numpy_helper.from_array(b, "b"),
        numpy_helper.from_array(np.array([0, int(np.prod(x))], np.int64), "flat"),
        numpy_helper.from_array(np.array([0, int(np.prod(y))], np.int64), "flat_y"),
        numpy_helper.from_array(np.array([0, *x], np.int64), "as_x"),
        numpy_helper.from_array(np.array([0, *y], np.int64), "as_y"),
        numpy_helper.from_array(np.float32(0.3), "bend"),
        numpy_helper.from_array(np.float32(1.3), "slope"),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["rows"]),
        helper.make_node("Gemm", ["rows", "wt", "b"], ["z"]),
        helper.make_node("Tanh", ["z"], ["t"]),
        helper.make_node("Mul", ["bend", "t"], ["bent"]),
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *x])]
    if derivative:
        inputs.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, [batch, *y]))
        nodes += [
            helper.make_node("Mul", ["bent", "t"], ["less"]),
            helper.make_node("Sub", ["slope", "less"], ["d"]),
            helper.make_node("Reshape", ["v", "flat_y"], ["vs"]),
            helper.make_node("Mul", ["vs", "d"], ["dv"]),
            helper.make_node("MatMul", ["dv", "w"], ["g"]),
            helper.make_node("Reshape", ["g", "as_x"], ["out"]),
        ]
    else:
        nodes += [helper.make_node("Add", ["z", "bent"], ["s"]), helper.make_node("Reshape", ["s", "as_y"], ["out"])]
    used = {i for n in nodes for i in n.input}
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, [batch, *(x if derivative else y)])
    graph = helper.make_graph(nodes, name, inputs, [out], [c for c in consts if c.name in used])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    said = {"contract": "1", "role": role, "domain": domain, "layout": layout, "shape": json.dumps(shape)}
    for key, value in said.items():
        model.metadata_props.add(key=f"diffsem.{key}", value=value)
    onnx.checker.check_model(model)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def main():
    OUT.mkdir(exist_ok=True)
    n, m = COMPLEX
    w, b = weights(1, 2 * n, 2 * m)
    np.save(OUT / "weights.npy", np.column_stack([w, b]))
    planar = {"x": (2, n), "y": (2, m), "shape": [n]}
    write("network", "operator", w, b, **planar)
    write("network_vjp", "operator_vjp", w, b, **planar, derivative=True)
    write("fixed_batch", "operator", w, b, **planar, batch=3)
    write("fixed_batch_vjp", "operator_vjp", w, b, **planar, batch=3, derivative=True)
    # the same numbers as (re, im): columns and rows of the planes dealt out
    deal_x, deal_y = (np.arange(2 * k).reshape(2, k).T.reshape(-1) for k in (n, m))
    dealt = {"x": (n, 2), "y": (m, 2), "shape": [n], "layout": "interleaved"}
    write("interleaved", "operator", w[deal_y][:, deal_x], b[deal_y], **dealt)
    write("interleaved_vjp", "operator_vjp", w[deal_y][:, deal_x], b[deal_y], **dealt, derivative=True)
    # what does not fit
    write("other_vjp", "operator_vjp", *weights(2, 2 * n, 2 * m), **planar, derivative=True)
    write("doubled_vjp", "operator_vjp", 2 * w, b, **planar, derivative=True)
    fewer = {**planar, "y": (2, m - 1)}
    write("fewer_vjp", "operator_vjp", w[: 2 * m - 2], b[: 2 * m - 2], **fewer, derivative=True)
    write("wrong_role_vjp", "denoiser_vjp", w, b, **planar, derivative=True)
    write("no_planes", "operator", w, b, (2, n), (2 * m,), shape=[n])
    x, y = REAL
    w, b = weights(3, int(np.prod(x)), int(np.prod(y)))
    real = {"x": x, "y": y, "shape": list(x), "domain": "real"}
    write("real", "operator", w, b, **real)
    write("real_vjp", "operator_vjp", w, b, **real, derivative=True)


if __name__ == "__main__":
    main()
