#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/priors/*.onnx: one Gaussian denoiser in every parametrisation (run in `lab`).

The prior is independent and Gaussian, of variance VARIANCES[i] in element i, so that
D(x, sigma) = v / (v + sigma^2) x. Each file computes what its net would have been trained to
predict, from what its net would see; the core must turn all of them into the same D.
"""

import itertools
import json
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

VARIANCES = np.array([0.2, 0.8, 1.2, 1.8], np.float32)  # mean power 1
SCHEDULE = {"type": "linear_vp", "steps": 100, "beta_min": 1e-4, "beta_max": 0.1}
OUT = pathlib.Path(__file__).parent / "priors"
# Written with their derivative, NAME_vjp.onnx: these nets are linear in x, so J^T v is what the net makes of v.
WITH_VJP = {"x0_ve", "eps_vp", "v_flow", "score_vp", "flow_flow", "timestep", "interleaved", "real", "per_element",
            "fixed_batch", "half_std", "graph_normalised", "variance", "no_time"}  # fmt: skip


class Graph:
    """Strings together element-wise operators; values are names, numbers become constants."""

    def __init__(self):
        self.nodes, self.initialisers, self.count = [], [], 0

    def const(self, value, dtype=np.float32):
        self.count += 1
        name = f"c{self.count}"
        self.initialisers.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def op(self, kind, *inputs, **attributes):
        self.count += 1
        name = f"v{self.count}"
        inputs = [i if isinstance(i, str) else self.const(i) for i in inputs]
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def reshape(self, x, shape):
        return self.op("Reshape", x, self.const(shape, np.int64))


def sigma_of(g, kind, t, to_data=False):
    """The noise level (in the net's units) from the embedding; to_data: of a flow whose time is 1 at the data."""
    one = 1.0
    if kind == "flow_time" and to_data:
        return g.op("Div", g.op("Sub", one, t), t)
    if kind == "sigma":
        return t
    if kind == "log_sigma":
        return g.op("Exp", t)
    if kind == "alpha_bar":
        return g.op("Sqrt", g.op("Div", g.op("Sub", one, t), t))
    if kind == "flow_time":
        return g.op("Div", t, g.op("Sub", one, t))
    if kind == "timestep":  # log sigma is linear between the steps
        beta = np.linspace(SCHEDULE["beta_min"], SCHEDULE["beta_max"], SCHEDULE["steps"])
        abar = np.cumprod(1 - beta)
        table = g.const(0.5 * np.log((1 - abar) / abar))
        low = g.op("Min", g.op("Floor", t), float(SCHEDULE["steps"] - 2))
        part = g.op("Sub", t, low)
        index = g.op("Cast", low, to=TensorProto.INT64)
        a = g.op("Gather", table, index)
        b = g.op("Gather", table, g.op("Add", index, g.const(1, np.int64)))
        return g.op("Exp", g.op("Add", a, g.op("Mul", part, g.op("Sub", b, a))))
    raise ValueError(kind)


def network(g, x_in, s, variances, prediction, scaling, to_data=False):
    """What a perfect net of this parametrisation answers, given its scaled input."""
    s2 = g.op("Mul", s, s)
    noisy = g.op("Add", 1.0, s2)
    abar = g.op("Reciprocal", noisy)
    std = g.op("Mul", s, g.op("Sqrt", abar))  # sqrt(1 - abar)
    t = g.op("Div", s, g.op("Add", 1.0, s))
    unscale = {"ve": 1.0, "vp": g.op("Sqrt", noisy), "flow": g.op("Add", 1.0, s)}[scaling]
    x = g.op("Mul", x_in, unscale)
    gain = g.op("Div", variances, g.op("Add", variances, s2))
    x0 = g.op("Mul", gain, x)
    eps = g.op("Div", g.op("Sub", x, x0), s)
    if prediction == "x0":
        return x0
    if prediction == "eps":
        return eps
    if prediction == "v":
        return g.op("Sub", g.op("Mul", g.op("Sqrt", abar), eps), g.op("Mul", std, x0))
    if prediction == "flow":
        return g.op("Sub", x0, eps) if to_data else g.op("Sub", eps, x0)
    if prediction == "score":
        return g.op("Neg", g.op("Div", eps, {"ve": s, "vp": std, "flow": t}[scaling]))
    raise ValueError(prediction)


def build(
    name,
    prediction="x0",
    scaling="vp",
    embedding="sigma",
    layout="planar",
    domain="complex",
    per_element=False,
    batch="batch",
    std=1.0,
    by_graph=False,
    variance=False,
    integer_time=False,
    fragile=False,
    to_data=False,
    n=4,
    extra=None,
    derivative=False,
):
    if name in WITH_VJP and not derivative:
        options = (layout, domain, per_element, batch, std, by_graph, False, integer_time)
        build(name, prediction, scaling, embedding, *options, n=n, derivative=True)
    g = Graph()
    variances = np.resize(VARIANCES, n)
    is_complex = domain == "complex"
    shape = {"planar": [2, n], "magnitude_phase": [2, n], "interleaved": [n, 2]}[layout]
    if not is_complex:
        shape = [n]
    rank = len(shape)
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, *shape])]
    if embedding == "none":  # an unconditional net: a fixed Wiener gain at sigma = 1
        s = g.const(np.ones([1] * (rank + 1)))
    else:
        kind = TensorProto.INT64 if integer_time else TensorProto.FLOAT
        tshape = [batch, 1, n] if per_element else [batch]
        inputs.append(helper.make_tensor_value_info("t", kind, tshape))
        t = g.op("Cast", "t", to=TensorProto.FLOAT) if integer_time else "t"
        t = g.reshape(t, [-1, 1, n] if per_element else [-1] + [1] * rank)
        if per_element and layout == "interleaved":
            t = g.reshape(t, [-1, n, 1])
        s = sigma_of(g, embedding, t, to_data)
    if derivative:
        inputs.append(helper.make_tensor_value_info("v", TensorProto.FLOAT, [batch, *shape]))
    scale = std * (np.sqrt(2) if is_complex else 1.0)
    column = is_complex and layout == "interleaved"
    v = g.const((variances * std**2).reshape([1, n, 1] if column else [1] * rank + [n]))
    x = "v" if derivative else "x"
    if by_graph:
        x = g.op("Mul", x, float(scale))
    if layout == "magnitude_phase":
        g.nodes.append(helper.make_node("Split", [x], ["mag", "phase"], axis=1))
        re = g.op("Mul", "mag", g.op("Cos", "phase"))
        im = g.op("Mul", "mag", g.op("Sin", "phase"))
        y = network(g, g.op("Concat", re, im, axis=1), s, v, prediction, scaling)
        g.nodes.append(helper.make_node("Split", [y], ["re", "im"], axis=1))
        # Every coefficient is real, so the phase is that of the input, or opposite to it.
        sign = g.op("Sign", g.op("Add", g.op("Mul", "re", re), g.op("Mul", "im", im)))
        power = g.op("Add", g.op("Mul", "re", "re"), g.op("Mul", "im", "im"))
        y = g.op("Concat", g.op("Mul", sign, g.op("Sqrt", power)), "phase", axis=1)
    else:
        y = network(g, x, s, v, prediction, scaling, to_data)
    if by_graph:
        y = g.op("Div", y, float(scale))
    if fragile:  # no number where the net's input is larger than 10
        y = g.op("Add", y, g.op("Mul", 0.0, g.op("Sqrt", g.op("Sub", 100.0, g.op("Mul", x, x)))))
    g.nodes.append(helper.make_node("Identity", [y], ["y"]))
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, *shape])]
    if variance:  # posterior variance v s^2 / (v + s^2), as a log, in the units of the signal
        s2 = g.op("Mul", s, s)
        relative = g.op("Div", g.op("Mul", v, s2), g.op("Add", v, s2))
        log = g.op("Log", g.op("Div", relative, float(std**2)))
        g.nodes.append(helper.make_node("Identity", [g.reshape(log, [-1, 1, n])], ["log_variance"]))
        outputs.append(helper.make_tensor_value_info("log_variance", TensorProto.FLOAT, [batch, 1, n]))
    graph = helper.make_graph(g.nodes, "gaussian", inputs, outputs, g.initialisers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model.producer_name = "make_onnx_priors"
    meta = {
        "diffsem.contract": "1",
        "diffsem.role": "denoiser",
        "diffsem.prediction": prediction,
        "diffsem.input_scaling": scaling,
        "diffsem.time_embedding": embedding,
        "diffsem.layout": layout,
        "diffsem.shape": json.dumps([n]),
        "diffsem.domain": domain,
        "diffsem.sigma_range": "[0.02, 20]",
        "diffsem.normalisation": json.dumps({"component_std": std, "applied_by": "graph" if by_graph else "runtime"}),
        "diffsem.learned_variance": "log_variance" if variance else "none",
    }
    if embedding == "timestep":
        meta["diffsem.schedule"] = json.dumps(SCHEDULE)
        meta["diffsem.sigma_range"] = "[0.02, 10]"
    if to_data:
        meta["diffsem.flow_time"] = "data"
    meta.update(extra or {})
    if derivative:
        meta = {"diffsem.contract": "1", "diffsem.role": "denoiser_vjp"}
    helper.set_model_props(model, meta)
    onnx.checker.check_model(model)
    (OUT / f"{name}{'_vjp' if derivative else ''}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def foreign_ops():
    """Files that must be refused."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 2, 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 2, 4])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme.radio", 1)]

    def save(name, nodes, initialisers=()):
        graph = helper.make_graph(nodes, "g", [x], [y], list(initialisers))
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        (OUT / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))

    save("bad_custom_op", [helper.make_node("Demap", ["x"], ["y"], domain="acme.radio")])
    for name, location in (
        ("bad_external_escape", "../make_onnx_priors.py"),
        ("bad_external_absolute", "/etc/passwd"),
        ("bad_external_missing", "nowhere.bin"),
        ("external_inside", "external_inside.bin"),
    ):
        w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4])
        w.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", "0"), ("length", "16")):
            w.external_data.add(key=key, value=value)
        save(name, [helper.make_node("Mul", ["x", "w"], ["y"])], [w])
    (OUT / "external_inside.bin").write_bytes(np.array([1, 2, 3, 4], "<f4").tobytes())
    w = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 30, 1 << 30, 4])
    save("bad_huge_tensor", [helper.make_node("Mul", ["x", "w"], ["y"])], [w])


def main():
    OUT.mkdir(exist_ok=True)
    embeddings = itertools.cycle(["sigma", "log_sigma", "alpha_bar", "flow_time"])
    for prediction, scaling in itertools.product(["x0", "eps", "v", "score", "flow"], ["ve", "vp", "flow"]):
        build(f"{prediction}_{scaling}", prediction, scaling, next(embeddings))
    build("timestep", "eps", "vp", "timestep")
    build("timestep_int", "eps", "vp", "timestep", integer_time=True)
    build("interleaved", "eps", "vp", layout="interleaved")
    build("magnitude_phase", "eps", "vp", layout="magnitude_phase")
    build("real", "v", "vp", domain="real")
    build("per_element", "eps", "vp", "log_sigma", per_element=True, variance=True)
    build("per_element_interleaved", "x0", "ve", layout="interleaved", per_element=True)
    build("fixed_batch", "eps", "vp", batch=3)
    build("half_std", "eps", "vp", std=0.5)
    build("graph_normalised", "x0", "vp", by_graph=True)
    build("variance", "flow", "flow", "flow_time", variance=True)
    build("flow_to_data", "flow", "flow", "flow_time", to_data=True)
    build("no_time", "x0", "ve", "none")
    build("fragile", "x0", "ve", fragile=True)
    build("fragile64", "x0", "ve", fragile=True, n=64)
    foreign_ops()


if __name__ == "__main__":
    main()
