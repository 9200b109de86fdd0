# SPDX-License-Identifier: GPL-3.0-or-later
"""Ages count from where samples enter the flowgraph, and a receiver that waits for each answer keeps its deadline."""

import time

import flow
import numpy as np
import pmt
import pytest
from flow import Messages
from gnuradio import analog, blocks, diffsem, gr

pytestmark = pytest.mark.timing

N = 64


def last_stats(said):
    """The newest statistics; events are none."""
    return [m for m in said.got if "age_from" in m][-1]


def watched(tb, block, seconds=2.2):
    """Statistics of a block in a flowgraph that runs for so long."""
    said = Messages()
    tb.msg_connect(block, "stats", said, "in")
    tb.start()
    time.sleep(seconds)
    tb.stop()
    tb.wait()
    return last_stats(said)


def test_what_waits_in_buffers_upstream_is_older():
    """At 400 items a second: with three more full buffers in front, items are that much older."""

    def age(copies):
        tb = gr.top_block()
        last = blocks.vector_source_c(np.ones(16 * N).tolist(), True, N)
        for _ in range(copies):
            copy = blocks.copy(gr.sizeof_gr_complex * N)
            tb.connect(last, copy)
            last = copy
        block = diffsem.estimate("ofdm_chanest/lmmse", noise_var=0.1)
        pace = blocks.throttle(gr.sizeof_gr_complex * N, 400)
        head, sink = blocks.head(gr.sizeof_gr_complex * N, 1000), blocks.null_sink(gr.sizeof_gr_complex * N)
        tb.connect(last, block, pace, head, sink)
        flow.run(tb, 60)
        return block.age_quantile(0.9)

    alone, behind = age(0), age(3)  # a buffer holds 128 items, 0.32 s
    assert 0.1 < alone < 0.6 and behind > alone + 0.6, (alone, behind)


def test_of_several_sources_the_one_with_a_pace_counts():
    """An oscillator gives what it is asked for, so its buffer is full; ages count from the throttle."""
    tb = gr.top_block()
    oscillator = analog.sig_source_c(1e6, analog.GR_COS_WAVE, 1000, 1.0)
    source = blocks.vector_source_c(np.ones(16 * N).tolist(), True)
    throttle, mixer = blocks.throttle(gr.sizeof_gr_complex, 64e3), blocks.multiply_cc()
    vectors = blocks.stream_to_vector(gr.sizeof_gr_complex, N)
    block = diffsem.estimate("ofdm_chanest/lmmse", noise_var=0.1, deadline=1000, overload="fewer_steps")
    tb.connect(oscillator, (mixer, 0))
    tb.connect(source, throttle, (mixer, 1))
    tb.connect(mixer, vectors, block, blocks.null_sink(gr.sizeof_gr_complex * N))
    stats = watched(tb, block)
    assert stats["age_from"] == throttle.alias() and stats["age_whole"] is True
    assert stats["bypassed"] == 0


def test_what_waits_as_pdus_is_said_to_be_unseen():
    from gnuradio import pdu

    tb = gr.top_block()
    stream = pdu.pdu_to_tagged_stream(gr.types.complex_t, "packet_len")
    vectors = blocks.stream_to_vector(gr.sizeof_gr_complex, N)
    block = diffsem.estimate("ofdm_chanest/lmmse", noise_var=0.1, deadline=50, overload="bypass")
    tb.connect(stream, vectors, block, blocks.null_sink(gr.sizeof_gr_complex * N))
    strobe = blocks.message_strobe(pmt.cons(pmt.make_dict(), pmt.init_c32vector(N, [1.0] * N)), 10)
    tb.msg_connect(strobe, "strobe", stream, "pdus")
    stats = watched(tb, block)
    assert stats["age_from"] == stream.alias() and stats["age_whole"] is False
    # A burst that ends a silence has just come.
    assert stats["bypassed"] == 0 and stats["age_p50"] < 0.05


def test_a_receiver_that_waits_for_each_answer_keeps_up():
    """gr-digital's: `header_payload_demux` hands over one frame and waits, the others stand in front of it.

    A thousand evaluations take some five times as long as frames are apart. It must cut them so that the source is
    not held back, keep the deadline, and count ages as they are measured from outside.
    """
    from gr_diffsem.air import sample_channel
    from gr_diffsem.eval import link_clock
    from gr_diffsem.eval.link_transmitter import transmit
    from gr_diffsem.phy import packet_frame

    fmt = packet_frame.FORMATS["qpsk"]
    air = sample_channel.send_packets(transmit(fmt, packet_frame.payloads(fmt, 40, 1)), "short", 25.0, 1)
    rate, deadline = 50e3, 0.5
    got = link_clock.run(
        "ofdm_chanest:sampler=ddim,steps=1000", fmt, air.noisy.tolist(), rate, 6, 1e3 * deadline, "fewer_steps"
    )
    assert got["through"] > 0.93 * rate, got  # a third before ages counted from the throttle
    assert got["good"] > 0.8 * rate * len(air.start) / len(air.noisy), got
    assert got["bypassed"] < 0.3 and 1 < got["steps"] < 900, got
    assert got["age_from"].startswith("throttle")
    assert got["age_p50"] < 1.2 * deadline, got
    assert abs(got["said_p50"] - got["age_p50"]) < 0.3 * deadline, got
