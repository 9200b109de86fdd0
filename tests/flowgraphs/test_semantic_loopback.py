# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames through semantic_tx, an air with noise, offset and fading, and semantic_rx: what goes in comes out or is
counted, and the stated noise is the noise."""

import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, channels, diffsem, gr
from gr_diffsem.air import sample_channel
from gr_diffsem.codec import collector, digital_part, frame_header, frame_layout, frames
from gr_diffsem.eval.flowgraph import run_limited


def gaussian(rng, n):
    return ((rng.standard_normal(n) + 1j * rng.standard_normal(n)) * np.sqrt(0.5)).astype(np.complex64)


def as_pdu(frame):
    d = pmt.make_dict()
    for name in ("id", "total", "index", "digital"):
        d = pmt.dict_add(d, pmt.intern(name), pmt.from_long(getattr(frame.header, name)))
    return pmt.cons(d, pmt.init_c32vector(frame.symbols.size, frame.symbols.tolist()))


def from_pdu(message):
    d = pmt.to_python(pmt.car(message))
    h = frame_header.Header(d["id"], d["total"], d["index"], d["digital"])
    symbols = np.array(pmt.c32vector_elements(pmt.cdr(message)), np.complex64)
    return frames.Received(h, symbols, np.array(d["noise_var"], np.float32)), d


def transmitted(cut, count, **options):
    """Samples of frames through semantic_tx; `count` of them."""
    tb = gr.top_block("transmitter")
    tx, sink = diffsem.semantic_tx(**options), blocks.vector_sink_c()
    tb.connect(tx, sink)
    for frame in cut:
        tx.mapper.to_basic_block()._post(pmt.intern("frames"), as_pdu(frame))
    tb.start()  # a transmitter does not end by itself
    deadline = time.monotonic() + 60
    while len(sink.data()) < count and time.monotonic() < deadline:
        time.sleep(0.05)
    tb.stop()
    tb.wait()
    assert len(sink.data()) == count
    return np.array(sink.data(), np.complex64), tx


def received(x, **options):
    tb = gr.top_block("receiver")
    rx, debug = diffsem.semantic_rx(**options), blocks.message_debug()
    tb.connect(blocks.vector_source_c(np.asarray(x, np.complex64).tolist()), rx)
    tb.msg_connect(rx, "pdus", debug, "store")
    run_limited(tb, 100)
    return [from_pdu(debug.get_message(i)) for i in range(debug.num_messages())], rx


def picture(seed, n=14000):
    rng = np.random.default_rng(seed)
    data, symbols = rng.bytes(60), gaussian(rng, n)
    return data, symbols, frames.cut(data, symbols, seed)


def samples_of(cut, gap, form=None):
    form = form or frame_layout.Layout()
    # the burst shaper holds the last gap back until another frame comes
    return sum((2 + form.header_symbols) * 80 + f.symbols.size // 48 * 80 + gap for f in cut) - gap


@pytest.mark.parametrize("papr_db", [None, 8.0])
def test_transmitter_sends_what_the_layout_says(papr_db):
    _, _, cut = picture(1)
    x, tx = transmitted(cut, samples_of(cut, 50), papr_db=papr_db, gap=50, amplitude=0.25)
    at = 0
    for frame in cut:
        expected = 0.25 * frame_layout.Layout().samples(
            np.concatenate([frame_header.modulate(frame.header), frame.symbols])
        )
        got = x[at : at + expected.size]
        if papr_db is None:
            np.testing.assert_allclose(got, expected, atol=1e-4)
        else:
            np.testing.assert_allclose(got[:160], expected[:160], atol=1e-4)  # the sync words' peaks are low
            assert np.max(np.abs(got) ** 2) <= 0.0625 * 10**0.8 * 1.001 < np.max(np.abs(expected) ** 2)
        assert frame is cut[-1] or not x[at + expected.size : at + expected.size + 50].any()
        at += expected.size + 50
    assert tx.frames_dropped() == 0


def test_frames_in_are_frames_out_and_the_noise_is_as_stated():
    data, symbols, cut = picture(2)
    x, _ = transmitted(cut, samples_of(cut, 100), papr_db=None, gap=100)
    tb = gr.top_block("air")
    sink = blocks.vector_sink_c()
    source = blocks.vector_source_c(np.concatenate([np.zeros(300), x, np.zeros(2000)]).tolist())
    noise_var = 10 ** (-12 / 10)
    per_sample = 64 / 52 * noise_var
    air = channels.channel_model(np.sqrt(per_sample), 1.6 / 64, 1.00002, [0.9, 0.3j, -0.2], 5)
    tb.connect(source, air, sink)
    run_limited(tb, 60)
    got, rx = received(sink.data())
    assert len(got) == len(cut) == rx.frames_out()
    answer, y, v = collector.collect([f for f, _ in got]).result()
    assert answer == data and np.isfinite(v[: symbols.size]).all()
    ratio = np.mean(np.abs(y[: symbols.size] - symbols) ** 2 / v[: symbols.size])
    assert ratio == pytest.approx(1, abs=0.1)
    for _, d in got:
        assert abs(d["carrier_offset"] - 1.6) < 0.02
        assert abs(d["snr_db"] - 11.7) < 1.5


def test_losses_are_counted():
    _, _, cut = picture(3)
    form = frame_layout.Layout()
    rng = np.random.default_rng(4)
    sent = [form.samples(np.concatenate([frame_header.modulate(f.header), f.symbols])) for f in cut]
    sent[2][:400] = gaussian(rng, 400)  # sync words and header of one frame are jammed
    x = np.concatenate([np.zeros(500), *sent, np.zeros(500)])
    got, rx = received(x + 0.1 * gaussian(rng, x.size))
    assert sorted(f.header.index for f, _ in got) == [i for i in range(len(cut)) if i != 2]
    assert rx.frames_found() >= rx.frames_out() == len(cut) - 1


@pytest.mark.parametrize("cut_at", [0.35, 0.8])
def test_a_truncated_stream_ends_with_what_is_whole(cut_at):
    _, _, cut = picture(5)
    form = frame_layout.Layout()
    x = np.concatenate([form.samples(np.concatenate([frame_header.modulate(f.header), f.symbols])) for f in cut])
    n = int(cut_at * x.size)
    got, _ = received(x[:n] + 0.05 * gaussian(np.random.default_rng(6), n))
    whole = np.cumsum([(4 + f.symbols.size // 48) * 80 for f in cut]) <= n
    assert len(got) == whole.sum()


def test_fading_at_ten_db():
    data, symbols, cut = picture(7)
    form = frame_layout.Layout()
    full = [f for f in cut if f.symbols.size == cut[0].symbols.size]
    sent = np.array([form.samples(np.concatenate([frame_header.modulate(f.header), f.symbols])) for f in full])
    rng = np.random.default_rng(8)
    r = sample_channel.send_frames(sent, "tdl_c", 10.0, rng, clock_ppm=20.0)
    got, _ = received(r.noisy)
    assert len(got) >= len(full) - 1
    by_index = {f.header.index: f.symbols for f in full}
    ratio = [np.mean(np.abs(f.symbols - by_index[f.header.index]) ** 2 / f.noise_var) for f, _ in got]
    assert np.mean(ratio) == pytest.approx(1, abs=0.15)
    assert digital_part.uses(60) < symbols.size
