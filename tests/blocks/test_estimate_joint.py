# SPDX-License-Identifier: GPL-3.0-or-later
"""The block estimate_joint: what the core gives, whatever the chunking; tags, refusals, overload, another scheme."""

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem import schemes

ITEMS = 40
NOISE = 0.04


@pytest.fixture(scope="module")
def frames():
    """(H, X, Y) of the shipped scheme, 40 items."""
    rng = np.random.default_rng(8)
    h, x = schemes.get("mimo_joint").draw(rng, ITEMS)
    noise = rng.standard_normal((ITEMS, 4, 36, 2)) @ [1, 1j] * np.sqrt(NOISE / 2)
    return h, x, (h @ x + noise).astype(np.complex64)


def run(y, tags=(), **options):
    """Items and tags of each output, and the block."""
    tb = gr.top_block()
    block = diffsem.estimate_joint("mimo_joint", **{"noise_var": NOISE, **options})
    source = blocks.vector_source_c(np.ravel(y).tolist(), False, 144, list(tags))
    sinks = [blocks.vector_sink_c(16), blocks.vector_sink_c(144)]
    if options.get("variance_output"):
        sinks += [blocks.vector_sink_f(16), blocks.vector_sink_f(144)]
    tb.connect(source, block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb, 60)
    sizes = (16, 144, 16, 144)
    return [np.array(s.data()).reshape(-1, n) for s, n in zip(sinks, sizes, strict=False)], sinks, block


def test_outputs_are_the_cores(frames):
    h, x, y = frames
    means, variances, _ = diffsem.scheme("mimo_joint").estimate(y, NOISE)
    for max_batch in (1, 7, 64):
        got, _, block = run(y, max_batch=max_batch, variance_output=True)
        np.testing.assert_array_equal(got[0], means["H"].reshape(ITEMS, 16))
        np.testing.assert_array_equal(got[1], means["X"].reshape(ITEMS, 144))
        np.testing.assert_array_equal(got[2], variances["H"].reshape(ITEMS, 16))
        np.testing.assert_array_equal(got[3], variances["X"].reshape(ITEMS, 144))
        assert block.items_in() == block.items_out() == ITEMS and block.items_bypassed() == 0
    assert np.mean(np.abs(got[0] - h.reshape(ITEMS, 16)) ** 2) < 10 ** (-2.5)
    known = got[1].reshape(ITEMS, 4, 36)[:, :, :4]
    np.testing.assert_allclose(known, x[:, :, :4], atol=1e-6)


def test_noise_by_tags_and_tags_kept(frames):
    y = frames[2]
    said = [flow.tag(0, "diffsem_noise_var", 0.5), flow.tag(10, "diffsem_noise_var", NOISE), flow.tag(3, "mine", 7)]
    got, sinks, _ = run(y, said, noise="tag", noise_var=1.0, tag_items=True)
    noise = np.where(np.arange(ITEMS) < 10, 0.5, NOISE).astype(np.float32)
    expected = diffsem.scheme("mimo_joint").estimate(y, noise)[0]
    np.testing.assert_array_equal(got[0], expected["H"].reshape(ITEMS, 16))
    for sink in sinks:  # on every output
        assert [t.offset for t in sink.tags() if pmt.eqv(t.key, pmt.mp("mine"))] == [3]
    of = {}
    for t in sinks[0].tags():
        of.setdefault(pmt.symbol_to_string(t.key), {})[t.offset] = t.value
    assert [pmt.to_long(v) for v in of["diffsem_steps"].values()] == [20] * ITEMS
    assert pmt.to_double(of["diffsem_noise_var"][11]) == pytest.approx(NOISE)
    assert "diffsem_bypassed" not in of


def test_a_noise_tag_that_is_no_number_is_counted(frames):
    """What held before holds on; `refused_tags` on the port stats says how many there were."""
    said = [flow.tag(0, "diffsem_noise_var", "loud"), flow.tag(0, "diffsem_noise_var", (1.0, 2.0))]
    tb, block = gr.top_block(), diffsem.estimate_joint("mimo_joint", noise="tag", noise_var=NOISE)
    sink, stats = blocks.vector_sink_c(16), blocks.message_debug()
    tb.connect(blocks.vector_source_c(frames[2].ravel().tolist(), False, 144, said), block, sink)
    tb.connect((block, 1), blocks.null_sink(8 * 144))
    tb.msg_connect(block, "stats", stats, "store")
    flow.run(tb, 60)
    expected = diffsem.scheme("mimo_joint").estimate(frames[2], NOISE)[0]
    np.testing.assert_array_equal(np.array(sink.data()), expected["H"].ravel())
    counted = [
        pmt.to_uint64(pmt.dict_ref(stats.get_message(i), pmt.mp("refused_tags"), pmt.PMT_NIL))
        for i in range(stats.num_messages())
    ]
    assert counted[0] == 2  # said after the first call, which saw both


def test_nonsense_is_bypassed_and_counted(frames):
    y = frames[2].copy()
    y[5, 2, 7] = np.nan
    got, sinks, block = run(y, tag_items=True, variance_output=True)
    reasons = [(t.offset, str(t.value)) for t in sinks[0].tags() if pmt.eqv(t.key, pmt.mp("diffsem_bypassed"))]
    assert reasons == [(5, "nan")] and block.items_bypassed() == 1 and len(got[0]) == ITEMS
    assert np.all(np.isfinite(got[0])) and np.all(np.isnan(got[3][5]))


def test_too_slow_without_a_round_is_the_classical_answer(frames):
    """A deadline that nothing meets: bypassed, in = out; or dropped, in = out + dropped."""
    y = np.tile(frames[2], (5, 1, 1))
    for overload in ("bypass", "drop"):
        got, _, block = run(y, deadline=1e-3, overload=overload)
        assert block.items_in() == block.items_out() + block.items_dropped() == len(y)
        assert len(got[0]) == len(got[1]) == block.items_out()
        assert (block.items_dropped() if overload == "drop" else block.items_bypassed()) > 0


def test_another_scheme_between_two_items(frames):
    y = frames[2]
    block = diffsem.estimate_joint("mimo_joint", noise_var=NOISE)
    block.set_scheme("mimo_joint/pilots")
    tb, sinks = gr.top_block(), [blocks.vector_sink_c(16), blocks.vector_sink_c(144)]
    tb.connect(blocks.vector_source_c(y.ravel().tolist(), False, 144), block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb, 60)
    expected = diffsem.scheme("mimo_joint/pilots").estimate(y, NOISE)[0]
    np.testing.assert_array_equal(np.array(sinks[0].data()), expected["H"].ravel())
    with pytest.raises(ValueError, match="other sizes"):
        block.set_scheme("mimo_joint_8x4")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"scheme": "ofdm_chanest"}, "one unknown"),
        ({"noise": "null_carriers"}, "parameter, tag"),
        ({"noise": "tag", "noise_tag": ""}, "noise_tag is empty"),
        ({"noise_var": 0}, "noise_var is 0"),
        ({"rounds": 1001}, "rounds is 1001"),
        ({"item_size": 100}, "vectors of 144"),
        ({"output_sizes": [16, 100]}, "H 16, X 144"),
        ({"max_batch": 0}, "max_batch is 0"),
        ({"overload": "panic"}, "overload"),
    ],
)
def test_refusals(options, words):
    with pytest.raises(ValueError, match=words):
        diffsem.estimate_joint(**{"scheme": "mimo_joint", **options})
