# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical link that pictures are measured against: sizes, codes, thresholds, WebP files that fit."""

import fractions

import numpy as np
import pytest
from gr_diffsem.air import symbol_channel
from gr_diffsem.base import picture_metrics
from gr_diffsem.codec import frames
from gr_diffsem.eval import webp_ladder, webp_link
from gr_diffsem.phy import ldpc, ldpc_table, soft_demap

USES = 5000  # three frames
ALL = [*webp_link.modes("k7", ("frame", "picture")), *webp_link.modes("ldpc", ("frame", "picture"))]


def photograph(h=96, w=128):
    y, x = np.mgrid[:h, :w]
    planes = [120 + 80 * np.sin(x / a) * np.cos(y / b) for a, b in ((17, 11), (23, 19), (13, 29))]
    return np.clip(np.stack(planes, -1) + np.random.default_rng(0).normal(0, 6, (h, w, 3)), 0, 255).astype(np.uint8)


def decoded(items):
    """Pictures, [(link, soft bits)] -> octets of each, None where any block fails: every block is decoded."""
    blocks = [webp_link.decode_blocks(link.mode, list(zip(soft, link.blocks, strict=True))) for link, soft in items]
    return [None if None in parts or not parts else b"".join(parts) for parts in blocks]


def delivered(mode, snr_db, pictures, kind="awgn", loss=0.0):
    """How many of some random files of the largest size come through unharmed."""
    link = webp_link.Link(mode, USES)
    data = bytes(np.random.default_rng(1).integers(0, 256, link.octets, dtype=np.uint8))
    sent = link.encode(data)
    rng = [np.random.default_rng(i) for i in range(pictures)]
    items = [(link, link.soft(symbol_channel.apply_channel(sent, snr_db, kind, loss, r))) for r in rng]
    got = decoded(items)
    assert all(g in (None, data) for g in got)
    return sum(g is not None for g in got)


@pytest.mark.parametrize("mode", ALL, ids=lambda m: f"{m.code} {m}")
def test_every_mode_delivers_what_fits(mode):
    assert delivered(mode, 22.0, 1) == 1
    link = webp_link.Link(mode, USES)
    bits = webp_link.BITS[mode.modulation] * float(fractions.Fraction(mode.rate)) * (USES - 3 * frames.HEADER_USES)
    assert 0.9 < 8 * link.octets / bits < 1
    with pytest.raises(ValueError, match=f"this link takes {link.octets}"):
        link.encode(bytes(link.octets + 1))


@pytest.mark.parametrize(
    ("modulation", "rate", "threshold"),
    [("qpsk", "1/2", 4.3), ("qpsk", "3/4", 7.5), ("16qam", "1/2", 10.5), ("16qam", "3/4", 14.5)],
)
def test_thresholds_of_the_k7_code(modulation, rate, threshold):
    """Nearly all files come at the known thresholds, nearly none 3.5 dB below (these files are short)."""
    mode = webp_link.Mode(modulation, rate)
    assert delivered(mode, threshold + 0.5, 10) >= 9
    assert delivered(mode, threshold - 3.5, 10) <= 1


def test_ldpc_beats_the_k7_code():
    assert delivered(webp_link.Mode("qpsk", "1/2", code="ldpc"), 2.5, 8) >= 7
    assert delivered(webp_link.Mode("qpsk", "1/2"), 2.5, 8) <= 1


@pytest.mark.parametrize(("modulation", "rate"), list(ldpc_table.PACKET_ERROR))
def test_packet_errors_are_those_of_the_table(modulation, rate):
    """3,000 bits where the table has about half, and 1 dB more, against 24 packets decoded here."""
    table = ldpc_table.PACKET_ERROR[modulation, rate]
    assert list(table.values()) == sorted(table.values(), reverse=True)
    at = min(table, key=lambda snr: abs(table[snr] - 0.5))
    rng, ratio = np.random.default_rng(4), webp_link.RATES[rate]
    for snr, expected in ((at, table[at]), (at + 1, table[at + 1])):
        soft, sent = [], []
        for _ in range(24):
            word = ldpc.encode(rng.integers(0, 2, (24 - ldpc.ROWS[ratio]) * 125, dtype=np.uint8), ratio, 125)
            symbols = webp_link.modulate(word, modulation)
            noise = rng.standard_normal((2, symbols.size)) * np.sqrt(0.5 * 10 ** (-snr / 10))
            soft.append(
                soft_demap.exact(
                    symbols + noise[0] + 1j * noise[1],
                    np.full(symbols.size, 10 ** (-snr / 10)),
                    webp_link.BITS[modulation],
                )
            )
            sent.append(word)
        bits, _ = ldpc.decode(np.stack(soft), ratio, 125)
        lost = np.mean([(b != s[: b.size]).any() for b, s in zip(bits, sent, strict=True)])
        assert abs(lost - expected) <= 4 * np.sqrt(max(expected * (1 - expected), 0.002) / 24)


@pytest.mark.parametrize("mode", ALL, ids=lambda m: f"{m.code} {m}")
def test_what_is_settled_without_decoding_is_what_decoding_finds(mode):
    """Fading over a wide range of SNRs: settled pictures, doubtful ones, lost frames."""
    link = webp_link.Link(mode, USES)
    data = bytes(np.random.default_rng(1).integers(0, 256, link.octets, dtype=np.uint8))
    sent = link.encode(data)
    items = []
    for i, snr in enumerate(np.linspace(-3, 20, 12)):
        received = symbol_channel.apply_channel(sent, snr, "awgn" if i % 2 else "tdl", 0.05, np.random.default_rng(i))
        items.append((link, link.soft(received), data))
    found = [d == data for d in decoded([item[:2] for item in items])]
    assert list(webp_link.arrived(items)) == found and any(found) and not all(found)


def test_information_of_soft_bits():
    bits = np.array([0, 1, 0, 1])
    assert webp_link.information(np.zeros(4), bits) == pytest.approx(0)
    assert webp_link.information(1000.0 * (1 - 2 * bits), bits) == pytest.approx(1)
    told = webp_link.information(np.array([1.0, -1.0, -1.0, 1.0]), bits)  # two right, two wrong
    assert told == pytest.approx(1 - np.mean(np.log2(1 + np.exp([-1, -1, 1, 1]))))


@pytest.mark.parametrize(("span", "delivered"), [("picture", True), ("frame", False)])
def test_interleaving_over_the_picture_sees_through_a_lost_frame(span, delivered):
    link = webp_link.Link(webp_link.Mode("bpsk", "1/2", span), 12000)
    received = symbol_channel.apply_channel(link.encode(b"file"), 8.0, "awgn", 0, np.random.default_rng(0))
    assert len(received) == 5
    (data,) = decoded([(link, link.soft(received[1:]))])
    assert (data is not None and data.rstrip(b"\0") == b"file") == delivered


def test_soft_bits_are_exact_for_16qam():
    """Against the sum over all sixteen points."""
    rng = np.random.default_rng(2)
    bits = np.array([[b >> i & 1 for i in range(4)] for b in range(16)])
    points = webp_link.modulate(bits.ravel(), "16qam")
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1)
    y, v = rng.normal(size=5) + 1j * rng.normal(size=5), rng.uniform(0.1, 1, 5)
    likelihood = np.exp(-(np.abs(y[:, None] - points) ** 2) / v[:, None])
    expected = [np.log(likelihood @ (1 - bits[:, i])) - np.log(likelihood @ bits[:, i]) for i in range(4)]
    assert soft_demap.exact(y, v, 4).reshape(5, 4) == pytest.approx(np.array(expected).T, rel=1e-4, abs=1e-4)
    for per_symbol in webp_link.BITS.values():
        assert not soft_demap.exact(y, np.full(5, np.inf), per_symbol).any()


@pytest.mark.parametrize("rate", list(ldpc.ROWS))
def test_ldpc_code_words_fulfil_every_check(rate):
    """And no two checks share two bits: there is no cycle of length four."""
    z, k = ldpc.circulant(rate, 960)
    matrix = np.zeros((ldpc.ROWS[rate] * z, ldpc.COLUMNS * z), int)
    matrix[ldpc.edges(rate, z)] = 1
    word = ldpc.encode(np.random.default_rng(3).integers(0, 2, k), rate, z)
    assert not (matrix @ word % 2).any() and word[: k // 2].any()
    overlap = matrix @ matrix.T
    np.fill_diagonal(overlap, 0)
    assert overlap.max() == 1


def test_the_webp_file_fits_and_is_the_best_that_does():
    image = photograph()
    ladder = webp_ladder.Ladder(image)
    last = 0
    for octets in (300, 600, 1500, 6000):
        data, shown, quality = ladder.best(octets)
        assert len(data) + webp_ladder.SIZE_OCTETS <= octets
        assert quality == picture_metrics.psnr(image, shown) and shown.shape == image.shape
        assert quality > last
        last = quality
    every = [ladder.file(scale, q) for scale in (1.0, 0.8, 0.65, 0.5) for q in range(101)]
    for octets in (600, 1500):
        fits = [
            picture_metrics.psnr(image, ladder.decoded(d)) for d in every if len(d) + webp_ladder.SIZE_OCTETS <= octets
        ]
        assert ladder.best(octets)[2] >= max(fits) - 0.2, "PSNR goes up and down a little with quality"
    assert ladder.best(20) is None
