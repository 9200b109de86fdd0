# SPDX-License-Identifier: GPL-3.0-or-later
"""Where programs find the simulated radio of tests/soapy."""

import itertools
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN = Path(os.environ.get("BUILD_DIR", ROOT / "build")) / "cmake" / "tests" / "soapy"
_numbers = itertools.count()


def environment(behind=""):
    """For a process of its own; behind: arguments for all radios (`snr=15,...`)."""
    assert (PLUGIN / "diffsemsim.so").exists(), (
        f"no simulated radio in {PLUGIN}: apt install libsoapysdr-dev, make build"
    )
    more = {"SOAPY_SDR_PLUGIN_PATH": str(PLUGIN), "DIFFSEMSIM": behind, "QT_QPA_PLATFORM": "offscreen"}
    path = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, **more, "PYTHONPATH": path}


def air():
    """A name that no other pair of radios has."""
    return f"{os.getpid()}-{next(_numbers)}"
