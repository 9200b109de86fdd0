# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference on graphs of other people's making, each against onnxruntime in Python."""

import json
import os
import pathlib
import shutil
import time

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ort = pytest.importorskip("onnxruntime")

DATA = pathlib.Path(__file__).parents[1] / "data"
CLASSIFIER = "torch_iq_classifier_opset18"


def path(name):
    folder = DATA / ("foreign" if (DATA / "foreign" / f"{name}.onnx").exists() else "priors")
    return str(folder / f"{name}.onnx")


def reference(name, tensor, output=None, **others):
    """What onnxruntime gives in Python, one item at a time; tensor: items x (one item's shape)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(path(name), options, providers=["CPUExecutionProvider"])
    first = session.get_inputs()[0].name
    output = output or session.get_outputs()[0].name
    results = [session.run([output], {first: t[None], **others})[0] for t in tensor]
    return np.stack([np.ravel(r) for r in results])


def source(data, complex_input):
    data = np.asarray(data)
    if complex_input:
        return blocks.vector_source_c(data.ravel().tolist(), False, data.shape[1])
    return blocks.vector_source_f(data.ravel().tolist(), False, data.shape[1])


def infer(block, data, chunk=0, tags=(), seconds=20):
    """Streams the rows of data through the block; gives (rows out, sink)."""
    complex_input = block.in_type() == "complex"
    vlen = block.in_vlen()
    make = blocks.vector_source_c if complex_input else blocks.vector_source_f
    src = make(np.ravel(data).tolist(), False, vlen, list(tags))
    kind = {"float": "f", "complex": "c", "int": "i"}[block.out_type()]
    sink = getattr(blocks, f"vector_sink_{kind}")(block.out_vlen())
    pieces = blocks.copy(vlen * (8 if complex_input else 4))
    if chunk:  # a vector_source that has tags must not be limited itself
        pieces.set_max_noutput_items(chunk)
    tb = gr.top_block()
    tb.connect(src, pieces, block, sink)
    flow.run(tb, seconds)
    return np.array(sink.data()).reshape(-1, block.out_vlen()), sink


def planar(x):
    return np.stack([x.real, x.imag], axis=1).astype(np.float32)


def interleaved(x):
    return np.stack([x.real, x.imag], axis=-1).astype(np.float32)


def signal(rng, items, n):
    x = rng.standard_normal((items, n)) + 1j * rng.standard_normal((items, n))
    return x.astype(np.complex64)


def features(rng, items, n):
    return rng.standard_normal((items, n)).astype(np.float32)


# file, how the block is told, elements of an item, complex?, one item as the graph takes it, more inputs
FOREIGN = {
    "iq_classifier": (CLASSIFIER, {"layout": "planar"}, 128, True, planar, {}),
    "iq_as_floats": (CLASSIFIER, {}, 256, False, lambda x: x.reshape(-1, 2, 128), {}),
    "lstm": ("torch_lstm_opset17", {"layout": "interleaved"}, 32, True, interleaved, {}),
    "symbolic": (
        "torch_filter_open_length_opset16",
        {"shape": [1, 75]},
        75,
        False,
        lambda x: x.reshape(-1, 1, 75),
        {},
    ),
    "symbolic_by_length": (
        "torch_filter_open_length_opset16",
        {"shape": [200]},
        200,
        False,
        lambda x: x.reshape(-1, 1, 200),
        {},
    ),
    "fixed_batch": ("keras_fixed_batch_opset11", {}, 64, False, lambda x: x.reshape(-1, 8, 8, 1), {}),
    "int64": ("demapper_int64_opset13", {"layout": "interleaved"}, 1, True, lambda x: interleaved(x)[:, 0], {}),
    "sklearn_label": ("sklearn_opset15", {}, 6, False, lambda x: x, {}),
    "sklearn_probabilities": (
        "sklearn_opset15",
        {"output": "probabilities"},
        6,
        False,
        lambda x: x,
        {"output": "probabilities"},
    ),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_foreign(case):
    name, options, n, complex_input, shaped, more = FOREIGN[case]
    block = diffsem.onnx_inference(path(name), **options)
    assert block.in_vlen() == n
    assert block.in_type() == ("complex" if complex_input else "float")
    for seed in (1, 2):  # fresh data, so that no buffer of the first run can pass for the second's
        rng = np.random.default_rng(seed)
        x = (signal if complex_input else features)(rng, 150, n)
        block = diffsem.onnx_inference(path(name), **options)
        out, _ = infer(block, x)
        expected = reference(name, shaped(x), **more)
        assert out.shape == expected.shape
        if block.out_type() == "int":
            assert np.array_equal(out, expected)
        else:
            assert np.abs(out - expected).max() < 2e-5 * max(1, np.abs(expected).max())
        assert block.items_in() == block.items_out() == 150
        assert block.items_bypassed() == 0


def test_time_first_with_state():
    """Batch in the middle, a second input: told by batch_axis and constants; runs one by one."""
    x = features(np.random.default_rng(3), 20, 48)
    block = diffsem.onnx_inference(
        path("gru_time_first_opset14"), batch_axis="1", constants='{"h0": 0.25}', output="last"
    )
    out, _ = infer(block, x)
    h0 = np.full((1, 1, 6), 0.25, np.float32)
    session = ort.InferenceSession(path("gru_time_first_opset14"), providers=["CPUExecutionProvider"])
    expected = [session.run(["last"], {"x": t.reshape(16, 1, 3), "h0": h0})[0].ravel() for t in x]
    assert np.abs(out - np.stack(expected)).max() < 1e-5


@pytest.mark.parametrize("layout", ["planar", "interleaved", "magnitude_phase"])
def test_layouts(layout):
    """A file that declares its layout is complex on both sides without being told."""
    name = {"planar": "eps_ve"}.get(layout, layout)
    x = signal(np.random.default_rng(4), 40, 4)
    block = diffsem.onnx_inference(path(name), constants='{"t": 0.5}')
    assert (block.in_type(), block.out_type()) == ("complex", "complex")
    out, _ = infer(block, x)
    shaped = {
        "planar": planar,
        "interleaved": interleaved,
        "magnitude_phase": lambda z: planar(np.abs(z) + 1j * np.angle(z)),
    }[layout]
    y = reference(name, shaped(x), t=np.array([0.5], np.float32))
    if layout == "interleaved":
        expected = y.view(np.complex64)
    else:
        a, b = y[:, :4], y[:, 4:]
        expected = a + 1j * b if layout == "planar" else a * np.exp(1j * b)
    assert np.abs(out - expected).max() < 1e-4


def test_fixed_batch_is_filled_up():
    x = signal(np.random.default_rng(5), 7, 4)  # 3 + 3 + 1
    out, _ = infer(diffsem.onnx_inference(path("fixed_batch"), constants='{"t": 1}'), x)
    same, _ = infer(diffsem.onnx_inference(path("eps_vp"), constants='{"t": 1}'), x)
    assert out.shape == (7, 4)
    assert np.abs(out - same).max() < 1e-5


@pytest.mark.parametrize("max_batch", [1, 5, 64])
@pytest.mark.parametrize("chunk", [1, 7, 0])
def test_chunking(max_batch, chunk):
    x = signal(np.random.default_rng(6), 100, 128)
    block = diffsem.onnx_inference(path(CLASSIFIER), layout="planar", max_batch=max_batch)
    out, _ = infer(block, x, chunk)
    assert np.abs(out - reference(CLASSIFIER, planar(x))).max() < 2e-5


@pytest.mark.parametrize("chunk", [1, 37, 333, 0])
def test_samples_to_vectors(chunk):
    """128 single samples to one decision of 11, and to 11 single floats: tags land where their item went."""
    x = signal(np.random.default_rng(7), 30, 128)
    offsets = [0, 1, 127, 128, 129, 1000, 30 * 128 - 1]
    tags = [flow.tag(o, "where", o) for o in offsets]
    expected = reference(CLASSIFIER, planar(x))

    block = diffsem.onnx_inference(path(CLASSIFIER), layout="planar", in_vlen=1)
    out, sink = infer(block, x, chunk, tags)
    assert np.abs(out - expected).max() < 2e-5
    assert sorted((o, v) for o, _, v in flow.tag_list(sink)) == [(o // 128, o) for o in offsets]

    block = diffsem.onnx_inference(path(CLASSIFIER), layout="planar", in_vlen=1, out_vlen=1)
    out, sink = infer(block, x, chunk, tags)
    assert np.abs(out.reshape(-1, 11) - expected).max() < 2e-5
    mapped = [(o // 128 * 11 + o % 128 * 11 // 128, o) for o in offsets]
    assert sorted((o, v) for o, _, v in flow.tag_list(sink)) == mapped


@pytest.mark.parametrize("chunk", [1, 3, 0])
def test_tags_of_vectors(chunk):
    x = features(np.random.default_rng(8), 60, 6)
    tags = [flow.tag(i, "n", i) for i in range(0, 60, 7)]
    _, sink = infer(diffsem.onnx_inference(path("sklearn_opset15"), max_batch=4), x, chunk, tags)
    assert flow.tag_values(sink, "n") == {i: i for i in range(0, 60, 7)}


def test_latency_tags_only_on_request():
    x = features(np.random.default_rng(9), 10, 6)
    _, sink = infer(diffsem.onnx_inference(path("sklearn_opset15")), x)
    assert not sink.tags()
    _, sink = infer(diffsem.onnx_inference(path("sklearn_opset15"), tag_items=True), x)
    latency = flow.tag_values(sink, "diffsem_latency")
    assert sorted(latency) == list(range(10))
    assert all(0 < v < 5 for v in latency.values())


def test_nan_input_is_replaced_and_tagged():
    x = signal(np.random.default_rng(10), 50, 128)
    expected = reference(CLASSIFIER, planar(x))
    x[3, 5] = np.nan
    x[20, 0] = np.inf
    block = diffsem.onnx_inference(path(CLASSIFIER), layout="planar")
    out, sink = infer(block, x)
    good = np.setdiff1d(np.arange(50), [3, 20])
    assert np.abs(out[good] - expected[good]).max() < 2e-5
    assert not out[[3, 20]].any()
    assert flow.tag_values(sink, "diffsem_bypassed") == {3: "nan", 20: "nan"}
    assert block.items_bypassed() == 2
    assert block.items_out() == 50


def test_failing_inference_passes_its_input():
    """An index out of range stops the runtime for a whole batch; only the item that has it is replaced."""
    x = np.random.default_rng(11).integers(0, 8, (40, 4)).astype(np.float32)
    x[[4, 30], 2] = 99
    block = diffsem.onnx_inference(path("lookup_fails_on_data"))
    out, sink = infer(block, x)
    expected = x + 10
    expected[[4, 30]] = x[[4, 30]]
    assert np.array_equal(out, expected)
    assert flow.tag_values(sink, "diffsem_bypassed") == {4: "inference", 30: "inference"}
    assert block.items_bypassed() == 2


def test_stats_message():
    x = features(np.random.default_rng(12), 500, 6)
    block = diffsem.onnx_inference(path("sklearn_opset15"))
    store = blocks.message_debug()
    tb = gr.top_block()
    src, sink = source(x, False), blocks.null_sink(4)
    tb.connect(src, block, sink)
    tb.msg_connect(block, "stats", store, "store")
    flow.run(tb)
    assert store.num_messages() >= 1
    stats = pmt.to_python(store.get_message(0))
    assert stats["in"] == stats["out"] + stats["dropped"]
    assert stats["bypassed"] == 0
    assert stats["calls"] >= 1


def test_waits_for_nothing():
    """One item that waits is computed, although many more would fit the batch."""
    block = diffsem.onnx_inference(path(CLASSIFIER), layout="planar", max_batch=64)
    x = signal(np.random.default_rng(13), 1, 128)
    src = blocks.pdu_to_tagged_stream(gr.types.complex_t, "packet_len")
    pack = blocks.stream_to_vector(gr.sizeof_gr_complex, 128)
    sink = blocks.vector_sink_f(11)
    tb = gr.top_block()
    tb.connect(src, pack, block, sink)
    tb.start()
    try:
        pdu = pmt.cons(pmt.make_dict(), pmt.init_c32vector(128, x[0].tolist()))
        src.to_basic_block()._post(pmt.intern("pdus"), pdu)
        deadline = time.time() + 10
        while len(sink.data()) < 11 and time.time() < deadline:
            time.sleep(0.01)
        assert np.abs(np.array(sink.data()) - reference(CLASSIFIER, planar(x))[0]).max() < 2e-5
    finally:
        tb.stop()
        tb.wait()


@pytest.mark.timing
def test_stops_in_time():
    block = diffsem.onnx_inference(path("torch_lstm_opset17"), layout="interleaved")
    src, sink = blocks.null_source(8 * 32), blocks.null_sink(16)
    tb = gr.top_block()
    tb.connect(src, block, sink)
    tb.start()
    time.sleep(0.3)
    before = time.time()
    tb.stop()
    tb.wait()
    assert time.time() - before < 3
    assert block.items_in() > 0


def test_live_parameters():
    block = diffsem.onnx_inference(path("sklearn_opset15"), max_batch=8)
    block.set_max_batch(3)
    block.set_tag_items(True)
    with pytest.raises(ValueError, match="max_batch is 0"):
        block.set_max_batch(0)


def test_sidecar(tmp_path):
    model = tmp_path / "filter.onnx"
    shutil.copy(path("torch_filter_open_length_opset16"), model)
    sidecar = tmp_path / "filter.onnx.json"
    sidecar.write_text(json.dumps({"diffsem.shape": [60], "diffsem.role": "filter"}))
    assert diffsem.onnx_inference(str(model)).in_vlen() == 60
    assert diffsem.onnx_inference(str(model), shape=[90]).in_vlen() == 90  # explicit wins
    sidecar.write_text(json.dumps({"diffsem.shap": [60]}))
    with pytest.raises(ValueError, match=r"diffsem\.shape"):
        diffsem.onnx_inference(str(model))
    sidecar.write_text(json.dumps({"diffsem.contract": 7, "diffsem.shape": [60]}))
    with pytest.raises(ValueError, match="knows version 1"):
        diffsem.onnx_inference(str(model))


BAD = {
    "no file": ("nowhere", {}, "no such file"),
    "type": (CLASSIFIER, {"input_type": "short"}, "input_type is 'short'"),
    "output type": (CLASSIFIER, {"output_type": "byte"}, "output_type is 'byte'"),
    "layout": (CLASSIFIER, {"layout": "polar"}, "layout is 'polar'"),
    "layout that is not": (CLASSIFIER, {"layout": "interleaved"}, "Choose another layout"),
    "shape": (CLASSIFIER, {"shape": [64], "layout": "planar"}, "shape does not agree"),
    "negative shape": (CLASSIFIER, {"shape": [-1]}, "positive"),
    "open dimension": ("torch_filter_open_length_opset16", {}, "Give shape"),
    "in_vlen": (CLASSIFIER, {"in_vlen": 100}, "in_vlen is 100"),
    "out_vlen": (CLASSIFIER, {"out_vlen": 4}, "out_vlen is 4"),
    "max_batch": (CLASSIFIER, {"max_batch": 0}, "max_batch is 0"),
    "input name": (CLASSIFIER, {"input": "z"}, "input is 'z', but the graph has: iq"),
    "output name": (CLASSIFIER, {"output": "z"}, "output is 'z'"),
    "sequence of maps": ("sklearn_zipmap_opset15", {"output": "output_probability"}, "zipmap"),
    "further input": ("gru_time_first_opset14", {"batch_axis": "1"}, "constants"),
    "constant of no input": (CLASSIFIER, {"constants": '{"q": 1}'}, "constants is 'q'"),
    "denoiser": ("eps_vp", {}, "with the block estimate"),
    "batch_axis": (CLASSIFIER, {"batch_axis": "9"}, "batch_axis is '9'"),
    "device": (CLASSIFIER, {"device": "npu"}, "cpu, cuda or cuda:N"),
    "threads": (CLASSIFIER, {"intra_op_threads": 0}, "intra_op_threads is 0"),
    "no runtime": (CLASSIFIER, {"onnxruntime": "/nowhere/libonnxruntime.so"}, "pip install onnxruntime"),
    "custom operator": ("bad_custom_op", {}, "acme.radio::Demap"),
    "complex of odd": ("sklearn_opset15", {"output_type": "complex"}, "should be complex"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case):
    name, options, message = BAD[case]
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(path(name), **options)
    assert message in str(error.value)


def test_bad_files(tmp_path):
    whole = pathlib.Path(path(CLASSIFIER)).read_bytes()
    for content, message in (
        (whole[: len(whole) // 2], "truncated"),
        (b"\x89PNG\r\n\x1a\n", "not an ONNX model"),
        (b"", "is empty"),
    ):
        file = tmp_path / "bad.onnx"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            diffsem.onnx_inference(str(file))
