# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem send` of pictures as they lie about: the good ones of a folder go, and the remedy for each other one is
followed here."""

import json
import re
import shlex

import numpy as np
import pytest
from gr_diffsem.apps.cli import main
from gr_diffsem.codec import picture_fit
from PIL import Image

pytest.importorskip("gnuradio.diffsem")
RNG = np.random.default_rng(8)


def picture(w, h, kind="noise"):
    if kind == "noise":
        return Image.fromarray(RNG.integers(0, 256, (h, w, 3), np.uint8))
    if kind == "flat":
        return Image.new("RGB", (w, h), (90, 120, 30))
    y, x = np.mgrid[:h, :w]
    return Image.fromarray(np.stack([128 + 100 * np.sin(x / 5 + y / 9 + c) for c in range(3)], -1).astype(np.uint8))


def send(tmp_path, *words):
    return main(["send", *map(str, words), "--to", f"file:{tmp_path / 'air.cf32'}"])


def test_the_good_pictures_of_a_folder_are_sent_and_the_others_named(tmp_path, capsys):
    folder = tmp_path / "holiday"
    folder.mkdir()
    picture(160, 120, "waves").save(folder / "a.jpg")
    (folder / "b.jpg").write_bytes((folder / "a.jpg").read_bytes()[:-1500])
    picture(8, 8).save(folder / "c.png")
    picture(160, 120, "flat").save(folder / "d.gif", save_all=True, append_images=[picture(160, 120)])
    picture(20, 20).save(folder / "e.png")
    (folder / "notes.txt").write_text("words")
    assert send(tmp_path, folder, "--cbr", "1/6", "--json") == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert report["contents"] == 2 and report["skipped"] == 3
    assert "\na: 160 x 120" in f"\n{err}" and "\nd: 160 x 120" in err
    assert "skipped: " in err and "b.jpg: not a picture that can be read (image file is truncated" in err
    assert "c.png: 8 x 8 pixels; a photograph needs 16 a side" in err and "e: 20 x 20 pixels are too few" in err
    assert "d.gif: is animated: its first frame is taken" in err and "no pictures by their names: notes.txt" in err
    assert send(tmp_path, folder / "b.jpg", folder / "a.jpg", "--cbr", "1/6") == 0
    assert "1 skipped" in capsys.readouterr().out
    assert send(tmp_path, folder / "b.jpg") == 2 and send(tmp_path, folder / "a.jpg", folder / "none.jpg") == 2
    assert "none.jpg: there is no such f" in capsys.readouterr().err
    assert send(tmp_path, folder / "b.jpg", folder / "c.png") == 2
    assert "nothing is left to send: " in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["noise", "waves", "flat"])
@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((16, 16), ""),
        ((31, 17), ""),
        ((17, 31), "--cbr 1"),
        ((64, 48), ""),
        ((16, 16), "--cbr 1/1000"),
        ((300, 200), "--cbr 1/1000"),
        ((4000, 16), ""),
        ((4000, 16), "--max-side 100"),
        ((16, 16), "--max-side 32"),
    ],
)
def test_what_is_too_small_is_sent_as_its_sentence_says(tmp_path, size, options, kind, capsys):
    picture(*size, kind).save(tmp_path / "x.png")
    options = shlex.split(options)
    assert send(tmp_path, tmp_path / "x.png", *options) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert "pixels are too few for --cbr" in said
    larger = re.search(r"enlarge it to (\d+) x (\d+)", said)
    if larger:
        small = Image.open(tmp_path / "x.png").copy()
        small.resize(tuple(map(int, larger.groups())), Image.LANCZOS).save(tmp_path / "x.png")
    more = re.findall(r"(--[a-z-]+) (\d[\d./]*)", said.split(":", 2)[-1])
    assert larger or more
    assert send(tmp_path, tmp_path / "x.png", *options, *(w for pair in more for w in pair)) == 0
    assert "skipped" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("size", "cbr"),
    [((4200, 1000), 1 / 48), ((3500, 2500), 1 / 48), ((1000, 900), 1), ((4096, 4096), 1 / 64), ((5000, 16), 1)],
)
def test_what_is_too_large_fits_when_reduced_as_its_sentence_says(tmp_path, size, cbr, capsys):
    picture(*size, "flat").save(tmp_path / "x.png")
    assert send(tmp_path, tmp_path / "x.png", "--max-side", 5000, "--cbr", cbr) == 2
    said = re.search(
        r"x: (\d+) x (\d+) pixels are too many for --cbr \S+: give --max-side (\d+)\n", capsys.readouterr().err
    )
    side = int(said[3])
    w, h = (max(round(n * side / max(size)), 16) for n in size)
    assert picture_fit.largest_side(h, w, cbr) == max(w, h) <= side
    least = picture_fit.largest_side(*(round(n * (side + 8) / max(size)) or 16 for n in reversed(size)), cbr)
    assert least <= side + 1  # a little more would not fit


def test_the_largest_that_fits_is_sent(tmp_path, capsys):
    picture(900, 900, "flat").save(tmp_path / "x.png")
    assert send(tmp_path, tmp_path / "x.png", "--max-side", 900, "--cbr", 1) == 2
    side = re.search(r"--max-side (\d+)", capsys.readouterr().err)[1]
    assert send(tmp_path, tmp_path / "x.png", "--max-side", side, "--cbr", 1) == 0
