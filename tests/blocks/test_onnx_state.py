# SPDX-License-Identifier: GPL-3.0-or-later
"""State carried by hand: an output that is fed back as the next inference's input, on streams and PDUs."""

import json

import flow
import numpy as np
import onnx_flow
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from onnx_maker import model, node

pytest.importorskip("onnxruntime")
onnx_header = pytest.importorskip("gr_diffsem.package.onnx_header")

STATE = '{"h0": "hn", "c0": "cn"}'
X = np.random.default_rng(1).standard_normal((30, 8)).astype(np.float32)


def lstm(folder, batch=1, state_first=False, **metadata):
    """Windows of 4 steps of 2 features, state of 3; h0, c0 in and hn, cn out."""
    rng = np.random.default_rng(2)
    weights = {k: rng.normal(0, 0.6, (1, 12, n)).astype(np.float32) for k, n in (("W", 2), ("R", 3))}
    nodes = [
        node("LSTM", ["x", "W", "R", "", "", "h0", "c0"], ["seq", "hn", "cn"], hidden_size=3),
        node("Squeeze", ["seq", "one"], ["y"]),
    ]
    weights["one"] = np.array([1], np.int64)
    inputs = [("x", "float32", [4, batch, 2]), *((n, "float32", [1, batch, 3]) for n in ("h0", "c0"))]
    outputs = [("y", "float32", [4, batch, 3]), *((n, "float32", [1, batch, 3]) for n in ("hn", "cn"))]
    if state_first:
        inputs, outputs = inputs[::-1], outputs[::-1]
    path = folder / "lstm.onnx"
    path.write_bytes(model(nodes, inputs, outputs, weights, **metadata))
    return str(path)


def by_hand(path, items, anew=(), skip=(), h0=0.0):
    """What a loop in Python gives."""
    session, rows = onnx_flow.session(path), []
    for i, x in enumerate(items):
        if i == 0 or i in anew:
            h, c = np.full((1, 1, 3), h0, np.float32), np.zeros((1, 1, 3), np.float32)
        if i in skip:
            rows.append(np.zeros(12, np.float32))
            continue
        y, h, c = session.run(["y", "hn", "cn"], {"x": x.reshape(4, 1, 2), "h0": h, "c0": c})
        rows.append(y.ravel())
    return np.stack(rows)


@pytest.mark.parametrize("piece", onnx_flow.PIECES)
@pytest.mark.parametrize("batch", [1, "batch"])
def test_state_goes_on(batch, piece, tmp_path):
    path = lstm(tmp_path, batch)
    told = {"state": STATE} if batch == 1 else {"state": STATE, "shape": [4, 1, 2]}
    (y,), _ = onnx_flow.infer(diffsem.onnx_inference(path, **told), X, piece=piece)
    np.testing.assert_allclose(y, by_hand(path, X), atol=1e-6)
    # Not what it gives without: each window for itself.
    del told["state"]
    (apart,), _ = onnx_flow.infer(diffsem.onnx_inference(path, constants='{"h0": 0, "c0": 0}', **told), X)
    assert np.abs(apart - y)[1:].max() > 0.05


@pytest.mark.parametrize("piece", onnx_flow.PIECES)
@pytest.mark.parametrize("vlen", [0, 1])
def test_a_tag_begins_anew(vlen, piece, tmp_path):
    """Anywhere among the samples of an inference; the first values are those of `constants`."""
    path = lstm(tmp_path)
    block = diffsem.onnx_inference(path, state=STATE, constants='{"h0": 0.5}', reset_tag="burst", in_vlen=vlen)
    per = 1 if vlen == 0 else 8
    tags = [flow.tag(7 * per, "burst", 1), flow.tag(20 * per + per // 2, "burst", 2), flow.tag(3 * per, "other", 1)]
    (y,), said = onnx_flow.infer(block, X, piece=piece, tags=tags)
    np.testing.assert_allclose(y, by_hand(path, X, anew=(7, 20), h0=0.5), atol=1e-6)
    assert [(o, k) for o, k, _ in said] == [(3, "other"), (7, "burst"), (20, "burst")]


def test_bad_items_leave_the_state(tmp_path):
    path, x = lstm(tmp_path), X.copy()
    x[[4, 9], 3] = np.nan
    (y,), said = onnx_flow.infer(diffsem.onnx_inference(path, state=STATE), x, piece="random")
    np.testing.assert_allclose(y, by_hand(path, x, skip=(4, 9)), atol=1e-6)
    assert {o for o, k, _ in said if k == "diffsem_bypassed"} == {4, 9}


def test_a_state_that_is_no_number_is_not_kept(tmp_path):
    """total += 1 / x: a zero would make it infinite for ever."""
    nodes = [node("Reciprocal", ["x"], ["r"]), node("Add", ["r", "s"], ["y"])]
    path = tmp_path / "m.onnx"
    path.write_bytes(model(nodes, [("x", "float32", [1]), ("s", "float32", [1])], [("y", "float32", [1])]))
    block = diffsem.onnx_inference(str(path), state='{"s": "y"}')
    (y,), said = onnx_flow.infer(block, np.array([[1], [0.5], [0], [0.25]], np.float32))
    assert y[[0, 1, 3], 0].tolist() == [1, 3, 7]
    assert [o for o, k, _ in said if k == "diffsem_bypassed"] == [2]


def test_from_the_metadata_and_whatever_comes_first(tmp_path):
    path = lstm(tmp_path, state_first=True, contract="1", role="filter", state=STATE)
    block = diffsem.onnx_inference(path)
    assert onnx_header.ports(path) == {
        "inputs": [{"type": "float", "vlen": block.in_vlen()}],
        "outputs": [{"type": "float", "vlen": block.out_vlen()}],
    }
    (y,), _ = onnx_flow.infer(block, X)
    np.testing.assert_allclose(y, by_hand(path, X), atol=1e-6)

    bare = tmp_path / "bare"
    bare.mkdir()
    path = lstm(bare, state_first=True)
    sidecar = {"diffsem.role": "filter", "diffsem.state": {"h0": "hn", "c0": "cn"}}
    (bare / "lstm.onnx.json").write_text(json.dumps(sidecar))
    (y,), _ = onnx_flow.infer(diffsem.onnx_inference(path), X)
    np.testing.assert_allclose(y, by_hand(path, X), atol=1e-6)


def test_another_model_begins_anew(tmp_path):
    path = lstm(tmp_path)
    block = diffsem.onnx_inference(path, state=STATE)
    (y,), _ = onnx_flow.infer(block, X)
    block.set_model(path)
    (again,), _ = onnx_flow.infer(block, X)
    np.testing.assert_allclose(again, y, atol=1e-6)


def test_started_again_begins_anew(tmp_path):
    path = lstm(tmp_path)
    block = diffsem.onnx_inference(path, state=STATE)
    for _ in range(2):
        (y,), _ = onnx_flow.infer(block, X)
        np.testing.assert_allclose(y, by_hand(path, X), atol=1e-6)


def pdus(block, *said):
    store, tb = blocks.message_debug(), gr.top_block()
    tb.msg_connect(block, "out", store, "store")
    post = block.to_basic_block()._post
    for row, what in zip(X, said, strict=False):
        post(pmt.intern("in"), pmt.cons(pmt.to_pmt(what), pmt.init_f32vector(8, row.tolist())))
    post(pmt.intern("system"), pmt.cons(pmt.intern("done"), pmt.from_long(1)))
    flow.run(tb)
    return np.array([pmt.to_python(pmt.cdr(store.get_message(i))) for i in range(store.num_messages())])


@pytest.mark.parametrize("workers", [1, 4])
def test_pdus(workers, tmp_path):
    """In turn, however many workers were asked for; a key in the dictionary begins anew, unless it is false."""
    path = lstm(tmp_path)
    block = diffsem.onnx_inference_pdu(path, state=STATE, workers=workers, queue=64)
    said = [{"n": i, **({"diffsem_reset": i != 5} if i in (5, 11) else {})} for i in range(len(X))]
    y = pdus(block, *said)
    np.testing.assert_allclose(y, by_hand(path, X, anew=(11,)), atol=1e-6)


def test_a_reset_outlives_its_pdu(tmp_path):
    """The PDU that says so is dropped: the next one begins anew."""
    path = lstm(tmp_path)
    block = diffsem.onnx_inference_pdu(path, state=STATE, queue=1, reset_tag="burst", overload="drop_oldest")
    y = pdus(block, *[{"burst": True}] * len(X))
    alone = [by_hand(path, [x])[0] for x in X]
    assert len(y) >= 1
    for row in y:
        assert min(np.abs(row - a).max() for a in alone) < 1e-6
    assert block.items_in() == len(X)


BAD = {
    "no input": ('{"h": "hn"}', {}, "state is 'h', but the graph has"),
    "no output": ('{"h0": "h"}', {}, "state is 'h', but the graph has"),
    "no name": ('{"h0": 1}', {}, "Give the name of the output"),
    "no object": ('["h0"]', {}, "Give a JSON object"),
    "no JSON": ("h0", {}, "state"),
    "streamed": ('{"x": "hn"}', {"inputs": ["x"]}, "state has 'x', which is streamed"),
    "another size": ('{"h0": "y", "c0": "cn"}', {}, "of the same type and size"),
    "without the other": ('{"h0": "hn"}', {}, "has the input 'c0"),
    "overlap": (STATE, {"overlap": "discard"}, "windows would see samples twice"),
    "no tag": (STATE, {"reset_tag": ""}, "reset_tag is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case, tmp_path):
    state, more, message = BAD[case]
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(lstm(tmp_path), state=state, **more)
    assert message in str(error.value)
