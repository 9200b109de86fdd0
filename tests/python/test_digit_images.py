# SPDX-License-Identifier: GPL-3.0-or-later
"""The digits, where DIFFSEM_DATA (default ../shared/data beside the checkout) has them, and what is said elsewhere."""

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import digit_images


def pictures(part):
    try:
        return digit_images.load(part)
    except UserError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(("part", "count"), [("train", 60000), ("test", 10000)])
def test_unit_power_and_zero_mean(part, count):
    x, labels = pictures(part)
    assert x.shape == (count, 28, 28) and x.dtype == np.float32
    assert labels.shape == (count,) and set(labels) == set(range(10))
    of_test = 0.02 if part == "test" else 1e-5  # the constants are those of the training pictures
    assert abs(x.mean(dtype=float)) < of_test
    assert abs(float(np.mean(x * x, dtype=float)) - 1) < of_test


def test_there_and_back():
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(digit_images.to_pixels(digit_images.to_signal(pixels)), pixels)


def test_missing_pictures_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFSEM_DATA", str(tmp_path))
    with pytest.raises(UserError, match="set DIFFSEM_DATA to a folder"):
        digit_images.load()


def test_foreign_archive_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFFSEM_DATA", str(tmp_path))
    file = tmp_path / digit_images.FILE
    file.parent.mkdir()
    np.savez(file, x_train=np.zeros((3, 28, 28)))
    with pytest.raises(UserError, match="no array 'y_train'"):
        digit_images.load()
    wrong = np.zeros((3, 28, 28), np.float32)
    np.savez(file, x_train=wrong, y_train=np.zeros(3), x_test=wrong, y_test=np.zeros(3))
    with pytest.raises(UserError, match="give uint8"):
        digit_images.load()
