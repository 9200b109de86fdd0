# SPDX-License-Identifier: GPL-3.0-or-later
"""What a graph's first dimension means: an answer never depends on how many items wait."""

import numpy as np
import onnx_flow
import pytest
from gnuradio import diffsem
from onnx_maker import model, node

pytest.importorskip("onnxruntime")
onnx_header = pytest.importorskip("gr_diffsem.package.onnx_header")

ROWS = np.random.default_rng(1).standard_normal((12, 32)).astype(np.float32)
CENTRED = [node("ReduceMean", ["x"], ["m"], axes=[0], keepdims=1), node("Sub", ["x", "m"], ["y"])]
LAST = [node("Slice", ["x", "a", "b"], ["l"]), node("Sub", ["x", "l"], ["y"])]
SUMS = [node("CumSum", ["x", "a"], ["y"])]
AFTER = [node("Softmax", ["x"], ["y"], axis=0)]


def along(dilation):
    """A convolution over the first dimension; dilated, rows mix only where some lie that far apart."""
    return [
        node("Transpose", ["x"], ["t"], perm=[1, 0]),
        node("Unsqueeze", ["t", "a"], ["u"]),
        node("Conv", ["u", "w"], ["c"], pads=[dilation, dilation], dilations=[dilation]),
        node("Squeeze", ["c", "a"], ["s"]),
        node("Transpose", ["s"], ["y"], perm=[1, 0]),
    ]


CONV, FAR = along(1), along(8)
ZERO, ONE = np.array([0], np.int64), np.array([1], np.int64)
WEIGHTS = {"a": ZERO, "b": ONE, "w": np.array([[[1, 2, 3], [0, 1, 0]], [[0, 1, 0], [3, 2, 1]]], np.float32)}
MIXING = {"mean": CENTRED, "first row": LAST, "sums": SUMS, "softmax": AFTER, "convolution": CONV, "far": FAR}


def write(folder, nodes, shape, kind="float32", out=None, **more):
    path = folder / "m.onnx"
    weights = {**WEIGHTS, "a": np.array(0, np.int64)} if nodes is SUMS else WEIGHTS
    used = {k: v for k, v in weights.items() if any(k.encode() in n for n in nodes)}
    path.write_bytes(model(nodes, [("x", kind, shape)], [("y", kind, out or shape)], used, **more))
    return str(path)


def expected(path, items):
    session = onnx_flow.session(path)
    return np.stack([session.run(None, {"x": x})[0].ravel() for x in items])


def check(path, items, **told):
    """The block, however the stream is cut, against ONNX Runtime item by item."""
    want = expected(path, items)
    for piece in onnx_flow.PIECES:
        (y,), _ = onnx_flow.infer(diffsem.onnx_inference(path, **told), items, piece=piece)
        np.testing.assert_allclose(y.reshape(want.shape), want, rtol=1e-5, atol=1e-5)
    block = diffsem.onnx_inference(path, **told)
    seen = onnx_header.ports(path, **told)
    assert seen["inputs"] == [{"type": block.in_type(), "vlen": block.in_vlen()}]


@pytest.mark.parametrize("nodes", MIXING)
def test_a_fixed_first_dimension_is_part_of_the_item(nodes, tmp_path):
    """[16, 2], time first and no batch: taken for a batch of 16, it gave whatever happened to wait."""
    path = write(tmp_path, MIXING[nodes], [16, 2])
    assert diffsem.onnx_inference(path).in_vlen() == 32
    check(path, ROWS.reshape(12, 16, 2))


@pytest.mark.parametrize("name", ["time", "T", "n", None])
@pytest.mark.parametrize("nodes", MIXING)
def test_an_open_first_dimension_that_mixes_is_refused(nodes, name, tmp_path):
    """Whatever it is called; and both remedies that the sentence names work."""
    path = write(tmp_path, MIXING[nodes], [name, 2])
    with pytest.raises(ValueError, match=r"Give shape, .* such as \[64, 2\]; or batch_axis 0"):
        diffsem.onnx_inference(path)
    with pytest.raises(ValueError, match="does not count inferences"):
        diffsem.onnx_inference_pdu(path)
    check(path, ROWS.reshape(6, 32, 2), shape=[32, 2])
    check(path, ROWS.reshape(-1, 1, 2)[:20], batch_axis="0")


def test_complex_items_of_a_time_axis(tmp_path):
    path = write(tmp_path, CENTRED, ["time", 2])
    with pytest.raises(ValueError, match=r"such as \[64\]"):
        diffsem.onnx_inference(path, layout="interleaved")
    block = diffsem.onnx_inference(path, layout="interleaved", shape=[16])
    items = ROWS.reshape(12, 16, 2)
    (y,), _ = onnx_flow.infer(block, items.reshape(12, 32).view(np.complex64), piece="random")
    np.testing.assert_allclose(y.view(np.float32), expected(path, items), atol=1e-5)


@pytest.mark.parametrize("name", ["n", "batch", None])
def test_rows_that_keep_apart_are_computed_together(name, tmp_path):
    nodes = [node("Tanh", ["x"], ["t"]), node("MatMul", ["t", "m"], ["y"])]
    path = tmp_path / "m.onnx"
    m = np.arange(6, dtype=np.float32).reshape(2, 3)
    path.write_bytes(model(nodes, [("x", "float32", [name, 2])], [("y", "float32", [name, 3])], {"m": m}))
    check(str(path), ROWS.reshape(-1, 1, 2)[:40])


def test_quantised_on_the_way_runs_one_by_one(tmp_path):
    """DynamicQuantizeLinear takes its scale from all that is computed together, so nothing may be beside an item."""
    nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    path = write(tmp_path, nodes, ["batch", 32])
    loud = ROWS * np.linspace(0.1, 30, 12, dtype=np.float32)[:, None]
    check(path, loud.reshape(12, 1, 32))


def test_a_declared_batch_that_mixes_is_refused(tmp_path):
    path = write(tmp_path, CENTRED, [4, 8])
    with pytest.raises(ValueError, match="Give batch_axis none"):
        diffsem.onnx_inference(path, batch_axis="0")
    with pytest.raises(ValueError, match="Give batch_axis none"):
        diffsem.onnx_inference(path, shape=[8])
    check(path, ROWS.reshape(12, 4, 8), batch_axis="none")


def test_a_fixed_batch_counts_where_somebody_says_so(tmp_path):
    nodes = [node("Softmax", ["x"], ["y"], axis=1)]
    path = write(tmp_path, nodes, [4, 8])
    assert diffsem.onnx_inference(path).in_vlen() == 32
    for told in ({"batch_axis": "0"}, {"shape": [8]}):
        block = diffsem.onnx_inference(path, **told)
        assert block.in_vlen() == 8
        (y,), _ = onnx_flow.infer(block, ROWS.reshape(48, 8), piece="random")
        np.testing.assert_allclose(y, expected(path, ROWS.reshape(12, 4, 8)).reshape(48, 8), atol=1e-6)
    path = write(tmp_path, nodes, [4, 8], contract="1", role="filter", batch_axis="0")
    assert diffsem.onnx_inference(path).in_vlen() == 8
    block = diffsem.onnx_inference(path, batch_axis="none")
    assert block.in_vlen() == 32


def test_a_recurrent_net_over_an_open_time(tmp_path):
    """[time, 1, 2] in ONNX's own order: its length is the user's to say."""
    rng = np.random.default_rng(2)
    weights = {k: rng.normal(0, 0.5, (1, 9, n)).astype(np.float32) for k, n in (("W", 2), ("R", 3))}
    path = tmp_path / "m.onnx"
    nodes = [node("GRU", ["x", "W", "R"], ["", "h"], hidden_size=3)]
    path.write_bytes(model(nodes, [("x", "float32", ["seq", 1, 2])], [("h", "float32", [1, 1, 3])], weights))
    with pytest.raises(ValueError, match=r"does not grow with it.*Give shape"):
        diffsem.onnx_inference(str(path))
    check(str(path), ROWS.reshape(12, 16, 1, 2), shape=[16, 1, 2])


def test_an_output_whose_size_depends_on_the_data_is_refused(tmp_path):
    nodes = [node("Unique", ["x"], ["y"])]
    path = write(tmp_path, nodes, [8], out=["found"])
    with pytest.raises(ValueError, match="depends on the data"):
        diffsem.onnx_inference(path)
