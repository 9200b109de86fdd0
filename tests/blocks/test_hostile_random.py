# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and tags changed at random: a block counts each and goes on to the good one behind them.

DIFFSEM_FUZZ_MESSAGES (default 100) is how many for each block, DIFFSEM_FUZZ_SEED which; `make fuzz TARGETS=messages`
sends many more.
"""

import os

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.codec import digital_part, frame_header
from test_hostile_messages import FORM, KEYS, VALUES, Flow, frame_pdu, pixels, until
from test_onnx_inference_pdu import LOOKUP
from test_semantic_codec import CBR, COUNT, content, encoded, on_air, photograph

MANY = int(os.environ.get("DIFFSEM_FUZZ_MESSAGES", "100"))
SEED = int(os.environ.get("DIFFSEM_FUZZ_SEED", "7"))
CHUNK = 5000  # at one time
NAMES = ["id", "total", "index", "digital", "shape", "kind", "name", "domain", "snr_db", "noise_var", "gain", "frames"]
FLOATS = [float("nan"), float("inf"), -float("inf"), -0.0, 1e-320, 3e38, -1e300, 0.5]
UNIFORM = {
    pmt.init_u8vector: lambda rng, n: rng.integers(0, 256, n).tolist(),
    pmt.init_s16vector: lambda rng, n: rng.integers(-(2**15), 2**15, n).tolist(),
    pmt.init_s32vector: lambda rng, n: rng.integers(-(2**31), 2**31, n).tolist(),
    pmt.init_u64vector: lambda rng, n: (rng.integers(0, 2**32, n) * 2**31).tolist(),
    pmt.init_f32vector: lambda rng, n: np.float32(rng.choice(np.clip(FLOATS, -3e38, 3e38), n)).tolist(),
    pmt.init_f64vector: lambda rng, n: rng.choice(FLOATS, n).tolist(),
    pmt.init_c32vector: lambda rng, n: (rng.standard_normal(n) * 10.0 ** rng.integers(-30, 30) * 1j).tolist(),
}


def pick(rng, of):
    return of[rng.integers(len(of))]


def value(rng):
    """One of every kind, a number near a power of two, or a vector of up to 200."""
    what = rng.integers(4)
    if what == 0:
        return pick(rng, VALUES)
    if what == 1:
        return pmt.from_long(int(rng.choice([-1, 1])) * 2 ** int(rng.integers(62)) + int(rng.integers(-1, 2)))
    if what == 2:
        return pmt.from_double(float(pick(rng, FLOATS)))
    make = pick(rng, list(UNIFORM))
    return make(n := int(rng.integers(200)), UNIFORM[make](rng, n))


def changed(good, rng):
    """A PDU with one to three things changed."""
    said, vector = pmt.car(good), pmt.cdr(good)
    keys = [pmt.symbol_to_string(pmt.car(pmt.nth(i, said))) for i in range(pmt.length(said))] + NAMES
    for _ in range(rng.integers(1, 4)):
        what = rng.integers(8)
        if what == 0:
            vector = value(rng)
        elif what == 1:
            said = value(rng)
        elif pmt.is_dict(said) and what == 2:
            said = pmt.dict_delete(said, pmt.intern(pick(rng, keys)))
        elif pmt.is_dict(said):
            said = pmt.dict_add(said, pmt.intern(pick(rng, keys)), value(rng))
    return pmt.cons(said, vector)


def frame():
    return frame_pdu(frame_header.Header(3, 8, 1, 5), np.ones(48 * FORM.frame_symbols))


def done(counts):
    return counts["out"] + counts["dropped"]


def contents():
    """Small ones, and few photographs, because each takes a third of a second to encode."""
    text = pmt.cons(pmt.to_pmt({"id": 5, "kind": "text"}), pmt.init_u8vector(5, list(b"hello")))
    array = pmt.cons(pmt.to_pmt({"id": 5, "kind": "array", "domain": "latent"}), pmt.init_f32vector(4, [1, 2, 3, 4]))
    return [text, array] * 50 + [content(photograph(1, 24, 32), id=5, kind="photograph")]


#: Block, ports, good messages, how many have been dealt with.
MESSAGES = {
    "frame_mapper": (
        lambda _: diffsem.frame_mapper(48, FORM.frame_symbols),
        ("frames", "pdus"),
        lambda: [frame()],
        lambda b: b.frames_out() + b.frames_dropped(),
    ),
    "semantic_encoder": (
        lambda _: diffsem.semantic_encoder(uses=12000),
        ("content", "frames"),
        contents,
        lambda b: b.content_in(),
    ),
    "semantic_decoder": (
        lambda _: diffsem.semantic_decoder(patience=0.0),
        ("frames", "content"),
        lambda: [on_air(f) for f in encoded([content(photograph(1), id=5)], COUNT, **CBR)],
        lambda b: b.counts()["in"],
    ),
    "image_sink": (
        lambda folder: diffsem.image_sink(folder, keep=10),
        ("content", "stats"),
        lambda: [pixels()],
        lambda b: done(b.counts()),
    ),
    "image_view": (
        lambda _: diffsem.image_view(["one"]),
        ("content0", "stats"),
        lambda: [pixels()],
        lambda b: b.counts()["in"],
    ),
    "pdu_zmq_sink": (
        lambda _: diffsem.pdu_zmq_sink("tcp://127.0.0.1:*"),
        ("in", "stats"),
        lambda: [pixels()],
        lambda b: done(b.counts()),
    ),
    "onnx_inference_pdu": (
        lambda _: diffsem.onnx_inference_pdu(LOOKUP, queue=65536),
        ("in", "out"),
        lambda: [pmt.cons(pmt.make_dict(), pmt.init_f32vector(4, [1, 2, 3, 4]))],
        lambda b: b.items_out() + b.items_dropped(),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(name, tmp_path, monkeypatch):
    monkeypatch.setattr(digital_part, "ITERATIONS", 5)  # good frames need fewer, nonsense would take all 200
    make, (port, out), good, dealt_with = MESSAGES[name]
    block, messages, rng = make(tmp_path), good(), np.random.default_rng(SEED)
    with Flow(block, port, out) as f:
        for sent in range(0, MANY, CHUNK):
            f.post([changed(pick(rng, messages), rng) for _ in range(min(CHUNK, MANY - sent))])
            n = min(sent + CHUNK, MANY)
            assert until(lambda n=n: dealt_with(block) == n, 300), f"{dealt_with(block)} of {n}"
            f.sink.got.clear()
        f.post(messages[:1])
        assert until(lambda: dealt_with(block) == MANY + 1)


TAGS = {
    "estimate": (lambda: diffsem.estimate("ls", noise="tag", item_size=4, tag_items=True, max_batch=16), 4),
    "soft_demapper_cf": (
        lambda: diffsem.soft_demapper_cf(
            "qpsk", noise_var=0.5, occupied_carriers=[[-2, -1, 1, 2]], fft_len=8, len_tag_key="packet_len"
        ),
        1,
    ),
    "frame_sync_cvc": (lambda: diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM)), 1),
    "ofdm_chanest_vcvc": (lambda: diffsem.ofdm_chanest_vcvc("ls", [0, 1, 0, -1] * 16, [1, -1] * 32, 1), 64),
    "ofdm_grid_chanest": (
        lambda: diffsem.ofdm_grid_chanest(
            64, [1, 2, 3], [([1, 3], [1, 1])], scheme="ls", noise_var=1.0, frame_tag="packet_len", tag_items=True
        ),
        64,
    ),
    "frame_to_pdu": (lambda: diffsem.frame_to_pdu(diffsem.frame_format_of(FORM)), 64),
}


@pytest.mark.parametrize("name", TAGS)
def test_tags(name):
    """One to an item, of any kind, under the keys that blocks read and others; every item is taken."""
    make, length = TAGS[name]
    rng, symbols = np.random.default_rng(SEED), 2 + FORM.frame_symbols
    for sent in range(0, MANY, CHUNK):
        items = min(CHUNK, MANY - sent)
        items += 12 * symbols - items % (12 * symbols)
        x = rng.standard_normal((items, length)) + 1j * rng.standard_normal((items, length))
        tags = [flow.tag(i, pick(rng, KEYS), value(rng)) for i in range(items)]
        if name == "frame_to_pdu":
            heads = [(i, pmt.car(changed(frame(), rng))) for i in range(0, items, symbols)]
            tags += [flow.tag(i, "diffsem_frame", head) for i, head in heads]
        tb, block = gr.top_block(), make()
        tb.connect(flow.source(tb, x if length > 1 else x[:, 0], tags), block)
        signature = block.output_signature()
        for port in range(max(signature.min_streams(), min(signature.max_streams(), 1))):
            tb.connect((block, port), blocks.null_sink(signature.sizeof_stream_item(port)))
        flow.run(tb, 100)
        assert items - block.nitems_read(0) < (symbols if name == "frame_to_pdu" else 1)
        if name == "frame_to_pdu":
            assert block.frames_in() == block.frames_out() + block.frames_dropped()
