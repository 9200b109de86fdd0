# SPDX-License-Identifier: GPL-3.0-or-later
"""The example `encoded_digits`: pictures that its prior draws, measured by its network, inferred again."""

import json

import numpy as np
import pytest
from gnuradio import diffsem
from gr_diffsem.base import model_packages

NV, ITEMS = 0.01, 24
HIDDEN = np.zeros((14, 14), bool)
HIDDEN[4:10, 4:10] = True


@pytest.fixture(scope="module")
def folder():
    return model_packages.find_packages(checkout_first=True)["encoded_digits"]


@pytest.fixture(scope="module")
def case(folder):
    """(pictures [n, 196], y [n, 128], the operator)."""
    keys = json.loads((folder / "manifest.json").read_text())["members"]["diffusion"]["operator"]
    operator = diffsem.core.operator(
        keys.pop("type"), json.dumps({**keys, "descent": 100}), 196, complex_domain=False, folder=str(folder)
    )
    nothing = np.zeros((ITEMS, 128), np.float32)
    pictures, _, info = diffsem.scheme(f"{folder}/diffusion:sampler=ddpm").estimate(nothing, np.inf, seed=11)
    assert not info["bypassed"].any() and 0.6 < np.mean(pictures**2) < 1.4  # digits have unit power
    noise = np.random.default_rng(3).standard_normal((ITEMS, 128))
    y = operator.apply(pictures.astype(np.complex64)).real + np.sqrt(NV) * noise
    return pictures, y.astype(np.float32), operator


def nmse_db(estimate, truth, where=...):
    return 10 * np.log10(np.sum((estimate - truth)[:, where] ** 2) / np.sum(truth[:, where] ** 2))


def test_it_finds_the_picture_that_was_measured(folder, case):
    pictures, y, operator = case
    mean, _, info = diffsem.scheme(str(folder)).estimate(y, NV, seed=5)
    assert not info["bypassed"].any()
    seen = ~HIDDEN.ravel()
    without = operator.classical(y.astype(np.complex64)).real
    # Without a prior the hidden middle stays 0, its mean, and the rest is one of many solutions.
    assert not without[:, HIDDEN.ravel()].any()
    assert nmse_db(mean, pictures, seen) < nmse_db(without, pictures, seen) - 3
    assert nmse_db(mean, pictures) < nmse_db(without, pictures) - 3
    assert nmse_db(mean, pictures, HIDDEN.ravel()) < -1  # what the prior makes of what it sees around it
    assert info["residual"].mean() < 2


def test_derivatives_are_part_of_it(folder):
    member = json.loads((folder / "manifest.json").read_text())["members"]["diffusion"]
    assert member["prior"]["vjp"] == "diffusion_vjp.onnx" and member["operator"]["vjp"] == "operator_vjp.onnx"
    assert sum(f.stat().st_size for f in folder.iterdir()) < 1.5e6


def test_more_steps_of_guidance_do_no_harm(folder, case):
    """The steps solve a linearised system: 8 of them ended above the prior's mean before each was searched."""
    pictures, y, _ = case

    def found(steps):
        mean, _, info = diffsem.scheme(f"{folder}:guidance_steps={steps}").estimate(y, NV, seed=5)
        assert not info["bypassed"].any()
        return nmse_db(mean, pictures), info["residual"].mean()

    one, _ = found(1)
    for steps in (2, 8):
        more, residual = found(steps)
        assert more < one + 0.5 and residual < 1.5
