# SPDX-License-Identifier: GPL-3.0-or-later
import hashlib
import json
import os
import pathlib
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.dirname(__file__))
pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")


@pytest.fixture
def gaussian_package(tmp_path):
    """Writes a package with a Gaussian prior; gives a function (covariance, **signal) -> path."""

    def write(covariance, name="gauss", gain="unit", operator=None, matrix=None):
        folder = pathlib.Path(tmp_path) / name
        folder.mkdir()
        np.save(folder / "covariance.npy", np.asarray(covariance, np.complex64))
        member = {
            "title": "a Gaussian",
            "prior": {"type": "gaussian", "covariance": "covariance.npy"},
            "operator": operator or {"type": "mask"},
            "start": {"type": "matched"},
            "sampler": {"type": "one_step"},
        }
        if matrix is not None:
            np.save(folder / "matrix.npy", np.asarray(matrix, np.complex64))
            member["operator"] = {"type": "matrix", "matrix": "matrix.npy"}
            member["start"] = {"type": "noise"}
        files = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.glob("*.npy")}
        manifest = {
            "diffsem.contract": 1,
            "name": name,
            "version": "1",
            "signal": {"domain": "complex", "shape": [len(covariance)], "gain": gain},
            "default": "lmmse",
            "members": {"lmmse": member},
            "files": files,
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return str(folder)

    return write


@pytest.fixture(scope="module")
def platform():
    """The companion's, with our blocks as they are written."""
    from gnuradio import gr
    from gnuradio.grc.core.platform import Platform

    p = Platform(
        version=gr.version(),
        version_parts=(gr.major_version(), gr.api_version(), gr.minor_version()),
        prefs=gr.prefs(),
    )
    grc = pathlib.Path(__file__).resolve().parents[2] / "grc"
    p.build_library(path=[*p.config.block_paths, str(grc)])
    return p
