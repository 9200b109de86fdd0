# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example of Python on a page runs, as it stands, and prints what it says that it prints.

Each block runs in a folder of its own with nothing but what its page supposes: GIVEN, whose reasons stand beside.
What needs PyTorch or diffusers runs in the ring `lab` (OF_LAB).
"""

import contextlib
import io
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", "examples/README.md", "bench/results.md"]
PAGES += sorted(str(p.relative_to(ROOT)) for f in ("docs", "models") for p in (ROOT / f).rglob("*.md"))


def examples_of(page):
    """[(line, code)] of the blocks of Python on a page. A block without a language is no Python."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.finditer(r"^```(\w*)\n(.*?)^```", text, re.S | re.M)
    return [(text[: m.start()].count("\n") + 2, m[2]) for m in found if m[1] == "python"]


EXAMPLES = {(page, k): example for page in PAGES for k, example in enumerate(examples_of(page))}
OF_LAB = {
    ("docs/openings/import.md", 0): "tests/lab/test_import.py",  # it makes a pipeline with diffusers
}


def a_receiver():
    """What a receiver with gr-digital's blocks has, into which the README's two lines go."""
    from gnuradio import digital
    from gr_diffsem.base.pilot_patterns import WIFI_PILOT_VALUES
    from gr_diffsem.phy.ofdm_layout import LAYOUT_64

    sync1, sync2 = (np.zeros(64, complex) for _ in range(2))
    sync1[LAYOUT_64.carrier_bins[::2]] = sync2[LAYOUT_64.carrier_bins] = 1
    given = {"sync1": sync1, "sync2": sync2, "n_data_symbols": 4, "digital": digital}
    return {**given, "occupied": [LAYOUT_64.data], "pilots": [LAYOUT_64.pilots], "pilot_symbols": [WIFI_PILOT_VALUES]}


def a_demultiplexer():
    from gnuradio import diffsem, digital

    return {"diffsem": diffsem, "demux": digital.header_payload_demux(3, 64, 16)}


def both_modules():
    from gnuradio import diffsem, digital

    return {"diffsem": diffsem, "digital": digital}


def a_flowgraph_with_an_fft():
    from gnuradio import blocks, diffsem, fft, gr

    given = {"diffsem": diffsem, "tb": gr.top_block(), "fft": fft.fft_vcc(512, True, [], True)}
    return {**given, "symbols": blocks.null_sink(8 * 512)}


def a_recurrent_model():
    """lstm.onnx: x and two states of three numbers."""
    from onnx_maker import model, node

    nodes = [node("Add", ["x", "h0"], ["hn"]), node("Add", ["x", "c0"], ["cn"]), node("Mul", ["hn", "cn"], ["y"])]
    shapes = {name: [(name, "float32", [1, 3])] for name in ("x", "h0", "c0", "y", "hn", "cn")}
    inputs, outputs = (sum((shapes[n] for n in names), []) for names in (("x", "h0", "c0"), ("y", "hn", "cn")))
    Path("lstm.onnx").write_bytes(model(nodes, inputs, outputs))
    from gnuradio import diffsem

    return {"diffsem": diffsem}


def a_model_of_several_ports():
    """receiver.onnx: planes of a complex sample, a noise and a threshold to a soft value and a decision."""
    from onnx_maker import model, node

    nodes = [
        node("ReduceSum", ["iq", "axis"], ["both"], keepdims=0),
        node("Add", ["both", "noise"], ["soft"]),
        node("Greater", ["soft", "threshold"], ["above"]),
        node("Cast", ["above"], ["decision"], to=6),
    ]
    inputs = [("iq", "float32", ["n", 2]), ("noise", "float32", ["n"]), ("threshold", "float32", [])]
    outputs = [("soft", "float32", ["n"]), ("decision", "int32", ["n"])]
    Path("receiver.onnx").write_bytes(model(nodes, inputs, outputs, {"axis": np.array([1], np.int64)}))
    from gnuradio import diffsem

    return {"diffsem": diffsem}


def the_recipes_package():
    """sector_array as the page has exported it by then; a mixture stands for its network, which the ring `lab`
    trains."""
    import json

    from gr_diffsem import schemes
    from gr_diffsem.package import package_writer

    Path("sector_array.py").write_text(EXAMPLES["docs/add_a_scheme.md", 0][1])
    scheme, folder = schemes.get("./sector_array.py"), Path("models/sector_array")
    package_writer.fit_missing(scheme, folder)
    package_writer.write(scheme, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["default"] = "gmm"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return {}


def an_imported_package():
    """./tiny, as `gr-diffsem import` would have made it."""
    shutil.copytree(ROOT / "tests" / "data" / "imported", "tiny")
    return {}


#: {(page, number of the block): what makes the files and names that the page supposes}
GIVEN = {
    ("README.md", 0): a_receiver,
    ("docs/add_a_scheme.md", 1): the_recipes_package,
    ("docs/blocks.md", 0): a_demultiplexer,
    ("docs/blocks.md", 1): both_modules,
    ("docs/blocks.md", 2): a_flowgraph_with_an_fft,
    ("docs/blocks.md", 3): both_modules,
    ("docs/blocks.md", 4): a_recurrent_model,
    ("docs/blocks.md", 5): a_model_of_several_ports,
    ("docs/openings/import.md", 1): an_imported_package,
    ("docs/openings/schedules.md", 0): an_imported_package,
}
#: {(page, number): what to do with the block's names afterwards}
AFTERWARDS = {
    ("docs/openings/conditions.md", 1): lambda names: takes_its_own_batches(names["Told"]()),
    ("docs/openings/network_operators.md", 0): lambda names: has(names["Encoded"](), "has_operator_network"),
    ("docs/openings/latents.md", 1): lambda names: has(names["Mine"](), "has_codec"),
}


def takes_its_own_batches(scheme):
    scheme.check_batch(scheme.batch(np.random.default_rng(1), 2000, 1.0))
    clean, told = scheme.sample(np.random.default_rng(1), 4000)
    assert np.mean(clean**2) == pytest.approx(1, abs=0.05) and set(told) == {"class"}


def has(scheme, what):
    assert getattr(scheme, what)()


def said(code):
    """What the comments behind `print(...)` say that comes out."""
    return re.findall(r"^\s*print\(.*\)\s*# (.+)$", code, re.M)


def run(code, names):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(code, "example", "exec"), names)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("which", [w for w in EXAMPLES if w not in OF_LAB], ids=lambda w: f"{w[0]}:{EXAMPLES[w][0]}")
def test_it_runs_as_it_stands(which, tmp_path, monkeypatch):
    pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFSEM_MODELS", f"{tmp_path / 'models'}:{ROOT / 'models'}")
    sys.path.append(str(ROOT / "tests" / "blocks"))
    names = {"__name__": "example", **GIVEN.get(which, dict)()}
    lines = run(EXAMPLES[which][1], names)
    for text in said(EXAMPLES[which][1]):
        assert text in lines, f"{which}: says {text}, prints {lines}"
    AFTERWARDS.get(which, lambda names: None)(names)


def test_examples_are_found_and_wrong_ones_seen():
    assert len(EXAMPLES) >= 18 and {p for p, _ in EXAMPLES} >= {"README.md", "docs/openings/draws.md"}
    for which in (*GIVEN, *AFTERWARDS, *OF_LAB):
        assert which in EXAMPLES, f"{which} is no example any more"
    assert all((ROOT / test).read_text(encoding="utf-8").count(page) for (page, _), test in OF_LAB.items())
    assert said("print(1, 2)  # 1 2\nprint(3)") == ["1 2"]
    with pytest.raises(NameError):
        run("nothing_of_this_name", {})


def test_python_is_marked_as_such():
    """A block without a language is a table or a drawing: what looks like Python would not be run."""
    for page in PAGES:
        for m in re.finditer(r"^```(\w*)\n(.*?)^```", (ROOT / page).read_text(encoding="utf-8"), re.S | re.M):
            assert m[1] in ("", "python", "json"), f"{page}: ```{m[1]}"
            assert m[1] or not re.search(r"^(import|from|def|class) |diffsem\.|^\w+ = ", m[2], re.M), f"{page}: {m[2]}"


def scheme_strings():
    """{(page, string)} of shipped packages with keys behind a colon, which stand alone or in a command."""
    from test_docs_commands import code_of

    packages = {path.parent.name for path in ROOT.glob("models/*/manifest.json")}
    found = set()
    for page in PAGES:
        for _, code in code_of((ROOT / page).read_text(encoding="utf-8")):
            alone, command = re.fullmatch(r"\S+", code), re.match(r"gr-diffsem \w+ ", code)
            for name, rest in re.findall(r"(?<![\w/.])(\w+)((?:/\w+)?:[\w=,.;+-]+)", code if alone or command else ""):
                if name in packages and "..." not in rest:
                    found.add((page, name + rest))
    return sorted(found)


@pytest.mark.parametrize(("page", "text"), scheme_strings())
def test_scheme_strings_load(page, text):
    diffsem = pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    diffsem.scheme(text).info()  # loads it


def test_scheme_strings_are_found():
    assert len(scheme_strings()) > 12


def test_files_that_commands_name_are_there():
    """bench/..., tests/..., examples/..., scripts/... in code, of any page."""
    from test_docs_commands import code_of

    seen = set()
    for page in PAGES:
        for _, code in code_of((ROOT / page).read_text(encoding="utf-8")):
            for name in re.findall(r"(?<![\w/.])((?:bench|tests|examples|scripts|docs)/[\w/.-]+\.\w+)", code):
                seen.add(name)
                assert (ROOT / name).exists() or name.startswith("docs/images"), f"{page}: {name}"
    assert len(seen) > 10


def test_readme_leads_to_every_opening_and_links_end_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in PAGES:
        if page.startswith("docs/openings/"):
            assert f"({page}" in text, f"README.md does not link {page}"
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text(encoding="utf-8")):
            if "://" not in target:
                assert ((ROOT / page).parent / target).exists(), f"{page} links {target}"


def test_operators_of_real_signals_are_those_that_the_page_says():
    """docs/openings/real_data.md; what it says is missing is refused in a sentence."""
    diffsem = pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    for keys in ("identity", "mask", "quantiser,bits=3,step=0.5"):
        diffsem.scheme(f"digits:operator={keys}").info()
    for keys in ("matrix", "convolution,taps=1;0.5"):
        with pytest.raises(ValueError, match="needs a complex signal"):
            diffsem.scheme(f"digits:operator={keys}").info()


def test_commands_survive_a_shell():
    """In a block to be copied a semicolon inside a scheme string is quoted: the shell would end the command there."""
    for page in PAGES:
        for line in (ROOT / page).read_text(encoding="utf-8").splitlines():
            if re.match(r"    (build/bin/)?gr-diffsem ", line):
                bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", line.split(" #")[0])
                assert not re.search(r"\S;\S", bare), f"{page}: {line.strip()}"
