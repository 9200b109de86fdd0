# SPDX-License-Identifier: GPL-3.0-or-later
"""Conditional denoisers in closed form, as .onnx files: what they are told moves the mean of a Gaussian.

D(x, sigma, m) = (v x + sigma^2 m) / (v + sigma^2) is E[x0 | x] of x0 ~ N(m, v), elements independent.
"""

import json

import numpy as np
import onnx_maker as onnx

MEANS = np.array([[0, 0, 0], [1, -1, 0.5], [-0.7, 0.2, 1.2], [0.3, 0.9, -0.8]], np.float32)  # the first: told nothing
VARIANCE = np.array([0.3, 0.5, 0.2], np.float32)
CLASS = {"name": "class", "type": "int64", "shape": [], "null": -1}


def denoiser(mean, inputs, weights, condition, shape=(3,), domain="real", variance=False, **metadata):
    """The bytes of a net whose nodes `mean` make the tensor `m` of x's shape out of the inputs beside x and sigma;
    `variance`: it states that of its answer, one v for all elements."""
    planes = [2, *shape] if domain == "complex" else list(shape)
    ones = np.array([-1, *[1] * len(planes)], np.int64)
    nodes = [
        *mean,
        onnx.node("Mul", ["sigma", "sigma"], ["s2"]),
        onnx.node("Reshape", ["s2", "ones"], ["s"]),
        onnx.node("Mul", ["x", "v"], ["vx"]),
        onnx.node("Mul", ["s", "m"], ["sm"]),
        onnx.node("Add", ["vx", "sm"], ["sum"]),
        onnx.node("Add", ["s", "v"], ["total"]),
        onnx.node("Div", ["sum", "total"], ["y"]),
    ]
    said = {
        "contract": "1",
        "role": "denoiser",
        "prediction": "x0",
        "input_scaling": "ve",
        "time_embedding": "sigma",
        "shape": json.dumps(list(shape)),
        "domain": domain,
        **({} if condition is None else {"condition": json.dumps(condition)}),
        **metadata,
    }
    outputs = [("y", "float32", ["n", *planes])]
    if variance:
        nodes += [
            onnx.node("Mul", ["s", "v"], ["sv"]),
            onnx.node("Div", ["sv", "total"], ["left"]),
            onnx.node("Log", ["left"], ["log"]),
            onnx.node("Add", ["log", "flat"], ["log_variance"]),
        ]
        weights = {"flat": np.zeros([1, 1, *shape], np.float32), **weights}
        outputs.append(("log_variance", "float32", ["n", 1, *shape]))
        said["learned_variance"] = "log_variance"
    weights = {"ones": ones, "v": VARIANCE if domain == "real" else np.float32(0.5), **weights}
    first = [("x", "float32", ["n", *planes]), ("sigma", "float32", ["n"])]
    return onnx.model(nodes, [*first, *inputs], outputs, weights, **said)


def classes(path, condition=(CLASS,), kind="int64", shape=(), name="class", means=MEANS, shape_of_x=(3,), **metadata):
    """Writes a net that is told one of three classes, or -1; its path as a scheme's name."""
    weights = {"means": means, "one": np.array(1, np.int64)}
    mean = [onnx.node("Add", [name, "one"], ["index"]), onnx.node("Gather", ["means", "index"], ["m"])]
    declared = condition and list(condition)
    path.write_bytes(denoiser(mean, [(name, kind, ["n", *shape])], weights, declared, shape_of_x, **metadata))
    return str(path)


def shifts(path, **metadata):
    """Writes a net that is told the mean itself, three numbers without a null, and how much of it counts."""
    condition = [
        {"name": "position", "type": "float32", "shape": [3]},
        {"name": "share", "type": "float32", "shape": [], "null": 1.0},
    ]
    mean = [
        onnx.node("Reshape", ["share", "column"], ["part"]),
        onnx.node("Mul", ["position", "part"], ["m"]),
    ]
    inputs = [("position", "float32", ["n", 3]), ("share", "float32", ["n"])]
    path.write_bytes(denoiser(mean, inputs, {"column": np.array([-1, 1], np.int64)}, condition, **metadata))
    return str(path)


def follows(path, share=0.9, domain="real", **metadata):
    """Writes a net for a signal that goes on: the mean is `share` of the answer before."""
    planes = [2, 3] if domain == "complex" else [3]
    condition = [{"name": "before", "type": "float32", "shape": planes, "from": "previous"}]
    mean = [onnx.node("Mul", ["before", "share"], ["m"])]
    inputs = [("before", "float32", ["n", *planes])]
    path.write_bytes(denoiser(mean, inputs, {"share": np.float32(share)}, condition, domain=domain, **metadata))
    return str(path)


def answer(y, noise_var, mean, variance=VARIANCE):
    """E[x0 | y] in closed form."""
    return (variance * y + noise_var * mean) / (variance + noise_var)
