# SPDX-License-Identifier: GPL-3.0-or-later
"""A small pick of what `make onnx-suite` does with all of ONNX's own tests, on graphs made here."""

import pathlib
import sys

import numpy as np
import pytest
from onnx_maker import model, node, tensor

pytest.importorskip("onnxruntime")
sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "onnx_suite"))
suite = pytest.importorskip("suite", reason="GNU Radio and the module are needed")

RNG = np.random.default_rng(1)


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def one(kind, x, out, weights=None, kind_out="float32", **attributes):
    """A node over x, and over weights that lie in the file."""
    return (
        [node(kind, ["x", *(weights or {})], ["y"], **attributes)],
        {"x": x},
        [("y", kind_out, out)],
        weights or {},
    )


CASES = {
    "softmax over the first of three": (*one("Softmax", floats(3, 4), [3, 4], axis=0), "equal"),
    "transpose": (*one("Transpose", floats(2, 3, 4), [4, 3, 2], perm=[2, 1, 0]), "equal"),
    "mean of all": (*one("ReduceMean", floats(3, 2, 2), [1, 1, 1]), "equal"),
    "sums along the first": (*one("CumSum", floats(5, 2), [5, 2], {"a": np.array(0, np.int64)}), "equal"),
    "where the largest is": (*one("ArgMax", floats(4, 5), [1, 5], kind_out="int64", axis=0), "equal"),
    "rank of five": (*one("Flatten", floats(2, 3, 2, 1, 2), [6, 4], axis=2), "equal"),
    "a single number": (*one("Abs", floats(), []), "equal"),
    "two inputs of other sizes": (
        [node("MatMul", ["x", "w"], ["y"])],
        {"x": floats(3, 4), "w": floats(4, 2)},
        [("y", "float32", [3, 2])],
        {},
        "equal",
    ),
    "the size is an input": (
        [node("Resize", ["x", "", "s"], ["y"], mode="nearest")],
        {"x": floats(1, 1, 2, 2), "s": np.array([1, 1, 2, 3], np.float32)},
        [("y", "float32", [1, 1, 4, 6])],
        {},
        "refused, constants works",
    ),
    "the size is in the data": (
        [node("Unique", ["x"], ["y", "i"])],
        {"x": floats(6)},
        [("y", "float32", ["a"]), ("i", "int64", ["b"])],
        {},
        "refused, outside the block: size depends on the data",
    ),
    "an operator of tomorrow": (
        *one("Demodulate", floats(4), [4]),
        "refused, outside the block: no operator of ONNX Runtime",
    ),
    "at random": (*one("RandomNormalLike", floats(4), [4]), "not compared: the runtime answers at random"),
}


@pytest.mark.parametrize("name", CASES)
def test_as_the_runtime_or_refused(name, tmp_path):
    nodes, feed, outputs, weights, outcome = CASES[name]
    (tmp_path / "test_data_set_0").mkdir()
    inputs = [(key, str(x.dtype), list(x.shape)) for key, x in feed.items()]
    (tmp_path / "model.onnx").write_bytes(model(nodes, inputs, outputs, weights))
    for i, (key, x) in enumerate(feed.items()):
        (tmp_path / "test_data_set_0" / f"input_{i}.pb").write_bytes(tensor(key, x))
    said, detail = suite.judge(suite.Case(tmp_path))
    assert said == outcome, detail


def test_a_difference_is_seen(tmp_path, monkeypatch):
    """The suite itself: with another truth every case fails."""
    real = suite.Case.expected
    monkeypatch.setattr(suite.Case, "expected", lambda *a: [[y + 1 for y in row] for row in real(*a)])
    with pytest.raises(AssertionError, match="differs"):
        test_as_the_runtime_or_refused("transpose", tmp_path)
