# SPDX-License-Identifier: GPL-3.0-or-later
"""The semantic link's blocks: mapper, synchroniser, frames to PDUs, clipping, and both hier blocks' parameters."""

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import sample_channel
from gr_diffsem.codec import frame_header, frame_layout

FORM = frame_layout.Layout(frame_symbols=4)


def gaussian(rng, n):
    return ((rng.standard_normal(n) + 1j * rng.standard_normal(n)) * np.sqrt(0.5)).astype(np.complex64)


def headers(n, frames=8):
    return [frame_header.Header(3 + i // frames, frames * FORM.frame_symbols, i % frames, 5) for i in range(n)]


def signals(rng, hs):
    payload = [gaussian(rng, 48 * FORM.frame_symbols) for _ in hs]
    sent = [FORM.samples(np.concatenate([frame_header.modulate(h), x])) for h, x in zip(hs, payload, strict=True)]
    return np.array(sent), payload


def frame_pdu(h, symbols):
    d = pmt.make_dict()
    for name in ("id", "total", "index", "digital"):
        d = pmt.dict_add(d, pmt.intern(name), pmt.from_long(getattr(h, name)))
    return pmt.cons(d, pmt.init_c32vector(len(symbols), np.asarray(symbols, np.complex64).tolist()))


def synchronised(x, chunk=None, **options):
    """(block, tags of each frame as dicts, vectors [frames, 7, 64])."""
    tb = gr.top_block()
    block = diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM), **options)
    sink = blocks.vector_sink_c(64)
    tb.connect(flow.source(tb, x, (), chunk), block, sink)
    flow.run(tb, 60)
    tags = {}
    for t in sink.tags():
        tags.setdefault(t.offset, {})[pmt.symbol_to_string(t.key)] = pmt.to_python(t.value)
    vectors = np.array(sink.data(), np.complex64).reshape(-1, 1 + 2 + FORM.frame_symbols, 64)
    assert sorted(tags) == [i * vectors.shape[1] for i in range(len(vectors))]
    return block, [tags[k] for k in sorted(tags)], vectors


def found_of(reception, tags, hs):
    right = 0
    for t in tags:
        i = int(np.argmin(np.abs(reception.start - t["diffsem_start"])))
        near = -2 <= reception.start[i] - t["diffsem_start"] <= 16
        right += near and frame_header.Header(**t["diffsem_frame"]) == hs[i]
    return right


def test_every_frame_is_found_at_any_offset_and_chunking():
    rng = np.random.default_rng(1)
    hs = headers(40)
    r = sample_channel.send_frames(signals(rng, hs)[0], "tdl_c", 15.0, rng)
    results = []
    for chunk in (None, 4000, 333):
        block, tags, vectors = synchronised(r.noisy, chunk)
        assert found_of(r, tags, hs) == len(tags) == 40
        assert block.frames_out() == 40 and block.frames_found() >= 40
        error = np.array([t["diffsem_carrier_offset"] for t in tags]) - r.offset
        assert np.sqrt(np.mean(error**2)) < 0.01
        results.append(vectors)
    for vectors in results[1:]:
        np.testing.assert_allclose(vectors, results[0], atol=2e-3)


def test_headers_hold_at_zero_db():
    rng = np.random.default_rng(2)
    hs = headers(60)
    r = sample_channel.send_frames(signals(rng, hs)[0], "awgn", 0.0, rng)
    _, tags, _ = synchronised(r.noisy)
    assert found_of(r, tags, hs) >= 57


def test_frames_back_to_back_and_a_cut_stream():
    rng = np.random.default_rng(3)
    hs = headers(12)
    sent, _ = signals(rng, hs)
    x = np.concatenate([np.zeros(100), sent.ravel()[:-40]])  # half an OFDM symbol is missing
    _, tags, _ = synchronised(x + 0.01 * gaussian(rng, x.size))
    assert [frame_header.Header(**t["diffsem_frame"]) for t in tags] == hs[:-1]


@pytest.mark.parametrize("eaten", [0, 5, 12])
def test_the_first_frame_of_a_stream_is_found(eaten):
    """Nothing before it, and what stands in front (a resampler, a radio) has kept its first samples."""
    rng = np.random.default_rng(9)
    hs = headers(3)
    x = signals(rng, hs)[0].ravel()[eaten:]
    block, tags, _ = synchronised(np.concatenate([x, np.zeros(200)]) + 0.1 * gaussian(rng, x.size + 200))
    assert [frame_header.Header(**t["diffsem_frame"]) for t in tags] == hs
    assert [t["diffsem_start"] for t in tags] == pytest.approx([0] + [k * x.size // 3 for k in (1, 2)], abs=16)


def test_nothing_is_found_in_noise_silence_or_nonsense():
    rng = np.random.default_rng(4)
    x = np.concatenate([gaussian(rng, 60000), np.zeros(5000), 1e6 * gaussian(rng, 5000), np.full(3000, np.nan)])
    block, tags, _ = synchronised(x)
    assert len(tags) <= 1 and block.frames_found() < 600
    hs = headers(4)
    y = np.concatenate([np.full(500, np.inf), gaussian(rng, 2000) * 0.01, signals(rng, hs)[0].ravel(), np.zeros(200)])
    _, tags, _ = synchronised(y)
    assert [frame_header.Header(**t["diffsem_frame"]) for t in tags] == hs


def test_the_mapper_makes_the_header_that_python_makes():
    rng = np.random.default_rng(5)
    h = headers(3)[2]
    payload = gaussian(rng, 48 * 4)
    out, block = mapped([frame_pdu(h, payload)])
    expected = np.concatenate([frame_header.modulate(h), payload])
    np.testing.assert_allclose(out[0], expected, atol=1e-6)
    assert (block.frames_in(), block.frames_out(), block.frames_dropped()) == (1, 1, 0)


def mapped(messages):
    tb = gr.top_block()
    block = diffsem.frame_mapper(48, FORM.frame_symbols)
    debug = blocks.message_debug()
    tb.msg_connect(block, "pdus", debug, "store")
    for m in [*messages, pmt.cons(pmt.intern("done"), pmt.from_long(1))]:
        name = (
            "system"
            if pmt.is_pair(m) and pmt.is_symbol(pmt.car(m)) and pmt.symbol_to_string(pmt.car(m)) == "done"
            else "frames"
        )
        block.to_basic_block()._post(pmt.intern(name), m)
    flow.run(tb)
    n = debug.num_messages()
    return [np.array(pmt.c32vector_elements(pmt.cdr(debug.get_message(i)))) for i in range(n)], block


def test_the_mapper_drops_and_counts_what_is_no_frame():
    rng = np.random.default_rng(6)
    h = headers(1)[0]
    payload = gaussian(rng, 48 * 4)
    garbled = payload.copy()
    garbled[7] = np.nan
    big = pmt.dict_add(pmt.car(frame_pdu(h, payload)), pmt.intern("id"), pmt.from_long(99))
    beyond = frame_header.Header(h.id, h.total, 100, h.digital)
    bad = [
        pmt.intern("no pair"),
        pmt.cons(pmt.make_dict(), pmt.cdr(frame_pdu(h, payload))),
        frame_pdu(h, payload[:-1]),
        frame_pdu(h, garbled),
        frame_pdu(beyond, payload),
        pmt.cons(big, pmt.cdr(frame_pdu(h, payload))),
    ]
    out, block = mapped([*bad, frame_pdu(h, payload)])
    assert len(out) == 1
    assert (block.frames_in(), block.frames_out(), block.frames_dropped()) == (7, 1, 6)


def test_frame_to_pdu_drops_frames_without_their_tags():
    x = np.zeros((14, 64), np.complex64)
    tb = gr.top_block()
    block = diffsem.frame_to_pdu(diffsem.frame_format_of(FORM))
    h = headers(1)[0]
    tags = [flow.tag(0, "diffsem_frame", pmt.car(frame_pdu(h, [0])))]
    tb.connect(flow.source(tb, x, tags), block)
    flow.run(tb)
    assert (block.frames_in(), block.frames_out(), block.frames_dropped()) == (1, 0, 1)


@pytest.mark.parametrize("papr_db, share", [(0.0, 0.37), (6.0, 0.02), (float("inf"), 0.0)])
def test_clipping_keeps_the_phase(papr_db, share):
    x = gaussian(np.random.default_rng(7), 20000)
    tb = gr.top_block()
    block, sink = diffsem.clip_cc(papr_db), blocks.vector_sink_c()
    tb.connect(flow.source(tb, x), block, sink)
    flow.run(tb)
    y = np.array(sink.data(), np.complex64)
    np.testing.assert_allclose(np.abs(y), np.minimum(np.abs(x), 10 ** (papr_db / 20)), rtol=1e-4)
    np.testing.assert_allclose(np.angle(y * x.conj()), 0, atol=1e-4)
    expected = np.mean(np.abs(x) ** 2 > 10 ** (papr_db / 10))
    assert block.samples_clipped() == round(expected * x.size) and expected == pytest.approx(
        share, abs=0.02 + 0.4 * share
    )


def form_of(data, pilot):
    """A format of two carriers, whose sync words fill all 64."""
    return diffsem.frame_format([[data]], [[pilot]], [[1]], [[1] * 64] * 2)


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: diffsem.clip_cc(-1.0), "papr_db is -1"),
        (lambda: diffsem.clip_cc(6.0, 0.0), "mean_power is 0"),
        (lambda: diffsem.frame_mapper(0, 50), "carriers is 0"),
        (lambda: diffsem.frame_mapper(48, 0), "frame_symbols is 0"),
        (lambda: diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM), 9.0), "max_offset is 9"),
        (lambda: diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM), 1.0, 0.0), "false_alarm is 0"),
        (lambda: diffsem.semantic_tx(gap=-1), "gap is -1"),
        (lambda: diffsem.semantic_tx(amplitude=0.0), "amplitude is 0"),
        (lambda: diffsem.semantic_tx(fft_len=128), "occupied_carriers is None"),
        (lambda: diffsem.semantic_rx(scheme="lss"), "ls"),
        (lambda: diffsem.semantic_rx(frame_symbols=0), "frame_symbols is 0"),
        (lambda: diffsem.semantic_rx(cp_len=0), "cp_len is 0"),
        (
            lambda: diffsem.frame_to_pdu(diffsem.frame_format([[1]], [[1]], [[1]], [[1] * 64] * 2)),
            "carrier 33 is used twice",
        ),
        (
            lambda: diffsem.frame_to_pdu(diffsem.frame_format([[1]], [[2]], [[1]], [[1] * 64] * 2)),
            "sync_words: carrier 0",
        ),
    ],
)
def test_wrong_parameters_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()
