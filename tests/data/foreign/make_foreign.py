#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes graphs as other people make them, for tests of onnx_inference (run in `lab`; seeded).

None of them knows anything of gr-diffsem: no metadata, and the habits of their makers.
"""

import pathlib
import warnings

import numpy as np
import onnx
import skl2onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

OUT = pathlib.Path(__file__).parent
SEED = 20


def save(model, name):
    for node in model.graph.node:
        node.doc_string = ""  # stack traces of the exporter: not deterministic
        del node.metadata_props[:]
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.metadata_props[:]
    opsets = sorted(model.opset_import, key=lambda o: o.domain)
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    onnx.checker.check_model(model)
    (OUT / name).write_bytes(model.SerializeToString(deterministic=True))


def export(net, x, name, opset, **options):
    net.eval()
    path = OUT / name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, x, str(path), opset_version=opset, external_data=False, **options)
    save(onnx.load(path), name)


class IqClassifier(nn.Module):
    """RadioML's habit: [batch, 2, 128], softmax left to the loss."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(2, 16, 7, padding=3),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.MaxPool1d(4),
            nn.Conv1d(16, 24, 5, padding=2),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.AdaptiveAvgPool1d(1),
            nn.Flatten(),
            nn.Linear(24, 11),
        )
        for module in self.body:  # as after training
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 2.0)

    def forward(self, iq):
        return self.body(iq)


class Recurrent(nn.Module):
    """An LSTM over interleaved IQ [batch, time, 2], last state out."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, 12, batch_first=True)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        y, _ = self.lstm(x)
        return torch.softmax(self.head(y[:, -1]), dim=-1)


class Filter(nn.Module):
    """A denoiser of any length: [batch, 1, time] in and out."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv1d(1, 8, 9, padding=4), nn.Conv1d(8, 1, 9, padding=4)

    def forward(self, x):
        return x + self.b(torch.tanh(self.a(x)))


def hand_made():
    """What a converter from an older framework leaves: opset 11, batch 1, initialisers as inputs."""
    rng = np.random.default_rng(SEED)
    w = numpy_helper.from_array(rng.normal(0, 0.3, (64, 8)).astype(np.float32), "dense/kernel:0")
    b = numpy_helper.from_array(rng.normal(0, 0.3, 8).astype(np.float32), "dense/bias:0")
    shape = numpy_helper.from_array(np.array([1, 64], np.int64), "shape")
    nodes = [
        helper.make_node("Reshape", ["serving_default_input:0", "shape"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense/kernel:0", "dense/bias:0"], ["dense"]),
        helper.make_node("Tanh", ["dense"], ["StatefulPartitionedCall:0"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tf2onnx",
        [
            helper.make_tensor_value_info("serving_default_input:0", TensorProto.FLOAT, [1, 8, 8, 1]),
            helper.make_tensor_value_info("dense/kernel:0", TensorProto.FLOAT, [64, 8]),
            helper.make_tensor_value_info("dense/bias:0", TensorProto.FLOAT, [8]),
        ],
        [helper.make_tensor_value_info("StatefulPartitionedCall:0", TensorProto.FLOAT, [1, 8])],
        [w, b, shape],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=6),
        "keras_fixed_batch_opset11.onnx",
    )


def decisions():
    """Demapper to int64 symbols, float64 inside; opset 13, its output of unnamed length."""
    rng = np.random.default_rng(SEED + 1)
    points = numpy_helper.from_array(rng.normal(0, 1, (1, 16, 2)), "points")
    nodes = [
        helper.make_node("Cast", ["symbols"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Unsqueeze", ["wide", "one"], ["column"]),
        helper.make_node("Sub", ["column", "points"], ["difference"]),
        helper.make_node("ReduceSumSquare", ["difference"], ["distance"], axes=[2], keepdims=0),
        helper.make_node("ArgMin", ["distance"], ["index"], axis=1, keepdims=0),
    ]
    one = numpy_helper.from_array(np.array([1], np.int64), "one")
    graph = helper.make_graph(
        nodes,
        "demapper",
        [helper.make_tensor_value_info("symbols", TensorProto.FLOAT, ["n", 2])],
        [helper.make_tensor_value_info("index", TensorProto.INT64, [None])],
        [points, one],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7),
        "demapper_int64_opset13.onnx",
    )


def with_state():
    """An RNN in ONNX's own order [time, batch, features] that takes its first state as an input."""
    rng = np.random.default_rng(SEED + 2)

    def weights(name, *shape):
        return numpy_helper.from_array(rng.normal(0, 0.4, shape).astype(np.float32), name)

    nodes = [helper.make_node("GRU", ["x", "W", "R", "", "", "h0"], ["seq", "last"], hidden_size=6)]
    graph = helper.make_graph(
        nodes,
        "gru",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [16, "batch", 3]),
            helper.make_tensor_value_info("h0", TensorProto.FLOAT, [1, "batch", 6]),
        ],
        [
            helper.make_tensor_value_info("seq", TensorProto.FLOAT, [16, 1, "batch", 6]),
            helper.make_tensor_value_info("last", TensorProto.FLOAT, [1, "batch", 6]),
        ],
        [weights("W", 1, 18, 3), weights("R", 1, 18, 6)],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8),
        "gru_time_first_opset14.onnx",
    )


def fails_on_data():
    """Looks a value up by the rounded input: an index beyond the table is a runtime error."""
    table = numpy_helper.from_array(np.arange(10, 18, dtype=np.float32), "table")
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "lookup",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
        [table],
    )
    save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), "lookup_fails_on_data.onnx"
    )


def takes_its_time():
    """y = sqrt(x |x|), after as many products of two matrices of zeros as x[0] says; NaN where x is negative."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("MatMul", ["m", "m"], ["product"])],
        "body",
        [
            value("k", TensorProto.INT64, []),
            value("go", TensorProto.BOOL, []),
            value("m", TensorProto.FLOAT, [128, 128]),
        ],
        [value("on", TensorProto.BOOL, []), value("product", TensorProto.FLOAT, [128, 128])],
    )
    first, ends = (numpy_helper.from_array(np.array(v, np.int64), n) for v, n in (([0], "first"), ([1], "one")))
    side = numpy_helper.from_array(np.array([128, 128], np.int64), "side")
    nodes = [
        helper.make_node("ConstantOfShape", ["side"], ["zeros"]),
        helper.make_node("Slice", ["x", "first", "one", "one"], ["many"]),
        helper.make_node("Cast", ["many"], ["trips"], to=TensorProto.INT64),
        helper.make_node("Squeeze", ["trips"], ["trip_count"]),
        helper.make_node("Loop", ["trip_count", "", "zeros"], ["last"], body=body),
        helper.make_node("ReduceSum", ["last"], ["nothing"], keepdims=0),
        helper.make_node("Abs", ["x"], ["size"]),
        helper.make_node("Mul", ["x", "size"], ["signed"]),
        helper.make_node("Sqrt", ["signed"], ["root"]),
        helper.make_node("Add", ["root", "nothing"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "slow",
        [value("x", TensorProto.FLOAT, [1, 4])],
        [value("y", TensorProto.FLOAT, [1, 4])],
        [first, ends, side],
    )
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), "takes_its_time.onnx")


def sklearn_classifier():
    rng = np.random.default_rng(SEED + 3)
    x = rng.normal(size=(400, 6)).astype(np.float32)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int) + 2 * (x[:, 3] > 0.5)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    for name, zipmap in (("sklearn_zipmap_opset15.onnx", True), ("sklearn_opset15.onnx", False)):
        options = {id(model.steps[-1][1]): {"zipmap": zipmap}}
        save(
            skl2onnx.convert_sklearn(
                model,
                initial_types=[("features", FloatTensorType([None, 6]))],
                options=options,
                target_opset={"": 15, "ai.onnx.ml": 2},
                name="sklearn",
            ),
            name,
        )


def main():
    torch.manual_seed(SEED)
    export(
        IqClassifier(),
        torch.randn(2, 2, 128),
        "torch_iq_classifier_opset18.onnx",
        18,
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )
    export(
        Recurrent(),
        torch.randn(2, 32, 2),
        "torch_lstm_opset17.onnx",
        17,
        dynamo=False,
        input_names=["input"],
        output_names=["probs"],
        dynamic_axes={"input": {0: "batch"}, "probs": {0: "batch"}},
    )
    export(
        Filter(),
        torch.randn(1, 1, 40),
        "torch_filter_open_length_opset16.onnx",
        16,
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "N", 2: "T"}, "y": {0: "N", 2: "T"}},
    )
    hand_made()
    decisions()
    with_state()
    fails_on_data()
    takes_its_time()
    sklearn_classifier()


if __name__ == "__main__":
    main()
