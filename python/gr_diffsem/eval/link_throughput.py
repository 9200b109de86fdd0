# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples a second of a whole OFDM receiver on one core: gr-digital's parts, or ours in their place.

Detector, `header_payload_demux`, header and payload chains, convolutional decoders, CRC. "stock" is
gr-digital's estimator, simpledfe and soft decoder; a scheme's name puts our estimator, equaliser and
demapper there; "tracking": with the equaliser told the constellation, so that it follows the channel. "polite":
`header_payload_demux`, which polls while it waits for a header, gives way to the others (`diffsem.set_nice`).
"""

import os
import time

import numpy as np

from ..air import sample_channel
from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from . import link_sync
from .flowgraph import run_limited
from .link_demux import Chain
from .link_receiver import Method, decoder
from .link_transmitter import transmit

SNR_DB = 25.0  #: so that all packets are decoded and both receivers do the same work
STOCK = "stock"


def receiver(scheme, fmt, samples, rate=0.0, timing=False, equaliser="diffsem"):
    """(flowgraph, sink of the packets that pass the CRC): a receiver of `samples` (complex64 list).

    rate: samples a second that a throttle lets in, over and over (0: once, as fast as it goes). `tb.link_chain` is the
    `link_demux.Chain`, `timing` its parameter, `equaliser` that of `Method`; `tb.link_entry` the block where samples
    enter.
    """
    from gnuradio import analog, blocks, digital, gr

    stock = scheme == STOCK
    method = Method(STOCK, "simpledfe", STOCK) if stock else Method(scheme, equaliser)
    tb = gr.top_block("receiver")
    source = blocks.vector_source_c(samples, rate > 0)
    if rate:
        throttle = blocks.throttle(gr.sizeof_gr_complex, rate)
        tb.connect(source, throttle)
        source = throttle
    detector = digital.ofdm_sync_sc_cfb(LAYOUT.fft_len, LAYOUT.cp_len, False, link_sync.THRESHOLD)
    delay = blocks.delay(gr.sizeof_gr_complex, LAYOUT.symbol)
    oscillator = analog.frequency_modulator_fc(-2.0 / LAYOUT.fft_len)
    mixer = blocks.multiply_cc()
    chain = Chain(tb, fmt, method, gate=False, timing=timing)
    tb.connect(source, detector)
    tb.connect(source, delay, (mixer, 0))
    tb.connect((detector, 0), oscillator, (mixer, 1))
    tb.connect(mixer, (chain.demux, 0))
    tb.connect((detector, 1), (chain.demux, 1))
    _, checked = decoder(tb, chain.payload_llr, fmt)
    tb.link_entry, tb.link_chain = source, chain  # Python references keep the equalisers alive
    return tb, checked


def compare(scheme="ofdm_chanest", packets=400, modulation="qpsk", repeats=5, seed=1):
    """Both receivers on one core, taking turns.

    Returns {"samples_s": {name: median samples a second of CPU time}, "ratio": {name: median of that over stock's
    in the same turn}, "ratio_wall": the same by the clock, "decoded": {name: packets}, "packets"}; the names are
    "stock", "ours", "tracking", and these with "_polite" behind. On an idle machine the two ratios agree; CPU time does
    not mind other programs as much.
    """
    fmt, samples = _signal(packets, modulation, seed)
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # the blocks' threads inherit it
    try:
        kinds = {"stock": (STOCK, False), "ours": (scheme, False), "tracking": (scheme, False, "tracking")}
        kinds |= {f"{name}_polite": (of, True, *more) for name, (of, _, *more) in kinds.items()}
        rates, decoded = {name: [] for name in kinds}, {}
        for _ in range(repeats):
            for name, how in kinds.items():
                *rate, decoded[name] = _timed(fmt, samples, *how)
                rates[name].append(rate)
    finally:
        os.sched_setaffinity(0, before)
    rates = {name: np.array(rate) for name, rate in rates.items()}  # [repeats, (clock, CPU)]
    ratios = {name: np.median(rate / rates["stock"], 0).tolist() for name, rate in rates.items()}
    return {
        "samples_s": {name: float(np.median(rate[:, 1])) for name, rate in rates.items()},
        "ratio": {name: cpu for name, (_, cpu) in ratios.items()},
        "ratio_wall": {name: wall for name, (wall, _) in ratios.items()},
        "decoded": decoded,
        "packets": packets,
    }


def _signal(packets, modulation, seed):
    fmt = packet_frame.FORMATS[modulation]
    sent = transmit(fmt, packet_frame.payloads(fmt, packets, seed))
    air = sample_channel.send_packets(sent, "short", SNR_DB, seed)
    return fmt, air.noisy.tolist()


def _timed(fmt, samples, scheme, polite=False, equaliser="diffsem"):
    """(samples per second by the clock, per second of CPU time, packets decoded)."""
    from gnuradio import diffsem

    tb, checked = receiver(scheme, fmt, samples, equaliser=equaliser)
    if polite:
        diffsem.set_nice(tb.link_chain.demux)
    begin, cpu = time.perf_counter(), time.process_time()
    run_limited(tb, 300.0)
    elapsed, used = time.perf_counter() - begin, time.process_time() - cpu
    return len(samples) / elapsed, len(samples) / used, len(checked.data()) // fmt.payload_bytes
