# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-digital's receiver around `header_payload_demux`: header first, then the payload it announces.

Behind the detector it is wired as `gnuradio.digital.ofdm_rx`, with a coded header and soft decisions.
Each method differs in the estimator (and, where asked, in the equaliser) only.
"""

import numpy as np

from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .flowgraph import run_limited
from .link_receiver import (
    TIME_LIMIT,
    TRIGGER,
    Received,
    channel_estimator,
    collected_tags,
    collected_taps,
    compare,
    decoder,
    frame_equaliser,
    header_decoder,
    header_is,
    packet_tags,
    soft_demapper,
)

HEADER_PART = packet_frame.SYNC_SYMBOLS + packet_frame.HEADER_SYMBOLS  #: symbols that the demultiplexer cuts out
TAIL = 1 << 15  #: zeros behind the last packet, so that the demultiplexer is not stopped within one


def receive_demux(synced, fmt, payloads, method, noise_var, taps=None, carrier_search=True):
    """One stream through the whole receiver; arguments and result as receive.receive_cut.

    synced: link_sync.Synchronised. payloads: uint8 [found, n], what was sent in the packet of each
    trigger. A packet whose header fails has no payload, so no symbols.
    """
    import pmt
    from gnuradio import blocks, gr

    found = len(synced.trigger)
    tb = gr.top_block("receiver")
    tags = []
    for i, at in enumerate(synced.trigger):  # on the first sync word's first sample
        tags += packet_tags(at + LAYOUT.cp_len, method, noise_var[i], i, taps)
    samples = np.concatenate([synced.noisy, np.zeros(TAIL, np.complex64)])
    source = blocks.vector_source_c(samples.tolist(), False, 1, tags)
    fired = np.zeros(samples.size, np.uint8)
    fired[synced.trigger] = 1
    trigger = blocks.vector_source_b(fired.tolist(), False)
    chain = Chain(tb, fmt, method, carrier_search)
    tb.connect(source, (chain.demux, 0))
    tb.connect(trigger, (chain.demux, 1))
    tap_sink = blocks.vector_sink_c(LAYOUT.fft_len, found * packet_frame.HEADER_SYMBOLS)
    tb.connect(chain.estimate, tap_sink)
    per_payload = packet_frame.PAYLOAD_SYMBOLS * len(LAYOUT.data)
    symbol_sink = blocks.vector_sink_c(1, found * per_payload)
    tb.connect(chain.payload_symbols, symbol_sink)
    everything, checked = decoder(tb, chain.payload_llr, fmt)
    run_limited(tb, TIME_LIMIT)

    order = [pmt.to_long(values[TRIGGER]) for values in collected_tags(symbol_sink, per_payload)]
    header_ok, payload_ok = np.zeros(found, bool), np.zeros(found, bool)
    symbols = np.full((found, packet_frame.PAYLOAD_SYMBOLS, len(LAYOUT.data)), np.nan, np.complex64)
    got = np.array(symbol_sink.data(), np.complex64).reshape(-1, *symbols.shape[1:])
    if len(got) != len(order):
        raise RuntimeError(f"{len(got)} payloads came out for {len(order)} headers")
    header_ok[order] = True
    symbols[order] = got
    payload_ok[order] = compare(everything, checked, fmt, payloads[order])
    return Received(header_ok, payload_ok, *collected_taps(tap_sink, found, packet_frame.HEADER_SYMBOLS), symbols)


class Chain:
    """The blocks between the demultiplexer and the decoder, connected in `tb`.

    demux: the header_payload_demux; its inputs (samples, trigger) are for the caller to connect.
    estimate: the channel estimator, or what stands in its place. payload_symbols, payload_llr: blocks
    whose output is the payload's equalised symbols and their log-likelihood ratios. gate: turn away
    headers of another packet length (see `header_gate`). timing: each header is tagged `rx_time`, counted in samples.
    """

    def __init__(self, tb, fmt, method, carrier_search=True, gate=True, timing=False):
        from gnuradio import blocks, digital, fft, gr

        vector = gr.sizeof_gr_complex * LAYOUT.fft_len
        times = {"timing_tag_key": "rx_time", "samp_rate": 1.0} if timing else {}
        self.demux = digital.header_payload_demux(
            HEADER_PART, LAYOUT.fft_len, LAYOUT.cp_len, packet_frame.FRAME_LEN, "", True, **times
        )
        self.demux.set_log_level("warn")  # at low SNR a rejected header is no news
        header_fft = fft.fft_vcc(LAYOUT.fft_len, True, (), True)
        if method.chanest is None:  # taps come as tags: only the sync words have to go
            self.estimate = blocks.keep_m_in_n(
                vector, packet_frame.HEADER_SYMBOLS, HEADER_PART, packet_frame.SYNC_SYMBOLS
            )
        else:
            self.estimate = channel_estimator(method, packet_frame.HEADER_SYMBOLS, -1 if carrier_search else 0)
        header_eq, self._header_policy = frame_equaliser(method, 1, 0, packet_frame.HEADER_SYMBOLS)
        header_serialiser = digital.ofdm_serializer_vcc(
            LAYOUT.fft_len, packet_frame.occupied_carriers(), packet_frame.FRAME_LEN
        )
        header_length = blocks.stream_to_tagged_stream(
            gr.sizeof_gr_complex, LAYOUT.fft_len, packet_frame.HEADER_SYMBOLS, packet_frame.FRAME_LEN
        )
        tb.connect((self.demux, 0), header_fft, self.estimate, header_length, header_eq)
        header_llr = soft_demapper(1, method.demapper)
        tb.connect(header_eq, header_serialiser, header_llr)
        parser = header_decoder(tb, header_llr, fmt)
        if gate:
            self.gate = header_gate(fmt)
            tb.msg_connect(parser, "header_data", self.gate, "in")
            tb.msg_connect(self.gate, "out", self.demux, "header_data")
        else:
            tb.msg_connect(parser, "header_data", self.demux, "header_data")

        payload_fft = fft.fft_vcc(LAYOUT.fft_len, True, (), True)
        payload_eq, self._payload_policy = frame_equaliser(method, fmt.bits, packet_frame.HEADER_SYMBOLS)
        self.payload_symbols = digital.ofdm_serializer_vcc(
            LAYOUT.fft_len,
            packet_frame.occupied_carriers(),
            packet_frame.FRAME_LEN,
            packet_frame.PACKET_LEN,
            packet_frame.HEADER_SYMBOLS,
        )
        self.payload_llr = soft_demapper(fmt.bits, method.demapper)
        tb.connect((self.demux, 1), payload_fft, payload_eq, self.payload_symbols, self.payload_llr)


def header_gate(fmt):
    """A message block that turns away headers of another packet length.

    gr-digital's header has 8 bits of CRC: one wrong header in 256 gets through, with any length, and
    the decoder behind works on packets of one length."""
    import pmt
    from gnuradio import gr

    class HeaderGate(gr.basic_block):
        """in: the parser's message; out: the same, or false."""

        def __init__(self):
            gr.basic_block.__init__(self, "header_gate", None, None)
            self.passed = 0
            self.message_port_register_in(pmt.intern("in"))
            self.message_port_register_out(pmt.intern("out"))
            self.set_msg_handler(pmt.intern("in"), self.handle)

        def handle(self, message):
            good = header_is(message, fmt, None, pmt)
            self.passed += good
            self.message_port_pub(pmt.intern("out"), message if good else pmt.PMT_F)

    return HeaderGate()
