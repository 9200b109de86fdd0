# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs under a learned prior: the transform, the bands, proximal steps, and the shipped packages.

Pictures are scikit-image's, reduced to at most 256 pixels; none was trained on. Seeds are stated here.
"""

from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import model_packages, picture_bands, picture_transform
from gr_diffsem.models import link_photographs, photo_data
from gr_diffsem.reference import photo

MODELS = Path(__file__).parents[2] / "models"
NETS = {"photo_posterior": "prior", "photo_mmse": "net"}


@pytest.fixture(scope="module")
def pictures():
    from PIL import Image
    from skimage import data

    def small(image):
        picture = Image.fromarray(image)
        picture.thumbnail((256, 256), Image.Resampling.LANCZOS)
        return np.asarray(picture)

    return [small(getattr(data, name)()) for name in ("astronaut", "chelsea", "coffee")]


@pytest.fixture(scope="module")
def nets():
    return {name: photo.OnnxNet(MODELS / name / f"{member}.onnx") for name, member in NETS.items()}


def plan(name):
    manifest = model_packages.read_manifest(MODELS / name)
    return manifest["members"][manifest["default"]]["plan"]


def psnr(x, truth):
    """Of images in units of x, clipped to what a picture can hold."""
    error = np.clip(x / picture_bands.SCALE, -0.5, 0.5) - truth / picture_bands.SCALE
    return -10 * np.log10(np.mean(error**2))


def restored(name, net, z, v, power):
    p = plan(name)
    return photo.posterior(net, z, v, power, p["steps"], p["inflation"], p["final"])


def gains(name, nets, pictures, **link):
    """Gain over linear MMSE of each picture, dB."""
    out = []
    for i, picture in enumerate(pictures):
        x, z, v, power = link_photographs.observe(np.random.default_rng([5, i]), picture, **link)
        linear = photo.posterior(None, z, v, power, 0)
        out.append(psnr(restored(name, nets[name], z, v, power), x) - psnr(linear, x))
    return np.array(out)


def test_what_is_no_photograph_is_not_made_worse(nets):
    """An empty picture, and lines: photo_mmse was never shown such levels and leaves what `linear` gives."""
    lines = 255 * (np.arange(120) // 3 % 2)[None, :, None]
    pictures = [np.broadcast_to(p, (96, 120, 3)).astype(np.uint8) for p in ((90, 140, 60), lines)]
    for cbr, snr in ((1 / 6, 10), (1, 40)):
        assert gains("photo_mmse", nets, pictures, cbr=cbr, snr_db=snr, kind="awgn", loss=0).min() > -0.01


def test_transform_is_orthonormal():
    x = np.random.default_rng(0).standard_normal((37, 50, 3)).astype(np.float32)
    c = picture_transform.forward(x)
    assert np.sum(c**2) == pytest.approx(np.sum(x**2), rel=1e-4)
    assert np.allclose(picture_transform.inverse(c), x, atol=1e-5)
    grey = np.ones((16, 16, 3), np.float32)
    assert np.abs(picture_transform.forward(grey)[1:]).max() < 1e-5, "grey has no colour"
    assert picture_transform.forward(grey)[0, 0, 0] == pytest.approx(np.sqrt(3) * 16, rel=1e-5)


def test_bands_cover_everything_once():
    h, w = 48, 80
    index = picture_bands.band_index(h, w)
    assert index[0, 0] == 0 and index[-1, -1] == 4 and index[0, w // 4] == 3 and index[h // 2 - 1, 0] == 3
    values = np.arange(1, 11, dtype=np.float32)
    assert np.allclose(picture_bands.band_means(picture_bands.per_coefficient(values, h, w)), values)
    level = picture_bands.levels(np.full((3, h, w), 0.25, np.float32), np.ones((3, h, w), np.float32))
    assert np.allclose(level[:10], 0.5) and np.allclose(level[10:], 1)


def test_no_evaluation_is_the_gaussian_posterior_mean():
    """Coefficients drawn from the spectrum itself: the error is what the closed form says."""
    rng = np.random.default_rng(1)
    shape = (3, 64, 64)
    power = np.exp(rng.standard_normal(shape)).astype(np.float32)
    v = np.exp(rng.standard_normal(shape)).astype(np.float32)
    v[rng.random(shape) < 0.2] = np.inf
    c = np.sqrt(power) * rng.standard_normal(shape)
    z = c + np.where(np.isfinite(v), np.sqrt(np.where(np.isfinite(v), v, 0)), 0) * rng.standard_normal(shape)
    m, e = photo.proximal(0.0, power, z, v)
    assert np.isfinite(m).all() and np.mean((m - c) ** 2) == pytest.approx(e.mean(), rel=0.05)
    assert np.allclose(photo.posterior(None, z, v, power, 0), picture_transform.inverse(m), atol=1e-5)
    assert np.all(m[np.isinf(v)] == 0) and np.array_equal(e[np.isinf(v)], power[np.isinf(v)])


def test_without_noise_only_the_null_space_is_the_prior_s(nets, pictures):
    """What was observed exactly stays as it is, and the rest gets closer to the truth [139]."""
    x = picture_bands.SCALE * (pictures[0].astype(np.float32) / 255 - 0.5)
    c = picture_transform.forward(x)
    power = photo_data.spectrum(c)
    rng = np.random.default_rng(2)
    v = np.where(rng.random(c.shape) < 0.3, np.inf, 0).astype(np.float32)
    z = np.where(np.isinf(v), 0, c)
    out = photo.posterior(nets["photo_posterior"], z, v, power, 4, plan("photo_posterior")["inflation"], True)
    found = picture_transform.forward(out)
    seen = v == 0
    assert np.abs(found - c)[seen].max() < 1e-3
    hidden = [np.mean((a - c)[~seen] ** 2) for a in (np.zeros_like(c), found)]
    assert hidden[1] < 0.8 * hidden[0]
    drawn = picture_transform.forward(
        photo.posterior(nets["photo_posterior"], z, v, power, 4, plan("photo_posterior")["inflation"], True, 1.0)
    )
    assert np.abs(drawn - c)[seen].max() < 1e-3, "a draw keeps it too"


def test_realism_gives_back_the_energy_that_the_mean_lacks(nets, pictures):
    """CBR 1/48 at 5 dB: in the octave of luma where the mean has lost most, a draw is nearer to the original's."""
    how = plan("photo_posterior")
    for i, picture in enumerate(pictures):
        x, *known = link_photographs.observe(
            np.random.default_rng([6, i]), picture, cbr=1 / 48, snr_db=5, kind="awgn", loss=0
        )
        images = [
            photo.posterior(nets["photo_posterior"], *known, how["steps"], how["inflation"], True, realism)
            for realism in (0.0, 0.5, 1.0)
        ]
        assert np.allclose(images[1], (images[0] + images[2]) / 2, atol=1e-4)
        mean, draw, true = (
            picture_bands.band_means(picture_transform.forward(a) ** 2) for a in (images[0], images[2], x)
        )
        assert mean[4] < 0.3 * true[4] and abs(np.log(draw[4] / true[4])) < 0.7 * abs(np.log(mean[4] / true[4]))
        assert np.allclose(draw[5:], mean[5:], rtol=1e-3), "colours are left alone"
        assert psnr(images[0], x) > psnr(images[2], x) + 0.2


@pytest.mark.parametrize("name", NETS)
def test_any_size_and_any_level(name, nets):
    """One pixel more or less than a multiple of 8, nothing observed, everything observed: finite answers."""
    rng = np.random.default_rng(3)
    for h, w in ((16, 16), (17, 31), (40, 25)):
        x = 2 * rng.random((h, w, 3)).astype(np.float32) - 1
        c = picture_transform.forward(x)
        power = photo_data.spectrum(c)
        for level in (0.0, 1e-9, 0.3, 1e9, np.inf):
            v = np.full(c.shape, level, np.float32)
            out = restored(name, nets[name], np.where(np.isinf(v), 0, c), v, power)
            assert out.shape == x.shape and np.isfinite(out).all()
            if level < 1e-6:
                assert np.abs(out - x).max() < 0.05


@pytest.mark.parametrize("name", NETS)
def test_graph_is_within_its_budget(name):
    size = {"photo_posterior": 11e6, "photo_mmse": 11e6}[name]  # an int8 member too
    text = (MODELS / name / "README.md").read_text()
    row = next(line for line in text.splitlines() if "(default)" in line)
    assert int(row.split("|")[3].replace(",", "")) <= 100_000
    assert sum(f.stat().st_size for f in (MODELS / name).iterdir()) <= size
    assert plan(name)["steps"] <= 10


@pytest.mark.parametrize(
    "name, link, floor",
    [
        ("photo_posterior", (1 / 6, 10, "tdl", 0), 0.4),
        ("photo_posterior", (1 / 6, 10, "awgn", 0.1), 0.5),
        ("photo_posterior", (1 / 6, 10, "awgn", 0.3), 0.8),
        ("photo_mmse", (1 / 24, 5, "awgn", 0), 0.95),
        ("photo_mmse", (1 / 6, 5, "awgn", 0), 1.5),
        ("photo_mmse", (1 / 6, 10, "tdl", 0.3), 2.0),
    ],
)
def test_gain_over_linear(name, link, floor, nets, pictures):
    """Mean over three pictures; when shipped it was 0.66, 0.76, 1.11, 1.17, 1.82 and 2.35 dB."""
    gain = gains(name, nets, pictures, **dict(zip(("cbr", "snr_db", "kind", "loss"), link, strict=True)))
    assert gain.mean() > floor and gain.min() > -0.1
