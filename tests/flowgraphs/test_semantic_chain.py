# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation's two ways through the air: sample by sample in GNU Radio, and symbol by symbol."""

import numpy as np
import pytest
from gr_diffsem.semantic import chain, classical, codec, evaluate, frames, metrics, receivers


def photograph(h=96, w=144):
    y, x = np.mgrid[:h, :w]
    disc = ((x - 0.6 * w) ** 2 + (y - 0.5 * h) ** 2 < (0.3 * h) ** 2)[..., None] * np.array([90, -50, 30])
    shade = 100 + 0.5 * x[..., None] + 0.3 * y[..., None] * np.array([1, 0.5, -0.5])
    return np.clip(shade + disc + np.random.default_rng(0).normal(0, 8, (h, w, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("snr_db", [3.0, 12.0])
def test_the_whole_chain_agrees_with_the_symbols(snr_db):
    image = photograph()
    encoded = codec.encode(image, evaluate.budget(96, 144, 1 / 3)[0])
    sent = frames.cut(encoded.digital, encoded.symbols, 5)
    psnr = {}
    for way in (chain.gnuradio_chain, evaluate.symbols_chain):
        got = [evaluate.collected(way(sent, snr_db, "awgn", 0.0, np.random.default_rng(seed))) for seed in range(3)]
        assert all(got), way
        psnr[way] = [metrics.psnr(image, receivers.linear(*one)) for one in got]
    assert np.mean(psnr[chain.gnuradio_chain]) == pytest.approx(np.mean(psnr[evaluate.symbols_chain]), abs=0.5)


def test_a_classical_file_goes_through_the_same_chain():
    link = classical.Link(classical.Mode("qpsk", "1/2"), 6000)
    data = bytes(np.random.default_rng(1).integers(0, 256, link.octets, dtype=np.uint8))
    received = chain.gnuradio_chain(link.encode(data), 12.0, "awgn", 0.0, np.random.default_rng(2))
    assert classical.decode([(link, link.soft(received))]) == [data]


def test_lost_frames_are_missing():
    sent = classical.Link(classical.Mode("bpsk", "1/2"), 12000).encode(b"")
    assert chain.gnuradio_chain(sent, 12.0, "awgn", 1.0, np.random.default_rng(3)) == []
    some = chain.gnuradio_chain(sent, 12.0, "awgn", 0.5, np.random.default_rng(3))
    kept = np.random.default_rng(3).random(len(sent)) >= 0.5
    assert [f.header.index for f in some] == list(np.flatnonzero(kept))
