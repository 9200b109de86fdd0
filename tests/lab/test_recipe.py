# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of docs/add_a_scheme.md's example: trained for seconds, exported, whole."""

import argparse
import re
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.apps import train
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import photo_receivers
from gr_diffsem.models import onnx_export, training
from gr_diffsem.package import export, info
from PIL import Image

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


PHOTOGRAPHS = """
from gr_diffsem.schemes.photo import PhotoPosterior

class Mine(PhotoPosterior):
    name = "my_photographs"
    plan = {"type": "proximal", "steps": 1, "inflation": 2.0, "final": True}

SCHEME = Mine()
"""


def test_photographs_in_a_file_of_ones_own(tmp_path, monkeypatch):
    """A further image scheme: its file, its package, and nothing else; the receivers find it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path / "models"))
    (tmp_path / "my_photographs.py").write_text(PHOTOGRAPHS)
    images = tmp_path / "images"
    images.mkdir()
    y, x = np.mgrid[:160, :160]
    Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8)).save(images / "one.png")
    words = ("--images", images, "--minutes", 0.02, "--batch", 2)
    trained = call(train, "./my_photographs.py", *words)
    call(export, trained["networks"][0]["checkpoint"], tmp_path / "models" / "my_photographs")
    assert call(info, "my_photographs")["problems"] == []
    assert photo_receivers.names()[-1] == "my_photographs"
    assert photo_receivers.make("my_photographs").plan["inflation"] == 2.0
