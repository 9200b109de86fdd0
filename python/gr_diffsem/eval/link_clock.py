# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-digital's OFDM receiver (`link_throughput.receiver`) against the clock: samples come at a rate, as from a radio.

`header_payload_demux` hands one frame over and waits for its header, so the estimator never sees a queue: what is too
much stands in front of the demultiplexer. Ages are therefore measured from outside the estimator: from when a frame's
last sample entered the flowgraph to when its taps came out.
"""

import bisect
import threading
import time

import numpy as np

from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .link_receiver import TAPS
from .link_throughput import receiver

STOP_LIMIT = 20.0  # seconds


def run(scheme, fmt, samples, rate, seconds, deadline=0.0, overload="wait", polite=True):
    """`samples` (complex64, over and over) offered at `rate` a second to a receiver, for so many seconds -> dict.

    `through`: samples a second that entered; `good`: packets a second that pass the CRC; `age_p50`, `age_p99`: in s,
    measured (see above); `said_p50`, `said_p99`: the same as the estimator counts it; `steps`: evaluations a frame in
    the last second; `bypassed`: share of all frames; `age_from`: the block from which the estimator counts.
    deadline (ms), overload: of the estimator. polite: the demultiplexer gives way (`diffsem.set_nice`).
    """
    import pmt
    from gnuradio import diffsem

    tb, checked = receiver(scheme, fmt, list(samples), rate, timing=True)
    block = tb.link_chain.estimate
    block.set_deadline(deadline)
    block.set_overload(overload)
    if polite:
        diffsem.set_nice(tb.link_chain.demux)
    entered, answered, said = _entered(), _answered(), _said()
    tb.connect(tb.link_entry, entered)
    tb.connect(block, answered)
    tb.msg_connect(block, "stats", said, "in")
    tb.start()
    begin = time.monotonic()
    time.sleep(seconds)
    elapsed = time.monotonic() - begin
    through, good = tb.link_entry.nitems_written(0), len(checked.data())
    frames, bypassed = max(block.items_out(), 1), block.items_bypassed()
    tb.stop()
    waiter = threading.Thread(target=tb.wait, daemon=True)
    waiter.start()
    waiter.join(STOP_LIMIT)
    if waiter.is_alive():
        raise RuntimeError("the receiver does not stop; a block's error message stands above, if one failed")
    ages = _ages(entered.looks, answered.answers)
    last = pmt.to_python(said.got[-1]) if said.got else {}
    return {
        "rate": rate,
        "through": through / elapsed,
        "good": good / fmt.payload_bytes / elapsed,
        "frames": frames,
        "age_p50": float(np.quantile(ages, 0.5)),
        "age_p99": float(np.quantile(ages, 0.99)),
        "said_p50": block.age_quantile(0.5),
        "said_p99": block.age_quantile(0.99),
        "steps": last.get("steps", float("nan")),
        "bypassed": bypassed / frames,
        "age_from": last.get("age_from"),
    }


def _ages(looks, answers):
    """Seconds [frames]: of each (time, sample at which the frame begins behind the delay) of `answers`."""
    counts = [count for _, count in looks]
    ages = []
    for at, begins in answers:
        last = begins - LAYOUT.symbol + packet_frame.PACKET_SAMPLES  # the receiver delays samples by a symbol
        i = bisect.bisect_left(counts, last)
        ages.append(max(at - looks[i][0], 0.0) if i < len(looks) else 0.0)
    return np.array(ages or [0.0])


def _entered():
    from gnuradio import gr

    class Entered(gr.sync_block):
        """looks: (time, samples that had come), at each call."""

        def __init__(self):
            gr.sync_block.__init__(self, "entered", [np.complex64], None)
            self.looks = []

        def work(self, input_items, output_items):
            self.looks.append((time.monotonic(), self.nitems_read(0) + len(input_items[0])))
            return len(input_items[0])

    return Entered()


def _answered():
    import pmt
    from gnuradio import gr

    class Answered(gr.sync_block):
        """answers: (time, sample at which the frame begins), when its taps come."""

        def __init__(self):
            gr.sync_block.__init__(self, "answered", [(np.complex64, LAYOUT.fft_len)], None)
            self.answers = []

        def work(self, input_items, output_items):
            now, first, count = time.monotonic(), self.nitems_read(0), len(input_items[0])
            taps = self.get_tags_in_range(0, first, first + count, pmt.intern(TAPS))
            times = self.get_tags_in_range(0, first, first + count, pmt.intern("rx_time"))
            begins = {t.offset: pmt.to_python(t.value) for t in times}
            self.answers += [(now, sum(begins[t.offset])) for t in taps if t.offset in begins]
            return count

    return Answered()


def _said():
    import pmt
    from gnuradio import gr

    class Said(gr.basic_block):
        """got: the messages that came."""

        def __init__(self):
            gr.basic_block.__init__(self, "said", None, None)
            self.got = []
            self.message_port_register_in(pmt.intern("in"))
            self.set_msg_handler(pmt.intern("in"), self.keep)

        def keep(self, message):
            """One more."""
            if pmt.to_python(message).get("event") is None:
                self.got.append(message)

    return Said()
