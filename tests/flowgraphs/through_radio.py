# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples sent by one simulated radio and recorded by another: through_radio.py IN.cf32 OUT.cf32 RATE AIR ARGUMENTS

ARGUMENTS: of the receiving radio (tests/soapy/device.cc)."""

import sys

import numpy as np
from gnuradio import blocks, gr, soapy
from gr_diffsem.eval.flowgraph import run_limited

FREQ = 50e6


def radio(make, arguments, rate):
    """One end, tuned."""
    end = make(f"driver=diffsemsim,air={arguments}", "fc32", 1, "", "", [""], [""])
    end.set_sample_rate(0, rate)
    end.set_frequency(0, FREQ)
    return end


def main(sent, recorded, rate, air, arguments):
    tb, x = gr.top_block(), np.fromfile(sent, np.complex64)
    sender, receiver = (radio(*end, float(rate)) for end in ((soapy.sink, air), (soapy.source, f"{air},{arguments}")))
    receiver.set_gain(0, 30)
    source = blocks.vector_source_c((0.2 * x / np.sqrt(np.mean(np.abs(x) ** 2))).tolist())
    tb.connect(source, sender)
    size = gr.sizeof_gr_complex
    tb.connect(receiver, blocks.head(size, int(0.99 * len(x))), blocks.file_sink(size, recorded))
    run_limited(tb, 90)


if __name__ == "__main__":
    main(*sys.argv[1:])
