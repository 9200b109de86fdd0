# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples that no receiver should give: what comes out is marked or sane, and what follows is as if they had not been.

Bit for bit, where the block keeps nothing of the past. What does by design: `frame_sync_cvc` (its window slides over
them: frames are compared with a tolerance), `estimate` with noise_averaging below 1 (tested in test_estimate.py).
"""

import pathlib

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, digital, gr
from gr_diffsem.codec import frame_header, frame_layout

N = 16
BAD = {
    "nan": np.nan,
    "nan in one part": complex(0.5, np.nan),
    "inf": np.inf,
    "minus inf": complex(-np.inf, 1),
    "denormal": complex(1e-40, -1e-42),
    "huge": complex(1e30, -1e30),
    "largest": complex(3.4e38, 3.4e38),
    "silence": 0,
    "dc": 1,
}
bad = pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())


def normal(rng, *shape):
    return ((rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) * np.sqrt(0.5)).astype(np.complex64)


def same(a, b):
    return np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def through(block, items, outputs, tags=()):
    """Rows of complex items through a block, one at a time: arrays of (kind, length) outputs, sink of the first."""
    tb = gr.top_block()
    block.set_max_noutput_items(1)
    tb.connect(flow.source(tb, items, tags), block)
    sinks = []
    for port, (kind, length) in enumerate(outputs):
        sinks.append(getattr(blocks, f"vector_sink_{kind}")(length))
        tb.connect((block, port), sinks[-1])
    flow.run(tb)
    dtype = {"c": np.complex64, "f": np.float32, "i": np.int32}
    out = [np.array(s.data(), dtype[k]).reshape(-1, n) for s, (k, n) in zip(sinks, outputs, strict=True)]
    return out, sinks[0]


def low_pass(n=N, taps=4):
    k = np.arange(n)
    basis = np.exp(-2j * np.pi * np.outer(k, np.arange(taps)) / n)
    return basis @ basis.conj().T / taps


@bad
@pytest.mark.parametrize("noise", ["parameter", "null_carriers", "repeated_pairs", "delay_tail"])
def test_estimate(gaussian_package, bad, noise):
    rng = np.random.default_rng(1)
    scheme = gaussian_package(low_pass())
    per = 2 if noise == "repeated_pairs" else 1
    signal = np.fft.fft(normal(rng, 5, 4), N) / 2  # of the prior, or the guard would have its say
    y = np.repeat(signal.astype(np.complex64), per, 0) + 0.1 * normal(rng, 5 * per, N)
    spoilt = y.copy()
    spoilt[2 * per : 3 * per] = bad

    def run(items):
        block = diffsem.estimate(
            scheme,
            noise=noise,
            noise_var=0.01,
            null_carriers=[0, 1, 15] if noise == "null_carriers" else [],
            observed=list(range(2, 15)) if noise == "null_carriers" else [],
            delay_window=5.0 if noise == "delay_tail" else 0.0,
            variance_output=True,
            baseline_output=True,
            tag_items=True,
        )
        out, sink = through(block, items, [("c", N), ("f", N), ("c", N)])
        return out, flow.tag_values(sink, "diffsem_bypassed"), block

    (mean, variance, baseline), marked, block = run(spoilt)
    clean, none, _ = run(y)
    assert len(mean) == 5 and not none and block.items_in() == block.items_out() == 5
    others = [0, 1, 3, 4]
    for a, b in zip((mean, variance, baseline), clean, strict=True):
        assert same(a[others], b[others])
    assert set(marked) <= {2} and block.items_bypassed() == len(marked)
    assert marked or (np.isfinite(mean[2]).all() and np.isfinite(variance[2]).all())
    assert marked or np.isfinite(bad)


@bad
@pytest.mark.parametrize("scheme", ["ls", "gaussian"])
@pytest.mark.parametrize("where", [0, 1, 2])
def test_ofdm_chanest_vcvc(gaussian_package, bad, scheme, where):
    """`where`: first or second sync word, or the data behind them."""
    rng = np.random.default_rng(2)
    n, used = 64, np.r_[6:32, 33:59]
    one, two = np.zeros(n, complex), np.zeros(n, complex)
    one[used[used % 2 == 1]] = np.sqrt(2) * rng.choice([-1, 1], 26)
    two[used] = rng.choice([-1, 1], 52)
    h = np.fft.fft(normal(rng, 5, 4), n) / 2
    data = (np.abs(two) > 0) * rng.choice([-1, 1], n)
    y = np.concatenate([[one * g, two * g, data * g] for g in h]) + 0.1 * normal(rng, 15, n)
    spoilt = y.copy()
    spoilt[6 + where] = bad
    package = gaussian_package(low_pass(n, 8)) if scheme == "gaussian" else scheme

    def run(items):
        block = diffsem.ofdm_chanest_vcvc(package, one.tolist(), two.tolist(), 1, max_carr_offset=2, extra_tags="error")
        block.set_max_noutput_items(1)  # a batch's rounding depends on how many are in it
        tb = gr.top_block()
        sinks = [blocks.vector_sink_c(n), blocks.vector_sink_c(n)]
        tb.connect(flow.source(tb, items), block, sinks[0])
        tb.connect((block, 1), sinks[1])
        flow.run(tb)
        return [np.array(s.data(), np.complex64).reshape(-1, n) for s in sinks], sinks[0], block

    (out, taps), sink, block = run(spoilt)
    (clean, clean_taps), _, _ = run(y)
    assert len(out) == len(taps) == 5
    others = [0, 1, 3, 4]
    assert same(out[others], clean[others]) and same(taps[others], clean_taps[others])
    marked = flow.tag_values(sink, "diffsem_bypassed")
    assert set(marked) <= {2} and block.items_bypassed() == len(marked)
    if scheme == "ls" or where == 2:
        assert not marked  # least squares is the stock block, whatever comes
    else:
        assert marked or np.isfinite(taps[2]).all()


FORM = frame_layout.Layout(frame_symbols=4)


def frames(rng, count):
    heads = [frame_header.Header(3, count * FORM.frame_symbols, i, 5) for i in range(count)]
    payload = normal(rng, count, 48 * FORM.frame_symbols)
    return np.array(
        [FORM.samples(np.concatenate([frame_header.modulate(h), x])) for h, x in zip(heads, payload, strict=True)]
    )


def synchronised(x):
    tb = gr.top_block()
    block, sink = diffsem.frame_sync_cvc(diffsem.frame_format_of(FORM)), blocks.vector_sink_c(64)
    tb.connect(flow.source(tb, x), block, sink)
    flow.run(tb, 60)
    out = np.array(sink.data(), np.complex64).reshape(-1, 1 + 2 + FORM.frame_symbols, 64)
    return out, [d["index"] for _, d in sorted(flow.tag_values(sink, "diffsem_frame").items())]


@bad
@pytest.mark.parametrize("length", [1, 700])
def test_frame_sync_cvc(bad, length):
    """Between frames, right in front of one: it and the next ones are found, and are the same."""
    rng = np.random.default_rng(3)
    sent, gap = 0.01 * frames(rng, 4), 0.001 * normal(rng, 5, 400)
    clean = np.concatenate([v for pair in zip(gap, [*sent, sent[0][:0]], strict=True) for v in pair])
    at = gap.shape[1] * 2 + sent.shape[1] - 10  # ten samples before the second frame
    spoilt = np.concatenate([clean[: at - 1], np.full(length, bad), clean[at:]])
    (out, indices), (expected, wanted) = synchronised(spoilt), synchronised(clean)
    assert wanted == [0, 1, 2, 3] and indices == wanted
    np.testing.assert_allclose(out, expected, atol=1e-3 * np.abs(expected).max())


@bad
def test_frame_sync_cvc_within_a_frame(bad):
    """One frame suffers, those before and behind it do not."""
    rng = np.random.default_rng(4)
    sent, gap = frames(rng, 4), 0.01 * normal(rng, 5, 400)
    clean = np.concatenate([v for pair in zip(gap, [*sent, sent[0][:0]], strict=True) for v in pair])
    spoilt = clean.copy()
    at = 2 * gap.shape[1] + sent.shape[1]
    spoilt[at + 300 : at + 400] = bad
    (out, indices), (expected, _) = synchronised(spoilt), synchronised(clean)
    assert [i for i in indices if i != 1] == [0, 2, 3]
    for i in (0, 2, 3):
        np.testing.assert_allclose(out[indices.index(i)], expected[i], atol=1e-3 * np.abs(expected).max())


@bad
@pytest.mark.parametrize("noise_input", [False, True])
def test_soft_demapper_cf(bad, noise_input):
    rng = np.random.default_rng(5)
    y = normal(rng, 9)
    noise = np.full(9, 0.2, np.float32)

    def run(symbols, variance):
        tb, sink = gr.top_block(), blocks.vector_sink_f()
        block = diffsem.soft_demapper_cf("16qam", noise_var=0.2, noise_input=noise_input)
        tb.connect(flow.source(tb, symbols), block, sink)
        if noise_input:
            tb.connect(blocks.vector_source_f(variance.tolist()), (block, 1))
        flow.run(tb)
        return np.array(sink.data(), np.float32).reshape(-1, 4)

    expected = run(y, noise)
    for symbols, variance in [(np.where(np.arange(9) == 4, bad, y), noise)] + [
        (y, np.where(np.arange(9) == 4, np.real(bad), noise).astype(np.float32))
    ] * noise_input:
        out = run(symbols, variance)
        others = np.arange(9) != 4
        assert same(out[others], expected[others])
        assert np.isfinite(out[4]).all()


@bad
def test_clip_cc(bad):
    rng = np.random.default_rng(6)
    y = normal(rng, 9)
    spoilt = np.where(np.arange(9) == 4, bad, y)
    for papr_db in (3.0, float("inf")):
        out = [through(diffsem.clip_cc(papr_db), x, [("c", 1)])[0][0].ravel() for x in (spoilt, y)]
        others = np.arange(9) != 4
        assert same(out[0][others], out[1][others])
        assert np.isfinite(out[0][4])
        assert papr_db == float("inf") or abs(out[0][4]) <= 10 ** (papr_db / 20) * 1.0001


@bad
def test_onnx_inference(bad):
    model = pathlib.Path(__file__).parents[1] / "data" / "foreign" / "torch_iq_classifier_opset18.onnx"
    rng = np.random.default_rng(7)
    x = normal(rng, 5, 128)
    spoilt = x.copy()
    spoilt[2] = bad

    def run(items):
        block = diffsem.onnx_inference(str(model), layout="planar", max_batch=1)
        (out,), sink = through(block, items, [("f", block.out_vlen())])
        return out, flow.tag_values(sink, "diffsem_bypassed"), block

    (out, marked, block), (clean, _, _) = run(spoilt), run(x)
    others = [0, 1, 3, 4]
    assert same(out[others], clean[others]) and len(out) == 5
    assert set(marked) <= {2} and block.items_bypassed() == len(marked)
    assert not np.isnan(out).any()
    assert marked or np.isfinite(spoilt[2]).all()


@bad
def test_ofdm_equalizer_diffsem(bad):
    """A bad OFDM symbol, or bad taps, in one frame: the next frame brings its own taps and is its own."""
    rng = np.random.default_rng(8)
    n, pilots = 64, [-21, -7, 7, 21]
    occupied = [k for k in range(-26, 27) if k not in (0, *pilots)]
    h = normal(rng, n)
    sent = np.where(np.abs(np.arange(n) - n // 2) <= 26, 1 + 0j, 0)
    y = (sent * h + 0.01 * normal(rng, 6, n)).astype(np.complex64)
    spoilt = y.copy()
    spoilt[1] = bad

    def run(items, first_taps):
        tags = [
            flow.tag(o, "ofdm_sync_chan_taps", pmt.init_c32vector(n, t.tolist())) for o, t in ((0, first_taps), (3, h))
        ]
        tags += [flow.tag(o, "frame_len", 3) for o in (0, 3)]
        eq = diffsem.ofdm_equalizer_diffsem(n, [occupied], [pilots], [[1, 1, 1, 1]], 0, True)
        tb, sink = gr.top_block(), blocks.vector_sink_c(n)
        block = digital.ofdm_frame_equalizer_vcvc(eq.base(), 16, "frame_len", True)
        tb.connect(flow.source(tb, items, tags), block, sink)
        flow.run(tb)
        return np.array(sink.data(), np.complex64).reshape(-1, n)

    expected = run(y, h)
    assert len(expected) == 6
    assert same(run(spoilt, h)[3:], expected[3:])
    assert same(run(y, np.full(n, bad))[3:], expected[3:])
