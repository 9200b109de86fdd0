# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's nets are valid graphs, and what is not measured is null with a reason."""

import argparse
import os

import numpy as np
import pytest

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

from gr_diffsem.apps import bench, bench_nets
from gr_diffsem.base.errors import UserError
from gr_diffsem.package import onnx_cost


def arguments(*words):
    parser = argparse.ArgumentParser()
    bench.add_arguments(parser)
    return parser.parse_args(words)


def test_nets_are_what_they_say(tmp_path):
    ort = pytest.importorskip("onnxruntime")
    for name, (write, sizes, taken, given) in bench.NETS.items():
        path = tmp_path / f"{name}.onnx"
        parameters = write(path, *sizes)
        # the two shapes of a convolution's Reshape are no parameters
        assert onnx_cost.cost(path)["parameters"] - parameters in (0, 5)
        session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        out = session.run(None, {"x": np.ones((3, taken), np.float32)})[0]
        assert out.shape == (3, given) and np.isfinite(out).all()
    assert bench_nets.mlp(tmp_path / "a.onnx", [4, 3]) == 15


def test_what_is_left_out_is_null_and_says_so():
    report = bench.run(arguments("--skip", "ort,python,torch,receiver"))
    assert set(report["ratios"].values()) == {None}
    assert set(report["notes"]) == {"ort", "python", "torch", "receiver"}
    assert "left out by --skip" in bench.table(report)


def test_wrong_arguments():
    with pytest.raises(UserError, match="pairs"):
        bench.run(arguments("--pairs", "0"))
    with pytest.raises(UserError, match="choose of"):
        bench.run(arguments("--skip", "everything"))
