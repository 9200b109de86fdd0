# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference as GRC sees it: ports drawn from the file, a flowgraph that compiles and runs."""

import os
import pathlib
import subprocess
import sys

import numpy as np
import onnx_maker
import pytest
from gnuradio import diffsem

onnx_header = pytest.importorskip("gr_diffsem.package.onnx_header")
grc = pytest.importorskip("gnuradio.grc.core.platform", reason="GRC is not installed")

ROOT = pathlib.Path(__file__).parents[2]
FOREIGN = ROOT / "tests" / "data" / "foreign"
PRIORS = ROOT / "tests" / "data" / "priors"
STREAMS = ROOT / "tests" / "data" / "streams"

GRC = """
options:
  parameters: {{id: onnx_graph, output_language: python, generate_options: no_gui, run_options: run}}
  states: {{state: enabled}}
blocks:
- name: source
  id: analog_noise_source_x
  parameters: {{amp: '1', noise_type: analog.GR_GAUSSIAN, seed: '3', type: complex}}
  states: {{state: enabled}}
- name: vectors
  id: blocks_stream_to_vector
  parameters: {{num_items: '128', type: complex, vlen: '1'}}
  states: {{state: enabled}}
- name: head
  id: blocks_head
  parameters: {{num_items: '25', type: complex, vlen: '128'}}
  states: {{state: enabled}}
- name: classify
  id: diffsem_onnx_inference
  parameters: {{model: '{model}', layout: planar}}
  states: {{state: enabled}}
- name: sink
  id: blocks_file_sink
  parameters: {{file: '{sink}', type: float, vlen: '11', unbuffered: 'True'}}
  states: {{state: enabled}}
connections:
- [source, '0', vectors, '0']
- [vectors, '0', head, '0']
- [head, '0', classify, '0']
- [classify, '0', sink, '0']
metadata: {{file_format: 1}}
"""


TWO_PORTS = """
options:
  parameters: {{id: onnx_graph, output_language: python, generate_options: no_gui, run_options: run}}
  states: {{state: enabled}}
blocks:
- name: iq
  id: blocks_vector_source_x
  parameters: {{vector: '[k % 7 - 3j for k in range(320)]', type: complex, vlen: '16', repeat: 'False'}}
  states: {{state: enabled}}
- name: gain
  id: blocks_vector_source_x
  parameters: {{vector: '[k % 5 for k in range(80)]', type: float, vlen: '{gain_vlen}', repeat: 'False'}}
  states: {{state: enabled}}
- name: net
  id: diffsem_onnx_inference
  parameters: {{model: '{model}', inputs: "{inputs}", outputs: "{outputs}"}}
  states: {{state: enabled}}
- name: soft
  id: blocks_file_sink
  parameters: {{file: '{folder}/soft', type: float, vlen: '16', unbuffered: 'True'}}
  states: {{state: enabled}}
- name: index
  id: blocks_file_sink
  parameters: {{file: '{folder}/index', type: int, vlen: '1', unbuffered: 'True'}}
  states: {{state: enabled}}
connections:
- [iq, '0', net, '0']
- [gain, '0', net, '1']
- [net, '0', soft, '0']
- [net, '1', index, '0']
metadata: {{file_format: 1}}
"""


def compile_and_run(folder, text):
    """grcc, then the script that it wrote."""
    file = folder / "graph.grc"
    file.write_text(text)
    environment = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc")}
    compiler = "import sys; from gnuradio.grc.compiler import main; sys.argv[0] = 'grcc'; main()"
    done = subprocess.run(
        [sys.executable, "-c", compiler, "-o", str(folder), str(file)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    script = folder / "onnx_graph.py"
    assert done.returncode == 0 and script.exists(), done.stdout + done.stderr
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=100)


def test_flowgraph_compiles_and_runs(tmp_path):
    sink = tmp_path / "out.f32"
    compile_and_run(tmp_path, GRC.format(model=FOREIGN / "torch_iq_classifier_opset18.onnx", sink=sink))
    assert sink.stat().st_size == 25 * 11 * 4


@pytest.mark.parametrize("told", ["by the file", "by the user"])
def test_two_ports_on_each_side(told, tmp_path):
    """Two inputs of two types, two outputs of two types: declared in the file, or in the block."""
    inputs = "[{'name': 'iq', 'layout': 'planar'}, {'name': 'gain', 'vlen': 1}]" if "user" in told else "[]"
    outputs = "['soft', 'index']" if "user" in told else "[]"
    gain_vlen = 1 if "user" in told else 4
    compile_and_run(
        tmp_path,
        TWO_PORTS.format(
            model=STREAMS / "declared.onnx", folder=tmp_path, inputs=inputs, outputs=outputs, gain_vlen=gain_vlen
        ),
    )
    iq = np.array([k % 7 - 3j for k in range(320)]).reshape(20, 16)
    gain = np.array([k % 5 for k in range(80)]).reshape(20, 4)
    soft = np.abs(iq) ** 2 * gain.sum(axis=1, keepdims=True)
    assert np.allclose(np.fromfile(tmp_path / "soft", np.float32).reshape(20, 16), soft)
    assert np.array_equal(np.fromfile(tmp_path / "index", np.int32), soft.argmax(axis=1) + 100)


CASES = [
    (FOREIGN / "torch_iq_classifier_opset18.onnx", {}),
    (FOREIGN / "torch_iq_classifier_opset18.onnx", {"layout": "planar"}),
    (FOREIGN / "torch_iq_classifier_opset18.onnx", {"layout": "planar", "in_vlen": 1}),
    (FOREIGN / "torch_lstm_opset17.onnx", {"layout": "interleaved"}),
    (FOREIGN / "torch_filter_open_length_opset16.onnx", {"shape": [75]}),
    (FOREIGN / "torch_filter_open_length_opset16.onnx", {"shape": [1, 75], "output_type": "float"}),
    (FOREIGN / "keras_fixed_batch_opset11.onnx", {}),
    (FOREIGN / "demapper_int64_opset13.onnx", {"layout": "interleaved"}),
    (FOREIGN / "sklearn_opset15.onnx", {"output": "probabilities"}),
    (FOREIGN / "gru_time_first_opset14.onnx", {"batch_axis": "1", "output": "last", "constants": '{"h0": 0}'}),
    (PRIORS / "interleaved.onnx", {"constants": '{"t": 1}'}),
    (PRIORS / "real.onnx", {"constants": '{"t": 1}'}),
    (PRIORS / "fixed_batch.onnx", {"constants": '{"t": 1}'}),
    (STREAMS / "declared.onnx", {}),
    (STREAMS / "declared.onnx", {"outputs": ["index", {"name": "turned", "type": "complex"}]}),
    (STREAMS / "declared.onnx", {"outputs": ["soft"], "inputs": ["iq", {"name": "gain", "vlen": 2}]}),
    (
        STREAMS / "several.onnx",
        {
            "inputs": [
                {"name": "offset", "type": "int"},
                {"name": "gain", "vlen": 1},
                {"name": "iq", "layout": "planar", "vlen": 4},
            ],
            "outputs": ["index", {"name": "turned", "layout": "planar", "vlen": 1}, {"name": "soft", "vlen": 8}],
        },
    ),
    (STREAMS / "conv.onnx", {"layout": "planar", "shape": [64], "output_type": "complex"}),
    (STREAMS / "conv.onnx", {"layout": "planar", "shape": [64], "output_type": "complex", "overlap": "discard"}),
    (STREAMS / "halved.onnx", {"layout": "planar", "output_layout": "planar", "overlap": "discard"}),
    (STREAMS / "soft_bits.onnx", {"layout": "planar", "out_vlen": 3, "overlap": "discard"}),
    (STREAMS / "soft_bits.onnx", {"layout": "planar", "time_axis": "last", "overlap": "add"}),
    (STREAMS / "identity.onnx", {"shape": [32, 3], "time_axis": "first", "overlap": "add"}),
]


@pytest.mark.parametrize("model, options", CASES, ids=lambda v: v.stem if hasattr(v, "stem") else "")
def test_ports_are_those_of_the_block(model, options):
    block = diffsem.onnx_inference(str(model), **options)
    said = {k: v for k, v in options.items() if k != "constants"}
    assert onnx_header.ports(str(model), **said) == {
        "inputs": [{"type": block.in_type(i), "vlen": block.in_vlen(i)} for i in range(block.in_ports())],
        "outputs": [{"type": block.out_type(i), "vlen": block.out_vlen(i)} for i in range(block.out_ports())],
    }


def test_doubles_are_f64_for_the_companion(tmp_path):
    model = tmp_path / "m.onnx"
    ends = [("x", "float64", ["n", 3])], [("y", "float64", ["n", 3])]
    model.write_bytes(onnx_maker.model([onnx_maker.node("Identity", ["x"], ["y"])], *ends))
    for side in ("inputs", "outputs"):
        said = {"model": str(model), "state": "", "constants": ""}
        assert onnx_header.grc_port(said, side, 0) == {"type": "f64", "vlen": 3, "hide": False}


def test_unreadable_files_do_not_raise(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"garbage" * 10)
    for model in ("", "/nowhere.onnx", str(bad), str(tmp_path)):
        assert onnx_header.ports(model)["inputs"] == [{"type": "float", "vlen": 1}]
        assert onnx_header.problem(model)
    assert onnx_header.ports("/nowhere.onnx", in_vlen=64)["inputs"][0]["vlen"] == 64
    said = onnx_header.ports("/nowhere.onnx", outputs=["a", {"name": "b", "type": "int", "vlen": 3}])
    assert said["outputs"] == [{"type": "float", "vlen": 1}, {"type": "int", "vlen": 3}]
    for inputs in (3, [3], {"name": "iq"}, [["iq"]], "iq"):  # while somebody types
        assert len(onnx_header.ports(str(STREAMS / "declared.onnx"), inputs=inputs)["inputs"]) == 1
    assert not onnx_header.problem(str(CASES[0][0]))


def test_header_follows_the_file(tmp_path):
    model = tmp_path / "model.onnx"
    model.write_bytes(CASES[0][0].read_bytes())
    assert onnx_header.read_header(str(model))["opset"] == 18
    model.write_bytes(CASES[6][0].read_bytes())
    os.utime(model, (1, 1))
    header = onnx_header.read_header(str(model))
    assert header["opset"] == 11
    assert [t["name"] for t in header["inputs"]] == ["serving_default_input:0"]  # no initialisers
    assert header["inputs"][0]["shape"] == [1, 8, 8, 1]
