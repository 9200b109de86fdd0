# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples a second of a whole OFDM receiver on one core: gr-digital's parts, or ours in their place.

Detector, `header_payload_demux`, header and payload chains, convolutional decoders, CRC. "stock" is
gr-digital's estimator, simpledfe and soft decoder; a scheme's name puts our estimator, equaliser and
demapper there.
"""

import os
import time

import numpy as np

from ..flowgraph import run_limited
from . import channel, frame, synchronise
from .demux import Chain
from .receive import Method, decoder
from .transmit import transmit

SNR_DB = 25.0  #: so that all packets are decoded and both receivers do the same work
STOCK = "stock"


def receiver(scheme, fmt, samples):
    """(flowgraph, sink of the packets that pass the CRC): a receiver of `samples` (complex64 list)."""
    from gnuradio import analog, blocks, digital, gr

    stock = scheme == STOCK
    method = Method(STOCK, "simpledfe", STOCK) if stock else Method(scheme)
    tb = gr.top_block("receiver")
    source = blocks.vector_source_c(samples, False)
    detector = digital.ofdm_sync_sc_cfb(frame.FFT_LEN, frame.CP_LEN, False, synchronise.THRESHOLD)
    delay = blocks.delay(gr.sizeof_gr_complex, frame.SYMBOL)
    oscillator = analog.frequency_modulator_fc(-2.0 / frame.FFT_LEN)
    mixer = blocks.multiply_cc()
    chain = Chain(tb, fmt, method, gate=False)
    tb.connect(source, detector)
    tb.connect(source, delay, (mixer, 0))
    tb.connect((detector, 0), oscillator, (mixer, 1))
    tb.connect(mixer, (chain.demux, 0))
    tb.connect((detector, 1), (chain.demux, 1))
    _, checked = decoder(tb, chain.payload_llr, fmt)
    tb.link_chain = chain  # Python references keep the equalisers alive
    return tb, checked


def rx_throughput(scheme=STOCK, packets=400, modulation="qpsk", seed=1):
    """Samples a second of one run on the calling thread's CPUs; (rate, packets decoded)."""
    fmt, samples = _signal(packets, modulation, seed)
    rate, _, decoded = _timed(scheme, fmt, samples)
    return rate, decoded


def compare(scheme="ofdm_chanest", packets=400, modulation="qpsk", repeats=5, seed=1):
    """Both receivers on one core, taking turns.

    Returns {"stock", "ours": median samples a second, "stock_cpu", "ours_cpu": the same per second of
    CPU time, "ratio": median of ours_cpu / stock_cpu, "ratio_wall": by the clock, "decoded", "packets"}.
    On an idle machine the two ratios agree; CPU time does not mind other programs as much.
    """
    fmt, samples = _signal(packets, modulation, seed)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # the blocks' threads inherit it
    try:
        rates = {STOCK: [], scheme: []}
        decoded = {}
        for _ in range(repeats):
            for name in rates:
                *rate, decoded[name] = _timed(name, fmt, samples)
                rates[name].append(rate)
    finally:
        os.sched_setaffinity(0, before)
    stock, ours = (np.array(rates[name]) for name in (STOCK, scheme))  # [repeats, (clock, CPU)]
    wall, cpu = np.median(ours / stock, 0)
    return {
        "stock": float(np.median(stock[:, 0])),
        "ours": float(np.median(ours[:, 0])),
        "stock_cpu": float(np.median(stock[:, 1])),
        "ours_cpu": float(np.median(ours[:, 1])),
        "ratio": float(cpu),
        "ratio_wall": float(wall),
        "decoded": {"stock": decoded[STOCK], "ours": decoded[scheme]},
        "packets": packets,
    }


def _signal(packets, modulation, seed):
    fmt = frame.FORMATS[modulation]
    sent = transmit(fmt, frame.payloads(fmt, packets, seed))
    air = channel.draw(sent, "short", SNR_DB, seed)
    return fmt, air.noisy.tolist()


def _timed(scheme, fmt, samples):
    """(samples per second by the clock, per second of CPU time, packets decoded)."""
    tb, checked = receiver(scheme, fmt, samples)
    begin, cpu = time.perf_counter(), time.process_time()
    run_limited(tb, 300.0)
    elapsed, used = time.perf_counter() - begin, time.process_time() - cpu
    return len(samples) / elapsed, len(samples) / used, len(checked.data()) // fmt.payload_bytes
