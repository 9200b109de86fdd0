# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of pictures: of more than 8 bits, in every order that files have, with transparency, turned."""

import struct
import sys

import numpy as np
import pytest
from gr_diffsem.base import picture_files
from gr_diffsem.base.errors import UserError
from picture_inputs import COLOURS, RNG, H, W, load, png16, same, samples, tiff
from PIL import Image


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("kind", ["png", "tif", "deflated.tif", "big-endian.tif"])
def test_the_bits_in_use_are_what_is_scaled(tmp_path, bits, channels, kind):
    values, path = samples(bits, min(channels, 3)), tmp_path / f"x.{kind}"
    if channels == 4:
        values = np.dstack([values, np.full((H, W), 65535, np.uint16)])
    if kind == "png":
        png16(path, values)
    else:
        options = {"compression": "zlib"} if kind.startswith("d") else {}
        options |= {"byteorder": ">"} if kind.startswith("b") else {}
        tiff(path, values.squeeze(), photometric="minisblack" if channels == 1 else "rgb", **options)
    got, said = load(path)
    same(got, 255 * np.broadcast_to(COLOURS[..., : min(channels, 3)], (H, W, 3)))
    assert bool(said) == (bits < 16) and all(f"has {bits} bits in use" in s for s in said)


def test_a_file_that_says_its_bits_is_believed(tmp_path):
    dark = samples(10, 1)[..., 0]
    tiff(tmp_path / "x.tif", dark, photometric="minisblack", extratags=[(281, "H", 1, 4095, True)])
    same(load(tmp_path / "x.tif")[0], 255 / 4 * COLOURS[..., :1])
    (tmp_path / "x.pgm").write_bytes(b"P5 %d %d 4095\n" % (W, H) + dark.astype(">u2").tobytes())
    same(load(tmp_path / "x.pgm")[0], 255 / 4 * COLOURS[..., :1])


def test_twelve_bits_packed_are_twelve(tmp_path):
    """Three octets for two samples, in a TIFF made by hand."""
    v = samples(12, 1)[..., 0].reshape(H, W // 2, 2)
    packed = np.stack([v[..., 0] >> 4, (v[..., 0] & 15) << 4 | v[..., 1] >> 8, v[..., 1] & 255], -1).astype(np.uint8)
    tags = [(256, W), (257, H), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 10 * 12 + 4), (277, 1), (278, H)]
    tags += [(279, packed.size), (284, 1)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    head = b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4)
    (tmp_path / "x.tif").write_bytes(head + packed.tobytes())
    same(load(tmp_path / "x.tif")[0], 255 * COLOURS[..., :1])


@pytest.mark.parametrize(
    ("values", "share"),
    [
        (COLOURS[..., 0].astype(np.float32), 1),
        (np.float32(255) * COLOURS[..., 0].astype(np.float32), 1),
        (samples(12, 1)[..., 0].astype(np.float32), 1),
        (samples(16, 1)[..., 0].astype(np.float32), 1),
        (np.zeros((H, W), np.float32), 0),
        (samples(12, 1)[..., 0].astype(np.int32), 1),
    ],
    ids=["0 to 1", "0 to 255", "0 to 4095", "0 to 65535", "black", "32 bits"],
)
def test_floats_and_long_integers(tmp_path, values, share):
    Image.fromarray(values).save(tmp_path / "x.tif")
    same(load(tmp_path / "x.tif")[0], share * 255 * COLOURS[..., :1])


@pytest.mark.parametrize("worst", [-1.0, np.nan, np.inf, 1.7, 1e6])
def test_samples_that_mean_nothing_are_refused(tmp_path, worst):
    values = COLOURS[..., 0].astype(np.float32)
    values[3, 4] = worst
    Image.fromarray(values).save(tmp_path / "x.tif")
    with pytest.raises(UserError, match=r"x.tif: has samples of .*give 8 or 16 bits a colour, or floats from 0 to 1"):
        picture_files.load(tmp_path / "x.tif")


@pytest.mark.parametrize(
    "kind", ["planes", "premultiplied", "alpha", "signed", "32 bits", "float", "f16", "f64", "tiles"]
)
def test_tiffs_beyond_pillow(tmp_path, kind):
    """What Pillow reads wrongly, or not at all."""
    deep, grey, opaque = samples(12), COLOURS[..., 0], np.full((H, W), 4095, np.uint16)
    values, options, channels = {
        "planes": (deep.transpose(2, 0, 1).copy(), {"photometric": "rgb", "planarconfig": "separate"}, 3),
        "premultiplied": (np.dstack([deep, opaque]), {"photometric": "rgb", "extrasamples": ["assocalpha"]}, 3),
        "alpha": (np.dstack([deep[..., 0], opaque]), {"extrasamples": ["unassalpha"]}, 1),
        "signed": ((grey * 32767).astype(np.int16), {}, 1),
        "32 bits": ((grey * (2**32 - 1)).astype(np.uint32), {}, 1),
        "float": (COLOURS.astype(np.float32), {"photometric": "rgb", "compression": "zlib"}, 3),
        "f16": (grey.astype(np.float16), {}, 1),
        "f64": (grey.astype(np.float64), {}, 1),
        "tiles": (deep, {"photometric": "rgb", "tile": (16, 16)}, 3),
    }[kind]
    tiff(tmp_path / "x.tif", values, **{"photometric": "minisblack", **options})
    same(load(tmp_path / "x.tif")[0], 255 * COLOURS[..., :channels] * np.ones(3))


def test_without_tifffile_the_sentence_says_what_to_install(tmp_path, monkeypatch):
    tiff(tmp_path / "x.tif", COLOURS.astype(np.float32), photometric="rgb")
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(
        UserError, match="x.tif: is a TIFF that Pillow cannot read: .* -m pip install tifffile, or save"
    ):
        picture_files.load(tmp_path / "x.tif")


def test_the_first_of_several_pages_is_taken(tmp_path):
    tiff(tmp_path / "x.tif", np.stack([samples(16), samples(16)[::-1]]), photometric="rgb")
    got, said = load(tmp_path / "x.tif")
    same(got, 255 * COLOURS)
    assert said == [f"{tmp_path}/x.tif: has several pages: the first is taken"]


def test_white_may_be_zero(tmp_path):
    for bits, values in ((8, samples(8, 1).astype(np.uint8)), (12, samples(12, 1)), (16, samples(16, 1))):
        tiff(tmp_path / f"{bits}.tif", values[..., 0], photometric="miniswhite")
        same(load(tmp_path / f"{bits}.tif")[0], 255 - 255 * COLOURS[..., :1])


def test_few_bits_and_palettes(tmp_path):
    dots = RNG.integers(0, 2, (H, W)).astype(bool)
    Image.fromarray(dots).save(tmp_path / "dots.png")
    same(load(tmp_path / "dots.png")[0], 255.0 * dots[..., None])
    Image.fromarray(dots).save(tmp_path / "dots.tif", compression="group4")
    same(load(tmp_path / "dots.tif")[0], 255.0 * dots[..., None])
    palette = Image.fromarray(dots.astype(np.uint8), "P")
    palette.putpalette([200, 100, 50, 10, 20, 30])
    palette.save(tmp_path / "palette.png", transparency=1)
    same(load(tmp_path / "palette.png")[0], np.where(dots[..., None], 255, [200, 100, 50]), 0)


def test_transparency_lies_on_white(tmp_path):
    alpha = RNG.integers(0, 256, (H, W), np.uint8)
    colours = (255 * COLOURS).astype(np.uint8)
    over = 255 - alpha[..., None] / 255 * (255.0 - colours)
    Image.fromarray(np.dstack([colours, alpha])).save(tmp_path / "x.png")
    same(load(tmp_path / "x.png")[0], over)
    Image.fromarray(np.dstack([colours[..., 0], alpha]), "LA").save(tmp_path / "grey.png")
    same(load(tmp_path / "grey.png")[0], over[..., :1])
    png16(tmp_path / "deep.png", np.dstack([samples(12), alpha.astype(np.uint16) * 257]))
    same(load(tmp_path / "deep.png")[0], 255 - alpha[..., None] / 255 * (255 - 255 * COLOURS), 2)
    for bits in (12, 16):
        grey = np.dstack([samples(bits, 1), alpha.astype(np.uint16) * 257])
        png16(tmp_path / "deep_grey.png", grey)
        same(load(tmp_path / "deep_grey.png")[0], 255 - alpha[..., None] / 255 * (255 - 255 * COLOURS[..., :1]), 2)
    Image.fromarray(colours).save(tmp_path / "key.png", transparency=tuple(int(v) for v in colours[2, 3]))
    got = load(tmp_path / "key.png")[0]
    assert (got[2, 3] == 255).all() and (got[3, 2] == colours[3, 2]).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["x.jpg", "x.png", "x.tif", "x.webp"])
def test_pictures_are_upright(tmp_path, orientation, kind):
    upright = np.zeros((H, W, 3), np.uint8)
    upright[:8, :16] = 255
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1], 8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / kind, exif=exif)
    same(load(tmp_path / kind)[0], upright, 40)
