# SPDX-License-Identifier: GPL-3.0-or-later
"""Run flowgraphs with a time limit: an exception in a block's thread would let wait() wait forever."""

import time

import numpy as np
import pmt
from gnuradio import blocks, gr
from gr_diffsem.eval.flowgraph import run_limited


class Stuck(AssertionError):
    """The flowgraph did not finish in time."""


def run(tb, seconds=20):
    """Run a flowgraph until it is done, at most so long."""
    try:
        run_limited(tb, seconds)
    except RuntimeError as error:
        raise Stuck(str(error)) from None


def tag(offset, key, value):
    """A tag for a source; numbers become doubles (float) or longs (int)."""
    if not isinstance(value, pmt.pmt_base):
        value = pmt.from_double(value) if isinstance(value, float) else pmt.to_pmt(value)
    t = gr.tag_t()
    t.offset, t.key, t.value = offset, pmt.intern(key), value
    return t


def source(tb, data, tags=(), chunk=None):
    """Connect a complex source of an array (vectors, if it has rows); gives the last block of it.

    Limiting the source itself would stall: a vector source with tags does not start again.
    """
    data = np.asarray(data, np.complex64)
    length = data.shape[1] if data.ndim > 1 else 1
    first = blocks.vector_source_c(data.ravel().tolist(), False, length, list(tags))
    if not chunk:
        return first
    copy = blocks.copy(gr.sizeof_gr_complex * length)
    copy.set_max_noutput_items(chunk)
    tb.connect(first, copy)
    return copy


def python_value(value):
    """A tag's value, exact, comparable with ==, NaN equal to itself."""
    if pmt.is_c32vector(value):
        return np.array(pmt.c32vector_elements(value), np.complex64).tobytes()
    return pmt.to_python(value) if not pmt.is_symbol(value) else pmt.symbol_to_string(value)


def tag_list(sink):
    """All tags of a sink as (offset, key, value), in their order."""
    return [(t.offset, pmt.symbol_to_string(t.key), python_value(t.value)) for t in sink.tags()]


def tag_values(sink, key):
    """{offset: value} of one key, as Python values."""
    return {t.offset: pmt.to_python(t.value) for t in sink.tags() if pmt.symbol_to_string(t.key) == key}


class Messages(gr.basic_block):
    """Keeps what comes on its port."""

    def __init__(self):
        gr.basic_block.__init__(self, "messages", None, None)
        self.got = []
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.keep)

    def keep(self, message):
        """One more."""
        self.got.append(pmt.to_python(message))

    def events(self, kind):
        """Dictionaries of this event."""
        return [m for m in list(self.got) if m.get("event") == kind]

    def wait_for(self, kind, count=1, seconds=20):
        """True once so many have come."""
        end = time.monotonic() + seconds
        while len(self.events(kind)) < count and time.monotonic() < end:
            time.sleep(0.01)
        return len(self.events(kind)) >= count
