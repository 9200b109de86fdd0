# SPDX-License-Identifier: GPL-3.0-or-later
"""The example `digits_latent`: digits drawn as 32 numbers through the block, and decoded; an independent classifier
reads them (tests/data/make_digit_classifier.py)."""

from pathlib import Path

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base import model_packages

onnxruntime = pytest.importorskip("onnxruntime")
JUDGE = Path(__file__).resolve().parents[1] / "data" / "digit_classifier.onnx"
EACH = 40


@pytest.fixture(scope="module")
def spec():
    return f"{model_packages.find_packages(checkout_first=True)['digits_latent']}/diffusion"


@pytest.fixture(scope="module")
def reads():
    judge = onnxruntime.InferenceSession(str(JUDGE), providers=["CPUExecutionProvider"])
    return lambda pictures: judge.run(None, {"x": pictures.astype(np.float32)})[0].argmax(1)


def test_what_the_block_draws_is_the_digit_that_was_asked_for(spec, reads):
    """At least 95 % of 400 draws, guided twice as far as the conditional prior itself."""
    right = 0
    for digit in range(10):
        tb = gr.top_block()
        source = blocks.vector_source_f([0.0] * 32 * EACH, False, 32)
        block = diffsem.estimate(f"{spec}:class={digit},guidance=2", noise_var=float("inf"), seed=3, content_size=784)
        sink = blocks.vector_sink_f(784)
        tb.connect(source, block, sink)
        flow.run(tb)
        drawn = np.array(sink.data(), np.float32).reshape(-1, 28, 28)
        assert len(drawn) == EACH and block.items_bypassed() == 0
        assert np.std(drawn[:, 14, 14]) > 0.05  # they are not all the same
        right += np.sum(reads(drawn) == digit)
    assert right >= 0.95 * 10 * EACH


def test_a_noisy_latent_is_cleaned(spec, reads):
    """At 0 dB, the class told: content nearer to what was sent than the measurement's, by 1 dB, and more often read."""
    scheme = diffsem.scheme(f"{spec}:start=matched,sampler=one_step")
    classes = np.arange(200) % 10
    draws = diffsem.scheme(f"{spec}:guidance=2")
    pictures = draws.estimate(np.zeros((200, 32), np.float32), np.inf, seed=9, condition={"class": classes})[0]
    sent = scheme.encode(pictures)
    y = sent + np.random.default_rng(4).standard_normal(sent.shape).astype(np.float32)
    mean, variance, info = scheme.estimate(y, 1.0, condition={"class": classes})
    assert info["latent"].shape == variance.shape == sent.shape

    def error(content):
        return np.mean((content - pictures) ** 2)

    assert error(mean) < 10**-0.1 * error(scheme.decode(y))
    assert np.mean(reads(mean) == classes) > np.mean(reads(scheme.decode(y)) == classes)
