# SPDX-License-Identifier: GPL-3.0-or-later
"""The GRC blocks: every one is compiled by grcc, the result runs, and asserts and hiding do what they say."""

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys

import flow
import numpy as np
import pytest
from grc_signatures import complaints

GRC = pathlib.Path(__file__).resolve().parents[2] / "grc"
STATES = {"coordinate": [0, 0], "rotation": 0, "state": "enabled"}

yaml = pytest.importorskip("yaml")
pytest.importorskip("gnuradio.grc.core.platform")


def graph(blocks, connections=()):
    """A .grc file as a dict; blocks are (name, id, parameters)."""
    return {
        "options": {"parameters": {"id": "made", "generate_options": "no_gui"}, "states": STATES},
        "blocks": [{"name": n, "id": i, "parameters": p, "states": STATES} for n, i, p in blocks],
        "connections": [list(c) for c in connections],
        "metadata": {"file_format": 1},
    }


def loaded(platform, data):
    flow_graph = platform.make_flow_graph()
    flow_graph.import_data(data)
    flow_graph.rewrite()
    flow_graph.validate()
    return flow_graph


def block_of(platform, kind, **parameters):
    fg = loaded(platform, graph([("b", kind, {k: str(v) for k, v in parameters.items()})]))
    return fg.get_block("b")


def compiled(tmp_path, data):
    """grcc's module of a graph."""
    (tmp_path / "made.grc").write_text(yaml.safe_dump(data))
    grcc = shutil.which("grcc")
    if not grcc:
        pytest.skip("grcc is not installed")
    result = subprocess.run(
        [sys.executable, grcc, "-o", str(tmp_path), str(tmp_path / "made.grc")],
        env={**os.environ, "GRC_BLOCKS_PATH": str(GRC), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    made = tmp_path / "made.py"
    assert made.exists(), result.stdout + result.stderr
    spec = importlib.util.spec_from_file_location("made", made)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_block_loads_with_documentation(platform):
    for path in GRC.glob("*.block.yml"):
        block = platform.blocks[path.name.removesuffix(".block.yml")]
        assert block.documentation.get("", "").strip(), path
        assert block.category[0] == "diffsem", path
        for data in block.parameters_data:
            assert len(data.get("options", [])) == len(data.get("option_labels", data.get("options", []))), path
        for data in [*block.inputs_data, *block.outputs_data]:
            assert "${" not in data.get("label", ""), f"{path}: the companion does not evaluate a port's label"


def complaints_about(said, platform):
    """What is wrong with this content of a GRC file, as the companion reads it."""
    from gnuradio import diffsem

    needed = {
        p["id"]: "[]" for p in said["parameters"] if p["dtype"].endswith(("raw", "vector")) and not p.get("default")
    }
    block = block_of(platform, said["id"], **needed)
    template = "var_make" if said["id"].startswith("variable_") else "make"
    return complaints(said, block.templates.render(template), diffsem)


@pytest.mark.parametrize("path", sorted(GRC.glob("*.block.yml")), ids=lambda p: p.name.split(".")[0])
def test_a_block_is_what_its_constructor_says(platform, path):
    """Every parameter is offered, in its place, with its default; every setter is called; nothing else is there."""
    assert complaints_about(yaml.safe_load(path.read_text()), platform) == []


def drop(said, parameter):
    """Take a parameter out of a file, as if it had never been written."""
    said["parameters"] = [p for p in said["parameters"] if p["id"] != parameter]
    for key in ("make", "callbacks"):
        lines = said["templates"][key]
        kept = [x for x in (lines.splitlines() if key == "make" else lines) if f"{parameter}=" not in x]
        kept = [x for x in kept if f"set_{parameter}(" not in x]
        said["templates"][key] = "\n".join(kept) if key == "make" else kept


def swap_scale_and_clip(said):
    """The values of two arguments are exchanged."""
    make = said["templates"]["make"].replace("scale=${scale}", "scale=${clip}")
    said["templates"]["make"] = make.replace("clip=${clip}", "clip=${scale}")


def default_of(said, parameter, value):
    """Give a parameter another default."""
    next(p for p in said["parameters"] if p["id"] == parameter)["default"] = value


@pytest.mark.parametrize(
    "spoil, expected",
    [
        (
            lambda said: drop(said, "scale"),
            [
                "scale of soft_demapper_cf is not offered",
                "set_scale of soft_demapper_cf is not called when the parameter changes",
            ],
        ),
        (lambda said: default_of(said, "noise_var", "2.0"), ["noise_var of soft_demapper_cf is 1.0, in the file 2.0"]),
        (
            lambda said: default_of(said, "bit_order", "lsb"),
            ["bit_order of soft_demapper_cf is 'msb', in the file 'lsb'"],
        ),
        (
            lambda said: said["parameters"].append({"id": "gain", "dtype": "real", "default": "1"}),
            ["gain is no parameter of soft_demapper_cf"],
        ),
        (
            lambda said: said["templates"]["callbacks"].append("set_fft_len(${fft_len})"),
            ["soft_demapper_cf has no set_fft_len"],
        ),
        (
            swap_scale_and_clip,
            [
                "scale of soft_demapper_cf is given ['clip']",
                "clip of soft_demapper_cf is given ['scale']",
                "scale of soft_demapper_cf is 1.0, in the file 0",
                "clip of soft_demapper_cf is 0.0, in the file 1.0",
            ],
        ),
    ],
    ids=["missing", "default", "option", "unknown", "setter", "swapped"],
)
def test_a_file_that_does_not_fit_is_found(platform, spoil, expected):
    said = yaml.safe_load((GRC / "diffsem_soft_demapper_cf.block.yml").read_text())
    spoil(said)
    said["id"] = "diffsem_spoilt"
    platform.load_block_description(said, "spoilt.block.yml")
    assert sorted(complaints_about(said, platform)) == sorted(expected)


def test_estimate_with_a_scheme_variable_runs(tmp_path):
    source = {"vector": "list(range(1, 33))", "vlen": "8", "type": "complex", "repeat": "False"}
    estimate = {
        "scheme": "ls_scheme",
        "vlen": "8",
        "variance_output": "True",
        "baseline_output": "True",
        "noise_var": "level",
        "tag_items": "True",
    }
    data = graph(
        [
            ("ls_scheme", "variable_diffsem_scheme", {"spec": "ls"}),
            ("level", "variable", {"value": "0.25"}),
            ("src", "blocks_vector_source_x", source),
            ("est", "diffsem_estimate", estimate),
            *(
                (f"sink{i}", "blocks_vector_sink_x", {"type": t, "vlen": "8"})
                for i, t in enumerate(["complex", "float", "complex"])
            ),
        ],
        [("src", "0", "est", "0"), *(("est", str(i), f"sink{i}", "0") for i in range(3))],
    )
    tb = compiled(tmp_path, data).made()
    tb.set_level(0.5)  # a callback
    flow.run(tb)
    np.testing.assert_array_equal(tb.sink0.data(), np.arange(1, 33))
    np.testing.assert_array_equal(tb.sink1.data(), np.full(32, 0.5))
    np.testing.assert_array_equal(tb.sink2.data(), np.arange(1, 33))


def test_baseline_alone_is_the_second_port(tmp_path):
    source = {"vector": "[1, 2, 3, 4]*2", "vlen": "4", "type": "complex", "repeat": "False"}
    estimate = {
        "scheme": '"ls"',
        "vlen": "4",
        "baseline_output": "True",
        "noise": "repeated_pairs",
        "observed": "[0, 1]",
    }
    sinks = [(f"sink{i}", "blocks_vector_sink_x", {"type": "complex", "vlen": "4"}) for i in range(2)]
    data = graph(
        [("src", "blocks_vector_source_x", source), ("est", "diffsem_estimate", estimate), *sinks],
        [("src", "0", "est", "0"), ("est", "0", "sink0", "0"), ("est", "1", "sink1", "0")],
    )
    tb = compiled(tmp_path, data).made()
    flow.run(tb)
    assert tb.sink1.data() == [1, 2, 0, 0]


def test_a_receiver_of_our_ofdm_blocks_runs(tmp_path):
    data = graph(
        [
            ("fft_len", "variable", {"value": "8"}),
            ("word", "variable", {"value": "[0, 1, -1, 1, 0, 1, -1, 0]"}),
            ("carriers", "variable", {"value": "[[-3, -1, 1, 2]]"}),
            (
                "eq",
                "variable_diffsem_ofdm_equalizer",
                {
                    "occupied_carriers": "carriers",
                    "pilot_carriers": "[[-2]]",
                    "pilot_symbols": "[[1]]",
                },
            ),
            (
                "src",
                "blocks_vector_source_x",
                {
                    "vector": "word + [0, 1, 1, -1, 0, 1, -1, 0]",
                    "vlen": "fft_len",
                    "type": "complex",
                    "repeat": "False",
                },
            ),
            (
                "chanest",
                "diffsem_ofdm_chanest_vcvc",
                {
                    "scheme": '"ls"',
                    "sync_symbol1": "word",
                    "max_carr_offset": "0",
                    "extra_tags": "noise",
                    "noise_var": "0.5",
                },
            ),
            (
                "frame",
                "digital_ofdm_frame_equalizer_vcvc",
                {
                    "fft_len": "fft_len",
                    "cp_len": "2",
                    "equalizer": "eq.base()",
                    "len_tag_key": '""',
                    "propagate_channel_state": "True",
                    "fixed_frame_len": "1",
                },
            ),
            (
                "serial",
                "digital_ofdm_serializer_vcc",
                {"fft_len": "fft_len", "occupied_carriers": "carriers", "len_tag_key": "len"},
            ),
            (
                "tagger",
                "blocks_stream_to_tagged_stream",
                {"type": "complex", "vlen": "fft_len", "packet_len": "1", "len_tag_key": '"len"'},
            ),
            (
                "demap",
                "diffsem_soft_demapper_cf",
                {"constellation": '"bpsk"', "occupied_carriers": "carriers", "fft_len": "fft_len"},
            ),
            ("sink", "blocks_vector_sink_x", {"type": "float"}),
        ],
        [
            (a, "0", b, "0")
            for a, b in zip(
                ("src", "chanest", "frame", "tagger", "serial", "demap"),
                ("chanest", "frame", "tagger", "serial", "demap", "sink"),
                strict=True,
            )
        ],
    )
    tb = compiled(tmp_path, data).made()
    flow.run(tb)
    assert np.sign(tb.sink.data()).tolist() == [1, -1, 1, -1]
    np.testing.assert_allclose(np.abs(tb.sink.data()), 4 / 0.5, rtol=1e-4)


def test_hiding_follows_the_noise_source(platform):
    def hidden(noise):
        block = block_of(platform, "diffsem_estimate", noise=noise)
        return {k for k in ("noise_var", "noise_tag", "null_carriers", "delay_window") if block.params[k].hide == "all"}

    everything = {"noise_var", "noise_tag", "null_carriers", "delay_window"}
    assert hidden("parameter") == everything - {"noise_var"}
    assert hidden("tag") == everything - {"noise_var", "noise_tag"}
    assert hidden("null_carriers") == everything - {"null_carriers"}
    assert hidden("delay_tail") == everything - {"delay_window"}


def test_input_length_follows_the_parameters(platform):
    assert block_of(platform, "diffsem_estimate", vlen=16, noise="repeated").sinks[0].vlen == 32
    assert block_of(platform, "diffsem_estimate", vlen=16, in_vlen=4).sinks[0].vlen == 4


@pytest.mark.parametrize(
    "kind, wrong",
    [
        ("diffsem_estimate", {"vlen": 0}),
        ("diffsem_estimate", {"noise_var": 0}),
        ("diffsem_estimate", {"observed": [64]}),
        ("diffsem_estimate", {"noise": "null_carriers"}),
        ("diffsem_estimate", {"noise_averaging": 0}),
        ("diffsem_ofdm_chanest_vcvc", {"sync_symbol1": [1, 0, 1], "sync_symbol2": [1]}),
        ("diffsem_ofdm_chanest_vcvc", {"sync_symbol1": [1, 0, 1], "n_data_symbols": 0}),
        ("diffsem_ofdm_chanest_vcvc", {"sync_symbol1": [1, 0] * 64}),  # 128 under a scheme of 64
        ("diffsem_ofdm_chanest_vcvc", {"sync_symbol1": [1, 0] * 64, "scheme": '"ofdm_chanest/lmmse:steps=1"'}),
        ("diffsem_soft_demapper_cf", {"scale": 0}),
        ("diffsem_onnx_inference_pdu", {"workers": 65}),
        ("diffsem_onnx_inference_pdu", {"queue": 0}),
        ("variable_diffsem_scheme", {"spec": ""}),
    ],
)
def test_asserts_catch_wrong_values(platform, kind, wrong):
    fails(platform, kind, wrong)


def fails(platform, kind, wrong):
    """An assertion does, of a block with these parameters."""
    errors = [e for _, e in block_of(platform, kind, **wrong).iter_error_messages()]
    assert any("Assertion" in e or "failed" in e for e in errors), errors


GRID = {"fft_len": 16, "occupied_carriers": [-3, -2, 1, 2], "pilots": [([-3, 2], [1, 1j]), ([], [])]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"fft_len": 1},
        {"occupied_carriers": []},
        {"occupied_carriers": [-3, 2, 8]},
        {"pilots": [([], [])]},
        {"pilots": [([-3, 2], [1])]},
        {"pilots": [([2, 2], [1, 1])]},
        {"pilots": [([3], [1])]},
        {"pilots": [([2], [0])]},
        {"pilots": [([2], [float("nan")])]},
        {"null_carriers": [1]},
        {"window": 0},
        {"latency": 16},
        {"delay_window": 17},
        {"noise_var": -1},
        {"scheme": "ofdm_chanest"},
    ],
    ids=str,
)
def test_what_a_grid_refuses_the_companion_says_too(platform, wrong):
    """The same that make() refuses."""
    from gnuradio import diffsem

    good = block_of(platform, "diffsem_ofdm_grid_chanest", **GRID, scheme='"ls"')
    assert not any("Assert" in e for _, e in good.iter_error_messages())
    values = {**GRID, **wrong}
    if "nan" in str(wrong):
        values["pilots"] = "[([2], [float('nan')])]"
    if "scheme" in wrong:
        values["scheme"] = repr(wrong["scheme"])
    fails(platform, "diffsem_ofdm_grid_chanest", values)
    with pytest.raises(ValueError):
        diffsem.ofdm_grid_chanest(**{**GRID, "scheme": "ls", **wrong})


@pytest.mark.parametrize("scheme", ['"ls"', '"no_such_package"', "variable"])
def test_what_the_companion_cannot_know_it_does_not_refuse(platform, scheme):
    """128 carriers under a scheme that takes any, one that is not there, and one that is a variable."""
    chanest = {"scheme": scheme, "sync_symbol1": "[1, 0] * 64"}
    variable = ("variable", "variable_diffsem_scheme", {"spec": "mimo_chanest_16x64"})
    fg = loaded(platform, graph([variable, ("b", "diffsem_ofdm_chanest_vcvc", chanest)]))
    assert not any("Assert" in e for _, e in fg.get_block("b").iter_error_messages())
    variable[2]["spec"] = "ofdm_chanest"
    fg = loaded(platform, graph([variable, ("b", "diffsem_ofdm_chanest_vcvc", chanest)]))
    assert any("Assert" in e for _, e in fg.get_block("b").iter_error_messages()) == (scheme == "variable")
