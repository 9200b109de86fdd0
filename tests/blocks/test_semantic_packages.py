# SPDX-License-Identifier: GPL-3.0-or-later
"""semantic_encoder and semantic_decoder with a package of photographs that this project does not know."""

import json
import shutil
from pathlib import Path

import pytest
from gnuradio import diffsem
from gr_diffsem.apps import send
from gr_diffsem.base.errors import UserError
from test_semantic_codec import COUNT, content, decoded, encoded, image_of, on_air, photograph, psnr

MODELS = Path(__file__).resolve().parents[2] / "models"
NAME = "another_posterior"


@pytest.fixture
def another(tmp_path, monkeypatch):
    """photo_posterior's network under another name and plan, on the search path."""
    shutil.copytree(MODELS / "photo_posterior", tmp_path / NAME)
    path = tmp_path / NAME / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["name"] = NAME
    manifest["members"]["prior"]["plan"]["steps"] = 1
    path.write_text(json.dumps(manifest))
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path))
    return tmp_path / NAME


def test_it_receives_by_name_and_by_folder(another):
    """The sender's hash agrees, the plan is the package's own, and the picture is not `linear`'s."""
    frames = [on_air(f, 5.0) for f in encoded([content(photograph(1), id=5)], COUNT, cbr=1 / 4, scheme=NAME)]
    (linear,), _ = decoded(frames, 1)
    assert image_of(linear)[1]["scheme_match"] is False
    shown = []
    for scheme in (NAME, str(another)):
        (message,), counts = decoded(frames, 1, scheme=scheme)
        image, said = image_of(message)
        assert (said["scheme"], said["scheme_match"], said["evaluations"]) == (scheme, True, 1)
        assert counts["failed"] == 0 and psnr(image, photograph(1)) > psnr(image_of(linear)[0], photograph(1)) - 0.5
        assert (image != image_of(linear)[0]).any()
        shown.append(image)
    assert (shown[0] == shown[1]).all()


def test_what_is_no_scheme_of_photographs_is_refused(another):
    assert send._hash(NAME) > 0
    with pytest.raises(UserError, match="--scheme ofdm_chanest: .*give one of the domain 'image'"):
        send._hash("ofdm_chanest")
    with pytest.raises(ValueError, match="no scheme of photographs"):
        diffsem.semantic_decoder(scheme="ofdm_chanest")
