# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model says of the code that trained it."""

import argparse
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.base import model_packages, places
from gr_diffsem.models import provenance, training
from gr_diffsem.package import export, info

pytest.importorskip("torch")

SCHEME = """
import numpy as np
from gr_diffsem.schemes.known_mixture import KnownMixture

class Mine(KnownMixture):
    name = "mine"

SCHEME = Mine()
"""


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


def git(root, *words):
    identity = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(["git", "-C", str(root), *identity, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A small checkout that the package seems to be read from, all of it committed."""
    root = tmp_path / "checkout"
    package = root / "python" / "gr_diffsem"
    (package / "schemes").mkdir(parents=True)
    (root / "scripts").mkdir()
    for file in (root / "CMakeLists.txt", root / "scripts" / "env.sh", package / "__init__.py"):
        file.write_text("1\n")
    (root / ".gitignore").write_text("/build/\n")
    git(tmp_path, "init", "-q", str(root))
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "all")
    for module in (places, provenance):
        monkeypatch.setattr(module, "PACKAGE", package)
    return root


def test_a_commit_is_marked_where_it_is_not_what_ran(checkout):
    head = git(checkout, "rev-parse", "--short=12", "HEAD")
    assert provenance.commit() == head
    (checkout / "build").mkdir()
    (checkout / "build" / "made").write_text("")
    (checkout / "notes.txt").write_text("of no account")
    assert provenance.commit() == head
    added = checkout / "python" / "gr_diffsem" / "schemes" / "added.py"
    added.write_text("")
    assert provenance.commit() == head + "-dirty"
    git(checkout, "add", "python")
    assert provenance.commit() == head + "-dirty", "in the index, but in no commit"
    git(checkout, "commit", "-q", "-m", "more")
    head = git(checkout, "rev-parse", "--short=12", "HEAD")
    assert provenance.commit() == head
    (checkout / "python" / "gr_diffsem" / "__init__.py").write_text("2\n")
    assert provenance.commit() == head + "-dirty"


def test_a_repository_around_an_installed_package_is_not_ours(checkout, monkeypatch):
    """The package in an environment inside a user's own project; a release unpacked in one."""
    (checkout / "CMakeLists.txt").unlink()
    assert provenance.commit() is None
    assert provenance.of()["version"]
    inner = checkout / "unpacked"
    shutil.copytree(checkout / "python", inner / "python")
    shutil.copytree(checkout / "scripts", inner / "scripts")
    (inner / "CMakeLists.txt").write_text("")
    monkeypatch.setattr(places, "PACKAGE", inner / "python" / "gr_diffsem")
    assert places.checkout() == inner and provenance.commit() is None


def test_git_s_own_variables_do_not_lead_elsewhere(checkout, monkeypatch):
    head = provenance.commit()
    monkeypatch.setenv("GIT_DIR", str(Path(__file__).parent))
    assert provenance.commit() == head


def test_a_scheme_s_file_has_its_hash_where_no_commit_holds_it(checkout, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(SCHEME)
    digest = model_packages.file_sha256(file)
    assert provenance.scheme_file(schemes.get(file)) == f"mine.py (SHA-256 {digest})"
    inside = checkout / "mine.py"
    inside.write_text(SCHEME)
    assert digest in provenance.scheme_file(schemes.get(inside)), "in the checkout, but not committed"
    git(checkout, "add", "mine.py")
    assert provenance.scheme_file(schemes.get(inside)) is None
    assert provenance.scheme_file(schemes.get("known_mixture")) is None


def test_a_training_that_went_on_names_both():
    assert provenance.continued(None, "a") == provenance.continued("a", "a") == "a"
    assert provenance.continued("a", "b") == "a, then b" == provenance.continued("a, then b", "b")
    assert provenance.continued("a", None) == "a" and provenance.continued(None, None) is None


def test_package_and_card_say_what_trained_it(tmp_path, monkeypatch):
    """The code of when the training began, and not of when it was saved, or exported."""
    file = tmp_path / "mine.py"
    file.write_text(SCHEME)
    was = model_packages.file_sha256(file)
    words = (file, "--batch", 16, "--out", tmp_path / "out")
    monkeypatch.setattr(provenance, "commit", lambda: "111111111111-dirty")
    checkpoint = call(train, *words, "--minutes", 0.01)["networks"][0]["checkpoint"]
    monkeypatch.setattr(provenance, "commit", lambda: "222222222222")
    call(train, *words, "--minutes", 0.02, "--resume")
    state = training.load_checkpoint(checkpoint)
    assert state["commit"] == "111111111111-dirty, then 222222222222"
    monkeypatch.setattr(provenance, "commit", lambda: "333333333333")

    first = call(export, checkpoint, tmp_path / "mine")
    facts = model_packages.read_manifest(tmp_path / "mine")["trained_on"]
    assert facts["commit"] == "111111111111-dirty, then 222222222222"
    assert facts["scheme_file"] == f"mine.py (SHA-256 {was})"
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "commit 111111111111-dirty, then 222222222222, scheme file mine.py (SHA-256" in card
    said = info.table(call(info, tmp_path / "mine"))
    assert f"commit 111111111111-dirty, then 222222222222, scheme file mine.py (SHA-256 {was})" in said
    assert not first["scheme_changed"] and "has changed" not in export.table(first)

    file.write_text(SCHEME + "\n# edited\n")
    again = call(export, checkpoint, tmp_path / "mine")
    assert again["scheme_changed"] and "has changed since the training" in export.table(again)
    assert model_packages.read_manifest(tmp_path / "mine")["trained_on"] == facts


def test_the_features_say_it_too(monkeypatch):
    from gr_diffsem.models import feature_training

    monkeypatch.setattr(provenance, "commit", lambda: "111111111111-dirty")
    photographs = list(np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3), dtype=np.uint8))
    _, facts = feature_training.train(photographs, minutes=0.005, seed=1, batch=4)
    assert facts["commit"] == "111111111111-dirty" and facts["version"]
