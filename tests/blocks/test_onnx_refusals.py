# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that cannot be run are refused in a sentence of ours that says what to do."""

import numpy as np
import onnx_flow
import pytest
from gnuradio import diffsem
from onnx_maker import model, node

pytest.importorskip("onnxruntime")
onnx_header = pytest.importorskip("gr_diffsem.package.onnx_header")

ENDS = [("x", "float32", ["n", 4])], [("y", "float32", ["n", 4])]
TWO = [("a", "float32", [4, 3]), ("b", "float32", [3, 2])], [("y", "float32", [4, 2])]


def net(kind="Tanh", ends=ENDS, **more):
    return model([node(kind, [name for name, _, _ in ends[0]], ["y"])], *ends, **more)


BAD = {
    "version of the format": (net(ir=99), "version 99 of the ONNX format", "set model.ir_version to"),
    "operator set": (net(opset=99), "a version of the operator set", "lower opset_version"),
    "operator": (net("Demodulate"), "has an operator that ONNX Runtime", "pip install --upgrade onnxruntime"),
    "operator of later": (net("Gelu"), "has an operator that ONNX Runtime", "released opset"),
    "no code for the type": (
        net("Erf", ([("x", "float64", ["n", 4])], [("y", "float64", ["n", 4])])),
        "has no code at its types",
        "Export the model with float32",
    ),
    "types": (
        model([node("Add", ["x", "z"], ["y"])], [("x", "float32", [4])], [("y", "float32", [4])], {"z": np.arange(4)}),
        "is no valid graph",
        "onnx.checker.check_model",
    ),
    "runtime's own format": (b"\x18\0\0\0ORTM" + bytes(100), "ONNX Runtime's own format", "Give the .onnx file"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3" + bytes(100), "TensorFlow Lite", "tf2onnx"),
    "PyTorch": (b"PK\x03\x04" + bytes(100), "a zip archive", "torch.onnx.export"),
    "pickle": (b"\x80\x04\x95" + bytes(100), "a Python pickle", "skl2onnx"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), "an HDF5 file", "tf2onnx"),
    "safetensors": (b"\x40\0\0\0\0\0\0\0" + b'{"a": {}}' + bytes(60), "no graph", "Export the model"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), "compressed with gzip", "Unpack it"),
    "OpenVINO": (b"<?xml version='1.0'?><net/>", "OpenVINO", "Give the .onnx file"),
    "texts": (
        net("Identity", ([("x", "string", ["n", 4])], [("y", "string", ["n", 4])])),
        "of a type that no stream is converted to",
        "or name another input",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_sentence_and_a_remedy(case, tmp_path):
    data, sentence, remedy = BAD[case]
    path = tmp_path / "m.onnx"
    path.write_bytes(data)
    for make in (diffsem.onnx_inference, diffsem.onnx_inference_pdu):
        with pytest.raises(ValueError) as error:
            make(str(path))
        said = str(error.value)
        assert said.startswith(f"{path}: ")
        assert sentence in said and remedy in said
        assert "ONNX Runtime:" not in said.split(remedy)[0]  # its own text only behind ours


@pytest.mark.parametrize("case", ["runtime's own format", "TensorFlow Lite", "PyTorch", "Keras"])
def test_the_companion_says_the_same(case, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(BAD[case][0])
    assert BAD[case][1] in onnx_header.problem(str(path))


def test_two_inputs_without_a_batch(tmp_path):
    """A product of [4, 3] and [3, 2]: neither 4 nor 3 counts anything."""
    path = tmp_path / "m.onnx"
    path.write_bytes(net("MatMul", TWO))
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((10, 4, 3)).astype(np.float32), rng.standard_normal((10, 3, 2)).astype(np.float32)
    for piece in onnx_flow.PIECES:
        (y,), _ = onnx_flow.infer(diffsem.onnx_inference(str(path), inputs=["a", "b"]), a, b, piece=piece)
        np.testing.assert_allclose(y.reshape(10, 4, 2), a @ b, atol=1e-5)
    with pytest.raises(ValueError, match="Give batch_axis none"):
        diffsem.onnx_inference(str(path), inputs=["a", "b"], batch_axis="0")


def test_a_graph_that_zeros_do_not_fit(tmp_path):
    """What the other inputs may be is the user's to say: a Reshape to [0, 0] is none."""
    path = tmp_path / "m.onnx"
    ends = [("x", "float32", [8]), ("s", "int64", [2])], [("y", "float32", ["a", "b"])]
    path.write_bytes(model([node("Reshape", ["x", "s"], ["y"], allowzero=1)], *ends))
    with pytest.raises(ValueError, match="in constants values that its other inputs may have"):
        diffsem.onnx_inference(str(path), constants='{"s": 3}')
    assert diffsem.onnx_inference(str(path), constants='{"s": [2, 4]}').out_vlen() == 8
