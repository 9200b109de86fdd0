# SPDX-License-Identifier: GPL-3.0-or-later
"""Vectors as grey pictures: inputs stay together, values are drawn as said, and nothing is skipped uncounted."""

import time

import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr
from gnuradio.diffsem.image_sink import from_content


def run(block, *inputs, pictures):
    """The pictures [panel][item] that a block makes of float arrays [items, N], and its counts."""
    tb, sinks = gr.top_block(), []
    for k, values in enumerate(inputs):
        source = blocks.vector_source_f(np.ravel(values).tolist(), False, np.shape(values)[1])
        sinks.append(blocks.message_debug())
        tb.connect(source, (block, k))
        tb.msg_connect(block, f"content{k}", sinks[k], "store")
    tb.start()
    tb.wait()
    end = time.monotonic() + 10
    while time.monotonic() < end and any(sink.num_messages() < pictures for sink in sinks):
        time.sleep(0.01)
    got = [[from_content(sink.get_message(i))[0] for i in range(sink.num_messages())] for sink in sinks]
    return got, block.counts()


def test_inputs_stay_together():
    sent = np.arange(12, dtype=float).reshape(4, 3) / 11
    numbers = np.arange(16, dtype=float).reshape(4, 4)
    block = diffsem.vectors_to_images([[1, 3], [2, 2]], 0.0, [1.0, 15.0], rate=0)
    (left, right), counts = run(block, sent, numbers, pictures=4)
    assert counts == {"in": 4, "out": 4, "skipped": 0}
    for item in range(4):
        assert left[item].shape == (1, 3, 3) and right[item].shape == (2, 2, 3)
        np.testing.assert_array_equal(left[item][0, :, 1], np.rint(255 * sent[item]))
        np.testing.assert_array_equal(right[item][:, :, 2].ravel(), 17 * numbers[item])


def test_what_is_beyond_black_and_white_is_limited():
    (got,), _ = run(diffsem.vectors_to_images([[1, 5]], 1.0, -1.0, 0), [[2, 0, -3, np.nan, -np.inf]], pictures=1)
    assert got[0][0, :, 0].tolist() == [0, 128, 255, 0, 255]


def test_more_than_the_rate_is_skipped_and_counted():
    (got,), counts = run(diffsem.vectors_to_images([[1, 1]], rate=0.01), np.zeros((50, 1)), pictures=1)
    assert len(got) == 1 and counts == {"in": 50, "out": 1, "skipped": 49}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"shapes": []}, r"shapes is \[\]: give 1 to 8 pairs"),
        ({"shapes": [[28]]}, "shapes is"),
        ({"shapes": [[0, 28]]}, "shapes is"),
        ({"shapes": 28}, "shapes is 28"),
        ({"black": [0, 0]}, "black is .*one for each of 1 inputs"),
        ({"white": "x"}, "white is x"),
        ({"white": float("inf")}, "white is inf"),
        ({"black": 1}, "white is 1, as black"),
        ({"rate": -1}, "rate is -1"),
        ({"rate": float("nan")}, "rate is nan"),
    ],
)
def test_bad_parameters_are_named(keys, message):
    with pytest.raises(ValueError, match=message):
        diffsem.vectors_to_images(**keys)
