# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference with several inputs and outputs, against onnxruntime in Python.

The graphs are those of tests/data/make_streams.py: soft = |iq|^2 sum(gain), index = argmax(soft) +
offset, turned = iq sum(gain); iq complex of 16, gain float of 4, offset int.
"""

import json
import os
import pathlib
import shutil

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ort = pytest.importorskip("onnxruntime")

STREAMS = pathlib.Path(__file__).parents[1] / "data" / "streams"
SEVERAL, DECLARED = str(STREAMS / "several.onnx"), str(STREAMS / "declared.onnx")
IQ, GAIN, OFFSET = {"name": "iq", "layout": "planar"}, "gain", {"name": "offset", "type": "int"}
KINDS = {"complex": "c", "float": "f", "int": "i"}
SIZES = {"complex": 8, "float": 4, "int": 4}


def data(items, seed=1):
    rng = np.random.default_rng(seed)
    iq = rng.standard_normal((items, 16)) + 1j * rng.standard_normal((items, 16))
    gain = rng.standard_normal((items, 4)).astype(np.float32)
    offset = rng.integers(-1000, 1000, items).astype(np.int32)
    return {"iq": iq.astype(np.complex64), "gain": gain, "offset": offset}


def reference(x):
    session = ort.InferenceSession(SEVERAL, providers=["CPUExecutionProvider"])
    planes = np.stack([x["iq"].real, x["iq"].imag], axis=1)
    feed = {"iq": planes, "gain": x["gain"], "offset": x["offset"]}
    result = dict(zip(["soft", "index", "turned"], session.run(None, feed), strict=True))
    result["turned"] = result["turned"][:, 0] + 1j * result["turned"][:, 1]
    return result


def infer(block, inputs, chunks=(), tags=(), seconds=20):
    """Streams the arrays through the ports; gives ([array for each output], sinks)."""
    tb = gr.top_block()
    for port, x in enumerate(inputs):
        kind, vlen = block.in_type(port), block.in_vlen(port)
        make = getattr(blocks, f"vector_source_{KINDS[kind]}")
        src = make(np.ravel(x).tolist(), False, vlen, list(tags[port]) if tags else [])
        pieces = blocks.copy(SIZES[kind] * vlen)
        if chunks:  # a vector_source that has tags must not be limited itself
            pieces.set_max_noutput_items(chunks[port])
        tb.connect(src, pieces, (block, port))
    sinks = []
    for port in range(block.out_ports()):
        sinks.append(getattr(blocks, f"vector_sink_{KINDS[block.out_type(port)]}")(block.out_vlen(port)))
        tb.connect((block, port), sinks[-1])
    flow.run(tb, seconds)
    return [np.array(sink.data()) for sink in sinks], sinks


@pytest.mark.parametrize("max_batch", [1, 5, 64])
@pytest.mark.parametrize("chunks", [(), (1, 1, 1), (7, 3, 100)])
def test_three_in_three_out(max_batch, chunks):
    """Each port with its own type, its own vector length, and its own pace upstream."""
    x = data(150)
    block = diffsem.onnx_inference(
        SEVERAL,
        inputs=[{**OFFSET, "vlen": 1}, {**IQ, "vlen": 4}, {"name": "gain", "vlen": 1}],
        outputs=["index", {"name": "soft", "vlen": 1}, {"name": "turned", "type": "complex", "vlen": 8}],
        max_batch=max_batch,
    )
    assert [block.in_type(i) for i in range(block.in_ports())] == ["int", "complex", "float"]
    assert [block.in_vlen(i) for i in range(block.in_ports())] == [1, 4, 1]
    assert [block.out_type(i) for i in range(block.out_ports())] == ["int", "float", "complex"]
    assert [block.out_vlen(i) for i in range(block.out_ports())] == [1, 1, 8]
    (index, soft, turned), _ = infer(block, [x["offset"], x["iq"], x["gain"]], chunks)
    expected = reference(x)
    assert np.array_equal(index, expected["index"])
    assert np.abs(soft.reshape(-1, 16) - expected["soft"]).max() < 1e-4
    assert np.abs(turned.reshape(-1, 16) - expected["turned"]).max() < 1e-5
    assert block.items_in() == block.items_out() == 150


def test_outputs_are_left_out_and_inputs_become_constants():
    x = data(30)
    x["offset"][:] = 7
    expected = reference(x)
    block = diffsem.onnx_inference(SEVERAL, inputs=[IQ, GAIN], outputs=[{"name": "index"}], constants='{"offset": 7}')
    (index,), _ = infer(block, [x["iq"], x["gain"]])
    assert np.array_equal(index, expected["index"])

    x["gain"][:] = 0.5
    expected = reference(x)
    block = diffsem.onnx_inference(
        SEVERAL, input="iq", layout="planar", output="soft", constants='{"offset": 7, "gain": 0.5}'
    )
    (soft,), _ = infer(block, [x["iq"]])
    assert np.abs(soft.reshape(-1, 16) - expected["soft"]).max() < 1e-5


def test_what_the_file_lists(tmp_path):
    """Ports from the metadata; from a sidecar; the user's word wins."""
    block = diffsem.onnx_inference(DECLARED)
    assert (block.in_ports(), block.out_ports()) == (2, 2)
    x = data(20)
    x["offset"][:] = 100
    (soft, index), _ = infer(block, [x["iq"], x["gain"]])
    expected = reference(x)
    assert np.abs(soft.reshape(-1, 16) - expected["soft"]).max() < 1e-4
    assert np.array_equal(index, expected["index"])
    assert diffsem.onnx_inference(DECLARED, outputs=["index"]).out_type(0) == "int"

    model = tmp_path / "model.onnx"
    shutil.copy(SEVERAL, model)
    sidecar = {"diffsem.role": "demapper", "diffsem.inputs": [IQ, GAIN], "diffsem.outputs": ["soft"]}
    (tmp_path / "model.onnx.json").write_text(json.dumps({**sidecar, "diffsem.constants": {"offset": 0}}))
    block = diffsem.onnx_inference(str(model))
    assert (block.in_ports(), block.out_ports()) == (2, 1)
    with pytest.raises(ValueError, match="the file lists 2 ports"):
        diffsem.onnx_inference(str(model), in_vlen=4)
    with pytest.raises(ValueError, match="port is 2: give 0 to 1"):
        block.in_vlen(2)


@pytest.mark.parametrize("chunks", [(), (1, 3)])
def test_tags_of_every_input_on_every_output(chunks):
    """iq in single samples (16 to an inference), gain in vectors (1): the same tag on both comes out once."""
    x = data(40)
    block = diffsem.onnx_inference(
        SEVERAL,
        inputs=[{**IQ, "vlen": 1}, GAIN],
        outputs=[{"name": "soft", "vlen": 4}, "index"],
        constants='{"offset": 0}',
    )
    both = [0, 3, 39]
    tags = [
        [flow.tag(o, "iq", o) for o in (0, 15, 16, 500, 639)] + [flow.tag(16 * o, "both", o) for o in both],
        [flow.tag(o, "gain", o) for o in (0, 5, 39)] + [flow.tag(o, "both", o) for o in both],
    ]
    for side in tags:
        side.sort(key=lambda t: t.offset)
    _, sinks = infer(block, [x["iq"], x["gain"]], chunks, tags)
    for sink, per in zip(sinks, (4, 1), strict=True):
        expected = (
            [(o // 16 * per + o % 16 * per // 16, "iq", o) for o in (0, 15, 16, 500, 639)]
            + [(o * per, "gain", o) for o in (0, 5, 39)]
            + [(o * per, "both", o) for o in both]
        )
        assert sorted(flow.tag_list(sink)) == sorted(expected)
        offsets = [tag[0] for tag in flow.tag_list(sink)]
        assert offsets == sorted(offsets)


def test_equal_tags_of_one_input_are_all_kept():
    """Only what several inputs carry is one tag; a source may well say the same twice."""
    x = data(4)
    block = diffsem.onnx_inference(SEVERAL, inputs=[IQ, GAIN], outputs=["soft"], constants='{"offset": 0}')
    twice = [flow.tag(2, "n", 1), flow.tag(2, "n", 1)]
    _, (sink,) = infer(block, [x["iq"], x["gain"]], tags=[twice, twice])
    assert flow.tag_list(sink) == [(2, "n", 1)] * 2


def test_bad_data_on_one_input():
    """NaN on either float input replaces that inference on all outputs; an int cannot be NaN."""
    x = data(50)
    expected = reference(x)
    x["iq"][3, 5] = np.nan
    x["gain"][20, 0] = np.inf
    block = diffsem.onnx_inference(
        SEVERAL, inputs=[IQ, GAIN, OFFSET], outputs=["soft", "index", {"name": "turned", "type": "complex"}]
    )
    (soft, index, turned), sinks = infer(block, [x["iq"], x["gain"], x["offset"]])
    good = np.setdiff1d(np.arange(50), [3, 20])
    assert np.abs(soft.reshape(-1, 16) - expected["soft"])[good].max() < 1e-4
    assert not soft.reshape(-1, 16)[[3, 20]].any() and not index[[3, 20]].any()
    assert not turned.reshape(-1, 16)[[3, 20]].any()
    assert np.array_equal(index[good], expected["index"][good])
    for sink in sinks:
        assert flow.tag_values(sink, "diffsem_bypassed") == {3: "nan", 20: "nan"}
    assert (block.items_bypassed(), block.items_out()) == (2, 50)


def test_the_shorter_input_ends_it():
    """All inputs advance together: what the longer one has more stays where it is."""
    x = data(30)
    block = diffsem.onnx_inference(DECLARED)
    (soft, index), _ = infer(block, [x["iq"][:20], x["gain"]])
    assert soft.size == 20 * 16 and index.size == 20
    assert block.items_in() == 20


BAD = {
    "both": ({"inputs": [IQ], "layout": "planar"}, "layout and inputs are both given"),
    "both outputs": ({"outputs": ["soft"], "out_vlen": 4}, "out_vlen and outputs are both given"),
    "no such input": ({"inputs": [IQ, "snr"]}, "input is 'snr', but the graph has: iq"),
    "no such output": ({"inputs": [IQ, GAIN, OFFSET], "outputs": ["hard"]}, "output is 'hard'"),
    "twice": ({"inputs": [IQ, "iq"]}, "inputs lists 'iq' twice"),
    "outputs twice": ({"inputs": [IQ, GAIN, OFFSET], "outputs": ["soft", "soft"]}, "outputs lists 'soft' twice"),
    "no name": ({"inputs": [IQ, {"type": "float"}]}, "inputs has one without a name"),
    "left out": ({"inputs": [IQ, GAIN]}, '{"offset": 0}, or list it in inputs'),
    "streamed constant": ({"inputs": [IQ, GAIN, OFFSET], "constants": '{"gain": 1}'}, "'gain', which is streamed"),
    "type": ({"inputs": [IQ, GAIN, {"name": "offset", "type": "byte"}]}, "input_type is 'byte'. Give float"),
    "output type": (
        {"inputs": [IQ, GAIN, OFFSET], "outputs": [{"name": "soft", "type": "bool"}]},
        "output_type is 'bool'",
    ),
    "layout": ({"inputs": [{"name": "iq", "layout": "polar"}]}, "layout is 'polar'"),
    "shape": ({"inputs": [IQ, {"name": "gain", "shape": [5]}, OFFSET]}, "shape does not agree"),
    "vlen": (
        {"inputs": [IQ, {"name": "gain", "vlen": 3}, OFFSET]},
        "in_vlen is 3, but the graph takes 4 elements of 'gain'",
    ),
    "negative": ({"inputs": [IQ, {"name": "gain", "vlen": -1}, OFFSET]}, "in_vlen is -1"),
    "out vlen": (
        {"inputs": [IQ, GAIN, OFFSET], "outputs": [{"name": "soft", "vlen": 5}]},
        "out_vlen is 5, but the graph gives",
    ),
    "key": ({"inputs": [{"name": "iq", "lenght": 4}]}, "'lenght' says nothing of a port"),
    "value": ({"inputs": [{"name": "iq", "vlen": "long"}]}, "vlen is 'long'"),
    "entry": ({"inputs": [3]}, "give each port as a name, or as a dictionary"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_parameters(case):
    options, message = BAD[case]
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(SEVERAL, **options)
    assert message in str(error.value)
