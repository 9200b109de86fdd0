# SPDX-License-Identifier: GPL-3.0-or-later
"""Grids of any size under a prior of one size (`core.TiledEstimator`)."""

import hashlib
import json

import numpy as np
import pytest

TILE = (4, 8)


@pytest.fixture
def diffsem():
    return pytest.importorskip("gnuradio.diffsem")


def package(folder, covariance, shape=TILE, operator="mask", fewest_observed=0, **signal):
    """A Gaussian prior of `shape` with this covariance [N, N], as a package; its path. Where fewer are observed, its
    member `other` answers, which is the same."""
    folder.mkdir()
    np.save(folder / "covariance.npy", np.asarray(covariance, np.complex64))
    member = {
        "prior": {"type": "gaussian", "covariance": "covariance.npy"},
        "operator": operator,
        "start": "matched",
        "sampler": {"type": "one_step"},
    }
    members = {"gaussian": member}
    if fewest_observed:
        members = {"gaussian": {**member, "fallback": "other", "fewest_observed": fewest_observed}, "other": member}
    manifest = {
        "diffsem.contract": 1,
        "name": folder.name,
        "signal": {"domain": "complex", "shape": list(shape), "gain": "unit", **signal},
        "default": "gaussian",
        "members": members,
        "files": {"covariance.npy": hashlib.sha256((folder / "covariance.npy").read_bytes()).hexdigest()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder)


def noisy(rng, shape, variance):
    x = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    n = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    return x, (x + np.sqrt(variance) * n).astype(np.complex64)


@pytest.mark.parametrize("grid", [(4, 8), (2, 3), (1, 40), (11, 8), (9, 21), (4, 9)])
def test_elements_apart_are_as_without_tiles(diffsem, tmp_path, grid):
    # White signals: every tile gives the same answer for an element, so the joined one is that too.
    spec = package(tmp_path / "white", np.eye(32))
    rng = np.random.default_rng(1)
    noise = rng.uniform(0.1, 2, grid).astype(np.float32)
    noise[rng.random(grid) < 0.3] = np.inf
    _, y = noisy(rng, (3, *grid), np.minimum(noise, 1))
    mean, variance, info = diffsem.core.TiledEstimator(spec, grid).run(y, noise)
    w = 1 / (1 + noise)
    seen = np.isfinite(noise)
    if np.all([i["bypassed"] == 0 for i in info]):
        assert np.allclose(mean, np.where(seen, w * y, 0), atol=1e-5)
        assert np.allclose(variance, np.broadcast_to(1 - w, y.shape), atol=1e-5)
    assert mean.shape == variance.shape == y.shape and len(info) == 3


def test_a_grid_of_one_tile_is_the_estimator_s(diffsem, tmp_path):
    rng = np.random.default_rng(2)
    a = rng.standard_normal((32, 32)) + 1j * rng.standard_normal((32, 32))
    spec = package(tmp_path / "one", a @ a.conj().T / 64 + 0.1 * np.eye(32))
    _, y = noisy(rng, (2, *TILE), 0.2)
    mean, variance, _ = diffsem.core.TiledEstimator(spec, TILE).run(y, 0.2)
    wanted, spread, _ = diffsem.scheme(spec).estimate(y.reshape(2, 32), 0.2)
    assert np.allclose(mean.reshape(2, 32), wanted, atol=1e-6)
    assert np.allclose(variance.reshape(2, 32), spread, atol=1e-6)


def test_a_short_grid_is_a_tile_of_which_the_rest_is_not_measured(diffsem, tmp_path):
    rng = np.random.default_rng(3)
    a = rng.standard_normal((32, 32)) + 1j * rng.standard_normal((32, 32))
    spec = package(tmp_path / "short", a @ a.conj().T / 64 + 0.1 * np.eye(32))
    _, y = noisy(rng, (3, 5), 0.2)
    mean, _, info = diffsem.core.TiledEstimator(spec, (3, 5)).run(y, 0.2)
    whole, mask = np.zeros(TILE, np.complex64), np.zeros(TILE, bool)
    whole[:3, :5], mask[:3, :5] = y, True
    wanted, _, _ = diffsem.scheme(spec).estimate(whole.ravel(), 0.2, observed=mask.ravel())
    assert info[0]["tiles"] == 1
    assert np.allclose(mean, wanted.reshape(TILE)[:3, :5], atol=1e-6)


def test_neighbours_help_across_the_seam(diffsem, tmp_path):
    # A smooth signal, seen at one end: errors in the middle are those of one long Gaussian, not of a cut one.
    at = np.arange(64)
    smooth = np.exp(-(((at[:, None] - at) / 6.0) ** 2)) + 1e-4 * np.eye(64)
    root = np.linalg.cholesky(smooth)
    spec = package(tmp_path / "smooth", smooth[:16, :16], shape=(16,))
    rng = np.random.default_rng(4)
    x = (rng.standard_normal((200, 64)) + 1j * rng.standard_normal((200, 64))) @ root.T / np.sqrt(2)
    _, n = noisy(rng, x.shape, 0.0)
    y = (x + np.sqrt(0.1) * n).astype(np.complex64)
    mean, variance, _ = diffsem.core.TiledEstimator(spec, (64,), (12,)).run(y, 0.1)
    exact = y @ (smooth @ np.linalg.inv(smooth + 0.1 * np.eye(64))).T
    ours, best = np.mean(np.abs(mean - x) ** 2), np.mean(np.abs(exact - x) ** 2)
    assert ours < 1.1 * best
    assert ours < np.mean(variance) < 1.6 * ours  # what it says of itself errs on the safe side
    cut, _, _ = diffsem.core.TiledEstimator(spec, (64,), (0,)).run(y, 0.1)
    assert ours < 0.9 * np.mean(np.abs(cut - x) ** 2)


def test_a_tile_without_measurements_leaves_its_neighbours_alone(diffsem, tmp_path):
    spec = package(tmp_path / "far", 0.5 * np.eye(32) + 0.5, gain="measured")
    noise = np.full((4, 24), np.inf, np.float32)
    noise[:, :2] = 0.1
    y = np.where(np.isfinite(noise), 1 + 0j, np.nan).astype(np.complex64)
    mean, variance, (info,) = diffsem.core.TiledEstimator(spec, (4, 24), (0, 4)).run(y, noise)
    assert info["tiles"] > 2 and info["bypassed"] == info["tiles"] - 1 and info["reason"] == "noise"
    assert info["unmeasured"] == info["bypassed"] and info["guarded"] == info["few_observed"] == 0
    assert np.all(np.isfinite(variance[:, :8])) and np.all(np.abs(mean[:, :8]) > 0.1)
    assert np.all(np.isnan(variance[:, 12:])) and np.all(mean[:, 12:] == 0)


def test_a_tile_that_fails_is_told_from_one_without_measurements(diffsem, tmp_path):
    """NaN in the first tile, nothing in the last: the reason is that of the one which was measured."""
    spec = package(tmp_path / "failed", 0.5 * np.eye(32) + 0.5, gain="measured")
    noise = np.full((4, 24), 0.1, np.float32)
    noise[:, 16:] = np.inf
    y = np.ones((4, 24), np.complex64)
    y[0, 0] = np.nan
    _, _, (info,) = diffsem.core.TiledEstimator(spec, (4, 24), (0, 0)).run(y, noise)
    assert (info["tiles"], info["bypassed"], info["unmeasured"], info["reason"]) == (3, 2, 1, "nan")


def test_tiles_with_too_few_measurements_are_counted(diffsem, tmp_path):
    spec = package(tmp_path / "few", np.eye(32))
    manifest = json.loads((tmp_path / "few/manifest.json").read_text())
    plain = manifest["members"]["gaussian"]
    manifest["members"] = {"gaussian": {**plain, "fewest_observed": 5, "fallback": "plain"}, "plain": plain}
    (tmp_path / "few/manifest.json").write_text(json.dumps(manifest))
    noise = np.full((4, 24), np.inf, np.float32)
    noise[:, :8], noise[0, 8:10] = 0.1, 0.1
    _, _, (info,) = diffsem.core.TiledEstimator(spec, (4, 24), (0, 0)).run(np.ones((4, 24), np.complex64), noise)
    assert info["few_observed"] == 2


def test_tiles_of_few_elements_are_counted_and_time_is_all_batches(diffsem, tmp_path):
    spec = package(tmp_path / "few", 0.5 * np.eye(32) + 0.5, fewest_observed=10, gain="measured")
    noise = np.full((4, 40), np.inf, np.float32)
    noise[:, 16:] = 0.1  # the first two of five tiles have none
    noise[:, 24:32] = np.inf
    noise[0, 24:28] = 0.1  # the fourth has four: three that have fewer than ten
    y = np.ones((4, 40), np.complex64)
    for batch in (1, 2, 5):
        _, variance, (info,) = diffsem.core.TiledEstimator(spec, (4, 40), (0, 0), max_batch=batch).run(y, noise)
        assert info["tiles"] == 5 and info["bypassed"] == 2 and info["few_observed"] == 3
        assert info["seconds"] > 0 and np.all(np.isfinite(variance[:, 16:]))


def test_what_cannot_be_tiled_says_why(diffsem, tmp_path):
    spec = package(tmp_path / "said", np.eye(32))
    made = diffsem.core.TiledEstimator
    for arguments, words in (
        (("ls", (4, 8)), "fixed shape"),
        ((spec, (4,)), "2 axes"),
        ((spec, (0, 8)), "at least 1"),
        ((spec, (9, 9), (4,)), "overlap has 1"),
        ((spec, (9, 9), (2, 8)), "has 8 elements along axis 1"),
        (("compressed_mixture", (64,)), "mixes elements"),
    ):
        with pytest.raises(ValueError, match=words):
            made(*arguments)
    tiles = made(spec, (9, 9))
    with pytest.raises(ValueError, match="whole grids"):
        tiles.run(np.zeros(80, np.complex64), 1.0)
    with pytest.raises(ValueError, match="one for each element"):
        tiles.run(np.zeros((2, 9, 9), np.complex64), np.ones(3, np.float32))
