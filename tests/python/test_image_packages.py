# SPDX-License-Identifier: GPL-3.0-or-later
"""A further scheme of photographs needs its package and nothing else: evaluation, plot, sheet and receiver find it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.apps import cli, receive
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import photo_plot, photo_realism, photo_receivers, photo_sheet, photo_trials, semantic_link
from PIL import Image

MODELS = Path(__file__).resolve().parents[2] / "models"
NAME = "another_posterior"  # before the shipped ones in the alphabet


def package(folder, name=NAME, steps=1, **signal):
    """photo_posterior's network under another name and plan."""
    shutil.copytree(MODELS / "photo_posterior", folder / name)
    path = folder / name / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest.update(name=name, title="another prior")
    manifest["signal"].update(signal)
    for member in manifest["members"].values():
        member["plan"]["steps"] = steps
    path.write_text(json.dumps(manifest))
    return folder / name


@pytest.fixture
def another(tmp_path, monkeypatch):
    monkeypatch.setenv("DIFFSEM_MODELS", str(tmp_path / "models"))
    return package(tmp_path / "models")


@pytest.fixture
def photographs(tmp_path):
    """One photograph: shades and an edge."""
    (tmp_path / "photographs").mkdir()
    y, x = np.mgrid[:96, :144]
    image = np.stack([70 + x, 60 + y + 60 * (x > 80), 170 - y], -1) + np.random.default_rng(1).normal(
        0, 4, (96, 144, 3)
    )
    Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(tmp_path / "photographs" / "one.png")
    return tmp_path / "photographs"


def evaluated(capsys, photographs, *words):
    argv = ["eval", "semantic_link", "--images", str(photographs), "--cbr", "1/4", "--snr", "8", *map(str, words)]
    assert cli.main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_it_is_found_and_measured_drawn_and_shown(another, photographs, tmp_path, capsys):
    out, plot = tmp_path / "out", tmp_path / "plot.png"
    methods = ["linear", "photo_posterior", NAME]
    got = evaluated(capsys, photographs, "--methods", *methods, "--save", out, "--plot", plot)["methods"]
    assert list(got) == ["webp_capacity", *methods]
    assert got[NAME]["psnr_db"] != got["photo_posterior"]["psnr_db"], "its own plan"
    assert got[NAME]["psnr_db"][0] > 25 and got[NAME]["delivered"] == [1]
    sheet = Image.open(out / "contact_sheet.png")
    rows = photo_sheet.shown(list(got))
    assert rows == methods and sheet.height > len(rows) * 96 / 144 * photo_sheet.WIDTH
    assert (out / NAME / "8" / "one.png").is_file() and Image.open(plot).width > 500


def test_without_being_asked_for_it_takes_part(another):
    own = [name for name in photo_trials.methods() if not photo_receivers.of_latents(name)]
    assert photo_trials.methods()[-1] == NAME == own[-1] and "cddm" not in own
    assert list(semantic_link.chosen(None)) == own
    assert NAME in " ".join(_help(receive)) and NAME in " ".join(_help(semantic_link))


def _help(module):
    parser = cli.Parser()
    module.add_arguments(parser)
    return parser.format_help().split()


def test_a_folder_and_a_member_are_methods_too(another, photographs, tmp_path, monkeypatch, capsys):
    package(tmp_path, "elsewhere", steps=2)
    monkeypatch.chdir(tmp_path)
    words = ("./elsewhere", "./elsewhere/int8", f"{NAME}/int8", "photo_posterior")
    got = evaluated(capsys, photographs, "--methods", *words)
    names = ["webp_capacity", "linear", "photo_posterior", "elsewhere", "elsewhere/int8", f"{NAME}/int8"]
    assert list(got["methods"]) == names
    psnr = {name: scores["psnr_db"][0] for name, scores in got["methods"].items()}
    assert psnr["elsewhere"] == psnr["photo_posterior"] != psnr["elsewhere/int8"]
    lines = semantic_link.table(got).splitlines()
    assert len({line.index("dB") for line in lines if line.startswith("PSNR, dB")}) == 1
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in names)


def test_known_packages_keep_their_style(another, monkeypatch, tmp_path):
    """Whatever else is installed or left out; and no two methods of one figure look the same."""
    known = {"photo_mmse": ("#CC79A7", "D"), "photo_posterior": ("#0072B2", "o"), "linear": ("#56B4E9", "^")}
    for i in range(7):
        package(tmp_path / "models", f"a_{i}")
    every = photo_trials.methods()
    for methods in (every, every[::-1], [NAME, "photo_posterior"], ["photo_posterior", "not_installed"]):
        styles = photo_plot.styles(methods)
        assert list(styles) == methods and len({style[1:] for style in styles.values()}) == len(methods)
        assert all(style[1:3] == known[name] for name, style in styles.items() if name in known)


def test_what_is_no_receiver_is_told(another, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    package(tmp_path, NAME)
    package(tmp_path / "models", "of_signals", domain="complex")
    for words, said in {
        ("another_posteriro",): "unknown method 'another_posteriro': did you mean 'another_posterior'?",
        ("ofdm_chanest",): "ofdm_chanest is no package of photographs; choose one of linear, photo_mmse",
        ("of_signals",): "of_signals is no package of photographs",
        (f"{NAME}/int4",): "unknown member of another_posterior 'int4': did you mean 'int8'?",
        ("./empty",): "method ./empty: empty has no manifest.json",
        (NAME, f"./{NAME}"): f"both are called '{NAME}'; rename one's folder",
    }.items():
        with pytest.raises(UserError) as error:
            semantic_link.chosen(words)
        assert said in str(error.value) and "\n" not in str(error.value)


def test_a_package_that_was_not_trained_yet(monkeypatch, tmp_path):
    monkeypatch.setattr(photo_receivers.model_packages, "find_packages", lambda *_, **__: {})
    assert photo_receivers.names() == ["linear"]
    with pytest.raises(UserError, match="leave it out, or train it: gr-diffsem train photo_mmse"):
        photo_receivers.make("photo_mmse")
    with pytest.raises(UserError, match="no package of photographs has a posterior to draw from"):
        photo_realism.scheme_of({"linear": "linear"})


def test_a_broken_package_is_left_out_alone(another):
    (another / "manifest.json").write_text("[]")
    latents = ["cddm", "djscc_csi", "latent_dnsc", "latent_ednsc", "latent_onestep"]
    assert photo_receivers.names() == ["linear", "photo_mmse", "photo_posterior", "jscc", *latents]
    assert list(semantic_link.chosen(None))[-1] == "jscc"


def test_the_knob_of_realism_is_of_the_posterior_that_was_asked_for(another):
    """A regression has none; without a posterior among the methods it is the first that is found."""
    assert photo_realism.scheme_of({"photo_mmse": "photo_mmse", NAME: NAME})[0] == NAME
    assert photo_realism.scheme_of({"webp": "webp", "linear": "linear"})[0] == "photo_posterior"
