# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference as GRC sees it: ports drawn from the file, a flowgraph that compiles and runs."""

import os
import pathlib
import subprocess
import sys

import pytest
from gnuradio import diffsem

onnx_header = pytest.importorskip("gr_diffsem.onnx_header")
grc = pytest.importorskip("gnuradio.grc.core.platform", reason="GRC is not installed")

ROOT = pathlib.Path(__file__).parents[2]
FOREIGN = ROOT / "tests" / "data" / "foreign"
PRIORS = ROOT / "tests" / "data" / "priors"

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


def test_flowgraph_compiles_and_runs(tmp_path):
    sink = tmp_path / "out.f32"
    file = tmp_path / "graph.grc"
    file.write_text(GRC.format(model=FOREIGN / "torch_iq_classifier_opset18.onnx", sink=sink))
    environment = {**os.environ, "GRC_BLOCKS_PATH": str(ROOT / "grc")}
    compiler = "import sys; from gnuradio.grc.compiler import main; sys.argv[0] = 'grcc'; main()"
    done = subprocess.run(
        [sys.executable, "-c", compiler, "-o", str(tmp_path), str(file)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
    )
    script = tmp_path / "onnx_graph.py"
    assert done.returncode == 0 and script.exists(), done.stdout + done.stderr
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=100)
    assert sink.stat().st_size == 25 * 11 * 4


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
]


@pytest.mark.parametrize("model, options", CASES, ids=lambda v: v.stem if hasattr(v, "stem") else "")
def test_ports_are_those_of_the_block(model, options):
    block = diffsem.onnx_inference(str(model), **options)
    said = {k: v for k, v in options.items() if k != "constants"}
    assert onnx_header.ports(str(model), **said) == {
        "in_type": block.in_type(),
        "in_vlen": block.in_vlen(),
        "out_type": block.out_type(),
        "out_vlen": block.out_vlen(),
    }


def test_unreadable_files_do_not_raise(tmp_path):
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"garbage" * 10)
    for model in ("", "/nowhere.onnx", str(bad), str(tmp_path)):
        assert onnx_header.ports(model)["in_vlen"] == 1
        assert onnx_header.problem(model)
    assert onnx_header.ports("/nowhere.onnx", in_vlen=64)["in_vlen"] == 64
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
