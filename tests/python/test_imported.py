# SPDX-License-Identifier: GPL-3.0-or-later
"""A package made of a diffusers pipeline (tests/data/make_imported.py) gives what diffusers gave, through the bindings.

The import itself is tested where diffusers is: `make import-suite`.
"""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from gr_diffsem.apps import info
from gr_diffsem.base import model_packages

PACKAGE = Path(__file__).resolve().parents[1] / "data" / "imported"
GATE = 1e-3  # of the rms, the largest difference: 50 steps in single precision
#: The pipeline was saved with DDIM; the strings say what the other two schedulers do.
STRINGS = {
    "ddim": "",
    "ddpm": ":sampler=ddpm",
    "dpmpp_2m": ":sampler=dpmpp_2m,spacing=linspace,drop_last=true",
}


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def draw(diffsem, keys, items=2, elements=16):
    nothing = np.full((items, elements), np.inf, np.float32)
    y = np.zeros((items, elements), np.float32)
    mean, _, found = diffsem.scheme(f"{PACKAGE}{keys}").estimate(y, nothing, seed=7)
    assert not np.any(found["bypassed"]), found["reason"]
    return np.real(mean), found["steps"]


@pytest.mark.parametrize("name", STRINGS)
def test_fifty_steps_are_those_of_diffusers(diffsem, name):
    expected = np.load(PACKAGE / "samples.npz")[name]
    got, steps = draw(diffsem, STRINGS[name])
    assert list(steps) == [50, 50]
    assert np.max(np.abs(got - expected)) < GATE * np.sqrt(np.mean(expected**2))


def test_another_grid_is_another_sample(diffsem):
    """The spacing matters, so the agreement above is no accident: `even` thins the same levels otherwise."""
    expected = np.load(PACKAGE / "samples.npz")["ddim"]
    got, _ = draw(diffsem, ":spacing=even")
    assert np.max(np.abs(got - expected)) > 10 * GATE * np.sqrt(np.mean(expected**2))


def test_a_list_of_its_steps_is_the_same_plan(diffsem):
    steps = ";".join(str(20 * k) for k in range(49, -1, -1))
    got, _ = draw(diffsem, f":plan=list,timesteps={steps}")
    np.testing.assert_allclose(got, draw(diffsem, "")[0], rtol=1e-5, atol=1e-5)


def test_a_plan_inherits_the_file_s_schedule(diffsem):
    """plan=linear_vp of a network of 1000 steps to 0.02: its own levels; what is said wins."""
    sigma = np.sqrt(1 / np.cumprod(1 - np.linspace(1e-4, 0.02, 1000)) - 1)
    made = diffsem.scheme(f"{PACKAGE}:plan=linear_vp").info()
    assert made["steps"] == 50  # the member's, thinned evenly
    np.testing.assert_allclose(made["levels"][0], sigma[-1], rtol=1e-5)
    np.testing.assert_allclose(made["levels"][-2], sigma[0], rtol=1e-5)
    assert made["levels"][-1] == 0
    other = diffsem.scheme(f"{PACKAGE}:plan=linear_vp,steps_train=100,beta_max=0.1").info()
    np.testing.assert_allclose(other["levels"][0], np.sqrt(1 / np.prod(1 - np.linspace(1e-4, 0.1, 100)) - 1), rtol=1e-5)


def test_info_says_what_a_string_makes_of_it(diffsem):
    report = info.run(SimpleNamespace(model=f"{PACKAGE}:steps=4,spacing=trailing,max_model_mb=2"))
    text = info.table(report)
    assert report["problems"] == [] and report["loaded"]["max_model_mb"] == 2 and report["loaded"]["device"] == "cpu"
    assert len(report["loaded"]["levels"]) == 5 and "levels" in text and "files of at most 2 MB" in text


def changed(folder, change, **arrays):
    """A copy of the package whose member was changed, with more files."""
    shutil.copytree(PACKAGE, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest["members"]["diffusion"])
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        manifest["files"][f"{name}.npy"] = model_packages.file_sha256(folder / f"{name}.npy")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_a_schedule_may_be_a_file_of_the_package(diffsem, tmp_path):
    """alphas_cumprod.npy, in place of the file's own schedule and as a plan: the same numbers, the same samples."""
    own = {"type": "alphas_cumprod", "alphas_cumprod": "abar.npy"}
    abar = np.cumprod(1 - np.linspace(1e-4, 0.02, 1000))
    stated = changed(tmp_path / "stated", lambda m: m["prior"].update(schedule=own), abar=abar)
    planned = changed(tmp_path / "planned", lambda m: m["plan"].update(own), abar=abar)
    nothing, zero = np.full((2, 16), np.inf, np.float32), np.zeros((2, 16), np.float32)
    for folder in (stated, planned):
        mean = diffsem.scheme(str(folder)).estimate(zero, nothing, seed=7)[0]
        np.testing.assert_allclose(np.real(mean), draw(diffsem, "")[0], rtol=1e-4, atol=1e-3)
    half = changed(tmp_path / "half", lambda m: m["prior"].update(schedule=own), abar=abar[::2])
    assert len(diffsem.scheme(f"{half}:spacing=even,steps=500").info()["levels"]) == 501
    rising = changed(tmp_path / "rising", lambda m: m["prior"].update(schedule=own), abar=abar[::-1])
    with pytest.raises(ValueError, match=r"alphas_cumprod\[1\].*must fall"):
        diffsem.scheme(str(rising)).info()


def test_a_clip_of_the_package(diffsem, tmp_path):
    """Of the last D, which is the answer where the last step goes to 0."""
    clipped = changed(tmp_path / "clipped", lambda m: m["prior"].update(clip=0.5))
    nothing, zero = np.full((2, 16), np.inf, np.float32), np.zeros((2, 16), np.float32)
    mean = np.real(diffsem.scheme(f"{clipped}:sampler=ddpm").estimate(zero, nothing, seed=7)[0])
    assert np.max(np.abs(mean)) <= 0.5 < np.max(np.abs(draw(diffsem, ":sampler=ddpm")[0]))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (":device=cuda", ["device 'cuda'", "onnxruntime-gpu"]),
        (":max_model_mb=0.01", ["limit"]),
        (":plan=list", ["give its levels"]),
        (":plan=list,timesteps=1000;1", ["step 1000", "0 .. 999"]),
        (":plan=list,sigmas=1;2", ["must fall"]),
        (":spacing=leading,steps_offset=999", ["steps_offset"]),
    ],
)
def test_what_is_refused(diffsem, keys, words):
    with pytest.raises(ValueError) as error:
        diffsem.scheme(f"{PACKAGE}{keys}").info()
    assert all(word in str(error.value) for word in words), str(error.value)
