# SPDX-License-Identifier: GPL-3.0-or-later
"""From one environment into the other: what is taken along, and what is not."""

import os
import sys
from pathlib import Path

import pytest
from gr_diffsem.apps import environments
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.places import checkout


@pytest.fixture
def entered(monkeypatch, tmp_path):
    """PYTHONPATH with which a command goes on in `lab`, as a function of the one that it began with."""
    python = tmp_path / "python"
    python.symlink_to(sys.executable)

    def enter(path):
        monkeypatch.setenv("DIFFSEM_LAB_PYTHON", str(python))
        monkeypatch.setenv("PYTHONPATH", path)
        monkeypatch.setenv("DIFFSEM_REEXEC", "")
        monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "1")
        monkeypatch.setattr(environments, "missing_modules", lambda name: ["torch"])
        monkeypatch.setattr(os, "execv", lambda *words: None)
        environments.ensure("lab", ["train"])
        return os.environ["PYTHONPATH"].split(os.pathsep)

    return enter


def test_modules_of_the_other_environment_stay_behind(entered):
    """setup_env.sh puts them into PYTHONPATH: their NumPy is not the one that Sionna needs."""
    radio = environments.build_dir() / "env" / "radio" / "lib" / "python3.11" / "site-packages"
    lab = environments.build_dir() / "env" / "lab" / "more"
    assert entered(f"{radio}:/my/modules:{lab}::{radio}") == [str(checkout() / "python"), "/my/modules", str(lab)]


def test_the_package_comes_first_and_once(entered):
    own = str(checkout() / "python")
    assert entered("") == [own] == entered(own) and entered(f"/a:{own}:/b") == [own, "/a", "/b"]


def test_a_home_that_cannot_be_written_is_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr(environments.tempfile, "gettempdir", lambda: str(tmp_path))
    for home in (None, str(tmp_path)):
        monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
        assert environments.find_home() is None and os.environ.get("HOME") == home
    monkeypatch.setenv("HOME", "/proc")
    assert "HOME is /proc" in environments.find_home()
    assert Path(os.environ["HOME"]).parent == tmp_path and (Path(os.environ["HOME"]) / environments.LOCK).exists()
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setattr(environments.tempfile, "gettempdir", lambda: "/proc/none")
    with pytest.raises(UserError, match="set HOME to a folder that can be written"):
        environments.find_home()
