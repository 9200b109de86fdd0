# SPDX-License-Identifier: GPL-3.0-or-later
"""`estimate` on real vectors, and what it is told: by parameter, setter, tag and message."""

import time

import conditional_nets as nets
import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr

NV = 0.3


def signal(items=40, seed=6):
    return (0.8 * np.random.default_rng(seed).standard_normal((items, 3))).astype(np.float32)


def run(block, y, tags=(), chunk=None, outputs=1):
    """Estimates, and what else comes out, of real vectors through the block."""
    tb = gr.top_block()
    source = blocks.vector_source_f(y.ravel().tolist(), False, y.shape[1], list(tags))
    copy = blocks.copy(gr.sizeof_float * y.shape[1])
    if chunk:
        copy.set_max_noutput_items(chunk)
    sinks = [blocks.vector_sink_f(y.shape[1]) for _ in range(outputs)]
    tb.connect(source, copy, (block, 0))
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb)
    return [np.array(sink.data(), np.float32).reshape(-1, y.shape[1]) for sink in sinks], sinks[0]


def pmt_dict(**values):
    said = pmt.make_dict()
    for name, value in values.items():
        said = pmt.dict_add(said, pmt.intern(name), pmt.to_pmt(value))
    return said


# --- real vectors ---------------------------------------------------------------------------------------------


def test_real_vectors_with_variance_and_baseline(tmp_path):
    y = signal()
    block = diffsem.estimate(
        nets.classes(tmp_path / "net.onnx"), noise_var=NV, variance_output=True, baseline_output=True, domain="real"
    )
    (mean, variance, baseline), _ = run(block, y, outputs=3)
    np.testing.assert_allclose(mean, nets.answer(y, NV, 0), atol=1e-5)
    np.testing.assert_array_equal(baseline, y)
    assert variance.shape == y.shape
    assert block.items_in() == block.items_out() == len(y) and block.items_bypassed() == 0


def test_noise_of_real_vectors_from_tags(tmp_path):
    y = signal()
    noise = np.where(np.arange(len(y)) < 13, NV, 2 * NV)[:, None]
    tags = [flow.tag(0, "diffsem_noise_var", NV), flow.tag(13, "diffsem_noise_var", 2 * NV)]
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise="tag", tag_items=True)
    (mean,), sink = run(block, y, tags, chunk=5)
    np.testing.assert_allclose(mean, nets.answer(y, noise, 0), atol=1e-5)
    said = flow.tag_values(sink, "diffsem_noise_var")
    assert said[12] == pytest.approx(NV) and said[13] == pytest.approx(2 * NV)
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise="tag", tag_items=True)
    _, sink = run(block, y, [flow.tag(0, "snr", 10.0)])
    said = flow.tag_values(sink, "diffsem_noise_var")
    np.testing.assert_allclose([said[i] for i in range(len(y))], np.mean(y**2, 1) / 11, rtol=1e-5)


@pytest.mark.parametrize("noise", ["repeated", "repeated_pairs"])
def test_noise_of_real_vectors_from_two_receptions(tmp_path, noise):
    """The mean of the two, whose noise has half the variance of one; 0.25 sum (a - b)^2 / N measures it."""
    first = signal(200, 7)
    second = (first + 0.4 * np.random.default_rng(8).standard_normal(first.shape)).astype(np.float32)
    y = np.stack([first, second], 1).reshape(-1, 6 if noise == "repeated" else 3)
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise=noise, tag_items=True)
    tb = gr.top_block()
    source, sink = blocks.vector_source_f(y.ravel().tolist(), False, y.shape[1]), blocks.vector_sink_f(3)
    tb.connect(source, block, sink)
    flow.run(tb)
    measured = np.sum((first - second) ** 2, 1, keepdims=True) / 12
    said = flow.tag_values(sink, "diffsem_noise_var")
    np.testing.assert_allclose([said[i] for i in range(200)], measured[:, 0], rtol=1e-4)
    got = np.array(sink.data(), np.float32).reshape(-1, 3)
    np.testing.assert_allclose(got, nets.answer((first + second) / 2, measured, 0), atol=1e-4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"domain": "complex"}, "domain is 'complex', but scheme .* is made for real data: give domain='real'"),
        ({"domain": "float"}, "domain is 'float': give complex, real"),
        ({"noise": "delay_tail"}, "noise is 'delay_tail', but scheme .* real data"),
        ({"noise_var": float("inf")}, "noise_var is infinite, but .* starts at the measurement: use start=noise"),
        ({"condition": {"clas": 1}}, "there is no condition 'clas'"),
        ({"condition": {"class": [1, 2]}}, "takes 1 value, 2 were given"),
        ({"condition": 3}, "give a dict"),
    ],
)
def test_what_does_not_fit_is_refused_when_it_is_made(tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        diffsem.estimate(nets.classes(tmp_path / "net.onnx"), **options)


def test_what_needs_a_condition_says_so(tmp_path):
    spec = nets.shifts(tmp_path / "net.onnx")
    with pytest.raises(ValueError, match=r"needs the condition 'position': give position="):
        diffsem.estimate(spec)
    diffsem.estimate(spec, condition={"position": [1, 2, 3]})


def test_a_scheme_of_another_domain_does_not_take_its_place(tmp_path):
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV)
    with pytest.raises(ValueError, match="domain is 'real', but scheme .* is made for complex data"):
        block.set_scheme(nets.follows(tmp_path / "other.onnx", domain="complex"))
    (mean,), _ = run(block, signal())
    np.testing.assert_allclose(mean, nets.answer(signal(), NV, 0), atol=1e-5)


# --- told -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_a_tag_holds_from_its_item_on(tmp_path, chunk):
    y = signal()
    labels = np.full(len(y), 1)
    labels[5:], labels[6:], labels[30:] = 0, 2, -1
    tags = [flow.tag(i, "diffsem_condition", pmt_dict(**{"class": int(labels[i])})) for i in (5, 6, 30)]
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV, condition={"class": 1}, max_batch=16)
    (mean,), sink = run(block, y, tags, chunk)
    np.testing.assert_allclose(mean, nets.answer(y, NV, nets.MEANS[labels + 1]), atol=1e-5)
    assert sorted(t.offset for t in sink.tags()) == [5, 6, 30], "tags go on"


def test_a_vector_in_a_tag(tmp_path):
    y = signal()
    at = [0.5, -1.0, 2.0]
    tags = [flow.tag(9, "diffsem_condition", pmt_dict(position=np.array(at, np.float32), share=0.5))]
    tags[0].value = pmt.dict_add(pmt_dict(share=0.5), pmt.intern("position"), pmt.init_f32vector(3, at))
    block = diffsem.estimate(nets.shifts(tmp_path / "net.onnx"), noise_var=NV, condition={"position": [0, 0, 0]})
    (mean,), _ = run(block, y, tags)
    told = np.where(np.arange(len(y))[:, None] < 9, 0, 0.5 * np.array(at))
    np.testing.assert_allclose(mean, nets.answer(y, NV, told), atol=1e-5)


def test_a_tag_that_does_not_fit_changes_nothing(tmp_path):
    y = signal()
    wrong = [pmt_dict(klass=1), pmt_dict(**{"class": 0.5}), pmt.intern("class"), pmt_dict(**{"class": "one"})]
    tags = [flow.tag(3 + i, "diffsem_condition", value) for i, value in enumerate(wrong)]
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx") + ":class=2", noise_var=NV)
    (mean,), _ = run(block, y, tags)
    np.testing.assert_allclose(mean, nets.answer(y, NV, nets.MEANS[3]), atol=1e-5)
    assert block.items_out() == len(y) and block.items_bypassed() == 0


@pytest.mark.parametrize("chunk", [None, 1, 7])
def test_the_answer_before_and_its_reset(tmp_path, chunk):
    y = signal()
    expected, before = [], 0
    for i, item in enumerate(y):
        before = nets.answer(item, NV, 0.9 * before if i not in (11, 20) else 0)
        expected.append(before)
    tags = [flow.tag(i, "diffsem_reset", i != 15) for i in (11, 15, 20)]  # false asks for none
    block = diffsem.estimate(nets.follows(tmp_path / "net.onnx"), noise_var=NV)
    (mean,), _ = run(block, y, tags, chunk)
    np.testing.assert_allclose(mean, expected, atol=1e-5)


def told_while_it_runs(block, tell, expected):
    """Whether the block's answer becomes the expected one after `tell`, on an endless input of ones."""
    tb = gr.top_block()
    source = blocks.vector_source_f([1.0, 1.0, 1.0], True, 3)
    throttle, probe = blocks.throttle(12, 2000), blocks.probe_signal_vf(3)
    tb.connect(source, throttle, block, probe)
    tb.start()
    try:
        tell()
        limit = time.monotonic() + 10
        while time.monotonic() < limit:
            if np.allclose(probe.level(), expected, atol=1e-5):
                return True
            time.sleep(0.01)
        return False
    finally:
        tb.stop()
        tb.wait()


@pytest.mark.parametrize("how", ["setter", "setters", "dict", "pdu"])
def test_told_while_it_runs(tmp_path, how):
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV)
    pdu = pmt.cons(pmt_dict(other="x", **{"class": 2}), pmt.init_u8vector(1, [0]))

    def tell():
        if how == "setter":
            block.set_condition("class", 2)
        elif how == "setters":
            block.set_condition({"class": 2})
        else:
            message = pdu if how == "pdu" else pmt_dict(**{"class": 2})
            block.to_basic_block()._post(pmt.intern("condition"), message)

    assert told_while_it_runs(block, tell, nets.answer(1.0, NV, nets.MEANS[3]))


def test_a_setter_that_does_not_fit(tmp_path):
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV)
    with pytest.raises(ValueError, match="there is no condition 'klass'"):
        block.set_condition("klass", 1)
    with pytest.raises(ValueError, match="takes whole numbers"):
        block.set_condition({"class": 0.5})


def test_what_was_told_holds_for_the_next_scheme_unless_it_says_itself(tmp_path):
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV)
    block.set_condition("class", 0)
    block.set_scheme(nets.classes(tmp_path / "again.onnx"))
    (mean,), _ = run(block, signal())
    np.testing.assert_allclose(mean, nets.answer(signal(), NV, nets.MEANS[1]), atol=1e-5)
    block = diffsem.estimate(nets.classes(tmp_path / "net.onnx"), noise_var=NV)
    block.set_condition("class", 0)
    block.set_scheme(nets.classes(tmp_path / "again.onnx") + ":class=2")
    (mean,), _ = run(block, signal())
    np.testing.assert_allclose(mean, nets.answer(signal(), NV, nets.MEANS[3]), atol=1e-5)


def test_what_is_dropped_still_tells(tmp_path):
    """Conditions of items that no time was left for hold for those that come."""
    y = signal(400)
    tags = [flow.tag(0, "diffsem_condition", pmt_dict(**{"class": 1}))]
    block = diffsem.estimate(
        nets.classes(tmp_path / "net.onnx"), noise_var=NV, deadline=1e-4, overload="drop", max_batch=1
    )
    run(block, y, tags)
    assert block.items_in() == block.items_out() + block.items_dropped() == len(y)
    assert block.items_dropped() > 0
    block.set_deadline(0)
    (mean,), _ = run(block, y)
    np.testing.assert_allclose(mean, nets.answer(y, NV, nets.MEANS[2]), atol=1e-5)


def test_draws_of_the_prior_through_the_block(tmp_path):
    spec = nets.classes(tmp_path / "net.onnx", sigma_range="[1e-4, 1e4]")
    keys = "start=noise,sampler=heun,plan=karras,steps=30,sigma_min=0.01,sigma_max=30"
    block = diffsem.estimate(f"{spec}:{keys},class=2", noise_var=float("inf"))
    (drawn,), _ = run(block, np.zeros((3000, 3), np.float32))
    assert block.items_bypassed() == 0
    assert np.all(np.abs(drawn.mean(0) - nets.MEANS[3]) < 5 * np.sqrt(nets.VARIANCE / 3000))
    np.testing.assert_allclose(drawn.var(0), nets.VARIANCE, rtol=0.15)


def test_a_class_without_a_declared_range_leaves_the_stream_as_it_was(tmp_path):
    """It is tried where it is told, and items behind it do not fail one after the other."""
    spec, y = nets.classes(tmp_path / "net.onnx"), np.ones((40, 3), np.float32)
    tags = [flow.tag(i, "diffsem_condition", pmt_dict(**{"class": v})) for i, v in ((5, 1000), (9, 70000))]
    block = diffsem.estimate(f"{spec}:class=1", noise_var=NV)
    (mean,), _ = run(block, y, tags)
    assert block.items_bypassed() == 0 and block.faults() == 0 and not block.disabled()
    np.testing.assert_allclose(mean, nets.answer(y, NV, nets.MEANS[2]), atol=1e-5)


def test_a_class_that_there_is_not_leaves_the_stream_as_it_was():
    """It failed inside the network before, which switched the scheme off for good."""
    y = np.zeros((60, 784), np.float32)
    spec = "digits:class=7,steps=2,seed=5"
    wrong = [flow.tag(i, "diffsem_condition", pmt_dict(**{"class": v})) for i, v in ((5, 1000), (9, 10), (12, -9))]
    good = flow.tag(40, "diffsem_condition", pmt_dict(**{"class": 3}))
    block = diffsem.estimate(spec, noise_var=float("inf"))
    (mean,), _ = run(block, y, [*wrong, good])
    assert not block.disabled() and block.items_bypassed() == 0 and block.faults() == 0
    (alone,), _ = run(diffsem.estimate(spec, noise_var=float("inf")), y, [good])
    np.testing.assert_array_equal(mean, alone)
    with pytest.raises(ValueError, match=r"'class' takes values of 0 \.\. 9, 10 was given"):
        block.set_condition("class", 10)
    with pytest.raises(ValueError, match=r"0 \.\. 9, -2 was given"):
        diffsem.estimate("digits:class=-2", noise_var=1.0)
    with pytest.raises(ValueError, match=r"0 \.\. 9, 99 was given"):
        diffsem.scheme("digits").estimate(y[:3], np.inf, condition={"class": [1, 99, 2]})
