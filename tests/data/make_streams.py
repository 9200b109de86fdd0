#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/streams/*.onnx: graphs for several streams and for windows (run in `lab`; seeded).

several          complex, float and int in; float, int and complex out; says nothing of itself
declared         the same, and its metadata list two inputs and two outputs
conv             complex, any length; output t sees t - 6 to t + 6, through a tanh
conv_causal      complex, any length; output t sees t - 6 to t
halved           complex, 64 samples; 32 outputs, of which t sees 2 t - 2 to 2 t + 2
soft_bits        complex, 32 samples; three values for each, which lie [3, 32]
identity         [n, time, features], all open
negated          the same, -x
slow             the same, -x after about a millisecond for each value
fragile          the same, -x; no number where |x| is larger than 10
added            a + b, both [n, time]
"""

import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OUT = pathlib.Path(__file__).parent / "streams"
FLOAT, INT32, INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
info = helper.make_tensor_value_info


def save(name, nodes, taken, given, weights=(), **metadata):
    initialisers = [numpy_helper.from_array(value, key) for key, value in dict(weights).items()]
    graph = helper.make_graph(nodes, name, taken, given, initialisers)
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="make_streams")
    if metadata:
        said = {"contract": "1", "role": "test", **metadata}
        helper.set_model_props(model, {f"diffsem.{key}": value for key, value in said.items()})
    onnx.checker.check_model(model)
    (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def several(name, **metadata):
    """soft = |iq|^2 sum(gain); index = argmax(soft) + offset; turned = iq mean(gain)."""
    nodes = [
        helper.make_node("Mul", ["iq", "iq"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "one"], ["power"], keepdims=0),
        helper.make_node("ReduceSum", ["gain", "one"], ["total"], keepdims=1),
        helper.make_node("Mul", ["power", "total"], ["soft"]),
        helper.make_node("ArgMax", ["soft"], ["best"], axis=1, keepdims=0),
        helper.make_node("Cast", ["offset"], ["wide"], to=INT64),
        helper.make_node("Add", ["best", "wide"], ["index"]),
        helper.make_node("Unsqueeze", ["total", "one"], ["factor"]),
        helper.make_node("Mul", ["iq", "factor"], ["turned"]),
    ]
    inputs = [info("iq", FLOAT, ["n", 2, 16]), info("gain", FLOAT, ["n", 4]), info("offset", INT32, ["n"])]
    outputs = [
        info("soft", FLOAT, ["n", 16]),
        info("index", INT64, ["n"]),
        info("turned", FLOAT, ["n", 2, 16]),
    ]
    save(name, nodes, inputs, outputs, {"one": np.array([1], np.int64)}, **metadata)


def convolutions(name, layers, length, out_length, out_planes=2):
    """layers: (planes out, kernel, pads, stride); tanh between them. No biases: zeros give zeros."""
    rng = np.random.default_rng(len(name))
    nodes, weights, planes, x = [], {}, 2, "x"
    for i, (out, kernel, pads, stride) in enumerate(layers):
        weights[f"w{i}"] = rng.normal(0, 1 / np.sqrt(planes * kernel), (out, planes, kernel)).astype(np.float32)
        last = i == len(layers) - 1
        y = "y" if last else f"h{i}"
        nodes.append(helper.make_node("Conv", [x, f"w{i}"], [y], pads=pads, strides=[stride]))
        if not last:
            nodes.append(helper.make_node("Tanh", [y], [f"a{i}"]))
        planes, x = out, f"a{i}"
    inputs, outputs = [info("x", FLOAT, ["n", 2, length])], [info("y", FLOAT, ["n", out_planes, out_length])]
    save(name, nodes, inputs, outputs, weights)


def with_nothing(name, nodes, **weights):
    """y = 0 extra - x, where the nodes compute `extra`; or what they say y is."""
    if nodes[-1].output[0] == "extra":
        nodes += [helper.make_node("Mul", ["extra", "zero"], ["nothing"])]
        nodes += [helper.make_node("Sub", ["nothing", "x"], ["y"])]
        weights["zero"] = np.array(0, np.float32)
    shape = ["n", "time", "features"]
    save(name, nodes, [info("x", FLOAT, shape)], [info("y", FLOAT, shape)], weights)


def main():
    OUT.mkdir(exist_ok=True)
    several("several")
    several(
        "declared",
        inputs=json.dumps([{"name": "iq", "type": "complex", "layout": "planar"}, "gain"]),
        outputs=json.dumps(["soft", {"name": "index", "type": "int"}]),
        constants=json.dumps({"offset": 100}),
    )
    convolutions("conv", [(4, 9, [4, 4], 1), (2, 5, [2, 2], 1)], "time", "time")
    convolutions("conv_causal", [(4, 5, [4, 0], 1), (2, 3, [2, 0], 1)], "time", "time")
    convolutions("halved", [(2, 5, [2, 2], 2)], 64, 32)
    convolutions("soft_bits", [(3, 3, [1, 1], 1)], 32, 32, out_planes=3)
    shape = ["n", "time", "features"]
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    save("identity", nodes, [info("x", FLOAT, shape)], [info("y", FLOAT, shape)])
    with_nothing("negated", [helper.make_node("Neg", ["x"], ["y"])])
    nodes = [helper.make_node("Tile", ["x", "repeats"], ["a0"])]
    nodes += [helper.make_node("Cos", [f"a{i}"], [f"a{i + 1}"]) for i in range(4)]
    nodes += [helper.make_node("ReduceMean", ["a4"], ["extra"], axes=[1, 2], keepdims=1)]
    with_nothing("slow", nodes, repeats=np.array([1, 1, 16384], np.int64))
    nodes = [helper.make_node("Mul", ["x", "x"], ["square"]), helper.make_node("Sub", ["most", "square"], ["left"])]
    nodes += [helper.make_node("Sqrt", ["left"], ["extra"])]
    with_nothing("fragile", nodes, most=np.array(100, np.float32))
    shape, nodes = ["n", "time"], [helper.make_node("Add", ["a", "b"], ["y"])]
    save("added", nodes, [info("a", FLOAT, shape), info("b", FLOAT, shape)], [info("y", FLOAT, shape)])


if __name__ == "__main__":
    main()
