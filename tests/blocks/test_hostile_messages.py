# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages and tags from strangers: a block lives on, counts what it refuses, and the next good one is right."""

import contextlib
import itertools
import json
import struct
import time

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base import pdu_wire
from gr_diffsem.codec import frame_header, frame_layout
from test_semantic_codec import CBR, COUNT, Sink, content, encoded, image_of, on_air, photograph

FORM = frame_layout.Layout(frame_symbols=4)


def nested(depth):
    value = pmt.from_long(1)
    for _ in range(depth):
        value = pmt.dict_add(pmt.make_dict(), pmt.intern("a"), value)
    return value


#: One of every kind, and the edges of numbers.
VALUES = [
    pmt.PMT_T,
    pmt.PMT_NIL,
    pmt.intern(""),
    pmt.intern("../" * 100),
    pmt.from_long(-1),
    pmt.from_long(2**32 + 3),
    pmt.from_long(2**62),
    pmt.from_long(-(2**63)),
    pmt.from_uint64(2**64 - 1),
    pmt.from_uint64(2**32),
    pmt.from_double(float("nan")),
    pmt.from_double(float("inf")),
    pmt.from_double(-1e300),
    pmt.from_double(1e-320),
    pmt.from_complex(1j),
    pmt.cons(pmt.PMT_T, pmt.PMT_NIL),
    pmt.make_vector(3, pmt.PMT_NIL),
    pmt.make_tuple(pmt.from_long(1), pmt.from_long(2)),
    pmt.make_dict(),
    nested(60),
    pmt.init_u8vector(0, []),
    pmt.init_u8vector(2, [1, 2]),
    pmt.init_s16vector(2, [1, -2]),
    pmt.init_u64vector(2, [2**63, 2**63]),
    pmt.init_f32vector(3, [float("nan"), float("inf"), -1e38]),
    pmt.init_f64vector(2, [1e300, -1e300]),
    pmt.init_c32vector(2, [complex(float("nan"), 0), 1e30]),
]
VECTORS = [v for v in VALUES if pmt.is_uniform_vector(v)]


def mutations(good):
    """Messages that are `good` but for one thing."""
    said, vector = pmt.car(good), pmt.cdr(good)
    yield from VALUES
    yield pmt.cons(vector, said)
    yield from (pmt.cons(said, v) for v in VALUES)
    yield from (pmt.cons(v, vector) for v in VALUES)
    yield pmt.cons(pmt.dict_add(said, pmt.from_long(5), pmt.from_complex(1j)), vector)  # a key that is no symbol
    keys = [pmt.car(pmt.nth(i, said)) for i in range(pmt.length(said))]
    for key in keys:
        yield pmt.cons(pmt.dict_delete(said, key), vector)
        for v in VALUES:
            yield pmt.cons(pmt.dict_add(said, key, v), vector)


def post(block, port, messages):
    for m in messages:
        block.to_basic_block()._post(pmt.intern(port), m)


class Flow:
    """A block with a port in and a sink at its port out."""

    def __init__(self, block, port, out="stats"):
        self.tb, self.block, self.port, self.sink = gr.top_block(), block, port, Sink()
        self.tb.msg_connect(block, out, self.sink, "in")

    def __enter__(self):
        self.tb.start()
        return self

    def __exit__(self, *_):
        self.tb.stop()
        self.tb.wait()

    def post(self, messages):
        post(self.block, self.port, messages)


def until(condition, seconds=30):
    for _ in range(int(seconds * 100)):
        if condition():
            return True
        time.sleep(0.01)
    return False


def balanced(counts, n):
    """All n have come, and each has been dealt with: `in` counts one before it is."""
    return counts["in"] == n and counts["in"] == counts["out"] + counts["dropped"]


# --- messages ------------------------------------------------------------------------------------------------


def frame_pdu(h, symbols):
    said = pmt.to_pmt({n: getattr(h, n) for n in ("id", "total", "index", "digital")})
    return pmt.cons(said, pmt.init_c32vector(len(symbols), np.asarray(symbols, np.complex64).tolist()))


def test_frame_mapper():
    good = frame_pdu(frame_header.Header(3, 8, 1, 5), np.ones(48 * FORM.frame_symbols))
    wrong = list(mutations(good))
    block = diffsem.frame_mapper(48, FORM.frame_symbols)
    with Flow(block, "frames", "pdus") as f:
        f.post([*wrong, good])
        assert until(lambda: block.frames_out() + block.frames_dropped() == len(wrong) + 1)
        assert block.frames_in() == len(wrong) + 1
        # The id may be any of 16: those of VALUES that fit are frames, as is one with a key more.
        assert block.frames_dropped() >= len(wrong) - 5
        got = f.sink.wait(block.frames_out())[-1]
    np.testing.assert_allclose(
        pmt.c32vector_elements(pmt.cdr(got))[:96], frame_header.modulate(frame_header.Header(3, 8, 1, 5)), atol=1e-6
    )


def test_semantic_encoder():
    good = content(photograph(1, 24, 32), id=5, kind="photograph")
    wrong = list(mutations(good))
    for kind in ("text", "array"):
        said = pmt.dict_add(pmt.car(good), pmt.intern("kind"), pmt.intern(kind))
        wrong += [pmt.cons(said, v) for v in VALUES] + list(mutations(pmt.cons(said, pmt.init_f32vector(2, [1, 2]))))
    options = {"uses": 12000}
    expected = encoded([good], 1, **options)
    block = diffsem.semantic_encoder(**options)
    with Flow(block, "content", "frames") as f:
        f.post(wrong)
        assert until(lambda: block.content_in() == len(wrong), 60)
        assert block.content_dropped() > len(wrong) // 2
        before = block.frames_out()
        f.post([good])
        assert until(lambda: block.content_in() == len(wrong) + 1)
        got = f.sink.wait(before + len(expected))[before:]
    assert [pmt.serialize_str(m) for m in got] == [pmt.serialize_str(m) for m in expected]


@pytest.mark.parametrize(
    "said, vector, words",
    [
        ({"kind": "text"}, pmt.init_f32vector(1, [65.0]), "a text is a u8vector"),
        ({"kind": "array", "shape": 1j}, pmt.init_f32vector(1, [1.0]), "shape is 1j: give whole numbers"),
        ({"kind": "array", "shape": 0.5}, pmt.init_f32vector(1, [1.0]), "shape is 0.5: give whole numbers"),
    ],
)
def test_what_is_almost_content_is_refused(said, vector, words, caplog):
    """A cast would have made content of it, other than what was meant."""
    block = diffsem.semantic_encoder(uses=12000)
    with Flow(block, "content", "frames") as f:
        f.post([pmt.cons(pmt.to_pmt(said), vector)])
        assert until(lambda: block.content_in() == 1)
    assert block.content_dropped() == 1 and words in caplog.text


def test_semantic_decoder():
    sent = [on_air(m) for m in encoded([content(photograph(1), id=5)], COUNT, **CBR)]
    other = [on_air(m) for m in encoded([content(photograph(2), id=6)], COUNT, **CBR)]
    wrong = list(mutations(sent[2]))

    def run(before):
        block = diffsem.semantic_decoder(patience=0.0)
        with Flow(block, "frames", "content") as f:
            f.post([*before, *other])
            assert until(lambda: block.counts()["in"] == len(before) + COUNT)
            assert until(lambda: any(image_of(m)[1]["id"] == 6 for m in f.sink.got))
            return [image_of(m) for m in f.sink.got], block.counts()

    pictures, counts = run(wrong)
    expected, _ = run([])
    assert counts["dropped"] > len(wrong) // 2
    np.testing.assert_array_equal(pictures[-1][0], expected[-1][0])
    assert pictures[-1][1]["frames"] == COUNT


def pixels(**more):
    return content(photograph(3, 4, 6), id=1, kind="photograph", snr_db=3.0, frames=2, scheme="linear", **more)


def test_image_sink(tmp_path):
    good, folder = pixels(), tmp_path / "a" / "b"
    wrong = list(mutations(good))
    block = diffsem.image_sink(folder, keep=10**6)
    with Flow(block, "content") as f:
        f.post([*wrong, good])
        assert until(lambda: balanced(block.counts(), len(wrong) + 1), 60)
    counts = block.counts()
    assert counts["dropped"] > 50
    np.testing.assert_array_equal(block.last[0], photograph(3, 4, 6))
    # A picture and a strict JSON for each that was taken, nothing else, and nothing elsewhere.
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert {p.parent for p in files} == {folder} and len(files) == 2 * counts["out"]
    for p in folder.glob("*.json"):
        json.loads(p.read_text(), parse_constant=lambda name: pytest.fail(f"{name} in a JSON"))


def test_image_view():
    good = pixels()
    wrong = list(mutations(good))
    block = diffsem.image_view(["one", "two"])
    with Flow(block, "content1") as f:
        f.post([*wrong, good])
        assert until(lambda: block.counts()["in"] == len(wrong) + 1)
    counts = block.counts()
    assert counts["dropped"] > 50
    picture, said = block.fresh()[1]
    np.testing.assert_array_equal(picture, photograph(3, 4, 6))
    assert block.caption(1, picture, said)
    for message in wrong:  # what a picture says of itself is drawn by Qt's thread
        block.take(0, message)
        for shown in block.fresh().values():
            assert block.caption(0, *shown)


def test_pdu_zmq_sink():
    block = diffsem.pdu_zmq_sink("tcp://127.0.0.1:*")
    with Flow(block, "in") as f:
        f.post(VALUES)
        assert until(lambda: balanced(block.counts(), len(VALUES)))


def deep(n):
    return b"\x07" * n + b"\x06" * (n + 1)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xff",
        b"\x0a\x0a" + struct.pack(">I", 2**32 - 1) + b"\x00",  # 32 GB
        b"\x0a\x0a" + struct.pack(">I", 2**20) + b"\x00",
        b"\x08" + struct.pack(">I", 2**32 - 1),
        b"\x08" + struct.pack(">I", 10**6) + b"\x06" * 10**6,
        deep(101),
        deep(10**6),
        b"\x07\x06" * 10**6 + b"\x06",  # a list so long that freeing it takes a stack frame for each
        pmt.serialize_str(pmt.from_long(1)) + b"\x00",
        pmt.serialize_str(pixels())[:-1],
        b"\x02\xff\xffab",
        b"\x3bfor ever",
    ],
    ids=lambda payload: f"{len(payload)}",
)
def test_a_payload_that_is_no_pmt(payload):
    """Whole on its way, checksum and all, and made to hurt: counted as bad, and the next one comes."""
    source = diffsem.pdu_zmq_source("tcp://127.0.0.1:9")
    got = []
    source.message_port_pub = lambda port, message: got.append(message)
    source._receive(pdu_wire.pack(pdu_wire.PDU, 1, 0, payload))
    source._receive(pdu_wire.pack(pdu_wire.PDU, 1, 1, pmt.serialize_str(pixels())))
    counts = source.counts()
    assert (counts["in"], counts["out"], counts["lost"], counts["bad"]) == (2, 1, 1, 1)
    assert len(got) == 1
    source.stop()


def test_every_serialised_pmt_passes():
    for value in [*VALUES, pixels(), pmt.to_pmt(list(range(5000)))]:
        if pmt.equal(value, pmt.from_complex(1j)) or not pmt.is_eof_object(value):
            pdu_wire.check_pmt(pmt.serialize_str(value))


def test_mutated_pmts_never_hurt():
    rng = np.random.default_rng(1)
    good = [
        pmt.serialize_str(m) for m in (pixels(), frame_pdu(frame_header.Header(3, 8, 1, 5), np.ones(8)), nested(20))
    ]
    passed = 0
    for _ in range(20000):
        data = bytearray(good[rng.integers(len(good))][:400])
        for _ in range(rng.integers(0, 3)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            pdu_wire.check_pmt(bytes(data))
        except ValueError:
            continue
        passed += 1
        with contextlib.suppress(ValueError, RuntimeError):
            pmt.deserialize_str(bytes(data))
    assert passed > 100


# --- tags ----------------------------------------------------------------------------------------------------

KEYS = ["diffsem_noise_var", "diffsem_error_var", "snr", "ofdm_sync_chan_taps", "ofdm_sync_carr_offset", "packet_len"]
KEYS += ["diffsem_frame", "diffsem_carrier_offset", "diffsem_start", "frame_len", "rx_time", "mark"]


def wrong_tags(at, keys, each=1):
    """Every value under every key, on items at, at + each, ...; gives (tags, the first item behind them)."""
    pairs = list(itertools.product(keys, VALUES))
    return [flow.tag(at + i * each, k, v) for i, (k, v) in enumerate(pairs)], at + len(pairs) * each


def test_estimate_tags(gaussian_package):
    n = 4
    scheme = gaussian_package(np.eye(n) + 0.5)
    tags, behind = wrong_tags(1, ["diffsem_noise_var", "snr", "mark"])
    y = np.random.default_rng(2).standard_normal((behind + 5, n))

    def run(tags):
        block = diffsem.estimate(scheme, noise="tag", noise_var=0.5, tag_items=True, max_batch=1)
        tb, sink = gr.top_block(), blocks.vector_sink_c(n)
        tb.connect(flow.source(tb, y, tags), block, sink)
        flow.run(tb)
        return np.array(sink.data(), np.complex64).reshape(-1, n), block

    good = [flow.tag(behind, "diffsem_noise_var", 0.1)]
    (out, block), (expected, _) = run(tags + good), run(good)
    assert block.items_in() == block.items_out() == len(y)
    assert 0 < block.items_bypassed() < len(tags)
    assert out[behind:].tobytes() == expected[behind:].tobytes()


@pytest.mark.parametrize("carriers", [[], [[-2, -1, 1, 2]]])
def test_soft_demapper_tags(carriers):
    n = 8
    tags, behind = wrong_tags(
        1, ["diffsem_noise_var", "diffsem_error_var", "ofdm_sync_chan_taps", "packet_len", "mark"]
    )
    rng = np.random.default_rng(3)
    y = rng.standard_normal(behind + 20) + 1j * rng.standard_normal(behind + 20)

    def run(tags):
        block = diffsem.soft_demapper_cf(
            "qpsk", noise_var=0.5, occupied_carriers=carriers, fft_len=n if carriers else 0, len_tag_key="packet_len"
        )
        tb, sink = gr.top_block(), blocks.vector_sink_f()
        tb.connect(flow.source(tb, y, tags), block, sink)
        flow.run(tb)
        return np.array(sink.data(), np.float32).reshape(-1, 2)

    good = [
        flow.tag(behind, "diffsem_noise_var", 0.1),
        flow.tag(behind, "diffsem_error_var", pmt.init_f32vector(n, [0.01] * n)),
        flow.tag(behind, "ofdm_sync_chan_taps", pmt.init_c32vector(n, [1 + 1j] * n)),
        flow.tag(behind, "packet_len", 20),
    ]
    out, expected = run(tags + good), run(good)
    assert len(out) == len(y) and np.isfinite(out).all()
    assert out[behind:].tobytes() == expected[behind:].tobytes()


def test_frame_to_pdu_tags():
    """Every key of a frame's tags with every value; between them and behind them good frames."""
    n, symbols = 64, 2 + FORM.frame_symbols
    rng = np.random.default_rng(4)
    head = frame_header.Header(3, 8, 1, 5)
    said = pmt.car(frame_pdu(head, [0]))
    good = {
        "diffsem_frame": said,
        "ofdm_sync_chan_taps": pmt.init_c32vector(n, [1] * n),
        "diffsem_error_var": pmt.init_f32vector(n, [0.01] * n),
        "diffsem_noise_var": pmt.from_double(0.1),
        "diffsem_carrier_offset": pmt.from_double(0.2),
        "diffsem_start": pmt.from_uint64(7),
    }
    heads = [pmt.dict_add(said, pmt.intern(k), v) for k in ("id", "total", "index", "digital") for v in VALUES]
    wrong = [{**good, key: v} for key in good for v in [*VALUES, None]] + [{**good, "diffsem_frame": h} for h in heads]
    every = [*wrong, good]
    one = FORM.frame_spectra(np.concatenate([frame_header.modulate(head), np.ones(48 * FORM.frame_symbols)]))[2:]
    x = np.tile(one, (len(every), 1)) + 0.1 * rng.standard_normal((len(every) * symbols, n))
    x[-symbols:] = one

    def run(x, frames):
        tags = [flow.tag(i * symbols, k, v) for i, said in enumerate(frames) for k, v in said.items() if v is not None]
        block, sink, tb = diffsem.frame_to_pdu(diffsem.frame_format_of(FORM)), Sink(), gr.top_block()
        tb.msg_connect(block, "pdus", sink, "in")
        tb.connect(flow.source(tb, x, tags), block)
        flow.run(tb, 60)
        assert block.frames_in() == block.frames_out() + block.frames_dropped()
        return sink.wait(block.frames_out()), block

    got, block = run(x, every)
    expected, _ = run(x[-symbols:], [good])
    assert block.frames_in() == len(every) - sum(f["diffsem_frame"] is None for f in wrong)
    assert block.frames_dropped() > len(wrong) // 3
    assert pmt.serialize_str(got[-1]) == pmt.serialize_str(expected[-1])
    assert diffsem.semantic_decoder(carriers=48, frame_symbols=FORM.frame_symbols)._from_pdu(got[-1])


@pytest.mark.parametrize(
    "make, length",
    [
        (lambda: diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM)), 1),
        (lambda: diffsem.clip_cc(6.0), 1),
        (lambda: diffsem.estimate("ls", item_size=4, noise_var=0.1, noise="repeated_pairs", tag_items=True), 4),
        (lambda: diffsem.ofdm_chanest_vcvc("ls", [0, 1, 0, -1] * 16, [1, -1] * 32, 1), 64),
        (lambda: diffsem.ofdm_grid_chanest(64, [1, 2, 3], [([1, 3], [1, 1])], scheme="ls", frame_tag="packet_len"), 64),
    ],
    ids=["frame_sync_cvc", "clip_cc", "estimate", "ofdm_chanest_vcvc", "ofdm_grid_chanest"],
)
def test_who_reads_no_tags(make, length):
    tags, behind = wrong_tags(0, KEYS)
    items = behind + 12 - behind % 12
    x = np.random.default_rng(5).standard_normal((items, length))
    tb, block = gr.top_block(), make()
    signature = block.output_signature()
    tb.connect(flow.source(tb, x if length > 1 else x[:, 0], tags), block)
    for port in range(signature.min_streams()):
        tb.connect((block, port), blocks.null_sink(signature.sizeof_stream_item(port)))
    flow.run(tb)
    assert block.nitems_read(0) == items
