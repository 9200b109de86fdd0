# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps of moved channels: from a log to coefficients and back, what is held out, likeness; all on generated data."""

import sys
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.receivers.csi import activity_maps
from gr_diffsem.schemes import rf_generator

sys.path.append(str(Path(__file__).parent))
from test_card_logs import intel_record


def recording(rng, packets=80, swing_db=6.0):
    """A log whose level rises and falls once, on all carriers alike."""
    level = swing_db * np.sin(2 * np.pi * np.arange(packets) / packets)
    shape = rng.standard_normal((3, 1, 30)) + 1j * rng.standard_normal((3, 1, 30))
    shape = 40 * shape / np.abs(shape)
    return b"".join(intel_record(np.round(shape * 10 ** (db / 20))) for db in level)


def test_a_log_becomes_its_map():
    found = activity_maps.of_recording(recording(np.random.default_rng(1)))
    assert found.shape == activity_maps.MAP
    wanted = 6 * np.sin(2 * np.pi * (np.arange(64) + 0.5) / 64)
    np.testing.assert_allclose(found.mean((0, 2)), wanted, atol=0.4)
    assert activity_maps.of_recording(recording(np.random.default_rng(1), packets=60)) is None


def test_coefficients_and_maps_are_the_same_where_few_suffice():
    rng = np.random.default_rng(2)
    signal = rng.standard_normal((4, *activity_maps.KEPT)).astype(np.float32)
    maps = activity_maps.to_map(signal)
    np.testing.assert_allclose(activity_maps.to_signal(maps), signal, atol=1e-5)
    power = activity_maps.SCALE**2 * np.sum(signal.astype(float) ** 2)
    assert np.sum(maps**2) == pytest.approx(power)  # orthonormal


def test_likeness_of_maps():
    rng = np.random.default_rng(3)
    a = 5 * rng.standard_normal((3, *activity_maps.MAP))
    a -= a.mean((2, 3), keepdims=True)
    same = activity_maps.similarity(a, a)
    np.testing.assert_allclose(np.diag(same), 1)
    assert np.abs(same - np.eye(3)).max() < 0.1
    assert activity_maps.similarity(a[:1], -a[:1])[0, 0] < -0.9


def test_recordings_are_read_once_and_held_out(tmp_path, monkeypatch):
    folder = tmp_path / "data" / "wiar" / activity_maps.PLACES[1]
    folder.mkdir(parents=True)
    for number in (1, 5):
        (folder / f"csi_a3_{number}.dat").write_bytes(recording(np.random.default_rng(number)))
    monkeypatch.setenv("DIFFSEM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DIFFSEM_DATA", str(tmp_path / "none"))
    with pytest.raises(UserError, match="set DIFFSEM_DATA"):
        activity_maps.load()
    monkeypatch.setenv("DIFFSEM_DATA", str(tmp_path / "data"))
    signals, activities, places, numbers = activity_maps.load()
    assert signals.shape == (2, *activity_maps.KEPT)
    assert set(activities) == {2} and set(places) == {1} and sorted(numbers) == [1, 5]
    assert list(activity_maps.held_out(np.array([1, 5, 10]))) == [False, True, True]
    scheme = rf_generator.SCHEME
    assert len(scheme.recordings(False)[0]) == len(scheme.recordings(True)[0]) == 1
    assert "none" in scheme.licence or not scheme.passed_on


def test_noise_grows_towards_fast_components():
    w = rf_generator.weights(0.5)
    assert w.shape == (activity_maps.KEPT[1], 1) and np.all(np.diff(w[:, 0]) < 0)
    assert np.mean(w**2) == pytest.approx(1) and np.all(rf_generator.weights(0.0) == 1)
