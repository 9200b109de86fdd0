# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of training and export: they need the environment `lab` (PyTorch, onnx, onnxruntime)."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@pytest.fixture(scope="session")
def models():
    """The shipped packages."""
    return ROOT / "models"
