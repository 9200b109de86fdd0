# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs: the core, the NumPy twins and the plain formulas agree."""

import json
from pathlib import Path

import numpy as np
import pytest
from gnuradio.diffsem import core
from gr_diffsem.base import picture_bands, picture_transform
from gr_diffsem.codec import picture_codec
from gr_diffsem.reference import operators, photo

MODELS = Path(__file__).parents[2] / "models"


def test_the_operator_of_the_twin_is_linear_and_its_proximal_step_the_minimum():
    rng = np.random.default_rng(1)
    gains = rng.uniform(0.5, 2, (3, 5, 7)) * (rng.random((3, 5, 7)) < 0.7)
    op = operators.Transform(gains)
    x, z, y = (rng.standard_normal((2, 3, 5, 7)) for _ in range(3))
    assert np.isclose(np.sum(op.apply(x) * y), np.sum(x * op.adjoint(y)), rtol=1e-5)
    noise, weight = rng.uniform(0.1, 1, (3, 5, 7)), 0.6
    found = op.prox(z, weight, y, noise)
    gradient = op.adjoint((op.apply(found) - y) / noise) + (found - z) / weight
    assert np.abs(gradient).max() < 1e-5
    exact = op.prox(z, 1.0, y, 0.0)
    assert np.allclose(op.apply(exact)[:, gains != 0], y[:, gains != 0], atol=1e-5)
    null = operators.Transform((gains == 0).astype(float))
    assert np.allclose(null.apply(exact), null.apply(z), atol=1e-5)


def scene(h=45, w=60):
    """(plan, symbols, noise variances with losses) of a picture with structure at all scales."""
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:h, :w]
    image = np.stack([np.sin(x / 7 + k) + np.cos(y / 5) + (x > 30) for k in range(3)], -1) * 40 + 110
    image = (image + rng.standard_normal(image.shape) * 5).clip(0, 255).astype(np.uint8)
    made = picture_codec.encode(image, 12000)
    noise = np.full(made.symbols.size, 0.2, np.float32)
    noise[rng.random(noise.size) < 0.2] = np.inf
    n = rng.standard_normal((2, noise.size)) * np.sqrt(0.1)
    return made.plan, made.symbols + n[0] + 1j * n[1], noise


def test_linear_in_the_core_is_that_of_the_codec():
    plan, symbols, noise = scene()
    expected, variance = picture_codec.linear(plan, symbols, noise)
    y, gains, _, v = picture_codec.measurement(plan, symbols, noise)
    image, found, info = core.estimate_picture(core.picture_estimator("linear"), y, gains, v, plan.variances)
    assert np.abs(image - expected).max() < 1e-5 and info["evaluations"] == 0
    assert np.allclose(found, variance, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("name", ["photo_posterior", "photo_mmse"])
def test_a_scheme_in_the_core_is_that_of_the_twin(name):
    plan, symbols, noise = scene()
    y, gains, mask, v = picture_codec.measurement(plan, symbols, noise)
    manifest = json.loads((MODELS / name / "manifest.json").read_text())
    member = manifest["members"][manifest["default"]]
    net = photo.OnnxNet(MODELS / name / member["prior"]["file"])
    g = np.where(mask, gains, 1)
    z, nv = np.where(mask, y / g, 0) * picture_bands.SCALE, np.where(mask, v / g**2, np.inf) * picture_bands.SCALE**2
    how = member["plan"]
    expected = photo.posterior(
        net, z, nv, plan.variances * picture_bands.SCALE**2, how["steps"], how["inflation"], how["final"]
    )
    image, _, info = core.estimate_picture(core.picture_estimator(str(MODELS / name)), y, gains, v, plan.variances)
    assert not info["linear"] and info["evaluations"] == how["steps"]
    assert np.abs(image - (expected / picture_bands.SCALE + 0.5).clip(0, 1)).max() < 1e-4


@pytest.mark.parametrize("name", ["linear", "photo_posterior"])
def test_realism_draws_the_same_in_the_core_and_in_the_twin(name):
    plan, symbols, noise = scene()
    y, gains, _, v = picture_codec.measurement(plan, symbols, noise)
    z, nv, spectrum = picture_codec.observation(plan, symbols, noise)
    net, how = None, {"steps": 0, "inflation": 1.0}
    if name != "linear":
        manifest = json.loads((MODELS / name / "manifest.json").read_text())
        member = manifest["members"][manifest["default"]]
        net, how = photo.OnnxNet(MODELS / name / member["prior"]["file"]), member["plan"]
    spec = name if net is None else str(MODELS / name)
    images = {}
    for realism, seed in ((0.0, 0), (0.4, 0), (1.0, 0), (1.0, 7)):
        expected = photo.posterior(net, z, nv, spectrum, how["steps"], how["inflation"], True, realism, seed)
        image, _, info = core.estimate_picture(
            core.picture_estimator(f"{spec}:realism={realism},seed={seed}"), y, gains, v, plan.variances
        )
        assert not info["linear"]
        assert np.abs(image - (expected / picture_bands.SCALE + 0.5).clip(0, 1)).max() < 2e-4
        images[realism, seed] = image
    away = [np.abs(images[key] - images[0.0, 0]).mean() for key in images]
    assert 0 == away[0] < away[1] < away[2] and np.abs(images[1.0, 7] - images[1.0, 0]).mean() > away[2] / 2
    assert np.array_equal(
        core.estimate_picture(core.picture_estimator(spec), y, gains, v, plan.variances)[0], images[0.0, 0]
    )


def test_realism_where_there_is_no_posterior_is_refused():
    with pytest.raises(ValueError, match="no posterior to draw from"):
        core.picture_estimator(f"{MODELS / 'photo_mmse'}:realism=0.5")
    with pytest.raises(ValueError, match=r"realism.*0 \.\. 1"):
        core.picture_estimator(f"{MODELS / 'photo_posterior'}:realism=1.5")
    with pytest.raises(ValueError, match="realism"):
        core.picture_estimator(f"{MODELS / 'ofdm_chanest'}:realism=0.5")
    zero = np.zeros((3, 8, 8), np.float32)
    with pytest.raises(ValueError, match="no posterior to draw from"):
        photo.posterior(None, zero, zero, zero, 1, 1.0, False, 0.5)


def test_what_the_core_cannot_run_is_said():
    with pytest.raises(ValueError, match="no scheme of photographs"):
        core.picture_estimator("ls")
    a = np.ones((3, 4, 5), np.float32)
    with pytest.raises(ValueError, match="noise_var"):
        core.estimate_picture(core.picture_estimator("linear"), a, a, -a, a)
    with pytest.raises(ValueError, match=r"\[3, H, W\]"):
        core.estimate_picture(core.picture_estimator("linear"), a, a, a[:1], a)


def answers(name, y, gains, v, spectrum, keys=""):
    """(by the core, by the twin) of the shipped scheme, [H, W, 3]."""
    member = json.loads((MODELS / name / "manifest.json").read_text())
    member = member["members"][member["default"]]
    g, seen = np.where(gains == 0, 1, gains), (gains != 0) & np.isfinite(v)
    z = np.where(seen, y / g, 0) * picture_bands.SCALE
    nv = np.where(seen, v / g**2, np.inf) * picture_bands.SCALE**2
    net, how = photo.OnnxNet(MODELS / name / member["prior"]["file"]), member["plan"]
    twin = photo.posterior(net, z, nv, spectrum * picture_bands.SCALE**2, how["steps"], how["inflation"], how["final"])
    image, _, info = core.estimate_picture(core.picture_estimator(f"{MODELS / name}{keys}"), y, gains, v, spectrum)
    assert not info["linear"] and info["evaluations"] == how["steps"]
    return image, (twin / picture_bands.SCALE + 0.5).clip(0, 1)


@pytest.mark.parametrize("keys", ["", ":sampler=ddim", ":sampler=heun", ":sampler=dpmpp_2m"])
def test_exact_and_lost_coefficients_among_others(keys):
    """Levels are of coefficients, pixels are none: what is known exactly must not hold a pixel back."""
    rng = np.random.default_rng(3)
    spectrum = np.full((3, 17, 23), 0.02, np.float32)
    spectrum[rng.random(spectrum.shape) < 0.2] = 0
    y = (np.sqrt(spectrum) * rng.standard_normal(spectrum.shape)).astype(np.float32)
    gains, v = np.ones_like(y), np.full_like(y, 0.01)
    v[rng.random(v.shape) < 0.3] = 0
    v[rng.random(v.shape) < 0.2] = np.inf
    v[0, 5, 5], v[0, 5, 6] = 1e-39, 1e31
    y[~np.isfinite(v)] = np.nan
    image, twin = answers("photo_posterior", np.nan_to_num(y), gains, v, spectrum, keys)
    assert np.abs(image - twin).max() < 2e-4
    again = core.estimate_picture(core.picture_estimator(f"{MODELS / 'photo_posterior'}{keys}"), y, gains, v, spectrum)
    assert np.array_equal(again[0], image)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("gain=measured", "take 'unit'"),
        ("start=level,sigma=1", "use start 'matched'"),
        ("start=noise", "use start 'matched'"),
        ("plan=karras", "take the plan 'proximal'"),
        ("steps=true", "is not a number"),
        ("final=1", "neither true nor false"),
    ],
)
def test_what_photographs_cannot_have_is_refused(keys, words):
    with pytest.raises(ValueError, match=words):
        core.picture_estimator(f"{MODELS / 'photo_posterior'}:{keys}")


def test_an_estimator_of_vectors_is_none_of_photographs():
    with pytest.raises(ValueError, match="picture_estimator"):
        core.Estimator("linear")


@pytest.mark.parametrize("name", ["linear", "photo_posterior"])
def test_the_map_of_uncertainty_is_that_of_the_twin(name):
    plan, symbols, noise = scene()
    y, gains, _, v = picture_codec.measurement(plan, symbols, noise)
    spec = name if name == "linear" else str(MODELS / name)
    estimator = core.picture_estimator(spec)
    image, variance, info = core.estimate_picture(estimator, y, gains, v, plan.variances, clip=False, deviation=True)
    mean = picture_transform.forward(image.astype(np.float64) - 0.5)
    np.testing.assert_allclose(info["deviation"], photo.deviation(mean, variance), rtol=1e-4)
    clipped = core.estimate_picture(estimator, y, gains, v, plan.variances)
    assert "deviation" not in clipped[2] and np.array_equal(clipped[0], image.clip(0, 1))
