# SPDX-License-Identifier: GPL-3.0-or-later
"""Several senders at once, contents of one size and number, frame by frame, with gaps: pictures are never mixed, and a
frame is used or counted. What a fade cuts apart is one picture again."""

import threading

import numpy as np
import pmt
import pytest
from gnuradio import diffsem, gr
from gr_diffsem.codec import collector, content, frames
from gr_diffsem.codec.passes import Passes
from test_semantic_codec import CBR, COUNT, Sink, decoded, encoded, image_of, on_air, photograph, psnr
from test_semantic_codec import content as photo_content

LAYOUT = (frames.CARRIERS, frames.FRAME_SYMBOLS)


@pytest.fixture(scope="module")
def senders():
    """Frames of three pictures with the same number and size."""
    made = [encoded([photo_content(photograph(k), id=5)], COUNT, **CBR) for k in (1, 2, 3)]
    assert len({len(m) for m in made}) == 1
    return made


def test_two_senders_frame_by_frame(senders):
    one, two, _ = senders
    rng = np.random.default_rng(1)
    air = [on_air(f, 15.0, rng) for pair in zip(one, two, strict=True) for f in pair]
    got, counts = decoded(air, 2)
    best = [max((psnr(image_of(m)[0], photograph(k)), k) for k in (1, 2)) for m in got]
    assert sorted(k for _, k in best) == [1, 2] and all(quality > 27 for quality, _ in best)
    assert counts["dropped"] == counts["undecoded"] == counts["failed"] == 0


@pytest.mark.parametrize("snr_db", [25.0, 3.0])
def test_one_ahead_of_the_other(senders, snr_db):
    """Their frames touch nowhere at first: one is in the middle of its picture when the other begins."""
    one, two, _ = senders
    rng = np.random.default_rng(2)
    turned = two[COUNT // 2 :] + two[: COUNT // 2]
    air = [on_air(f, snr_db, rng) for pair in zip(one * 2, turned * 2, strict=True) for f in pair]
    got, counts = decoded(air, 2)
    for m in got:
        qualities = sorted(psnr(image_of(m)[0], photograph(k)) for k in (1, 2))
        assert qualities[1] > qualities[0] + 3  # of one, and nothing of the other


def stream(seed, n_bytes=60, n=12000, number=7):
    rng = np.random.default_rng(seed)
    data = content.encode_text("x" * (n_bytes - 1))[:1] + rng.bytes(n_bytes - 1)
    symbols = ((rng.standard_normal(n) + 1j * rng.standard_normal(n)) * np.sqrt(0.5)).astype(np.complex64)
    return data, symbols, frames.cut(data, symbols, number)


def noisy(frame, noise_var, rng):
    shape = frame.symbols.shape
    noise = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(noise_var / 2)
    return frames.Received(frame.header, frame.symbols + noise, np.full(shape, noise_var, np.float32))


@pytest.mark.parametrize("seed", range(12))
def test_random_interleavings_are_never_mixed(seed):
    """Two to four senders, each sending its content again and again from anywhere, frames lost, any order of their
    turns, -3 to 25 dB: each answer is of one of them, analogue part and all."""
    rng = np.random.default_rng(seed)
    sent = [stream(100 * seed + k) for k in range(rng.integers(2, 5))]
    noise_var = 10 ** (-rng.uniform(-3, 25) / 10)
    count = len(sent[0][2])
    place, heard, counts = rng.integers(0, count, len(sent)), [], {}
    passes = Passes(LAYOUT, heard.append, lambda name, by: counts.update({name: counts.get(name, 0) + by}))
    taken = 0
    for _ in range(4 * count * len(sent)):
        who = rng.integers(len(sent))
        frame = sent[who][2][place[who] % count]
        place[who] += 1
        if rng.random() < 0.85:
            passes.take(noisy(frame, noise_var, rng), 0.0)
            taken += 1
    passes.close()
    by_data = {data: symbols for data, symbols, _ in sent}
    for known in heard:
        symbols = by_data[known.data]
        at = np.isfinite(known.noise_var[: symbols.size])
        error = np.abs(known.symbols[: symbols.size] - symbols)[at] ** 2
        assert np.mean(error / known.noise_var[: symbols.size][at]) == pytest.approx(1, abs=0.1)
    assert len({known.data for known in heard}) == len(sent)
    assert sum(counts.values()) < taken / 5


@pytest.mark.parametrize("seed", range(6))
def test_a_heap_of_frames_is_sorted(seed):
    """All at once, in any order: the one that most frames are of."""
    rng = np.random.default_rng(seed)
    (data, symbols, most), (_, _, few) = stream(seed), stream(50 + seed)
    heap = [noisy(f, 0.05, rng) for f in [*most, *few[: len(few) - 2]]]
    rng.shuffle(heap)
    found = collector.collect(heap)
    answer, y, v = found.result()
    assert answer == data and len(found.arrived) == len(most)
    assert np.mean(np.abs(y[: symbols.size] - symbols) ** 2) == pytest.approx(0.05, rel=0.1)


def test_a_fade_in_the_middle_of_a_pass(senders):
    """Silence ends the pass; what comes behind it is of the same picture, though too little to say so by itself."""
    sent = encoded([photo_content(photograph(1, 240, 320), id=5)], 12, cbr=1 / 8)
    rng = np.random.default_rng(3)
    air = [on_air(f, 3.0, rng) for f in sent]
    tb, decoder, sink = gr.top_block(), diffsem.semantic_decoder(patience=0.3), Sink()
    tb.msg_connect(decoder, "content", sink, "in")
    tb.start()
    try:
        for f in air[:8]:
            decoder.to_basic_block()._post(pmt.intern("frames"), f)
        sink.wait(1)
        for f in air[10:]:
            decoder.to_basic_block()._post(pmt.intern("frames"), f)
        sink.wait(2)
    finally:
        tb.stop()
        tb.wait()
    (first, before), (whole, said) = (image_of(m) for m in sink.got)
    assert before["frames"] == 8 and said["frames"] == len(sent) - 2 and said["frames_lost"] == 2
    assert psnr(whole, photograph(1, 240, 320)) > psnr(first, photograph(1, 240, 320)) + 0.1
    assert decoder.counts()["dropped"] == decoder.counts()["undecoded"] == 0


def test_contents_of_two_numbers_at_once(senders):
    """Interleaved, one with a number of its own: both come, each once."""
    one = senders[0]
    two = encoded([photo_content(photograph(2), id=9)], COUNT, **CBR)
    got, counts = decoded([on_air(f) for pair in zip(one, two, strict=True) for f in pair], 2)
    assert sorted(image_of(m)[1]["id"] for m in got) == [5, 9] and counts["dropped"] == 0
    assert threading.active_count() < 50
