# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of docs/add_a_scheme.md's example: trained for seconds, exported, whole."""

import argparse
import re
from pathlib import Path

import pytest
from gr_diffsem.apps import train
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import onnx_export, training
from gr_diffsem.package import export, info

pytest.importorskip("torch")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "add_a_scheme.md"


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(word) for word in words]))


def test_train_and_export(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S).group(1)
    (tmp_path / "sector_array.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    trained = call(train, "./sector_array.py", "--minutes", 0.05, "--batch", 64)
    checkpoint, model = trained["networks"][0]["checkpoint"], tmp_path / "sector_array"
    assert Path(checkpoint) == Path("train/sector_array/diffusion/checkpoint.pt"), "as the page says"
    state = training.load_checkpoint(checkpoint)
    assert state["source"] == str(tmp_path / "sector_array.py")
    assert state["command"].startswith("gr-diffsem train sector_array.py --member diffusion")
    written = call(export, checkpoint, model)
    assert written["largest_difference"] < onnx_export.TOLERANCE
    report = call(info, model)
    assert report["problems"] == [] and set(report["members"]) == {"diffusion", "lmmse", "gmm"}

    (tmp_path / "sector_array.py").rename(tmp_path / "moved.py")
    with pytest.raises(UserError, match="was trained from .*sector_array.py, which is not there: give --scheme FILE"):
        call(export, checkpoint, model)
    again = call(export, checkpoint, model, "--scheme", "moved.py")
    assert again["content_hash"] == written["content_hash"]
