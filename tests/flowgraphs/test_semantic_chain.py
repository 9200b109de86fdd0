# SPDX-License-Identifier: GPL-3.0-or-later
"""The evaluation's two ways through the air: sample by sample in GNU Radio, and symbol by symbol."""

import numpy as np
import pytest
from gr_diffsem.base import picture_metrics
from gr_diffsem.codec import frames, picture_codec
from gr_diffsem.eval import photo_receivers, photo_trials, sample_chain, webp_link


def photograph(h=96, w=144):
    y, x = np.mgrid[:h, :w]
    disc = ((x - 0.6 * w) ** 2 + (y - 0.5 * h) ** 2 < (0.3 * h) ** 2)[..., None] * np.array([90, -50, 30])
    shade = 100 + 0.5 * x[..., None] + 0.3 * y[..., None] * np.array([1, 0.5, -0.5])
    return np.clip(shade + disc + np.random.default_rng(0).normal(0, 8, (h, w, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("snr_db", [3.0, 12.0])
def test_the_whole_chain_agrees_with_the_symbols(snr_db):
    image = photograph()
    encoded = picture_codec.encode(image, photo_trials.budget(96, 144, 1 / 3)[0])
    sent = frames.cut(encoded.digital, encoded.symbols, 5)
    psnr = {}
    for way in (sample_chain.gnuradio_chain, photo_trials.symbols_chain):
        got = [photo_trials.collected(way(sent, snr_db, "awgn", 0.0, np.random.default_rng(seed))) for seed in range(3)]
        assert all(got), way
        psnr[way] = [picture_metrics.psnr(image, photo_receivers.linear(*one)) for one in got]
    assert np.mean(psnr[sample_chain.gnuradio_chain]) == pytest.approx(
        np.mean(psnr[photo_trials.symbols_chain]), abs=0.5
    )


def test_a_classical_file_goes_through_the_same_chain():
    link = webp_link.Link(webp_link.Mode("qpsk", "1/2"), 6000)
    data = bytes(np.random.default_rng(1).integers(0, 256, link.octets, dtype=np.uint8))
    received = sample_chain.gnuradio_chain(link.encode(data), 12.0, "awgn", 0.0, np.random.default_rng(2))
    assert webp_link.arrived([(link, link.soft(received), data)]).all()


def test_lost_frames_are_missing():
    sent = webp_link.Link(webp_link.Mode("bpsk", "1/2"), 12000).encode(b"")
    assert sample_chain.gnuradio_chain(sent, 12.0, "awgn", 1.0, np.random.default_rng(3)) == []
    some = sample_chain.gnuradio_chain(sent, 12.0, "awgn", 0.5, np.random.default_rng(3))
    kept = np.random.default_rng(3).random(len(sent)) >= 0.5
    assert [f.header.index for f in some] == list(np.flatnonzero(kept))
