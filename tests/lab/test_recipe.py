# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of docs/add_a_scheme.md's example: trained for seconds, exported, whole."""

import argparse
import re
from pathlib import Path

import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.models import onnx_export
from gr_diffsem.package import export, info

pytest.importorskip("torch")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "add_a_scheme.md"


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(word) for word in words]))


def test_train_and_export(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    (tmp_path / "schemes").mkdir()
    (tmp_path / "schemes" / "sector_array.py").write_text(code)
    monkeypatch.setattr(schemes, "__path__", [*schemes.__path__, str(tmp_path / "schemes")])
    trained = call(train, "sector_array", "--minutes", 0.05, "--batch", 64, "--out", tmp_path / "train")
    model = tmp_path / "sector_array"
    written = call(export, trained["networks"][0]["checkpoint"], model)
    assert written["largest_difference"] < onnx_export.TOLERANCE
    report = call(info, model)
    assert report["problems"] == [] and set(report["members"]) == {"diffusion", "lmmse", "gmm"}
