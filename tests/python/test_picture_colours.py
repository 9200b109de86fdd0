# SPDX-License-Identifier: GPL-3.0-or-later
"""Colours of pictures: whatever a file says of them becomes sRGB, within a step or two of the formula."""

import struct

import numpy as np
import pytest
from picture_inputs import COLOURS, RNG, H, W, by_numbers, chunk, load, profile, same, samples, srgb, tiff, whole
from PIL import Image, ImageCms


@pytest.mark.parametrize("kind", ["x.png", "x.tif", "x.webp", "alpha.png", "deep.png"])
def test_a_colour_profile_is_converted(tmp_path, kind):
    icc, primaries, gamma = profile(0.6)
    colours = np.rint(255 * COLOURS).astype(np.uint8)
    expected = srgb((colours / 255) ** gamma @ primaries)
    assert np.abs(expected - colours).mean() > 5  # what ignoring it would cost
    picture = Image.fromarray(np.dstack([colours, np.full((H, W), 255, np.uint8)]) if "alpha" in kind else colours)
    picture.save(tmp_path / kind, icc_profile=icc, **({"lossless": True} if "webp" in kind else {}))
    got, said = load(tmp_path / kind)
    same(got, expected, 2)
    assert not said


def test_colours_that_a_png_tells_by_numbers(tmp_path):
    colours = np.rint(255 * COLOURS).astype(np.uint8)
    plain = whole("PNG", Image.fromarray(colours))
    wide = [(0.68, 0.32), (0.265, 0.69), (0.15, 0.06)]
    linear, gamma = chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"gAMA", struct.pack(">I", 45455))
    primaries = chunk(b"cHRM", struct.pack(">8I", *(round(100000 * v) for v in (0.3127, 0.329, *np.ravel(wide)))))
    rec709 = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]
    for chunks, expected in {
        linear: by_numbers(colours, 1.0, rec709),
        gamma + primaries: by_numbers(colours, 2.2, wide),
        gamma: colours,
        linear + chunk(b"sRGB", b"\0"): colours,
        chunk(b"gAMA", bytes(4)): None,
        chunk(b"cHRM", bytes(32)): colours,
    }.items():
        (tmp_path / "x.png").write_bytes(plain[:33] + chunks + plain[33:])
        got = load(tmp_path / "x.png")[0]
        if expected is not None:
            same(got, expected)


def test_adobe_rgb_that_a_camera_tells_by_a_word(tmp_path):
    colours = Image.fromarray(np.rint(255 * COLOURS).astype(np.uint8))
    # A TIFF header, one directory in another: EXIF (ColorSpace "uncalibrated"), and interoperability in that.
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    exif += struct.pack("<HHHIIHHIII", 2, 0xA001, 3, 1, 65535, 0xA005, 4, 1, 56, 0)
    exif += struct.pack("<HHHI4sI", 1, 1, 2, 4, b"R03", 0)
    adobe = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)]
    (tmp_path / "x.png").write_bytes(whole("PNG", colours, exif=exif))
    same(load(tmp_path / "x.png")[0], by_numbers(np.asarray(colours), 563 / 256, adobe))


def test_profiles_of_grey_and_of_sixteen_bits(tmp_path):
    icc, primaries, gamma = profile(0.6)
    tiff(tmp_path / "deep.tif", samples(16), photometric="rgb", extratags=[(34675, "B", len(icc), icc, True)])
    same(load(tmp_path / "deep.tif")[0], srgb(((samples(16) >> 8) / 255) ** gamma @ primaries), 2)
    grey, icc = np.rint(255 * COLOURS[..., 0]).astype(np.uint8), profile(0.6, 1.8, b"GRAY")[0]
    Image.fromarray(grey).save(tmp_path / "grey.png", icc_profile=icc)
    linear = (grey[..., None] / 255) ** 1.8
    same(load(tmp_path / "grey.png")[0], srgb(linear * np.array([0.9642, 1.0, 0.8249])), 2)


def test_what_is_srgb_stays_as_it_is(tmp_path):
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    colours = RNG.integers(0, 256, (H, W, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png", icc_profile=icc)
    np.testing.assert_array_equal(load(tmp_path / "x.png")[0], colours)


@pytest.mark.parametrize("icc", [b"no profile", profile(0.6)[0][:200]], ids=["words", "cut"])
def test_a_profile_that_cannot_be_used_is_said_and_left(tmp_path, icc):
    colours = RNG.integers(0, 256, (H, W, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png", icc_profile=icc)
    got, said = load(tmp_path / "x.png")
    np.testing.assert_array_equal(got, colours)
    assert len(said) == 1 and "x.png: has a colour profile that cannot be used" in said[0]


def test_a_profile_of_another_kind_of_picture(tmp_path):
    grey = np.rint(255 * COLOURS[..., 0]).astype(np.uint8)
    icc, primaries, gamma = profile(0.6, 1.8)
    Image.fromarray(grey).save(tmp_path / "grey.png", icc_profile=icc)
    got, said = load(tmp_path / "grey.png")
    same(got, srgb((grey[..., None] / 255) ** gamma * np.ones(3) @ primaries), 2)
    assert not said
    colours = RNG.integers(0, 256, (H, W, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "x.png", icc_profile=profile(0.6, 1.8, b"GRAY")[0])
    got, said = load(tmp_path / "x.png")
    np.testing.assert_array_equal(got, colours)
    assert "it is for GRAY, the picture is RGB" in said[0]


def test_cmyk_and_lab(tmp_path):
    ink = Image.fromarray((255 * COLOURS).astype(np.uint8)).convert("CMYK")
    ink.save(tmp_path / "x.tif")
    same(load(tmp_path / "x.tif")[0], 255 * COLOURS)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.fromarray((255 * COLOURS).astype(np.uint8)), to_lab)
    lab.save(tmp_path / "lab.tif")
    same(load(tmp_path / "lab.tif")[0], 255 * COLOURS, 4)  # 8 bits of L*, a*, b* are coarser than 8 of sRGB


def test_a_tiff_beyond_pillow_is_turned_and_converted_too(tmp_path):
    icc, primaries, gamma = profile(0.6)
    tags = [(274, "H", 1, 6, True), (34675, "B", len(icc), icc, True)]
    stored = np.ascontiguousarray(samples(16).transpose(1, 0, 2)[::-1].transpose(2, 0, 1))
    tiff(tmp_path / "x.tif", stored, photometric="rgb", planarconfig="separate", extratags=tags)
    same(load(tmp_path / "x.tif")[0], srgb(((samples(16) >> 8) / 255) ** gamma @ primaries), 2)
