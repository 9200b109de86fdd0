# SPDX-License-Identifier: GPL-3.0-or-later
"""The version stands in gr_diffsem/__init__.py: CMake and pyproject.toml read it there, and the others say the same."""

import re
import sys
from pathlib import Path

import gr_diffsem
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["MANIFEST.yml", "CITATION.cff"])
def test_a_file_that_cannot_read_it_says_the_same(name):
    said = re.findall(r"^version: *(.+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert said == [gr_diffsem.__version__]


def test_cmake_has_read_it():
    """What cmake wrote for pkg-config, where this Python's environment has the module installed."""
    found = list(Path(sys.prefix).glob("lib*/**/gnuradio-diffsem.pc"))
    if not found:
        pytest.skip("the module is not installed in this environment")
    assert f"Version: {gr_diffsem.__version__}\n" in found[0].read_text()


def test_it_is_written_nowhere_else():
    for name in ("CMakeLists.txt", "pyproject.toml"):
        assert not re.search(rf"\b{re.escape(gr_diffsem.__version__)}\b", (ROOT / name).read_text(encoding="utf-8"))
