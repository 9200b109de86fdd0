# SPDX-License-Identifier: GPL-3.0-or-later
"""The example of docs/add_a_scheme.md, taken from the page and followed: file, package, proof."""

import json
import re
from pathlib import Path

import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import cli
from gr_diffsem.package import package_writer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "add_a_scheme.md"


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """The file, in a folder like any other; models are written beside."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    (tmp_path / "sector_array.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path / "models"))
    return schemes.get("./sector_array.py"), tmp_path / "models" / "sector_array"


def test_the_file_is_read_where_it_lies_without_torch(recipe, monkeypatch):
    scheme, folder = recipe
    assert set(scheme.networks()) == {"diffusion"} and "sector_array" not in schemes.names()
    monkeypatch.setenv("DIFFSEM_SCHEMES", str(folder.parents[1]))
    assert schemes.get("sector_array") is scheme
    data = scheme.test_data(4000, 1)
    assert data.truth.shape == (4000, 16)
    assert (abs(data.truth) ** 2).mean() == pytest.approx(1.0, abs=0.05)


def test_package_and_proof(recipe, capfd):
    """Classical members only, which need no PyTorch: packed, listed, inspected, evaluated."""
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    scheme, folder = recipe
    assert len(package_writer.fit_missing(scheme, folder)) == 4
    digest = package_writer.write(scheme, folder)
    assert cli.main(["info", "sector_array", "--json"]) == 0
    info = json.loads(capfd.readouterr().out)
    assert info["content_hash"] == digest and info["problems"] == []

    assert cli.main(["eval", "./sector_array.py", "--realisations", "1000", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["content_hash"] == digest
    first, second = report["claims"]
    assert first["holds"] and first["ours"] < -0.5
    assert second["ours"] is None  # its member is not trained here
    assert report["nmse_db"]["ls"] == pytest.approx([5, -5, -15], abs=0.3)

    words = ["--realisations", "300", "--evaluations", "--chain", "block"]
    assert cli.main(["eval", "./sector_array.py", *words]) == 0
    assert "holds" in capfd.readouterr().out


def test_the_page_begins_with_a_file_anywhere():
    """Its commands name the file by its path, and no folder of a checkout before the proof."""
    page = PAGE.read_text(encoding="utf-8").split("A scheme is done")[0]
    for command in ("train ./sector_array.py", "eval ./sector_array.py", "info ./sector_array.py"):
        assert f"gr-diffsem {command}" in page
    assert "python/gr_diffsem" not in page and "build/" not in page
