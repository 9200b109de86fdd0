# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval semantic_link`: photographs by rules, equal channel uses, one shape of report."""

import json

import numpy as np
import pytest
from gr_diffsem.air import symbol_channel
from gr_diffsem.apps import cli
from gr_diffsem.base import picture_files, picture_metrics
from gr_diffsem.base.errors import UserError
from gr_diffsem.codec import frames
from gr_diffsem.eval import photo_realism, photo_receivers, photo_sheet, photo_trials, semantic_link
from PIL import Image


def photograph(h=96, w=144, seed=0):
    """Edges and shades, some noise: uint8 [H, W, 3]."""
    y, x = np.mgrid[:h, :w]
    disc = ((x - 0.6 * w) ** 2 + (y - 0.5 * h) ** 2 < (0.3 * h) ** 2)[..., None] * np.array([90, -50, 30])
    shade = 100 + 0.5 * x[..., None] + 0.3 * y[..., None] * np.array([1, 0.5, -0.5])
    noise = np.random.default_rng(seed).normal(0, 4, (h, w, 3))
    return np.clip(shade + disc + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Two photographs, one of them upright."""
    where = tmp_path / "photographs"
    where.mkdir()
    Image.fromarray(photograph()).save(where / "one.png")
    Image.fromarray(photograph(144, 96, 1)).save(where / "two.jpg", quality=95)
    (where / "notes.txt").write_text("no picture")
    return where


def report(capsys, *argv):
    assert cli.main(["eval", "semantic_link", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_report_of_a_small_evaluation(folder, tmp_path, capsys):
    names = ["webp", "webp_ldpc", "webp_capacity", "linear"]
    out, plot = tmp_path / "out", tmp_path / "plot.png"
    got = report(
        capsys,
        "--images",
        folder,
        "--cbr",
        "1/6",
        "--snr",
        -5,
        5,
        20,
        "--methods",
        *names,
        "--save",
        out,
        "--plot",
        plot,
    )
    layout = {"images": int, "cbr": float, "channel": str, "snr_db": list, "methods": dict}
    assert all(isinstance(got[key], kind) for key, kind in layout.items())
    assert (got["images"], got["cbr"], got["channel"]) == (2, pytest.approx(1 / 6), "awgn")
    assert got["snr_db"] == [-5, 5, 20] and list(got["methods"]) == names
    for name, scores in got["methods"].items():
        for key in ("psnr_db", "ms_ssim", "psnr_p5_db", "delivered", "psnr_ci95"):
            assert len(scores[key]) == 3
        assert scores["channel_uses"] == got["methods"]["webp"]["channel_uses"] <= 2 * 96 * 144 * 3 / 6
        assert scores["psnr_db"][0] < scores["psnr_db"][1] < scores["psnr_db"][2], name
        assert all(
            low <= mean <= high for mean, (low, high) in zip(scores["psnr_db"], scores["psnr_ci95"], strict=True)
        )
    webp, linear = got["methods"]["webp"], got["methods"]["linear"]
    assert webp["delivered"] == [0, 1, 1] and webp["modes"][2] == "16qam 3/4"
    assert linear["over_webp"]["modes"] == webp["modes"] and linear["over_webp_ldpc"]["modes"]
    assert linear["over_webp"]["psnr_db"] == pytest.approx(np.subtract(linear["psnr_db"], webp["psnr_db"]))
    assert got["methods"]["webp_capacity"]["psnr_db"] >= webp["psnr_db"]
    # What was saved is what was counted.
    for name in names:
        saved = [np.asarray(Image.open(out / name / "5" / f"{stem}.png")) for stem in ("one", "two")]
        psnr = [picture_metrics.psnr(a, b) for a, b in zip(picture_files.folder(folder).values(), saved, strict=True)]
        assert np.mean(psnr) == pytest.approx(got["methods"][name]["psnr_db"][1])
    assert Image.open(out / "contact_sheet.png").width > 3 * photo_sheet.WIDTH
    assert Image.open(plot).width > 500
    table = semantic_link.table(dict(got))
    assert "best in hindsight at each SNR" in table
    assert "20 dB (16qam 3/4): " in table, "a win or loss says against which mode"


def test_under_fading_webp_has_one_mode_and_several_ratios_make_a_list(folder, tmp_path, capsys):
    got = report(
        capsys, "--images", folder, "--count", 1, "--cbr", "1/6", "0.25", "--snr", 0, 10, "--channel", "tdl",
        "--loss", 0.2, "--realisations", 2, "--methods", "webp", "linear", "--seed", 3, "--save", tmp_path / "out"
    )  # fmt: skip
    assert [r["cbr"] for r in got] == [pytest.approx(1 / 6), 0.25]
    for part in ("cbr-1-6", "cbr-0.25"):
        for method in ("webp", "webp_ldpc", "linear"):
            assert all((tmp_path / "out" / method / "10" / part / name).is_file() for name in ("one.png", "one-1.png"))
        assert (tmp_path / "out" / f"contact_sheet-{part}.png").is_file()
    for r in got:
        assert list(r["methods"]) == ["webp", "webp_ldpc", "webp_capacity", "linear"], "yardsticks come unasked"
        webp = r["methods"]["webp"]
        assert len(set(webp["modes"])) == 1
        best = max(np.mean(psnr) for psnr in webp["by_mode_psnr_db"].values())
        assert webp["all_snr"]["psnr_db"] == pytest.approx(best)


def test_realism_comes_with_its_controls(folder, tmp_path, capsys):
    out = tmp_path / "out"
    got = report(
        capsys, "--images", folder, "--cbr", "1/6", "--snr", 3, 12, "--methods", "linear", "--realism", 0.5, 0, 1,
        "--save", out
    )  # fmt: skip
    assert all(len(scores["feature_distance"]) == 2 for scores in got["methods"].values())
    found = got["realism"]
    assert found["status"] == "experimental" and set(found["beats_both_on_both"]) == {"0.5", "1"}
    rows = {(row["realism"], row["method"]): row for row in found["rows"]}
    both = photo_realism.CONTROLS
    ours = found["scheme"]
    assert ours == "photo_posterior", "the first that has a posterior to draw from"
    assert list(rows) == [(0, ours), *((v, m) for v in (0.5, 1) for m in (ours, *both))]
    for value in (0.5, 1):
        for control in both:
            knob, other = rows[value, ours], rows[value, control]
            assert other["psnr_db"] == pytest.approx(knob["psnr_db"], abs=0.02), "equal PSNR"
            gains = next(c for c in found["over_controls"] if (c["realism"], c["control"]) == (value, control))
            for name in ("ms_ssim", "feature_distance"):
                assert gains[name]["mean"] == pytest.approx(np.subtract(knob[name], other[name]))
    assert rows[0, ours]["psnr_db"] > rows[1, ours]["psnr_db"]
    assert all(len(row["feature_frechet"]) == 2 and min(row["feature_frechet"]) > 0 for row in found["rows"])
    original = picture_files.folder(folder)["one"]
    saved = np.asarray(Image.open(out / "realism-1-unsharp-mask" / "3" / "one.png"))
    assert saved.shape == original.shape and Image.open(out / "realism-3dB.png").width > 5 * photo_sheet.WIDTH
    table = semantic_link.table(dict(got))
    assert "experimental" in table and "unsharp mask" in table and "not LPIPS" in table
    assert "beats both controls" in table or "does not beat both controls" in table


def test_controls_of_realism():
    """The blur keeps what is constant; a control comes to the PSNR asked for."""
    flat = np.full((20, 30, 3), 0.3)
    assert np.allclose(photo_realism.blurred(flat), flat)
    impulse = np.zeros((21, 21, 1))
    impulse[10, 10] = 1
    y, x = np.mgrid[-10:11, -10:11]
    assert np.allclose(photo_realism.blurred(impulse)[..., 0], np.exp(-(x**2 + y**2) / 2) / (2 * np.pi), atol=2e-3)
    original = photograph()
    mean = photo_realism.blurred(original / 255.0, 2.0)
    noise = np.random.default_rng(0).standard_normal(mean.shape)
    aim = picture_metrics.psnr(original, photo_receivers.to_bytes(mean)) - 1.0
    assert picture_metrics.psnr(original, photo_realism.at_psnr(original, mean, noise, aim, 1.0)) == pytest.approx(
        aim, abs=0.02
    )


def test_lpips_without_the_package(folder, monkeypatch, capsys):
    import sys

    monkeypatch.setitem(sys.modules, "lpips", None)
    assert cli.main(["eval", "semantic_link", "--images", str(folder), "--lpips"]) == 2
    assert "pip install lpips" in capsys.readouterr().err


def test_every_method_meets_the_same_channel():
    """Frames are equally long, so the same draws go to the same places."""
    seen = []

    def chain(sent, snr_db, channel, loss, rng):
        seen.append(([f.symbols.size for f in sent], rng.random()))
        return symbol_channel.apply_channel(sent, snr_db, channel, loss, rng)

    run = photo_trials.Evaluation({"one": photograph()}, 1 / 4, [5.0], "tdl", 0.0, chain, 1, seed=1)
    run.run(["webp", "webp_ldpc", "linear"], snr_known=False)
    assert len(seen) == 2 * 2 * 6 + 1
    assert all(s == seen[0] for s in seen)


def test_unequal_channel_uses_are_refused():
    run = photo_trials.Evaluation(
        {"one": photograph()}, 1 / 4, [5.0], "awgn", 0.0, photo_trials.symbols_chain, 1, seed=1
    )
    linear = run.run(["linear"], True)["linear"]
    cheap = photo_trials.Trials(linear.psnr, linear.ms_ssim, linear.delivered, [u - 48 for u in linear.uses])
    with pytest.raises(AssertionError, match="channel uses differ"):
        photo_trials.report(run, {"linear": linear, "cheap": cheap})


def test_what_a_net_is_given_is_the_linear_answer_in_other_units():
    """Without evaluations the photo nets' inference is `linear` itself."""
    from gr_diffsem.base import picture_bands
    from gr_diffsem.codec import picture_codec
    from gr_diffsem.reference import photo

    image = photograph()
    encoded = picture_codec.encode(image, photo_trials.budget(96, 144, 1 / 4)[0])
    got = photo_trials.collected(
        symbol_channel.apply_channel(
            frames.cut(encoded.digital, encoded.symbols, 1), 8.0, "tdl", 0.2, np.random.default_rng(5)
        )
    )
    z, v, spectrum = picture_codec.observation(*got[:3])
    x = photo.posterior(None, z, v, spectrum, 0)
    assert (
        picture_metrics.psnr(photo_receivers.to_bytes(x / picture_bands.SCALE + 0.5), photo_receivers.linear(*got)) > 45
    )


def test_photographs_are_read_by_rules(tmp_path):
    def load(picture, name="x.png", **options):
        picture.save(tmp_path / name, **options)
        return picture_files.load(tmp_path / name)

    colours = photograph(20, 30)
    assert (load(Image.fromarray(colours)) == colours).all()
    grey = load(Image.fromarray(colours[..., 0]))
    assert grey.shape == (20, 30, 3) and (grey == colours[..., :1]).all()
    sixteen = load(Image.fromarray((colours[..., 0].astype(np.uint16) << 8) + 255))
    assert (sixteen[..., 1] == colours[..., 0]).all()
    transparent = np.dstack([colours, np.full((20, 30), 255, np.uint8)])
    transparent[:5, :, 3] = 0
    opaque = load(Image.fromarray(transparent))
    assert (opaque[:5] == 255).all() and (opaque[5:] == colours[5:]).all()
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    assert load(Image.fromarray(colours), "x.jpg", exif=exif).shape == (30, 20, 3)
    Image.fromarray(photograph(100, 200)).save(tmp_path / "large.png")
    assert picture_files.load(tmp_path / "large.png", 50).shape == (25, 50, 3)


def test_scikit_image_brings_photographs():
    pictures = picture_files.bundled(256, 3)
    assert list(pictures) == ["astronaut", "chelsea", "coffee"]
    assert all(max(p.shape[:2]) == 256 for p in pictures.values())


@pytest.mark.parametrize(
    ("name", "make", "message"),
    [
        ("a.png", lambda p: p.write_bytes(b"no picture"), "not a picture that can be read"),
        ("b.png", lambda p: Image.new("RGB", (1, 1)).save(p), "needs 16 a side"),
        ("c.png", lambda p: Image.new("1", (20000, 9000)).save(p), "scale it down first"),
        ("d.tif", lambda p: Image.new("F", (20, 20), -1.0).save(p), "8 or 16 bits"),
        ("e.png", lambda p: p.write_bytes(_truncated()), "not a picture that can be read"),
    ],
)
def test_what_is_no_photograph_is_refused(tmp_path, name, make, message):
    make(tmp_path / name)
    with pytest.raises(UserError, match=message):
        picture_files.folder(tmp_path)


def _truncated():
    import io

    whole = io.BytesIO()
    Image.fromarray(photograph()).save(whole, "PNG")
    return whole.getvalue()[: len(whole.getvalue()) // 2]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--images", "nowhere"], "there is no such folder"),
        (["--images", "."], "no pictures in it"),
        (["--cbr", "1/0"], "give a ratio like 1/48"),
        (["--cbr", "2"], "at most 1"),
        (["--channel", "tld"], "did you mean 'tdl'"),
        (["--loss", "1"], "--loss 1"),
        (["--chain", "gnuradoi"], "did you mean 'gnuradio'"),
        (["--methods", "lienar"], "did you mean 'linear'"),
        (["--realisations", "0"], "--realisations 0"),
        (["--snr", "300"], "--snr 300"),
        (["--max-side", "3"], "--max-side 3"),
        (["--count", "0"], "--count 0"),
        (["--realism", "1.5"], "--realism 1.5"),
    ],
)
def test_wrong_arguments(argv, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["eval", "semantic_link", *argv]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1


def test_pictures_that_cannot_be_sent_are_named_and_the_others_measured(tmp_path, capsys):
    Image.fromarray(photograph(120, 160)).save(tmp_path / "a.png")
    Image.fromarray(photograph(20, 30)).save(tmp_path / "b.png")
    Image.fromarray(photograph(600, 900)).save(tmp_path / "c.png")
    (tmp_path / "d.jpg").write_bytes(_truncated())
    words = ["eval", "semantic_link", "--images", str(tmp_path), "--max-side", "900", "--cbr", "1/8", "3/5"]
    words += ["--snr", "10"]
    assert cli.main([*words, "--methods", "linear", "--json"]) == 0
    out, err = capsys.readouterr()
    assert all(report["images"] == 1 for report in json.loads(out))
    assert "skipped: b: 30 x 20 pixels are too few for --cbr 1/8" in err
    assert "skipped: c: 900 x 600 pixels are too many for --cbr 0.6: give --max-side" in err and "d.jpg: not a" in err
    (tmp_path / "a.png").unlink()
    assert cli.main([*words, "--methods", "linear"]) == 2
    assert "none can be sent: b: 30 x 20" in capsys.readouterr().err


def test_too_small_and_too_large_for_the_ratio():
    with pytest.raises(UserError, match="spend more"):
        photo_trials.budget(16, 16, 1 / 48)
    with pytest.raises(UserError, match="lower --max-side"):
        photo_trials.budget(3000, 3000, 1 / 6)
    for size, cbr in (((321, 481), 1 / 48), ((512, 768), 1 / 6), ((100, 75), 1 / 3)):
        uses, total = photo_trials.budget(*size, cbr)
        assert 0 <= size[0] * size[1] * 3 * cbr - uses < 96 + 96
        assert uses == 48 * total + 96 * frames.frame_count(48 * total)


def test_curves_against_the_rate_stand_beside_those_against_the_snr(tmp_path):
    from gr_diffsem.eval import photo_plot
    from PIL import Image

    def report(cbr, first):
        methods = {"linear": {"psnr_db": [first, first + 3]}, "photo_mmse": {"psnr_db": [first + 1, first + 4]}}
        said = {"channel": "awgn", "loss": 0.0, "images": 2, "misstated_db": 5.0, "csi": False}
        return {"cbr": cbr, "snr_db": [0.0, 10.0], "methods": methods, **said}

    widths = []
    for reports in ([report(1 / 48, 20.0)], [report(1 / 12, 24.0), report(1 / 48, 20.0)]):
        photo_plot.psnr_against_snr(reports, tmp_path / "plot.png")
        widths.append(Image.open(tmp_path / "plot.png").width)
    assert widths[1] == pytest.approx(3 * widths[0], rel=0.02)
