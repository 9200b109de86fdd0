# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures as people have them: animations, files that need plugins, folders with bad files, each named."""

import os
import subprocess
import sys
import types

import numpy as np
import pytest
from gr_diffsem.base import picture_files
from gr_diffsem.base.errors import UserError
from picture_inputs import COLOURS, RNG, H, W, load, same, whole
from PIL import Image


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
