# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws as an output of `estimate`, and whose noise is whose."""

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.schemes import known_mixture

SPEC = "known_mixture/gmm:sampler=posterior_draw"
N, ITEMS, DRAWS = 64, 5, 3
APART = 1 << 48  # the draws' random numbers from those of the answers


def items():
    """Of the prior, with the noise that the blocks are told: nothing for the guard."""
    rng = np.random.default_rng(1)
    return (known_mixture.draw(rng, ITEMS) + complex_noise(rng, (ITEMS, N), 0.5)).astype(np.complex64)


def run(block, sizes):
    tb = gr.top_block()
    tb.connect(flow.source(tb, items()), block)
    sinks = []
    for port, (kind, size) in enumerate(sizes):
        sinks.append(blocks.vector_sink_c(size) if kind == "c" else blocks.vector_sink_f(size))
        tb.connect((block, port), sinks[-1])
    flow.run(tb)
    return [np.array(sink.data()).reshape(ITEMS, size) for sink, (_, size) in zip(sinks, sizes, strict=True)], sinks[0]


def test_draws_are_what_python_draws():
    block = diffsem.estimate(SPEC, noise_var=0.5, seed=7, draws=DRAWS, variance_output=True, tag_items=True)
    (one, variance, draws), sink = run(block, [("c", N), ("f", N), ("c", DRAWS * N)])
    scheme = diffsem.scheme(SPEC)
    expected = scheme.estimate(items(), 0.5, seed=7, draws=DRAWS, first=APART)[0]
    np.testing.assert_allclose(draws.reshape(ITEMS, DRAWS, N), expected.transpose(1, 0, 2), atol=1e-4)
    mean, exact, info = scheme.estimate(items(), 0.5, seed=7)
    np.testing.assert_allclose(one, mean, atol=1e-4)
    np.testing.assert_allclose(variance, exact, rtol=1e-3)
    steps = [value for _, key, value in flow.tag_list(sink) if key == "diffsem_steps"]
    assert steps == [int(info["steps"][0]) * (1 + DRAWS)] * ITEMS


def test_every_output_at_once():
    block = diffsem.estimate(SPEC, noise_var=0.5, draws=2, variance_output=True, baseline_output=True)
    (_, _, baseline, draws), _ = run(block, [("c", N), ("f", N), ("c", N), ("c", 2 * N)])
    np.testing.assert_allclose(baseline, items())
    assert not np.allclose(draws[:, :N], draws[:, N:])


def test_two_blocks_do_not_draw_the_same_noise():
    answers = [run(diffsem.estimate(SPEC, noise_var=0.5), [("c", N)])[0][0] for _ in range(2)]
    assert not np.allclose(*answers)


@pytest.mark.parametrize("spec, seed", [(SPEC, 7), (SPEC + ",seed=7", 0)])
def test_a_seed_is_reproducible(spec, seed):
    # One by one: sums are rounded by the size of a batch, which the scheduler cuts.
    alone = {"noise_var": 0.5, "max_batch": 1}
    first, second = (run(diffsem.estimate(spec, seed=seed, **alone), [("c", N)])[0][0] for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, diffsem.scheme(SPEC).estimate(items(), 0.5, seed=7)[0], atol=1e-4)
    late = diffsem.estimate(SPEC, **alone)
    late.set_seed(7)
    np.testing.assert_array_equal(run(late, [("c", N)])[0][0], first)


@pytest.mark.parametrize(
    "spec, draws, words",
    [
        (SPEC, -1, "draws is -1"),
        (SPEC, 1025, "0 .none. to 1024"),
        ("known_mixture", 2, "'one_step'.*sampler=posterior_draw"),
        ("ls", 2, "no prior to draw from"),
    ],
)
def test_what_cannot_draw_is_refused(spec, draws, words):
    with pytest.raises(ValueError, match=words):
        diffsem.estimate(spec, noise_var=0.5, draws=draws, item_size=N)
