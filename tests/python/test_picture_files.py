# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as people have them: what is shown of a file is what a screen would show, and what is skipped is named."""

import io
import os
import struct
import subprocess
import sys
import types
import zlib

import numpy as np
import pytest
from gr_diffsem.base import picture_files
from gr_diffsem.base.errors import UserError
from PIL import Image, ImageCms

RNG = np.random.default_rng(5)
H, W = 20, 24
COLOURS = np.stack(np.meshgrid(np.linspace(0, 1, W), np.linspace(0, 1, H)), -1) @ [[0.5, 0.9, 0.2], [0.5, 0.1, 0.8]]


def load(path):
    said = []
    return picture_files.load(path, say=said.append), said


def samples(bits, channels=3):
    """COLOURS as integers of so many bits, all of the range in use, in 16-bit containers."""
    return np.rint(COLOURS[..., :channels] * ((1 << bits) - 1)).astype(np.uint16)


def png16(path, values):
    """A PNG of 16 bits a sample, rows coded as differences (which are of whole pixels)."""
    h, w, n = values.shape
    rows = values.astype(">u2").view(np.uint8).reshape(h, w * 2 * n)
    before = np.pad(rows, ((0, 0), (2 * n, 0)))[:, : w * 2 * n]
    coded = np.pad(rows - before, ((0, 0), (1, 0)), constant_values=1).tobytes()

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", w, h, 16, {1: 0, 2: 4, 3: 2, 4: 6}[n], 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(coded)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def tiff(path, values, **options):
    tifffile = pytest.importorskip("tifffile", reason="the package tifffile is not installed")
    tifffile.imwrite(path, values, **options)


def same(got, expected, most=1):
    assert got.shape == (H, W, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.rint(expected)).max() <= most


# --- samples of more than 8 bits ----------------------------------------------------------------------------


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


def test_a_tiff_beyond_pillow_is_turned_and_converted_too(tmp_path):
    icc, primaries, gamma = profile(0.6)
    tags = [(274, "H", 1, 6, True), (34675, "B", len(icc), icc, True)]
    stored = np.ascontiguousarray(samples(16).transpose(1, 0, 2)[::-1].transpose(2, 0, 1))
    tiff(tmp_path / "x.tif", stored, photometric="rgb", planarconfig="separate", extratags=tags)
    same(load(tmp_path / "x.tif")[0], srgb(((samples(16) >> 8) / 255) ** gamma @ primaries), 2)


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
    Image.fromarray(colours).save(tmp_path / "key.png", transparency=tuple(int(v) for v in colours[2, 3]))
    got = load(tmp_path / "key.png")[0]
    assert (got[2, 3] == 255).all() and (got[3, 2] == colours[3, 2]).all()


# --- colour -------------------------------------------------------------------------------------------------


def profile(red, gamma=2.2, space=b"RGB "):
    """An ICC profile (version 2, matrix, or a curve of grey) and what it means: (octets, XYZ of primaries, gamma)."""

    def number(*values):
        return struct.pack(f">{len(values)}i", *(round(v * 65536) for v in values))

    white = np.array([0.9642, 1.0, 0.8249])
    primaries = np.array([[red, 0.3, 0.02], [0.2, 0.65, 0.07]])
    primaries = np.vstack([primaries, white - primaries.sum(0)])
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    parts = [(b"desc", b"desc" + bytes(4) + struct.pack(">I", 5) + b"test\0" + bytes(78 + 1))]
    parts += [(b"wtpt", b"XYZ " + bytes(4) + number(*white))]
    parts += [(n, b"XYZ " + bytes(4) + number(*p)) for n, p in zip((b"rXYZ", b"gXYZ", b"bXYZ"), primaries, strict=True)]
    parts += [(n, curve) for n in (b"rTRC", b"gTRC", b"bTRC")]
    if space == b"GRAY":
        parts = [*parts[:2], (b"kTRC", curve)]
    at, table, body = 128 + 4 + 12 * len(parts), b"", b""
    for name, data in parts:
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    whole = struct.pack(">I", len(parts)) + table + body
    head = struct.pack(">I4sI4s4s4s", 128 + len(whole), b"lcms", 0x02100000, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + number(*white) + bytes(48)
    return head + whole, primaries, gamma


def srgb(xyz):
    """CIE XYZ under D50 -> sRGB, 0..255 (IEC 61966-2-1; the matrix of its primaries adapted to D50, Bradford)."""
    m = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
    )
    linear = np.clip(xyz @ np.linalg.inv(m).T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


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


def test_a_profile_of_another_kind_of_picture_is_left(tmp_path):
    Image.fromarray(np.full((H, W), 90, np.uint8)).save(tmp_path / "x.png", icc_profile=profile(0.6)[0])
    got, said = load(tmp_path / "x.png")
    assert (got == 90).all() and "it is for RGB, the picture is L" in said[0]


def test_cmyk_and_lab(tmp_path):
    ink = Image.fromarray((255 * COLOURS).astype(np.uint8)).convert("CMYK")
    ink.save(tmp_path / "x.tif")
    same(load(tmp_path / "x.tif")[0], 255 * COLOURS)
    to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
    lab = ImageCms.applyTransform(Image.fromarray((255 * COLOURS).astype(np.uint8)), to_lab)
    lab.save(tmp_path / "lab.tif")
    same(load(tmp_path / "lab.tif")[0], 255 * COLOURS, 4)  # 8 bits of L*, a*, b* are coarser than 8 of sRGB


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


# --- which files --------------------------------------------------------------------------------------------


def whole(kind, image=None, **options):
    out = io.BytesIO()
    image = image or Image.fromarray((255 * COLOURS).astype(np.uint8))
    image.save(out, kind, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["gif", "png", "webp"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, kind):
    first, other = (Image.new("RGB", (W, H), c) for c in ("red", "blue"))
    options = {"lossless": True} if kind == "webp" else {}
    (tmp_path / f"x.{kind}").write_bytes(whole(kind, first, save_all=True, append_images=[other], **options))
    got, said = load(tmp_path / f"x.{kind}")
    assert (got == (255, 0, 0)).all() and said == [f"{tmp_path}/x.{kind}: is animated: its first frame is taken"]
    (tmp_path / f"y.{kind}").write_bytes(whole(kind, first, **options))
    assert load(tmp_path / f"y.{kind}")[1] == []


def _cut(data):
    return data[: len(data) // 2]


def test_a_folder_as_people_have_it(tmp_path):
    for name, data in {
        "a.jpg": whole("JPEG"),
        "b.jpg": _cut(whole("JPEG", Image.fromarray(RNG.integers(0, 256, (64, 64, 3), np.uint8)))),
        "c.png": whole("PNG", Image.new("RGB", (8, 8))),
        "d.gif": whole("GIF"),
        "e.png": b"",
        "f.PNG": whole("PNG"),
        "notes.txt": b"words",
    }.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "g.png").symlink_to("nowhere")
    (tmp_path / "h.png").mkdir()
    os.mkfifo(tmp_path / "i.png")
    said, skipped = [], []
    assert list(picture_files.folder(tmp_path, say=said.append, skip=skipped.append)) == ["a", "d", "f"]
    assert said == [f"{tmp_path}: left out, no pictures by their names: notes.txt"] and len(skipped) == 6
    for name, why in {
        "b.jpg": "truncated",
        "c.png": "8 x 8 pixels; a photograph needs 16 a side",
        "e.png": "not a picture",
        "g.png": "there is no such file",
        "h.png": "is a folder",
        "i.png": "is a pipe",
    }.items():
        (sentence,) = (s for s in skipped if name in s)
        assert why in sentence
    assert list(picture_files.folder(tmp_path, count=2, skip=skipped.append)) == ["a", "d"]
    with pytest.raises(UserError, match="b.jpg"):
        picture_files.folder(tmp_path)
    for name in ("a.jpg", "d.gif", "f.PNG"):
        (tmp_path / name).unlink()
    with pytest.raises(UserError, match="none of its 6 pictures can be read, the first because: .*b.jpg"):
        picture_files.folder(tmp_path, skip=skipped.append)


def test_damage_beside_the_pixels_costs_nothing(tmp_path):
    first, other = (Image.new("RGB", (W, H), c) for c in ("red", "blue"))
    gif = whole("GIF", first, save_all=True, append_images=[other])
    (tmp_path / "x.gif").write_bytes(gif[:-20])
    assert (load(tmp_path / "x.gif")[0] == (255, 0, 0)).all()
    (tmp_path / "x.jpg").write_bytes(whole("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff damaged"))
    same(load(tmp_path / "x.jpg")[0], 255 * COLOURS, 30)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user, and is refused nothing itself")
def test_a_file_that_may_not_be_read_is_named(tmp_path):
    (tmp_path / "x.png").write_bytes(whole("PNG"))
    (tmp_path / "x.png").chmod(0)
    code = (
        "import os, sys; from gr_diffsem.base import errors, picture_files; os.chdir(sys.argv[1]); os.seteuid(65534)\n"
        "try: picture_files.load('x.png')\n"
        "except errors.UserError as e: print(e)"
    )
    tmp_path.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stdout == "x.png: cannot be opened (Permission denied)\n", done.stderr


@pytest.mark.parametrize(("brand", "kind", "module", "package"), [
    (b"ftypavif", "AVIF", "pillow_avif", "'pillow>=11.3'"),
    (b"ftypheic", "HEIC", "pillow_heif", "pillow-heif"),
    (b"ftypmif1", "HEIC", "pillow_heif", "pillow-heif"),
    (b"ftypmif1\0\0\0\0mif1avif", "AVIF", "pillow_avif", "'pillow>=11.3'"),
    (b"JXL \r\n\x87\n", "JPEG XL", "pillow_jxl", "pillow-jxl-plugin"),
])  # fmt: skip
def test_what_needs_a_plugin_is_named_with_it(tmp_path, monkeypatch, brand, kind, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18" + brand + bytes(400))
    with pytest.raises(UserError) as e:
        picture_files.load(tmp_path / "x.heic")
    assert f"{kind}, which needs a plugin" in str(e.value) and f"-m pip install {package}, or" in str(e.value)


def test_a_plugin_that_is_installed_is_used(tmp_path, monkeypatch):
    """A decoder that stands in for libheif, registered as pillow-heif registers its own."""
    plugin = types.ModuleType("pillow_heif")

    def register():
        monkeypatch.setattr(Image, "open", lambda path: Image.fromarray((255 * COLOURS).astype(np.uint8)))

    plugin.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    (tmp_path / "x.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(400))
    same(load(tmp_path / "x.heic")[0], 255 * COLOURS)


@pytest.mark.parametrize(("module", "kind"), [("PIL.AvifImagePlugin", "AVIF"), ("pillow_heif", "HEIF")])
def test_avif_and_heic_are_read_where_pillow_can(tmp_path, module, kind):
    plugin = pytest.importorskip(module, reason=f"this Pillow cannot read {kind}")
    getattr(plugin, "register_heif_opener", lambda: None)()
    (tmp_path / f"x.{kind.lower()}").write_bytes(whole(kind, quality=95))
    same(load(tmp_path / f"x.{kind.lower()}")[0], 255 * COLOURS, 30)


def test_a_raw_file_of_a_camera_is_not_its_preview(tmp_path):
    (tmp_path / "x.dng").write_bytes(whole("TIFF"))
    with pytest.raises(UserError, match="a camera's raw file.*develop it"):
        picture_files.load(tmp_path / "x.dng")
