# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem channels import | sample` and `eval channels`: what goes in comes out, and what is wrong is said."""

import json
import os
import sys

import numpy as np
import pytest
from gr_diffsem.air import looks as looks_file
from gr_diffsem.apps import cli
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.eval import channels_eval

sys.path.append(os.path.dirname(__file__))
from test_card_logs import intel_file

pytest.importorskip("gnuradio.diffsem")


def run(capsys, *words):
    code = cli.main([*map(str, words), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else None, err


def test_logs_become_one_file_of_looks(tmp_path, capsys):
    intel_file(tmp_path / "a.dat", 10)
    intel_file(tmp_path / "b.dat", 20, seed=2)
    looks_file.Looks(np.ones((3, 4, 70), np.complex64), np.full((3, 4, 70), 0.01, np.float32), "mine").save(
        tmp_path / "c.npz"
    )
    files = [tmp_path / name for name in ("a.dat", "b.dat", "c.npz")]
    code, said, _ = run(capsys, "channels", "import", *files, "--out", tmp_path / "site.npz")
    assert code == 0 and [s["grids"] for s in said["sources"]] == [30, 60, 3]
    looks = looks_file.read(tmp_path / "site.npz")
    assert looks.y.shape == (93, 4, 70) and "a.dat" in looks.source and "2 more" in looks.source
    assert np.isfinite(looks.noise_var[0]).sum() == 30 and np.isfinite(looks.noise_var[-1]).all()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("nothing.dat", "--out", "x.npz"), "there is no such file"),
        (("garbage.dat", "--out", "x.npz"), "is no log of Intel 5300, FeitCSI or Nexmon"),
        (("cut.dat", "--out", "x.npz"), "is no log of|holds no whole estimate"),
        (("a.dat", "--out", "x.npy"), "ends in .npz"),
        (("a.dat", "--out", "none/x.npz"), "is no folder"),
        (("a.dat", "--out", "x.npz", "--snr", "nan"), "--snr nan: give -20 to 60 dB"),
    ],
)
def test_what_cannot_be_imported_is_said(tmp_path, capsys, monkeypatch, words, text):
    monkeypatch.chdir(tmp_path)
    intel_file(tmp_path / "a.dat", 3)
    (tmp_path / "garbage.dat").write_bytes(np.random.default_rng(1).bytes(4000))
    (tmp_path / "cut.dat").write_bytes((tmp_path / "a.dat").read_bytes()[:100])
    code, said, err = run(capsys, "channels", "import", *words)
    assert code in (1, 2) and said is None
    import re

    assert re.search(text, err) and err.strip().count("\n") == 0 and "Traceback" not in err


def test_draws_are_written_as_arrays_and_as_sigmf(tmp_path, capsys):
    code, said, _ = run(capsys, "channels", "sample", "tap_generator_clarke", "--count", 5, "--out", tmp_path / "h.npy")
    drawn = np.load(tmp_path / "h.npy")
    assert code == 0 and said["shape"] == [5, 128] and drawn.dtype == np.complex64
    assert 0.2 < np.mean(np.abs(drawn) ** 2) < 3
    words = ("channels", "sample", "tap_generator_clarke", "--count", 5, "--out", tmp_path / "h.sigmf-meta")
    code, said, _ = run(capsys, *words)
    meta = json.loads((tmp_path / "h.sigmf-meta").read_text())
    data = np.fromfile(tmp_path / "h.sigmf-data", "<c8")
    assert code == 0 and said["shape"] == [5, 128, 1] and len(meta["annotations"]) == 5
    np.testing.assert_array_equal(data.reshape(5, 128), drawn)
    one = meta["annotations"][3]
    assert data[one["core:sample_start"]] == drawn[3, 0] and meta["global"]["core:datatype"] == "cf32_le"


def test_what_a_generator_is_told_reaches_it(tmp_path, capsys):
    words = ("channels", "sample", "tap_generator_uses", "--count", 400, "--out", tmp_path / "y.npy", "--condition")
    assert run(capsys, *words, "kind=0", "sent=1;1;1;1;-1;-1;-1;-1")[0] == 0
    mean = np.load(tmp_path / "y.npy").mean(0)
    np.testing.assert_allclose(mean, [1, 1, 1, 1, -1, -1, -1, -1], atol=0.15)
    for wrong, text in (("kind", "give NAME=NUMBER"), ("kind=x", "give NAME=NUMBER")):
        code, _, err = run(capsys, *words, wrong)
        assert code == 2 and text in err
    code, _, err = run(capsys, "channels", "sample", "known_mixture", "--out", tmp_path / "y.npy")
    assert code == 2 and "draws nothing without one" in err


def test_errors_against_looks_are_those_against_the_channel():
    """The known doubt taken off, the NMSE of an answer is that against the channel that nobody knows."""
    rng = np.random.default_rng(1)
    h = complex_noise(rng, (4000, 1, 64), 1.0)
    v = np.full(h.shape, 0.05)
    y = h + complex_noise(rng, h.shape, 0.05)
    tile = channels_eval.observed(y, v, 5.0, (1, 0))
    assert np.isfinite(tile.noise).sum() == h.size // 2
    gain = 1 / (1 + np.where(np.isfinite(tile.noise), tile.noise, 1e9))
    answer = gain * tile.u  # LMMSE of a white channel
    true = np.sum(np.abs(answer - h) ** 2)
    np.testing.assert_allclose(tile.error_of(answer).sum(), true, rtol=0.02)
    np.testing.assert_allclose(tile.error_of(np.zeros_like(h)).sum(), np.sum(np.abs(h) ** 2), rtol=0.02)


def test_priors_are_compared_on_looks(tmp_path, capsys):
    intel_file(tmp_path / "a.dat", 10)
    assert run(capsys, "channels", "import", tmp_path / "a.dat", "--out", tmp_path / "a.npz")[0] == 0
    words = ("eval", "channels", tmp_path / "a.npz", "--methods", "ofdm_grid/fast", "ofdm_grid/robust", "--snr", 5)
    code, said, _ = run(capsys, *words)
    assert code == 0 and said["grids"] == 30
    nmse = {name: rows[0]["nmse_db"] for name, rows in said["methods"].items()}
    assert nmse["ofdm_grid/fast"] < nmse["ls, lines between"] - 2
    gain = said["gain_db"]["ofdm_grid/robust"][0]
    assert gain["ci95"][0] <= gain["db"] <= gain["ci95"][1]
    code, _, err = run(capsys, "eval", "channels", tmp_path / "a.npz", "--methods", "nothing_such")
    assert code == 2 and "--methods nothing_such" in err
