# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature distance of our classifier: what any distance of pictures must do; the closed form of Frechet's."""

import io
import sys

import numpy as np
import pytest
from gr_diffsem.base import picture_files
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import photo_features
from PIL import Image, ImageFilter


@pytest.fixture(scope="module")
def net():
    return photo_features.Features()


@pytest.fixture(scope="module")
def pictures():
    return list(picture_files.bundled(256, 3).values())


def blurred(image, radius):
    return np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(radius)))


def noisy(image, deviation):
    noise = np.random.default_rng(1).normal(0, deviation, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def jpeg(image, quality):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def test_equal_pictures_have_no_distance_and_order_does_not_matter(net, pictures):
    for image in pictures:
        assert net.distance(image, image) == 0
        other = blurred(image, 2)
        assert net.distance(image, other) > 0
        assert net.distance(image, other) == pytest.approx(net.distance(other, image))


@pytest.mark.parametrize(
    ("harm", "grades"), [(blurred, (0.7, 1.5, 3, 6)), (noisy, (4, 10, 25, 60)), (jpeg, (90, 50, 20, 5))]
)
def test_it_grows_with_harm(net, pictures, harm, grades):
    for image in pictures:
        distances = [net.distance(image, harm(image, grade)) for grade in grades]
        assert distances == sorted(distances) and distances[-1] > 3 * distances[0]
        other = next(p for p in pictures if p.shape != image.shape or (p != image).any())
        h, w = (min(a, b) for a, b in zip(image.shape[:2], other.shape[:2], strict=True))
        assert distances[0] < net.distance(image[:h, :w], other[:h, :w]), "another photograph is farther"


def test_the_frechet_distance_of_features_grows_too(net, pictures):
    def samples(change):
        return np.concatenate([net.samples(net(change(image))) for image in pictures])

    true = samples(lambda image: image)
    assert true.shape == (sum(p.shape[0] // 64 * (p.shape[1] // 64) for p in pictures), 96)
    assert photo_features.frechet(true, true) == pytest.approx(0, abs=1e-6 * np.trace(np.cov(true.T)))
    found = [photo_features.frechet(true, samples(lambda image, r=r: blurred(image, r))) for r in (1, 2, 4)]
    assert 0 < found[0] < found[1] < found[2]


def test_frechet_distance_of_gaussians():
    """Diagonal covariances: sum of (m - m')^2 + (s - s')^2, on samples whose moments are exact."""
    rng = np.random.default_rng(2)
    white = rng.standard_normal((500, 3))
    white -= white.mean(0)
    white = white @ np.linalg.inv(np.linalg.cholesky(np.cov(white.T))).T
    a, b = np.array([1.0, 2, 0.5]), np.array([3.0, 1, 0.5])
    assert photo_features.frechet(white * a, white * b + [0, 0, 4]) == pytest.approx(4 + 1 + 16)
    with pytest.raises(ValueError, match="two of each"):
        photo_features.frechet(white[:1], white)


def test_any_size(net):
    rng = np.random.default_rng(3)
    for h, w in ((16, 16), (17, 43)):
        image = rng.integers(0, 256, (h, w, 3), dtype=np.uint8)
        assert 0 < net.distance(image, 255 - image) <= 6
        assert net.samples(net(image)).shape[1] == 96
    with pytest.raises(ValueError, match="cannot be compared"):
        net.distance(image, image[:-1])


def test_lpips_is_only_what_is_called_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UserError, match="pip install lpips"):
        photo_features.Lpips()
    assert "lpips" not in photo_features.NAME.lower()


def test_without_its_file_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("gr_diffsem.base.model_packages.search_paths", lambda checkout_first=False: [tmp_path])
    with pytest.raises(UserError, match="photo_features"):
        photo_features.Features()
