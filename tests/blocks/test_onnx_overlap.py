# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference on windows that overlap: as if the model had seen the whole stream.

The graphs are those of tests/data/make_streams.py; their docstring says what each output sees.
"""

import os
import pathlib

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ort = pytest.importorskip("onnxruntime")

STREAMS = pathlib.Path(__file__).parents[1] / "data" / "streams"
COMPLEX = {"layout": "planar", "output_layout": "planar"}
BEFORE = 512  # zeros that stand for the time before the stream


def path(name):
    return str(STREAMS / f"{name}.onnx")


def signal(count, seed=1):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(count) + 1j * rng.standard_normal(count)).astype(np.complex64)


def whole(name, x):
    """The model over the whole stream, zeros before and after it; from the stream's first sample on."""
    padded = np.concatenate([np.zeros(BEFORE), x, np.zeros(BEFORE)])
    session = ort.InferenceSession(path(name), providers=["CPUExecutionProvider"])
    y = session.run(None, {"x": np.stack([padded.real, padded.imag])[None].astype(np.float32)})[0][0]
    return y[0] + 1j * y[1]


def stream(block, x, chunk=0, tags=(), seconds=20):
    kinds = {"complex": "c", "float": "f", "int": "i"}
    vlen, size = block.in_vlen(), {"complex": 8, "float": 4}[block.in_type()]
    make = getattr(blocks, f"vector_source_{kinds[block.in_type()]}")
    src = make(np.ravel(x).tolist(), False, vlen, list(tags))
    pieces = blocks.copy(size * vlen)
    if chunk:
        pieces.set_max_noutput_items(chunk)
    sink = getattr(blocks, f"vector_sink_{kinds[block.out_type()]}")(block.out_vlen())
    tb = gr.top_block()
    tb.connect(src, pieces, block, sink)
    flow.run(tb, seconds)
    y = np.array(sink.data())
    return (y if block.out_vlen() == 1 else y.reshape(-1, block.out_vlen())), sink


# model, keep, window, hop, delay; the receptive fields are 6 + 6, and 6 + 0
EXACT = [
    ("conv", "centre", 64, 52, 6),
    ("conv", "centre", 64, 51, 7),
    ("conv", "centre", 40, 4, 18),
    ("conv_causal", "tail", 64, 58, 0),
    ("conv_causal", "tail", 16, 3, 0),
    ("conv_causal", "centre", 64, 52, 6),
]


@pytest.mark.parametrize("chunk", [1, 37, 0])
@pytest.mark.parametrize("model, keep, window, hop, delay", EXACT)
def test_discard_equals_the_whole_stream(model, keep, window, hop, delay, chunk):
    """From the very first sample: before it the model sees zeros, and answers them."""
    x = signal(1000 if chunk != 1 else 300)
    block = diffsem.onnx_inference(path(model), **COMPLEX, shape=[window], overlap="discard", hop=hop, keep=keep)
    assert (block.in_vlen(), block.out_vlen()) == (1, 1)
    assert (block.window(), block.hop(), block.delay()) == (window, hop, delay)
    y, _ = stream(block, x, chunk)
    assert len(y) == len(x) // hop * hop
    expected = whole(model, x)[BEFORE - delay : BEFORE - delay + len(y)]
    assert np.abs(y - expected).max() < 1e-5
    assert block.items_in() == block.items_out() == len(x) // hop


def test_a_receptive_field_that_does_not_fit_shows():
    """The limit is sharp: one sample too few at the edges, and the answer is another."""
    x = signal(1000)
    block = diffsem.onnx_inference(path("conv"), **COMPLEX, shape=[64], overlap="discard", hop=54)
    y, _ = stream(block, x)
    expected = whole("conv", x)[BEFORE - block.delay() :][: len(y)]
    assert np.abs(y - expected).max() > 1e-3


def test_the_end_comes_with_zeros_after_the_stream():
    x = signal(300)
    block = diffsem.onnx_inference(path("conv"), **COMPLEX, shape=[64], overlap="discard", hop=50)
    y, _ = stream(block, np.concatenate([x, np.zeros(block.delay() + 50)]))
    y = y[block.delay() :][:300]
    assert np.abs(y - whole("conv", x)[BEFORE : BEFORE + 300]).max() < 1e-5


@pytest.mark.parametrize("overlap, hop, delay", [("discard", 56, 2), ("discard", 60, 1), ("add", 32, 16)])
def test_half_the_rate(overlap, hop, delay):
    """Two samples in, one out: t sees 2 t - 2 to 2 t + 2."""
    x = signal(1200)
    block = diffsem.onnx_inference(path("halved"), **COMPLEX, overlap=overlap, hop=hop)
    assert block.delay() == delay
    tags = [flow.tag(o, "n", o) for o in (0, 1, 2, 3, 55, 600, 601)]
    y, sink = stream(block, x, tags=tags)
    assert len(y) == len(x) // hop * hop // 2
    assert sorted(flow.tag_list(sink)) == [(o // 2 + delay, "n", o) for o in (0, 1, 2, 3, 55, 600, 601)]
    padded = np.concatenate([np.zeros(64), x, np.zeros(64)])
    session = ort.InferenceSession(path("halved"), providers=["CPUExecutionProvider"])
    expected = np.zeros(len(y) + delay, complex)
    for n in range(len(expected)):  # each from a window that has it in the middle
        first = 2 * n + 64 - 32
        w = padded[first : first + 64] if first + 64 <= len(padded) else np.pad(padded[first:], (0, 64))[:64]
        a = session.run(None, {"x": np.stack([w.real, w.imag])[None].astype(np.float32)})[0][0, :, 16]
        expected[n] = a[0] + 1j * a[1]
    if overlap == "discard":
        assert np.abs(y[delay:] - expected[: len(y) - delay]).max() < 1e-5
    else:  # linear, and the weights at the edges, where an answer is wrong, are small
        error = np.abs(y[delay:] - expected[: len(y) - delay])
        assert error.max() < 0.02


@pytest.mark.parametrize("window, hop", [("hann", 32), ("hann", 16), ("sqrt_hann", 32), ("rectangular", 8)])
@pytest.mark.parametrize("kind", ["float", "complex", "vectors"])
@pytest.mark.parametrize("chunk", [0, 29])
def test_adding_reconstructs(window, hop, kind, chunk):
    x = signal(900)
    options = {"shape": [64], "layout": "interleaved", "output_layout": "interleaved"}
    if kind != "complex":
        x = x.real
        options = {"shape": [64, 1]}
    if kind == "vectors":
        x = np.stack([x, 2 * x, -x], axis=1)
        options = {"shape": [64, 3], "in_vlen": 3, "out_vlen": 3}
    block = diffsem.onnx_inference(path("identity"), **options, overlap="add", window=window, hop=hop)
    assert block.delay() == 64 - hop
    y, _ = stream(block, x, chunk)
    late = np.concatenate([np.zeros((block.delay(), *x.shape[1:])), x])[: len(y)]
    assert len(y) == 900 // hop * hop
    assert np.abs(y - late).max() < 2e-6 * np.abs(x).max()


def test_default_hop_is_half_a_window():
    block = diffsem.onnx_inference(path("identity"), shape=[64, 1], overlap="add")
    assert (block.window(), block.hop(), block.delay()) == (64, 32, 32)
    plain = diffsem.onnx_inference(path("identity"), shape=[64, 1])
    assert (plain.window(), plain.hop(), plain.delay(), plain.in_vlen()) == (0, 0, 0, 64)


@pytest.mark.parametrize("chunk", [1, 100, 0])
@pytest.mark.parametrize("overlap", ["discard", "add"])
def test_tags_move_with_the_delay(overlap, chunk):
    """A tag is on the same sample after as before."""
    offsets = [0, 1, 31, 32, 33, 100, 500]
    x = np.arange(600, dtype=np.float32)
    block = diffsem.onnx_inference(path("identity"), shape=[64, 1], overlap=overlap, hop=32)
    y, sink = stream(block, x, chunk, [flow.tag(o, "n", o) for o in offsets])
    assert sorted(flow.tag_list(sink)) == [(o + block.delay(), "n", o) for o in offsets]
    for offset, _, value in flow.tag_list(sink):
        assert abs(y[offset] - value) < 1e-3


@pytest.mark.parametrize("overlap, delay", [("discard", 8), ("add", 16)])
def test_two_inputs_advance_together(overlap, delay):
    """Each with its own pace and its own tags."""
    a, b = np.arange(500, dtype=np.float32), np.random.default_rng(2).standard_normal(700).astype(np.float32)
    streams = [{"name": "b", "shape": [32]}, {"name": "a", "shape": [32]}]
    block = diffsem.onnx_inference(path("added"), inputs=streams, overlap=overlap, hop=16)
    tb = gr.top_block()
    for port, (x, chunk) in enumerate([(b, 7), (a, 50)]):
        src = blocks.vector_source_f(x.tolist(), False, 1, [flow.tag(20 + port, "port", port)])
        pieces = blocks.copy(4)
        pieces.set_max_noutput_items(chunk)
        tb.connect(src, pieces, (block, port))
    sink = blocks.vector_sink_f()
    tb.connect(block, sink)
    flow.run(tb)
    y = np.array(sink.data())
    assert (len(y), block.delay()) == (496, delay)
    assert np.abs(y[delay:] - (a + b[:500])[: 496 - delay]).max() < 1e-3
    assert flow.tag_list(sink) == [(20 + delay, "port", 0), (21 + delay, "port", 1)]


@pytest.mark.parametrize("overlap", ["discard", "add", "none"])
def test_windows_beyond_the_usual_buffer(overlap):
    """64 kB hold 16,384 floats; the scheduler has to be told of more."""
    x = np.random.default_rng(3).standard_normal(160_000).astype(np.float32)
    options = {"hop": 20_000} if overlap != "none" else {"in_vlen": 1, "out_vlen": 1}
    block = diffsem.onnx_inference(path("identity"), shape=[40_000, 1], overlap=overlap, **options)
    y, _ = stream(block, x)
    assert len(y) == 160_000
    assert np.abs(y[block.delay() :] - x[: 160_000 - block.delay()]).max() < 1e-5


def test_features_that_lie_after_one_another():
    """Three values of each sample, as a graph of convolutions gives them, [3, 32]: vectors of three come out."""
    x = signal(400)
    block = diffsem.onnx_inference(path("soft_bits"), layout="planar", out_vlen=3, overlap="discard", hop=30)
    y, _ = stream(block, x)
    session = ort.InferenceSession(path("soft_bits"), providers=["CPUExecutionProvider"])
    padded = np.concatenate([np.zeros(1), x])
    w = padded[6 : 6 + 32]
    expected = session.run(None, {"x": np.stack([w.real, w.imag])[None].astype(np.float32)})[0][0]
    # sample i of w is sample 5 + i of x, which comes out `delay` later
    assert np.abs(y[5 + block.delay() + 1 : 5 + block.delay() + 31] - expected[:, 1:31].T).max() < 1e-5


def test_bad_samples_touch_their_windows_only():
    """Two windows hold the bad sample; each is tagged where it begins in the output."""
    x = np.ones(640, np.float32)
    x[200] = np.nan
    block = diffsem.onnx_inference(path("identity"), shape=[64, 1], overlap="add", hop=32)
    y, sink = stream(block, x)
    # window k begins in the output at 32 k and covers input samples 32 k - 32 to 32 k + 31
    assert flow.tag_values(sink, "diffsem_bypassed") == {192: "nan", 224: "nan"}
    assert block.items_bypassed() == 2
    good = np.r_[32:192, 288:640]
    assert np.abs(y[good] - 1).max() < 1e-6
    assert np.isfinite(y).all() and not y[224:256].any()


def test_a_flowgraph_that_starts_again_starts_anew():
    x = np.ones(256, np.float32)
    block = diffsem.onnx_inference(path("identity"), shape=[64, 1], overlap="add")
    src, sink = blocks.vector_source_f(x.tolist()), blocks.vector_sink_f()
    tb = gr.top_block()
    tb.connect(src, block, sink)
    flow.run(tb)
    first = np.array(sink.data())
    src.rewind()
    sink.reset()
    flow.run(tb)
    assert np.array_equal(np.array(sink.data())[:32], first[:32])


BAD = {
    "overlap": ({"overlap": "save"}, "overlap is 'save': give none, discard or add"),
    "hop alone": ({"hop": 4}, "hop is 4, but overlap is none"),
    "hop": ({"overlap": "add", "hop": 65}, "hop is 65, but the graph takes windows of 64"),
    "negative hop": ({"overlap": "add", "hop": -1}, "hop is -1"),
    "not constant": ({"overlap": "add", "hop": 24}, "do not add up to a constant"),
    "window": ({"overlap": "add", "window": "hamming"}, "window is 'hamming'"),
    "keep": ({"overlap": "discard", "keep": "head"}, "keep is 'head'"),
    "time_axis": ({"overlap": "discard", "time_axis": "0"}, "time_axis is '0'"),
    "vlen": ({"overlap": "discard", "in_vlen": 3}, "in_vlen is 3"),
    "dimensions": ({"overlap": "add", "shape": [64, 3]}, "Give the elements of one sample"),
    "ints": ({"overlap": "add", "output_type": "int"}, "use discard"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case):
    options, message = BAD[case]
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(path("identity"), **{"shape": [64, 1], **options})
    assert message in str(error.value)


def test_outputs_of_another_length():
    with pytest.raises(ValueError, match="no whole fraction"):
        diffsem.onnx_inference(path("soft_bits"), layout="planar", overlap="discard", time_axis="first")
    with pytest.raises(ValueError, match="must be a multiple of 2"):
        diffsem.onnx_inference(path("halved"), **COMPLEX, overlap="discard", hop=31)
