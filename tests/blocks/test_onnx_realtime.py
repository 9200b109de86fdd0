# SPDX-License-Identifier: GPL-3.0-or-later
"""`onnx_inference` against the clock and in trouble: overload, files swapped while running, faults.

The graphs are those of tests/data/make_streams.py and tests/data/foreign: `slow`, `negated` and `fragile` give -x.
"""

import hashlib
import pathlib
import time

import flow
import numpy as np
import pmt
import pytest
from flow import Messages
from gnuradio import blocks, diffsem, gr

pytestmark = pytest.mark.timing

DATA = pathlib.Path(__file__).parents[1] / "data"
FOUR = {"shape": [4, 1]}  # four floats in, four out


def path(name):
    folder = "streams" if (DATA / "streams" / f"{name}.onnx").exists() else "foreign"
    return str(DATA / folder / f"{name}.onnx")


def digits(name):
    """What diffsem_model says of a file."""
    return hashlib.sha256(pathlib.Path(path(name)).read_bytes()).hexdigest()[:12]


def items(seed, count):
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


def through(block, x, tags=(), vlen=4, said=None):
    """All rows, at most 4 kB of them waiting: (output, sink)."""
    tb = gr.top_block()
    sink, few = blocks.vector_sink_f(vlen), blocks.copy(4 * vlen)
    few.set_max_output_buffer(1024 // vlen)
    tb.connect(blocks.vector_source_f(x.ravel().tolist(), False, vlen, list(tags)), few, block, sink)
    if said:
        tb.msg_connect(block, "stats", said, "in")
    flow.run(tb, 60)
    return np.array(sink.data(), np.float32).reshape(-1, vlen), sink


@pytest.mark.parametrize("policy", ["bypass", "drop"])
def test_overload_balances_to_the_inference(policy):
    x, said = items(1, 2000), Messages()
    tags = [flow.tag(k, "mark", k) for k in range(0, len(x), 7)]
    block = diffsem.onnx_inference(path("slow"), **FOUR, tag_items=True, deadline=40, overload=policy, max_batch=16)
    out, sink = through(block, x, tags, said=said)
    assert block.items_in() == len(x) == block.items_out() + block.items_dropped()
    assert len(out) == block.items_out()
    missing, bypassed = flow.tag_values(sink, "diffsem_dropped"), flow.tag_values(sink, "diffsem_bypassed")
    index = np.arange(len(out)) + np.cumsum([missing.get(k, 0) for k in range(len(out))])
    last = index[-1]
    kept = np.setdiff1d(np.arange(len(out)), list(bypassed))
    assert len(kept) > 0
    np.testing.assert_array_equal(out[kept], -x[index[kept]])
    assert block.items_bypassed() == len(bypassed)
    if policy == "drop":
        assert block.items_dropped() > 0 and not bypassed
        # The last may be dropped with nothing behind them to say so.
        assert block.items_dropped() - sum(missing.values()) == len(x) - 1 - last
    else:
        assert not missing and set(bypassed.values()) == {"deadline"}
        np.testing.assert_array_equal(out[sorted(bypassed)], x[sorted(bypassed)])
    marks = [(t.offset, pmt.to_python(t.value)) for t in sink.tags() if pmt.symbol_to_string(t.key) == "mark"]
    assert [mark for _, mark in marks] == [k for k in range(0, len(x), 7) if k <= last]
    for offset, mark in marks:  # on its inference, or on the next that was not dropped
        assert index[offset] >= mark and (offset == 0 or index[offset - 1] < mark)
    ages = list(flow.tag_values(sink, "diffsem_age").values())
    assert len(ages) == len(flow.tag_values(sink, "diffsem_latency")) == len(out)
    assert set(flow.tag_values(sink, "diffsem_model").values()) == {block.model()} == {digits("slow")}
    # Kept within the deadline but for what a busy machine adds; without a policy it were a second.
    assert np.quantile(ages, 0.5) < 0.3, np.quantile(ages, [0.5, 0.9, 0.99])
    assert block.age_quantile(0.5) <= block.age_quantile(0.99) <= block.age_max()
    stats = [m for m in said.got if "in" in m]
    assert stats and all(m["in"] == m["out"] + m["dropped"] for m in stats)
    assert stats[0]["scheme"] == path("slow") and stats[0]["overload"] == policy and "noise_var" not in stats[0]


def test_samples_of_dropped_inferences_keep_their_tags():
    """Four stream items for each inference: tags of dropped ones are on the first item of the next."""
    x = items(2, 1500)
    tags = [flow.tag(k, "mark", k) for k in range(0, x.size, 9)]
    block = diffsem.onnx_inference(path("slow"), **FOUR, in_vlen=1, out_vlen=1, deadline=40, overload="drop")
    out, sink = through(block, x, tags, vlen=1)
    missing = flow.tag_values(sink, "diffsem_dropped")
    assert block.items_dropped() > 0 and all(at % 4 == 0 for at in missing)
    where = np.arange(len(out)) + 4 * np.cumsum([missing.get(k, 0) for k in range(len(out))])
    np.testing.assert_array_equal(out[:, 0], -x.ravel()[where])
    marks = [(t.offset, pmt.to_python(t.value)) for t in sink.tags() if pmt.symbol_to_string(t.key) == "mark"]
    assert [mark for _, mark in marks] == [k for k in range(0, x.size, 9) if k <= where[-1]]
    assert all(where[at] == mark or (at in missing and where[at] > mark) for at, mark in marks)


def test_waiting_and_a_slack_deadline_change_nothing():
    x = items(3, 300)
    for options in ({"deadline": 0.001, "overload": "wait"}, {"deadline": 60e3, "overload": "bypass"}):
        block = diffsem.onnx_inference(path("slow"), **FOUR, **options)
        out, _ = through(block, x)
        np.testing.assert_array_equal(out, -x)
        assert block.items_in() == block.items_out() == 300 and block.items_bypassed() == 0


def test_windows_that_overlap_are_bypassed_not_dropped():
    """The input passes in windows too: their weights add up to 1."""
    x = np.ones(6400, np.float32)
    options = {"shape": [64, 1], "overlap": "add", "hop": 32}
    block = diffsem.onnx_inference(path("identity"), **options, deadline=1e-4, overload="bypass")
    out, sink = through(block, x, vlen=1)
    assert len(out) == 6400 and np.abs(out[32:] - 1).max() < 1e-6
    assert block.items_bypassed() > 100 and set(flow.tag_values(sink, "diffsem_bypassed").values()) == {"deadline"}
    with pytest.raises(ValueError, match="overlap.*give one of wait, bypass"):
        block.set_overload("drop")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deadline": -1}, ("deadline is -1", "milliseconds")),
        ({"overload": "fewer_steps"}, ("overload is 'fewer_steps'", "no steps", "wait, bypass, drop")),
        ({"overload": "drop", "overlap": "add"}, ("overload is 'drop'", "overlap", "give one of wait, bypass")),
        ({"fault_limit": -2}, ("fault_limit is -2",)),
    ],
)
def test_bad_parameters_are_named(options, words):
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference(path("identity"), **FOUR, **options)
    assert all(w in str(error.value) for w in words)


class TestSwap:
    def test_every_inference_is_one_models_under_load(self):
        """Each answer is that of the model which its tag names, whatever was swapped meanwhile."""
        two, sign = ("identity", "negated"), {digits("identity"): 1, digits("negated"): -1}
        period, said = items(4, 50), Messages()
        tb = gr.top_block()
        block = diffsem.onnx_inference(path(two[0]), **FOUR, tag_items=True)
        sink = blocks.vector_sink_f(4)
        source = blocks.vector_source_f(period.ravel().tolist(), True, 4)
        tb.connect(source, blocks.throttle(16, 20000), block, sink)
        tb.msg_connect(block, "stats", said, "in")
        tb.start()
        for swaps in range(1, 61):
            then = block.items_out()
            block.set_model(path(two[swaps % 2]))
            end = time.monotonic() + 5
            while (block.swaps() < swaps or block.items_out() == then) and time.monotonic() < end:
                time.sleep(0.002)
            assert block.swaps() == swaps
        assert said.wait_for("swapped", swaps)
        tb.stop()
        tb.wait()
        assert block.items_in() == block.items_out() and block.items_bypassed() == 0
        out = np.array(sink.data(), np.float32).reshape(-1, 4)
        models = flow.tag_values(sink, "diffsem_model")
        assert len(models) == len(out) > 1000
        signs = np.array([sign[models[k]] for k in range(len(out))], np.float32)
        assert np.count_nonzero(np.diff(signs)) >= 50
        np.testing.assert_array_equal(out, signs[:, None] * period[np.arange(len(out)) % 50])
        assert len(said.events("swapped")) == swaps and said.events("swapped")[0]["scheme"] == path("negated")

    def test_by_message_and_what_does_not_fit_leaves_the_old(self, tmp_path):
        tb, said = gr.top_block(), Messages()
        block = diffsem.onnx_inference(path("identity"), **FOUR)
        source = blocks.vector_source_f(items(5, 50).ravel().tolist(), True, 4)
        tb.connect(source, blocks.throttle(16, 5000), block, blocks.null_sink(16))
        tb.msg_connect(block, "stats", said, "in")
        tb.start()

        def post(message):
            block.to_basic_block()._post(pmt.intern("model"), message)

        for count, (message, words) in enumerate(
            (
                (pmt.intern(str(tmp_path / "nowhere.onnx")), "no such file"),
                (pmt.intern(path("torch_iq_classifier_opset18")), "shape"),
                (pmt.from_long(3), "send a symbol"),
            )
        ):
            post(message)
            assert said.wait_for("swap_failed", count + 1)
            assert words in said.events("swap_failed")[-1]["reason"]
        assert block.model() == digits("identity") and block.swaps() == 0
        post(pmt.cons(pmt.intern("model"), pmt.intern(path("negated"))))
        assert said.wait_for("swapped", 1)
        assert block.model() == digits("negated") and block.swaps() == 1
        tb.stop()
        tb.wait()

    @pytest.mark.parametrize(
        ("options", "first", "other", "words"),
        [
            ({}, "lookup_fails_on_data", "sklearn_opset15", ("input 0", "vector length is 6", "running model 4")),
            ({"outputs": ["y"]}, "soft_bits", "halved", ("input 0", "length is 128", "model 64")),
            ({"overlap": "discard", "hop": 48, "shape": [64]}, "conv", "halved", ("output 0", "items", "24", "48")),
        ],
    )
    def test_other_ports_are_refused_by_name(self, options, first, other, words):
        if options.get("overlap"):
            options = {**options, "layout": "planar", "input_type": "complex", "output_type": "complex"}
        block = diffsem.onnx_inference(path(first), **options)
        with pytest.raises(ValueError) as error:
            block.set_model(path(other))
        assert all(w in str(error.value) for w in (*words, "make another block")), error.value
        assert block.model() == digits(first)

    def test_windows_fade_from_one_model_to_the_other(self):
        """What the last windows of the old model left to be added is added."""
        tb = gr.top_block()
        block = diffsem.onnx_inference(path("identity"), shape=[64, 1], overlap="add", hop=32)
        sink = blocks.vector_sink_f()
        tb.connect(blocks.vector_source_f([1.0] * 320, True), blocks.throttle(4, 32000), block, sink)
        tb.start()
        end = time.monotonic() + 20
        while block.items_out() < 20 and time.monotonic() < end:
            time.sleep(0.002)
        block.set_model(path("negated"))
        while block.swaps() < 1 and time.monotonic() < end:
            time.sleep(0.002)
        then = block.items_out()
        while block.items_out() < then + 20 and time.monotonic() < end:
            time.sleep(0.002)
        tb.stop()
        tb.wait()
        y = np.array(sink.data())
        assert y[64] == pytest.approx(1) and y[-1] == pytest.approx(-1)
        assert np.abs(np.diff(y[64:])).max() < 0.15  # two weights of Hann, 2 pi / 64 in all


class TestFaults:
    def test_some_are_counted_and_no_number_in_the_input_is_none(self):
        x = items(6, 200)
        bad = [3, 50, 51, 52, 199]
        x[bad, 1] = 100
        x[[70, 71], 2] = np.nan
        block = diffsem.onnx_inference(path("fragile"), **FOUR, max_batch=8, fault_limit=4)
        out, sink = through(block, x)
        assert block.faults() == len(bad) and block.items_bypassed() == len(bad) + 2 and not block.disabled()
        assert flow.tag_values(sink, "diffsem_bypassed") == dict.fromkeys(bad, "inference") | {70: "nan", 71: "nan"}
        rest = np.setdiff1d(np.arange(200), [*bad, 70, 71])
        np.testing.assert_array_equal(out[rest], -x[rest])
        np.testing.assert_array_equal(out[bad], x[bad])
        assert not out[[70, 71]].any()

    @pytest.mark.parametrize("name", ["fragile", "lookup_fails_on_data"])
    def test_too_many_in_a_row_switch_it_off_until_another_is_set(self, name):
        """Whether the answer is no number, or the runtime refuses."""
        said, x = Messages(), np.abs(items(7, 200)) % 4
        x[20:30] = 100
        options = FOUR if name == "fragile" else {}
        block = diffsem.onnx_inference(path(name), **options, max_batch=1, fault_limit=5)
        out, sink = through(block, x, said=said)
        assert block.disabled() and block.faults() == 5
        why = flow.tag_values(sink, "diffsem_bypassed")
        assert [why[k] for k in range(20, 25)] == ["inference"] * 5
        assert all(why[k] == "disabled" for k in range(25, 200)) and len(why) == 180
        np.testing.assert_array_equal(out[20:], x[20:])
        assert len(said.events("disabled")) == 1 and "5 inferences" in said.events("disabled")[0]["reason"]
        block.set_model(path(name))
        out, sink = through(block, x[:20])
        assert not block.disabled() and block.items_bypassed() == 180 and not sink.tags()

    def test_no_limit_never_switches_off(self):
        x = np.full((100, 4), 100, np.float32)
        block = diffsem.onnx_inference(path("fragile"), **FOUR, fault_limit=0)
        out, _ = through(block, x)
        assert block.faults() == 100 and not block.disabled()
        np.testing.assert_array_equal(out, x)
