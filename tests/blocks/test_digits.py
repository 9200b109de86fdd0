# SPDX-License-Identifier: GPL-3.0-or-later
"""The package `digits`: drawn from noise through the block, and judged by a classifier that shares nothing with it."""

import flow
import numpy as np
import pmt
import pytest
from digit_judge import judge, said_right
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import digit_images

EACH = 6  # draws of each digit: 60, of which 95 % is 57


def drawn(spec, labels, **options):
    """Pictures [n, 784] through the block, whose input says nothing; what each is, a tag says."""
    tags = []
    for i, label in enumerate(labels):
        said = pmt.dict_add(pmt.make_dict(), pmt.intern("class"), pmt.from_long(int(label)))
        tags.append(flow.tag(i, "diffsem_condition", said))
    block = diffsem.estimate(spec, noise_var=float("inf"), domain="real", **options)
    source = blocks.vector_source_f([0.0] * 784 * len(labels), False, 784, tags)
    sink, tb = blocks.vector_sink_f(784), gr.top_block()
    tb.connect(source, block, sink)
    flow.run(tb, 60)
    assert block.items_out() == len(labels) and block.items_bypassed() == 0
    return np.array(sink.data(), np.float32).reshape(-1, 784)


def test_the_judge_is_right():
    assert said_right() >= 0.98
    try:
        pictures, labels = digit_images.load("test")
    except UserError as error:
        pytest.skip(str(error))
    assert np.mean(judge(pictures[:2000]) == labels[:2000]) >= 0.975


def test_draws_are_the_digits_asked_for():
    labels = np.arange(10 * EACH) % 10
    pictures = drawn("digits:guidance=2", labels, seed=1)
    right = np.mean(judge(pictures) == labels)
    assert right >= 0.95, f"{100 * right:.0f} % of {len(labels)} draws"
    assert 0.7 < np.mean(pictures**2) < 1.4, "unit power, as the pictures it learned from"
    threes = pictures[3::10]
    apart = [np.mean((a - b) ** 2) for i, a in enumerate(threes) for b in threes[:i]]
    assert min(apart) > 0.1, "each draw is another"


def test_guidance_costs_two_evaluations_and_is_counted():
    alone, guided = (diffsem.scheme(f"digits:class=1{keys}").info() for keys in ("", ",guidance=2"))
    assert guided["evaluations"] == 2 * alone["evaluations"] > 0
    y = np.zeros((1, 784), np.float32)
    _, _, info = diffsem.scheme("digits:class=1,guidance=2").estimate(y, np.inf)
    assert info["steps"][0] == guided["evaluations"]


def test_a_noisy_picture_is_a_measurement():
    """The posterior's mean of noisy test pictures beats linear MMSE of the pixels."""
    try:
        pictures, labels = digit_images.load("test")
    except UserError as error:
        pytest.skip(str(error))
    x, labels = pictures[:40].reshape(-1, 784), labels[:40]
    y = (x + np.random.default_rng(0).standard_normal(x.shape)).astype(np.float32)
    nmse = {}
    for name, spec in (("ours", "digits:sampler=posterior_mean,steps=1"), ("pixels", "digits/pixels:guard=off")):
        told = {"condition": {"class": labels}} if name == "ours" else {}
        mean, _, info = diffsem.scheme(spec).estimate(y, 1.0, **told)
        assert not np.any(info["bypassed"])
        nmse[name] = 10 * np.log10(np.mean((mean - x) ** 2) / np.mean(x**2))
    assert nmse["ours"] < nmse["pixels"] - 3, nmse
