# SPDX-License-Identifier: GPL-3.0-or-later
"""A prior adapted to looks of a recording: no channel is known, and yet errors are counted without bias."""

import argparse

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.air import grid_channel, looks
from gr_diffsem.air.looks import Looks
from gr_diffsem.apps import train
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.models import site_training, training
from gr_diffsem.package import export

SHAPE = (16, 64)


def site(n, noise_var=0.02, seed=0):
    """(channels, `Looks` at them)."""
    rng = np.random.default_rng(seed)
    h = grid_channel.draw(rng, n, *SHAPE).response
    level = np.full(h.shape, noise_var, np.float32)
    level[:, 1::2] *= 3
    level[:, :, ::3] = np.inf
    noise = np.sqrt(np.where(np.isfinite(level), level, 0)) * complex_noise32(rng, h.shape)
    return h, Looks((h + noise).astype(np.complex64), level, "a site")


def call(*words):
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    return train.run(parser.parse_args([str(w) for w in words]))


def test_what_is_shown_and_what_it_is_held_to_have_independent_noise():
    """So that an error against t is the one against the channel, and the doubt: here the channel is flat, turned by one
    phase an item, which the mean of the targets tells."""
    h, found = site(300)
    flat = Looks(1 + (found.y - h), found.noise_var, "flat")
    batch = site_training.site_batch([flat], np.random.default_rng(9), 300, SHAPE)
    target, state, _, seen, part, doubt = batch
    t, u = (x[:, 0] + 1j * x[:, 1] for x in (target, state))
    both = (part > 0) & seen
    phase = (t * part).sum((1, 2), keepdims=True)
    phase = phase / phase.abs()
    t, u = t * phase.conj(), u * phase.conj()
    level = (t.real * part).sum((1, 2), keepdims=True) / part.sum((1, 2), keepdims=True)
    a, b = (t - level)[both], (u - level)[both]
    assert both.sum() > 10000
    assert abs((a * b.conj()).mean()) < 0.03 * (a.abs().pow(2).mean() * b.abs().pow(2).mean()).sqrt()
    a = (t - level)[part > 0]
    assert (a.abs().pow(2).sum() / (2 * doubt[part > 0]).sum()).item() == pytest.approx(1, abs=0.1)


def test_a_recording_adapts_the_shipped_network(tmp_path, monkeypatch):
    scheme = schemes.get("ofdm_grid")
    few = scheme.batch(np.random.default_rng(1), 4, 0.0)
    monkeypatch.setattr(type(scheme), "validation", lambda self: {"few": lambda snr_db: few})
    site(40)[1].save(tmp_path / "site.npz")
    words = ("--member", "fast", "--minutes", 0.03, "--batch", 8, "--device", "cpu", "--out", tmp_path / "out")
    report = call("ofdm_grid", "--from", tmp_path / "site.npz", *words)["networks"][0]
    assert report["steps"] > 0 and report["kept_back_db"]["before"] < -3
    state = training.load_checkpoint(report["checkpoint"])
    assert "fast.onnx" in state["start"] and "36 grids of noisy looks at a site" in state["adapted_to"]
    assert state["command"].endswith("--start fast.onnx --from site.npz")
    facts = export.trained_on(scheme, state)
    assert facts["data"].endswith("looks at a site")
    assert "looks kept back" in train.table({"networks": [report]})


def test_who_cannot_learn_from_recordings_says_so(tmp_path):
    site(4)[1].save(tmp_path / "site.npz")
    with pytest.raises(UserError, match=r"--from: scheme 'ofdm_chanest' does not learn .*; ofdm_grid does"):
        call("ofdm_chanest", "--from", tmp_path / "site.npz", "--out", tmp_path)
    site(1)[1].save(tmp_path / "one.npz")
    with pytest.raises(UserError, match="1 grid of looks; give at least two"):
        call("ofdm_grid", "--member", "fast", "--from", tmp_path / "one.npz", "--out", tmp_path)


Y, V = np.ones((3, 4, 12), np.complex64), np.full((3, 4, 12), 0.1, np.float32)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": Y}, "noise_var"),
        ({"y": Y.real, "noise_var": V}, "y is float32"),
        ({"y": Y[0], "noise_var": V}, r"y is complex64 \[4, 12\]"),
        ({"y": Y, "noise_var": V[:2]}, "give one for each element, for each grid, or one"),
        ({"y": Y, "noise_var": 0 * V}, "not above 0 everywhere"),
        ({"y": Y * np.nan, "noise_var": V}, "y is not finite where noise_var is"),
        ({"y": Y, "noise_var": V + np.inf}, "no grid has 8 looks within 16 symbols x 64 carriers"),
        ({"y": Y * 0.01, "noise_var": V}, "weaker than their noise"),
        ({"y": np.array([None]), "noise_var": V}, "no .npz of looks"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=said) as error:
        looks.read(tmp_path / "x.npz")
    assert "x.npz" in str(error.value)
    for text in ("", "not an archive"):
        (tmp_path / "x.npz").write_text(text)
        with pytest.raises(UserError, match="is no .npz of looks"):
            looks.read(tmp_path / "x.npz")
    with pytest.raises(UserError, match="there is no such file"):
        looks.read(tmp_path / "other.npz")


def test_what_was_adapted_goes_on_as_such(tmp_path, monkeypatch):
    """The error before is that of the network it began from; without --from it does not go on."""
    scheme = schemes.get("ofdm_grid")
    few = scheme.batch(np.random.default_rng(1), 4, 0.0)
    monkeypatch.setattr(type(scheme), "validation", lambda self: {"few": lambda snr_db: few})
    site(10)[1].save(tmp_path / "site.npz")
    words = ("ofdm_grid", "--member", "fast", "--batch", 3, "--device", "cpu", "--out", tmp_path / "out")
    first = call(*words, "--minutes", 0.01, "--from", tmp_path / "site.npz")["networks"][0]
    again = call(*words, "--minutes", 0.02, "--from", tmp_path / "site.npz", "--resume")["networks"][0]
    assert again["kept_back_db"]["before"] == first["kept_back_db"]["before"] < -3
    with pytest.raises(UserError, match="was adapted to 9 grids .*: give --from again, or --start"):
        call(*words, "--minutes", 0.03, "--resume")
    with pytest.raises(UserError, match="--batch is 1: give 2 or more"):
        call(*words, "--from", tmp_path / "site.npz", "--batch", 1)


def test_few_looks_in_a_large_grid():
    """Every tile that is drawn has some; a grid of which no tile has enough is left out."""
    noise_var = np.full((3, 1, 1000), np.inf, np.float32)
    noise_var[:2, :, ::125] = 0.1
    noise_var[2, :, 500:508] = 0.1
    found = looks.checked(np.ones((3, 1, 1000), complex), noise_var, "", "x.npz")
    assert len(found) == 1
    assert (np.isfinite(found.draw(np.random.default_rng(0), 20, *SHAPE)[1]).sum((1, 2)) >= 1).all()


def test_units_do_not_matter():
    one, other = (looks.checked(g * Y.astype(complex), g * g * V.astype(float), "", "") for g in (1.0, 1e30))
    assert np.allclose(one.y, other.y) and np.allclose(one.noise_var, other.noise_var)


def test_larger_and_smaller_grids_become_tiles():
    rng = np.random.default_rng(0)
    large = Looks(np.ones((2, 40, 300), np.complex64), np.full((2, 40, 300), np.inf, np.float32), "")
    large.noise_var[:, ::7, ::6] = 0.1
    small = Looks(np.ones((2, 3, 12), np.complex64), np.full((2, 3, 12), 0.1, np.float32), "")
    for found, fewest in ((large, 8), (small, 36)):
        y, noise_var = found.draw(rng, 20, *SHAPE)
        there = np.isfinite(noise_var)
        assert y.shape == (20, *SHAPE) and (there.sum((1, 2)) >= fewest).all()
        assert np.allclose(np.abs(y[there]), 1) and not y[~there].any()
    places = {tuple(np.argwhere(np.isfinite(v))[0]) for v in small.draw(rng, 30, *SHAPE)[1]}
    assert len(places) > 10
