# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of pictures are made of: a picture, its files, colour profiles, and what a screen would show."""

import io
import struct
import zlib

import numpy as np
import pytest
from gr_diffsem.base import picture_files
from PIL import Image

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

    header = struct.pack(">IIBBBBB", w, h, 16, {1: 0, 2: 4, 3: 2, 4: 6}[n], 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(coded)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def tiff(path, values, **options):
    tifffile = pytest.importorskip("tifffile", reason="the package tifffile is not installed")
    tifffile.imwrite(path, values, **options)


def same(got, expected, most=1):
    assert got.shape == (H, W, 3) and got.dtype == np.uint8
    assert np.abs(got.astype(int) - np.rint(expected)).max() <= most


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


def by_numbers(colours, gamma, xy):
    """sRGB of colours whose gamma and primaries (x, y of red, green, blue, under D65) are told by numbers."""

    def xyz(primaries):
        white = np.array([0.3127, 0.3290, 0.3583]) / 0.3290
        columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in primaries]).T
        return columns * np.linalg.solve(columns, white)

    out = np.linalg.solve(xyz([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)]), xyz(xy))
    linear = np.clip((colours / 255) ** gamma @ out.T, 0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def whole(kind, image=None, **options):
    out = io.BytesIO()
    image = image or Image.fromarray((255 * COLOURS).astype(np.uint8))
    image.save(out, kind, **options)
    return out.getvalue()
