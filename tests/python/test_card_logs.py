# SPDX-License-Identifier: GPL-3.0-or-later
"""Logs of Wi-Fi cards: written here octet by octet after their formats' documents, read back, cut and spoiled; and real
ones where the data are."""

import struct

import numpy as np
import pytest
from gr_diffsem.air import looks as looks_file
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.places import data_folder
from gr_diffsem.receivers.csi import card_log, feitcsi, intel5300, nexmon


def channels(rng, n, carriers, period=64):
    """n channels of three paths within a sixteenth of a symbol, [n, K]."""
    delays = rng.uniform(0, period / 16, (n, 1, 3))
    gains = rng.standard_normal((n, 3)) + 1j * rng.standard_normal((n, 3))
    return np.einsum("nkp,np->nk", np.exp(-2j * np.pi * carriers[:, None] * delays / period), gains)


def intel_record(csi, rate=0x100, antennas=0b100100, noise=-90):
    """One record of csi [rx, tx, 30], whole numbers -128 .. 127."""
    rx, tx, _ = csi.shape
    bits = []
    for k in range(30):
        bits += [0, 0, 0]
        for a in range(rx):
            for b in range(tx):
                for part in (csi[a, b, k].real, csi[a, b, k].imag):
                    bits += [int(part) >> i & 1 for i in range(8)]
    payload = np.packbits(np.array(bits, np.uint8), bitorder="little").tobytes()
    body = struct.pack("<IHHBBBBBbBBHH", 1000, 1, 0, rx, tx, 40, 41, 42, noise, 30, antennas, len(payload), rate)
    return struct.pack(">HB", 1 + len(body) + len(payload), 0xBB) + body + payload


def whole(x, top=100):
    x = x / np.abs(x).max() * top
    return np.round(x.real) + 1j * np.round(x.imag)


def intel_file(path, n=20, seed=1):
    rng = np.random.default_rng(seed)
    h = whole(channels(rng, 3 * n, intel5300.CARRIERS_20)).reshape(n, 3, 1, 30)
    path.write_bytes(b"".join(intel_record(one) for one in h))
    return h


def feit_record(csi, flags):
    """csi [rx, tx, K] of whole numbers."""
    rx, tx, count = csi.shape
    header = bytearray(272)
    header[46], header[47] = rx, tx
    for at, value in ((0, 4 * csi.size), (8, 320), (52, count), (92, flags)):
        struct.pack_into("<I", header, at, value)
    return bytes(header) + np.stack((csi.real, csi.imag), -1).astype("<i2").tobytes()


def nexmon_packet(words, chip=0x4345, port=5500):
    """A packet of a .pcap with 32-bit words, in the order of an FFT."""
    body = struct.pack("<HbB6sHHHH", 0x1111, -50, 0x88, b"abcdef", 7, 0, 0x1006, chip) + words.tobytes()
    udp = struct.pack(">HHHH", 5500, port, 8 + len(body), 0) + body
    ip = struct.pack(">BBHHHBBHII", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, 1, 2) + udp
    frame = bytes(12) + b"\x08\x00" + ip
    return struct.pack("<IIII", 5, 250000, len(frame), len(frame)) + frame


PCAP = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)


def test_intel_5300_gives_what_was_written(tmp_path):
    h = intel_file(tmp_path / "log.dat")
    log = card_log.read(tmp_path / "log.dat")
    assert log.csi.shape == (20, 3, 1, 30) and log.lost == 0 and "20 MHz" in log.what
    # One factor for a whole estimate; antennas in the order that they were connected in: 0, 1, 2.
    scale = np.linalg.norm(log.csi, axis=(1, 3), keepdims=True) / np.linalg.norm(h, axis=(1, 3), keepdims=True)
    np.testing.assert_allclose(log.csi, scale * h, rtol=1e-4, atol=1e-4)
    swapped = intel5300.read(intel_record(h[0], antennas=0b010010))[0][0]["csi"]  # 2, 0, 1
    plain = intel5300.read(intel_record(h[0]))[0][0]["csi"]
    np.testing.assert_allclose(swapped, plain[[1, 2, 0]], rtol=1e-6)
    assert intel5300.read(intel_record(h[0], rate=0x900))[0][0]["wide"]
    two = intel5300.read(intel_record(np.concatenate((h[0], 2 * whole(h[1], 50)), 1)))[0][0]["csi"]
    np.testing.assert_allclose(two[:, 0] / two[0, 0, 0], h[0][:, 0] / h[0][0, 0, 0], rtol=1e-5)


def test_feitcsi_gives_what_was_written(tmp_path):
    rng = np.random.default_rng(2)
    index, used = feitcsi.carriers("vht", 80, 242)
    assert list(index[[0, 120, 121, -1]]) == [-122, -2, 2, 122] and used.sum() == 234
    h = whole(channels(rng, 10, index, 256), 3000).reshape(5, 2, 1, 242)
    (tmp_path / "log.csi").write_bytes(b"".join(feit_record(one, 3 << 8 | 2 << 11) for one in h))
    log = card_log.read(tmp_path / "log.csi")
    np.testing.assert_array_equal(log.csi, h.astype(np.complex64))
    assert "VHT 80 MHz" in log.what and not log.used[index == 75].any()
    looks = card_log.looks(log, "log.csi")
    assert looks.y.shape == (40, 1, 64)  # four parts of 64 carriers, ten estimates each
    for kind, mhz, count in (("ht", 20, 56), ("vht", 160, 484), ("he", 80, 996), ("he", 160, 1992), ("legacy", 20, 52)):
        assert len(feitcsi.carriers(kind, mhz, count)[0]) == count
    assert feitcsi.carriers("ht", 20, 57) is None


def test_nexmon_gives_what_was_written(tmp_path):
    rng = np.random.default_rng(3)
    h = whole(channels(rng, 6, np.arange(-128, 128), 256), 20000)
    order = np.fft.ifftshift(h, axes=1)
    words = np.stack((order.real, order.imag), -1).astype("<i2").view("<u4")[..., 0]
    other = nexmon_packet(words[0], port=53)  # what else was captured
    (tmp_path / "log.pcap").write_bytes(PCAP + other + b"".join(nexmon_packet(w) for w in words))
    log = card_log.read(tmp_path / "log.pcap")
    np.testing.assert_array_equal(log.csi[:, 0, 0], h.astype(np.complex64))
    assert log.lost == 0 and "80 MHz" in log.what and log.seconds[0] == pytest.approx(5.25)


def test_nexmon_floats_are_sign_mantissa_and_a_common_exponent():
    def word(re, im, exponent, bits, size):
        parts = [(abs(v) | (v < 0) << (bits - 1)) for v in (re, im)]
        return parts[0] << (bits + size) | parts[1] << size | exponent & ((1 << size) - 1)

    for bits, size in ((9, 5), (12, 6)):
        words = np.array([word(100, -37, 3, bits, size), word(-5, 0, -2, bits, size)], np.uint32)
        np.testing.assert_allclose(nexmon.floats(words, bits, size), [800 - 296j, -1.25])


def test_looks_know_their_noise(tmp_path):
    """The variance that is found, against that of the noise that was added; delays lie where a prior expects them."""
    rng = np.random.default_rng(4)
    index, used = feitcsi.carriers("ht", 20, 56)
    h = channels(rng, 200, index, 64)
    h /= np.sqrt(np.mean(np.abs(h) ** 2, 1, keepdims=True))
    for snr in (10, 20, 30):
        noise = rng.standard_normal(h.shape) + 1j * rng.standard_normal(h.shape)
        y = h + noise * np.sqrt(10 ** (-snr / 10) / 2)
        log = card_log.CardLog(y[:, None, None].astype(np.complex64), index, used, np.zeros(200), 0, "made")
        looks = card_log.looks(log, "made")
        seen = np.isfinite(looks.noise_var[:, 0])
        power = np.sum(np.abs(looks.y[:, 0]) ** 2 * seen) / seen.sum()
        found = np.sum(np.where(seen, looks.noise_var[:, 0], 0)) / seen.sum()
        assert -10 * np.log10(found / power) == pytest.approx(snr, abs=1.0), snr
    given = card_log.looks(log, "made", snr_db=13)
    power = np.sum(np.abs(given.y[:, 0]) ** 2 * seen) / seen.sum()
    assert np.median(given.noise_var[np.isfinite(given.noise_var)]) / power == pytest.approx(10**-1.3, rel=0.02)
    impulse = np.mean(np.abs(np.fft.ifft(np.fft.ifftshift(looks.y[:, 0], axes=1), axis=1)) ** 2, 0)
    assert impulse[np.r_[-4:14]].sum() > 0.8 * impulse.sum()


def spoiled(data, rng):
    """Variants of a file: cut anywhere, octets changed, noise in front or behind, nothing, all alike."""
    yield b""
    yield data[:1]
    yield bytes(len(data))
    yield b"\xff" * len(data)
    yield rng.bytes(5000)
    yield data + rng.bytes(100)
    for _ in range(60):
        yield data[: rng.integers(1, len(data))]
        changed = bytearray(data)
        for at in rng.integers(len(data), size=rng.integers(1, 60)):
            changed[at] = rng.integers(256)
        yield bytes(changed)


def test_spoiled_files_are_read_in_part_or_refused_by_a_sentence(tmp_path):
    rng = np.random.default_rng(5)
    h = intel_file(tmp_path / "a.dat", 6)
    feit = b"".join(feit_record(whole(channels(rng, 1, np.arange(56))).reshape(1, 1, 56), 2 << 8) for _ in range(6))
    words = np.arange(1, 65, dtype="<u4")
    kinds = {".dat": (tmp_path / "a.dat").read_bytes(), ".csi": feit, ".pcap": PCAP + 6 * nexmon_packet(words)}
    assert len(h) == 6
    file, refused, kept = tmp_path / "spoiled", 0, 0
    for data in kinds.values():
        for part in spoiled(data, rng):
            file.write_bytes(part)
            try:
                log = card_log.read(file)
                kept += len(log)
                looks = card_log.looks(log, "spoiled")
                assert np.isfinite(looks.y).all() and (looks.noise_var > 0).all()
            except UserError as error:
                refused += 1
                assert str(error).count("\n") == 0 and ";" in str(error) and len(str(error)) < 400
    assert refused > 20 and kept > 100


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(UserError, match="there is no such file"):
        card_log.read(tmp_path / "none.dat")
    with pytest.raises(UserError, match="is a folder"):
        card_log.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "size", "what"),
    [
        ("intel5300/los_5.dat", (3, 1, 30), "Intel 5300, 20 MHz"),
        ("feitcsi/HT40_2452.csi", (2, 1, 114), "HT 40 MHz"),
        ("feitcsi/HESU20_5500.csi", (2, 1, 242), "HE 20 MHz"),
    ],
)
def test_real_logs(name, size, what):
    root = data_folder()
    if root is None or not (root / "csi" / name).is_file():
        pytest.skip("no measured CSI here: set DIFFSEM_DATA to a folder that holds csi/")
    log = card_log.read(root / "csi" / name)
    looks = card_log.looks(log, name)
    assert log.csi.shape[1:] == size and what in log.what
    snr = -10 * np.log10(np.median(looks.noise_var[np.isfinite(looks.noise_var)]))
    assert 10 < snr < 40
    assert isinstance(looks, looks_file.Looks)
