# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem demo`, small: the table, the pictures, the errors."""

import pytest

pytest.importorskip("gnuradio.diffsem")
pytest.importorskip("matplotlib")

from gr_diffsem.apps.cli import main


@pytest.mark.timeout(400)  # a minute of a quiet machine
def test_demo_prints_the_table_and_writes_pictures(tmp_path, capsys):
    assert main(["demo", "--packets", "20", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "least squares" in text and "diffusion prior" in text
    assert "photo_posterior" in text and "delivered" in text
    for name in ("per.png", "estimate.png", "constellation.png", "photographs/contact_sheet.png"):
        assert str(tmp_path / name) in text
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_a_capture_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["demo", "--capture", str(tmp_path / "none.sc16"), "--out", str(tmp_path)]) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--config", "qpsk_shot_ideal"], "did you mean"),
        (["--method", "difusion"], "did you mean 'diffusion'"),
        (["--packets", "0"], "give 1 to 4096"),
    ],
)
def test_wrong_arguments_get_a_sentence(words, said, capsys):
    assert main(["eval", "ofdm_link", *words]) == 2
    assert said in capsys.readouterr().err
