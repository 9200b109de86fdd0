# SPDX-License-Identifier: GPL-3.0-or-later
"""`estimate` and `ofdm_chanest_vcvc` against the clock and in trouble: overload, schemes swapped, faults."""

import pathlib
import threading
import time

import flow
import numpy as np
import pmt
import pytest
from flow import Messages
from gnuradio import blocks, diffsem, gr

pytestmark = pytest.mark.timing

N = 64
SLOW = "ofdm_chanest:sampler=ddim,steps=20"  # about a millisecond an item
FRAGILE = str(pathlib.Path(__file__).parents[1] / "data" / "priors" / "fragile.onnx")


def covariance(taps, n=N):
    k = np.arange(n) - n // 2
    basis = np.exp(-2j * np.pi * np.outer(k, np.arange(taps)) / n)
    return basis @ basis.conj().T / taps


def signal(rng, items, n=N):
    h = (rng.standard_normal((items, 8)) + 1j * rng.standard_normal((items, 8))) / 4
    y = np.fft.fft(h, n, axis=1)
    return (y + 0.1 * (rng.standard_normal(y.shape) + 1j * rng.standard_normal(y.shape))).astype(np.complex64)


def through(block, y, n=N, tags=(), rate=0):
    """All items at once, or so many a second: (output, sink)."""
    tb = gr.top_block()
    sink = blocks.vector_sink_c(n)
    source = flow.source(tb, y, tags)
    if rate:
        throttle = blocks.throttle(gr.sizeof_gr_complex * n, rate)
        tb.connect(source, throttle)
        source = throttle
    tb.connect(source, block, sink)
    flow.run(tb, 60)
    return np.array(sink.data(), np.complex64).reshape(-1, n), sink


@pytest.mark.parametrize("policy", ["fewer_steps", "bypass", "drop"])
def test_overload_balances_to_the_item(policy):
    y = signal(np.random.default_rng(1), 7000)  # longer than the second behind which a trial is made
    block = diffsem.estimate(SLOW, noise_var=0.02, tag_items=True, deadline=30, overload=policy)
    out, sink = through(block, y, rate=3000)
    assert block.items_in() == len(y) == block.items_out() + block.items_dropped()
    assert len(out) == block.items_out()
    steps = np.array(list(flow.tag_values(sink, "diffsem_steps").values()))
    planned = np.array(list(flow.tag_values(sink, "diffsem_planned").values()))
    bypassed = flow.tag_values(sink, "diffsem_bypassed")
    ages = np.array(list(flow.tag_values(sink, "diffsem_age").values()))
    assert len(steps) == len(planned) == len(ages) == len(out)
    assert set(flow.tag_values(sink, "diffsem_model").values()) == {block.model()}
    assert block.model().endswith("/diffusion") and block.model().index("/") == 12
    assert block.items_bypassed() == len(bypassed)
    gaps = flow.tag_values(sink, "diffsem_dropped")
    # What was dropped at the very end has nothing behind it to say so.
    last = np.abs(y - out[-1]).sum(1).argmin()
    assert block.items_dropped() == sum(gaps.values()) + len(y) - 1 - last
    if policy == "drop":
        assert block.items_dropped() > 0 and not bypassed
        assert (steps == 20).all()
    else:
        assert block.items_dropped() == 0 and not gaps
        at = sorted(bypassed)
        assert set(bypassed.values()) <= {"deadline"}
        np.testing.assert_array_equal(out[at], y[at])
        assert (steps[at] == 0).all()
    if policy == "bypass":
        assert set(steps) == {0, 20}
    if policy == "fewer_steps":
        assert (planned[steps > 0] == 20).all() and 0 < steps[steps > 0].min() < 20
    # Kept within the deadline and an evaluation but for what a busy machine's scheduler adds.
    assert np.quantile(ages, 0.9) < 0.06, np.quantile(ages, [0.5, 0.9, 0.99])
    assert block.age_quantile(0.5) <= block.age_quantile(0.99) <= block.age_max()


def test_waiting_changes_nothing():
    y = signal(np.random.default_rng(2), 40)
    plain, _ = through(diffsem.estimate(SLOW, noise_var=0.02), y)
    late = diffsem.estimate(SLOW, noise_var=0.02, deadline=0.001, overload="wait")
    waited, _ = through(late, y)
    np.testing.assert_array_equal(plain, waited)
    assert late.age_max() > 0.001 and late.items_bypassed() == 0


def test_a_slack_deadline_changes_nothing():
    y = signal(np.random.default_rng(3), 40)
    plain, _ = through(diffsem.estimate(SLOW, noise_var=0.02, max_batch=8), y)
    timed, _ = through(diffsem.estimate(SLOW, noise_var=0.02, max_batch=8, deadline=60e3, overload="fewer_steps"), y)
    np.testing.assert_allclose(plain, timed, atol=1e-5)


def test_what_is_dropped_changes_neither_the_noise_nor_the_tags_of_what_is_not():
    y = signal(np.random.default_rng(4), 1500)
    spec = "ofdm_chanest:sampler=ddpm,steps=20"
    everything, _ = through(diffsem.estimate(spec, noise_var=0.02, seed=5), y)
    tags = [flow.tag(k, "mark", k) for k in range(0, 1500, 7)]
    block = diffsem.estimate(spec, noise_var=0.02, seed=5, deadline=20, overload="drop")
    out, sink = through(block, y, tags=tags)
    assert block.items_dropped() > 0
    index, missing = [], flow.tag_values(sink, "diffsem_dropped")
    for k in range(len(out)):
        index.append((index[-1] if index else -1) + 1 + missing.get(k, 0))
    np.testing.assert_allclose(out, everything[index], atol=2e-3)
    last = index[-1] if index else -1
    kept = [t for t in sink.tags() if pmt.symbol_to_string(t.key) == "mark"]
    assert [pmt.to_python(t.value) for t in kept] == [k for k in range(0, 1500, 7) if k <= last]
    for t in kept:  # on their item, or on the next that was not dropped
        assert index[t.offset] >= pmt.to_python(t.value)
        assert t.offset == 0 or index[t.offset - 1] < pmt.to_python(t.value)


def test_noise_tags_of_dropped_items_hold():
    y = signal(np.random.default_rng(5), 600)
    tags = [flow.tag(k, "diffsem_noise_var", 0.01 + 1e-4 * k) for k in range(600)]
    block = diffsem.estimate(
        "ofdm_chanest:sampler=ddim,steps=20", noise="tag", tag_items=True, deadline=5, overload="drop"
    )
    out, sink = through(block, y, tags=tags)
    missing, index = flow.tag_values(sink, "diffsem_dropped"), -1
    used = [t for t in sink.tags() if pmt.symbol_to_string(t.key) == "diffsem_noise_var"]
    own = {t.offset: pmt.to_python(t.value) for t in used}  # the block's own comes after the input's
    assert block.items_dropped() > 0
    for k in range(len(out)):
        index += 1 + missing.get(k, 0)
        assert abs(own[k] - (0.01 + 1e-4 * index)) < 1e-6


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deadline": -1}, ("deadline is -1", "milliseconds")),
        ({"deadline": float("nan")}, ("deadline is nan",)),
        ({"overload": "later"}, ("overload is 'later'", "fewer_steps", "drop")),
        ({"fault_limit": -2}, ("fault_limit is -2",)),
    ],
)
def test_bad_parameters_are_named(options, words):
    with pytest.raises(ValueError) as error:
        diffsem.estimate("ls", item_size=4, **options)
    assert all(w in str(error.value) for w in words)


def test_a_channel_estimator_never_drops():
    word = np.ones(64, complex).tolist()
    with pytest.raises(ValueError, match="waits for the answer"):
        diffsem.ofdm_chanest_vcvc("ls", word, word, 1, noise_var=0.1, overload="drop")


class TestSwap:
    @pytest.fixture
    def two(self, gaussian_package):
        return gaussian_package(covariance(4), "short"), gaussian_package(covariance(12), "long")

    def test_every_item_is_one_models_under_load(self, two):
        """Swapped over and over while items stream: each is the answer of the model that its tag names."""
        period = signal(np.random.default_rng(6), 50)
        expected = {}
        for path in two:
            scheme = diffsem.scheme(path)
            block = diffsem.estimate(scheme, noise_var=0.02)
            expected[block.model()] = scheme.estimate(period, 0.02)[0]
        assert len(expected) == 2
        tb = gr.top_block()
        source = blocks.vector_source_c(period.ravel().tolist(), True, N)
        block = diffsem.estimate(two[0], noise_var=0.02, tag_items=True)
        sink, said = blocks.vector_sink_c(N), Messages()
        head = blocks.head(gr.sizeof_gr_complex * N, 40000)
        throttle = blocks.throttle(gr.sizeof_gr_complex * N, 20000)
        tb.connect(source, throttle, head, block, sink)
        tb.msg_connect(block, "stats", said, "in")
        tb.start()
        swaps = 0
        while block.items_out() < 38000 and swaps < 100:
            swaps += 1
            block.set_scheme(two[swaps % 2])
            end = time.monotonic() + 5
            while block.swaps() < swaps and time.monotonic() < end:
                time.sleep(0.002)
            assert block.swaps() == swaps
        waiter = threading.Thread(target=tb.wait, daemon=True)
        waiter.start()
        waiter.join(30)
        assert not waiter.is_alive()
        assert swaps >= 10 and block.items_in() == block.items_out() == 40000
        out = np.array(sink.data(), np.complex64).reshape(-1, N)
        models = flow.tag_values(sink, "diffsem_model")
        assert len(models) == len(out) == 40000 and set(models.values()) == set(expected)
        for k in range(0, 40000, 3):
            np.testing.assert_allclose(out[k], expected[models[k]][k % 50], atol=1e-5)
        assert len(said.events("swapped")) == swaps

    def test_by_message_and_what_cannot_be_had_leaves_the_old(self, two, gaussian_package):
        tb = gr.top_block()
        source = blocks.vector_source_c(signal(np.random.default_rng(7), 50).ravel().tolist(), True, N)
        block = diffsem.estimate(two[0], noise_var=0.02)
        sink, said = blocks.null_sink(gr.sizeof_gr_complex * N), Messages()
        tb.connect(source, blocks.throttle(gr.sizeof_gr_complex * N, 5000), block, sink)
        tb.msg_connect(block, "stats", said, "in")
        first = block.model()
        tb.start()

        def post(message):
            block.to_basic_block()._post(pmt.intern("scheme"), message)

        other = gaussian_package(covariance(4, 32), "other_size")
        post(pmt.intern("no_such_scheme"))
        assert said.wait_for("swap_failed", 1)
        post(pmt.intern(other))
        assert said.wait_for("swap_failed", 2)
        post(pmt.from_long(3))
        assert said.wait_for("swap_failed", 3)
        post(pmt.intern("/" + 100_000 * "x"))
        assert said.wait_for("swap_failed", 4)
        assert all(len(str(value)) < 1100 for value in said.events("swap_failed")[-1].values())
        assert block.model() == first and block.swaps() == 0
        reasons = [m["reason"] for m in said.events("swap_failed")]
        assert "no_such_scheme" in reasons[0] and "32" in reasons[1] and "symbol" in reasons[2]
        post(pmt.cons(pmt.intern("scheme"), pmt.intern(two[1])))
        assert said.wait_for("swapped", 1)
        assert block.model() != first and block.swaps() == 1
        with pytest.raises(ValueError, match="ports cannot change"):
            block.set_scheme(other)
        with pytest.raises(ValueError, match="no_such"):
            block.set_scheme("no_such_scheme")
        tb.stop()
        tb.wait()

    def test_live_parameters_hold_for_the_next_scheme(self):
        y = signal(np.random.default_rng(8), 30)
        block = diffsem.estimate("ofdm_chanest/lmmse", noise_var=0.02, tag_items=True)
        block.set_steps(3)
        block.set_scheme("ofdm_chanest:sampler=ddim")
        _, sink = through(block, y)
        assert set(flow.tag_values(sink, "diffsem_steps").values()) == {3}

    def test_a_channel_estimator_swaps_too(self):
        word = np.where((np.arange(64) % 2 == 0) & (np.arange(64) > 5) & (np.arange(64) < 59), 1.4, 0).astype(complex)
        full = np.where((np.arange(64) > 5) & (np.arange(64) < 59), 1.0, 0).astype(complex)
        rng = np.random.default_rng(9)
        noise = 0.1 * (rng.standard_normal((60, 64)) + 1j * rng.standard_normal((60, 64)))
        frames = np.tile(np.stack([word, full, full]), (20, 1)) + noise
        block = diffsem.ofdm_chanest_vcvc("ls", word.tolist(), full.tolist(), 1, extra_tags="all")
        block.set_scheme("ofdm_chanest/lmmse")
        out, sink = through(block, frames.astype(np.complex64))
        assert block.swaps() == 1 and block.items_out() == len(out) == 20
        assert set(flow.tag_values(sink, "diffsem_steps").values()) == {1}
        assert len(flow.tag_values(sink, "diffsem_age")) == 20
        block = diffsem.ofdm_chanest_vcvc(
            "ofdm_chanest", word.tolist(), full.tolist(), 1, deadline=1e-3, overload="bypass"
        )
        ls, _ = through(diffsem.ofdm_chanest_vcvc("ls", word.tolist(), full.tolist(), 1), frames)
        late, sink = through(block, frames.astype(np.complex64))
        np.testing.assert_array_equal(ls, late)
        assert set(flow.tag_values(sink, "diffsem_bypassed").values()) == {"deadline"}
        assert block.items_bypassed() == 20


class TestFaults:
    def items(self, bad, count=200):
        rng = np.random.default_rng(10)
        y = (rng.standard_normal((count, 4)) + 1j * rng.standard_normal((count, 4))).astype(np.complex64)
        y[list(bad)] *= 1000  # the net gives no number there
        return y

    def test_some_are_counted_and_the_rest_is_right(self):
        bad = [3, 50, 51, 52, 199]
        y = self.items(bad)
        good, _ = through(diffsem.estimate(FRAGILE, noise_var=0.1, max_batch=1), self.items([]), 4)
        block = diffsem.estimate(FRAGILE, noise_var=0.1, max_batch=1, tag_items=True, fault_limit=4)
        out, sink = through(block, y, 4)
        assert block.faults() == block.items_bypassed() == len(bad) and not block.disabled()
        assert flow.tag_values(sink, "diffsem_bypassed") == dict.fromkeys(bad, "inference")
        rest = np.setdiff1d(np.arange(200), bad)
        np.testing.assert_array_equal(out[rest], good[rest])
        np.testing.assert_array_equal(out[bad], y[bad])

    def test_too_many_in_a_row_switch_it_off_until_another_is_set(self):
        y = self.items(range(20, 30))
        said = Messages()
        block = diffsem.estimate(FRAGILE, noise_var=0.1, max_batch=1, tag_items=True, fault_limit=5)
        tb = gr.top_block()
        sink = blocks.vector_sink_c(4)
        tb.connect(flow.source(tb, y), block, sink)
        tb.msg_connect(block, "stats", said, "in")
        flow.run(tb)
        assert block.disabled() and block.faults() == 5
        why = flow.tag_values(sink, "diffsem_bypassed")
        assert [why[k] for k in range(20, 25)] == ["inference"] * 5
        assert all(why[k] == "disabled" for k in range(25, 200)) and len(why) == 180
        assert len(said.events("disabled")) == 1 and "5 inferences" in said.events("disabled")[0]["reason"]
        block.set_scheme(FRAGILE)
        out, _ = through(block, self.items([]), 4)
        assert not block.disabled() and block.items_bypassed() == 180


def test_statistics_add_up():
    said = Messages()
    tb = gr.top_block()
    block = diffsem.estimate("ofdm_chanest/lmmse", noise_var=0.02, deadline=50, overload="drop")
    source = blocks.vector_source_c(signal(np.random.default_rng(11), 100).ravel().tolist(), True, N)
    tb.connect(source, blocks.throttle(gr.sizeof_gr_complex * N, 3000), block, blocks.null_sink(8 * N))
    tb.msg_connect(block, "stats", said, "in")
    tb.start()
    time.sleep(2.5)
    tb.stop()
    tb.wait()
    last = said.got[-1]
    assert last["block"] == block.alias() and last["scheme"] == "ofdm_chanest/lmmse"
    assert last["in"] == last["out"] + last["dropped"] and last["model"] == block.model()
    assert last["deadline"] == 0.05 and last["overload"] == "drop" and not last["disabled"]
    assert 0 < last["age_p50"] <= last["age_p99"] and last["steps"] == pytest.approx(1) and last["rate"] > 500
