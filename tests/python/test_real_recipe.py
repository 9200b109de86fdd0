# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes of real data by the recipe, from their path: trained for seconds, exported, inspected, measured."""

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.apps import cli, environments
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval.flowgraph import through_block

diffsem = pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")
DATA = Path(__file__).resolve().parents[1] / "data"


pytestmark = pytest.mark.timeout(600)  # PyTorch takes long to begin on a busy machine
ALL = "import json, sys; from gr_diffsem.apps import cli; sys.exit(max(map(cli.main, json.loads(sys.argv[1]))))"


def in_lab(*commands):
    """gr-diffsem with each of these words, in the environment that trains, in one process; what it says."""
    try:
        python = environments.interpreter("lab")
    except UserError as error:
        pytest.skip(str(error))
    if python is None:
        pytest.skip("there is no environment `lab`: make lab, or set DIFFSEM_LAB_PYTHON")
    env = dict(os.environ, PYTHONPATH=environments.python_path("lab"), ORT_DISABLE_TELEMETRY="1", OMP_NUM_THREADS="1")
    words = json.dumps([list(map(str, command)) for command in commands])
    done = subprocess.run([python, "-c", ALL, words], env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of both packages, made of a copy of the file."""
    folder = tmp_path_factory.mktemp("recipe")
    file = folder / "tiny_real.py"
    shutil.copy(DATA / "tiny_real.py", file)
    train = folder / "train"
    names = ("tiny_real", "tiny_told")
    exports = [("export", train / name / "diffusion" / "checkpoint.pt", folder / "models" / name) for name in names]
    in_lab(("train", file, "--minutes", 0.07, "--out", train), *exports)
    return folder


@pytest.fixture
def packages(trained, monkeypatch):
    monkeypatch.setenv("DIFFSEM_MODELS", str(trained / "models"))
    return trained


@pytest.mark.parametrize(("name", "told"), [("tiny_real", 0), ("tiny_told", 1)])
def test_info_finds_a_whole_package(packages, capfd, name, told):
    assert cli.main(["info", name, "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["problems"] == [] and report["loader"] == "asked"
    graph = report["members"]["diffusion"]["graph"]
    assert [i["shape"][1:] for i in graph["inputs"]][:2] == [[8], [8]], "real planes, a level for every element"
    assert len(graph["inputs"]) == 2 + told and graph["metadata"]["diffsem.domain"] == "real"
    assert [c["name"] for c in report["members"]["diffusion"]["condition"]] == ["class"] * told
    assert cli.main(["info", name]) == 0
    said = capfd.readouterr().out
    assert ("class (int64 [], -1: not told)" in said) == bool(told)


@pytest.mark.parametrize("chain", ["core", "block"])
def test_measured_from_the_path(packages, capfd, chain):
    """Networks that were trained for seconds are the closed forms, to 0.1 dB; `ls` has the noise itself."""
    words = ["--realisations", "1500", "--chain", chain, "--json"]
    assert cli.main(["eval", str(packages / "tiny_real.py"), *words]) == 0
    reports = json.loads(capfd.readouterr().out)["sizes"]
    for name, best in (("tiny_real", "lmmse"), ("tiny_told", "told")):
        nmse = reports[name]["nmse_db"]
        np.testing.assert_allclose(nmse["ls"], [0, -10], atol=0.4)
        np.testing.assert_allclose(nmse["diffusion"], nmse[best], atol=0.1)
        assert reports[name]["claims"][0]["holds"]
    variance = np.array([0.1, 0.2, 0.4, 0.6, 0.8, 1.2, 1.9, 2.8])
    exact = 10 * np.log10(np.mean(variance / (variance + 1)))
    assert reports["tiny_real"]["nmse_db"]["diffusion"][0] == pytest.approx(exact, abs=0.4)


def test_the_block_and_the_array_method_are_the_same(packages):
    y = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    handle = diffsem.scheme("tiny_told:class=1")
    mean, variance, _ = handle.estimate(y, 0.5)
    block, of_block, failed, guarded = through_block(handle, y, 0.5)
    assert block.dtype == mean.dtype == np.float32 and failed == guarded == 0
    np.testing.assert_allclose(block, mean, atol=1e-6)
    np.testing.assert_allclose(of_block, variance, rtol=1e-5)


# --- what used to pass without a word -------------------------------------------------------------------------


def test_info_asks_the_loader(tmp_path, capfd):
    """A network of complex planes in a package of real data: each file is whole, and nobody can run it."""
    shutil.copy(DATA / "priors" / "eps_vp.onnx", tmp_path / "net.onnx")
    member = {"prior": {"type": "onnx", "file": "net.onnx"}}
    member |= {"operator": "identity", "start": {"type": "matched"}, "sampler": {"type": "one_step"}}
    manifest = {
        "diffsem.contract": 1,
        "signal": {"domain": "real", "shape": [4]},
        "members": {"net": member},
        "files": {"net.onnx": hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()},
    }
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    cli.main(["info", str(tmp_path), "--json"])
    report = json.loads(capfd.readouterr().out)
    assert report["loader"] == "asked"
    assert any("denoiser of 4 complex elements, 'signal' says 4 real" in text for text in report["problems"])


def test_info_says_where_the_core_was_not_asked(capfd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gnuradio", None)
    assert cli.main(["info", str(DATA / "priors" / "real.onnx")]) == 0
    assert "the core was not asked: gnuradio.diffsem cannot be imported here" in capfd.readouterr().out
