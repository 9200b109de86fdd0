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
    """The scheme, found by its file lying in a folder of schemes; models are written beside."""
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    (tmp_path / "schemes").mkdir()
    (tmp_path / "schemes" / "sector_array.py").write_text(code)
    monkeypatch.setattr(schemes, "__path__", [*schemes.__path__, str(tmp_path / "schemes")])
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path))
    return schemes.get("sector_array"), tmp_path / "sector_array"


def test_the_file_is_found_and_trains_without_torch_at_import(recipe):
    scheme, _ = recipe
    assert "sector_array" in schemes.names() and set(scheme.networks()) == {"diffusion"}
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

    assert cli.main(["eval", "sector_array", "--realisations", "1000", "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert report["content_hash"] == digest
    first, second = report["claims"]
    assert first["holds"] and first["ours"] < -0.5
    assert second["ours"] is None  # its member is not trained here
    assert report["nmse_db"]["ls"] == pytest.approx([5, -5, -15], abs=0.3)

    assert cli.main(["eval", "sector_array", "--realisations", "300", "--evaluations", "--chain", "block"]) == 0
    assert "holds" in capfd.readouterr().out
