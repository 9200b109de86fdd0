# SPDX-License-Identifier: GPL-3.0-or-later
"""Halves, doubles, integers of every width, and constants of several values."""

import json

import flow
import numpy as np
import onnx_flow
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from onnx_maker import TYPES, model, node

pytest.importorskip("onnxruntime")
onnx_header = pytest.importorskip("gr_diffsem.package.onnx_header")

INTEGERS = {name: np.iinfo(name) for name in TYPES if "int" in name}


def identity(folder, kind, shape=("n", 4)):
    path = folder / "m.onnx"
    path.write_bytes(model([node("Identity", ["x"], ["y"])], [("x", kind, shape)], [("y", kind, shape)]))
    return str(path)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_halves_are_floats_outside(kind, tmp_path):
    path = identity(tmp_path, kind)
    block = diffsem.onnx_inference(path)
    assert (block.in_type(), block.out_type()) == ("float", "float")
    x = np.random.default_rng(1).standard_normal((50, 4)).astype(np.float32)
    x[0] = [65504, 1e-7, -0.1, 3]
    (y,), _ = onnx_flow.infer(block, x, piece="random")
    if kind == "float16":
        np.testing.assert_array_equal(y, x.astype(np.float16).astype(np.float32))
    else:
        np.testing.assert_allclose(y, x, rtol=2**-8)


def test_a_half_network_against_the_runtime(tmp_path):
    """fp16 as torch's .half() exports it, complex and planar."""
    rng = np.random.default_rng(2)
    w = rng.normal(0, 0.4, (2, 2, 3)).astype(np.float16)
    nodes = [node("Conv", ["x", "w"], ["c"], pads=[1, 1]), node("Tanh", ["c"], ["y"])]
    ends = ["n", 2, 16]
    path = tmp_path / "m.onnx"
    path.write_bytes(model(nodes, [("x", "float16", ends)], [("y", "float16", ends)], {"w": w}))
    z = (rng.standard_normal((20, 16)) + 1j * rng.standard_normal((20, 16))).astype(np.complex64)
    block = diffsem.onnx_inference(str(path), layout="planar", output_layout="planar")
    (y,), _ = onnx_flow.infer(block, z)
    planes = np.stack([z.real, z.imag], 1).astype(np.float16)
    want = np.stack([onnx_flow.session(path).run(None, {"x": p[None]})[0][0] for p in planes]).astype(np.float32)
    np.testing.assert_allclose(y, want[:, 0] + 1j * want[:, 1], atol=2e-3)


@pytest.mark.parametrize("kind", [*INTEGERS, "bool"])
def test_integers_have_an_int_port(kind, tmp_path):
    path = identity(tmp_path, kind)
    block = diffsem.onnx_inference(path)
    assert (block.in_type(), block.out_type()) == ("int", "int")
    assert onnx_header.ports(path)["inputs"] == [{"type": "int", "vlen": 4}]
    x = np.array([[0, 1, 2, 100], [-1, 70000, -(2**31), 2**31 - 1]], np.int32)
    (y,), _ = onnx_flow.infer(block, x)
    low, high = (0, 1) if kind == "bool" else (INTEGERS[kind].min, INTEGERS[kind].max)
    want = (x != 0) if kind == "bool" else np.clip(x.astype(object), low, high)
    np.testing.assert_array_equal(y, want.astype(np.int64))
    # What was a float port stays one for who asks for it.
    assert diffsem.onnx_inference(path, input_type="float", output_type="float").in_type() == "float"


def tree(folder):
    """x <= 1.2 gives 5.23, else -12.23: a double 1.2 goes left, a float one right."""
    nodes = [
        node(
            "TreeEnsembleRegressor",
            ["x"],
            ["y"],
            domain="ai.onnx.ml",
            n_targets=1,
            nodes_treeids=[0, 0, 0],
            nodes_nodeids=[0, 1, 2],
            nodes_featureids=[0, 0, 0],
            nodes_modes=["BRANCH_LEQ", "LEAF", "LEAF"],
            nodes_values_as_tensor=np.array([1.2, 0, 0]),
            nodes_truenodeids=[1, 0, 0],
            nodes_falsenodeids=[2, 0, 0],
            target_treeids=[0, 0],
            target_nodeids=[1, 2],
            target_ids=[0, 0],
            target_weights_as_tensor=np.array([5.23, -12.23]),
        )
    ]
    path = folder / "tree.onnx"
    ends = [("x", "float64", ["n", 1])], [("y", "float32", ["n", 1])]
    path.write_bytes(model(nodes, *ends, opsets={"ai.onnx.ml": 3}))
    return str(path)


@pytest.mark.parametrize("piece", onnx_flow.PIECES)
def test_a_tree_compares_doubles(piece, tmp_path):
    path = tree(tmp_path)
    block = diffsem.onnx_inference(path)
    assert (block.in_type(), block.out_type()) == ("double", "float")
    assert onnx_header.ports(path)["inputs"] == [{"type": "double", "vlen": 1}]
    x = np.array([[1.2], [1.2000001], [0], [float(np.float32(1.2))], [np.nan]])
    (y,), tags = onnx_flow.infer(block, x, piece=piece)
    want = [onnx_flow.session(path).run(None, {"x": row[None]})[0][0, 0] for row in x[:4]]
    np.testing.assert_array_equal(y[:4, 0], want)
    np.testing.assert_array_equal(y[:, 0], np.array([5.23, -12.23, 5.23, -12.23, 0], np.float32))
    assert (4, "diffsem_bypassed", "nan") in tags


def test_doubles_come_out_as_they_are(tmp_path):
    path = identity(tmp_path, "float64")
    block = diffsem.onnx_inference(path)
    assert (block.in_type(), block.out_type()) == ("double", "double")
    x = np.random.default_rng(3).standard_normal((30, 4))
    (y,), _ = onnx_flow.infer(block, x, piece="random")
    np.testing.assert_array_equal(y, x)
    block = diffsem.onnx_inference(path, input_type="float", output_type="float")
    (y,), _ = onnx_flow.infer(block, x)
    np.testing.assert_array_equal(y, x.astype(np.float32))


@pytest.mark.parametrize("window", ["hann", "sqrt_hann"])
def test_doubles_overlap(window, tmp_path):
    path = identity(tmp_path, "float64", ["n", 8])
    block = diffsem.onnx_inference(path, overlap="add", window=window)
    assert (block.in_type(), block.out_type()) == ("double", "double")
    x = np.random.default_rng(4).standard_normal((64, 1))
    (y,), _ = onnx_flow.infer(block, x, piece="random")
    np.testing.assert_allclose(y[4:64], x[:60], atol=1e-6)
    assert np.abs(y[4:64] - x[:60].astype(np.float32)).max() > 0


def pdu_out(block, vector):
    store = blocks.message_debug()
    tb = gr.top_block()
    tb.msg_connect(block, "out", store, "store")
    post = block.to_basic_block()._post
    post(pmt.intern("in"), pmt.cons(pmt.make_dict(), vector))
    post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    flow.run(tb)
    return store.get_message(0)


def test_pdus_of_doubles(tmp_path):
    block = diffsem.onnx_inference_pdu(tree(tmp_path))
    assert (block.in_type(), block.out_type()) == ("double", "float")
    assert pmt.to_python(pmt.cdr(pdu_out(block, pmt.init_f64vector(1, [1.2]))))[0] == np.float32(5.23)
    block = diffsem.onnx_inference_pdu(tree(tmp_path))
    assert pmt.to_python(pmt.cdr(pdu_out(block, pmt.init_f32vector(1, [1.2]))))[0] == np.float32(-12.23)
    block = diffsem.onnx_inference_pdu(identity(tmp_path, "float64"))
    answer = pmt.cdr(pdu_out(block, pmt.init_f64vector(4, [0.1, 0.2, 0.3, 1e300])))
    assert pmt.is_f64vector(answer)
    assert list(pmt.f64vector_elements(answer)) == [0.1, 0.2, 0.3, 1e300]


def weighed(folder, weights, kind="float32"):
    path = folder / "m.onnx"
    ends = [("w", kind, weights), ("x", kind, ["n", 3])], [("y", kind, ["n", 3])]
    path.write_bytes(model([node("Mul", ["x", "w"], ["y"])], *ends))
    return str(path)


@pytest.mark.parametrize("shape, said", [([3], [1, 2, 3]), (["n", 3], [1, 2, 3]), ([1, 3], [[1, 2, 3]]), ([3], 2)])
def test_constants_of_several_values(shape, said, tmp_path):
    """Though it comes first in the file, what is a constant is not streamed."""
    path = weighed(tmp_path, shape)
    told = {"constants": json.dumps({"w": said})}
    x = np.random.default_rng(5).standard_normal((20, 3)).astype(np.float32)
    (y,), _ = onnx_flow.infer(diffsem.onnx_inference(path, **told), x, piece="random")
    np.testing.assert_allclose(y, x * np.array(said, np.float32), rtol=1e-6)
    assert onnx_header.ports(path, **told)["inputs"] == [{"type": "float", "vlen": 3}]


@pytest.mark.parametrize(
    "said, message",
    [
        ([1, 2], "has for 'w: float32 [3]' 2 values. Give one for all, or 3"),
        ([[1, 2], [3]], "all of one length"),
        ([], "0 values. Give one for all, or 3"),
        ("a", "Give a number, or (nested) lists"),
        (None, "Give it a number in constants"),
    ],
)
def test_constants_that_do_not_fit(said, message, tmp_path):
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(weighed(tmp_path, [3]), input="x", constants=json.dumps({"w": said}))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "kind, value, words",
    [
        ("float16", 70000, "65504, and would become infinite"),
        ("float16", [1, -7e4, 2], "constants has for 'w: float16 [3]' -70000"),
        ("float32", 1e39, "would become infinite"),
        ("int32", 0.5, "0.5, which is no whole number"),
        ("int64", [1, 2.25, 3], "2.25, which is no whole number"),
        ("int8", 200, "200, which lies outside -128 .. 127"),
        ("uint8", -1, "-1, which lies outside 0 .. 255"),
    ],
)
def test_constants_that_the_type_cannot_hold(kind, value, words, tmp_path):
    """None is changed without a word; what it can hold is taken."""
    path = weighed(tmp_path, [3], kind)
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(path, input="x", constants=json.dumps({"w": value}))
    assert words in str(error.value)
    diffsem.onnx_inference(path, input="x", constants=json.dumps({"w": 3}))
