# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload bytes -> OFDM packets, through stock gr-digital and gr-fec blocks."""

import zlib

import numpy as np

from ..phy import constellation, convolutional, packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .flowgraph import run_limited


def transmit(fmt, payloads):
    """Baseband samples of all packets, complex64 [packets, 960], mean power 1 within a packet.

    fmt: packet_frame.Format. payloads: uint8 [packets, fmt.payload_bytes].
    """
    from gnuradio import blocks, digital, fec, fft, gr

    tb = gr.top_block("transmitter")
    source = blocks.vector_source_b(payloads.ravel().tolist(), False)
    tag = blocks.stream_to_tagged_stream(1, 1, fmt.payload_bytes, packet_frame.PACKET_LEN)
    crc = digital.crc32_bb(False, packet_frame.PACKET_LEN)
    untag = blocks.tag_gate(1, False)  # lengths change from here on
    unpack = blocks.unpack_k_bits_bb(8)
    encoder = fec.extended_encoder(
        fec.cc_encoder.make(
            fmt.info_bits, convolutional.LENGTH, 2, convolutional.GR_FEC_POLYNOMIALS, 0, fec.CC_TERMINATED
        ),
        threading=None,
        puncpat="11",
    )
    fill = fmt.coded_bits - fmt.code_bits
    pad = blocks.stream_mux(1, (fmt.code_bits, fill))
    zeros = blocks.null_source(1)
    interleaver = blocks.blockinterleaver_bb(fmt.interleaver().tolist(), True)
    pack = blocks.pack_k_bits_bb(8)
    packet = blocks.stream_to_tagged_stream(1, 1, fmt.coded_bytes, packet_frame.PACKET_LEN)
    tb.connect(source, tag, crc, untag, unpack, encoder, (pad, 0))
    tb.connect(zeros, (pad, 1))
    tb.connect(pad, interleaver, pack, packet)

    header = digital.packet_headergenerator_bb(header_format(fmt).base(), packet_frame.PACKET_LEN)
    header_untag = blocks.tag_gate(1, False)
    header_encoder = fec.extended_encoder(
        fec.cc_encoder.make(
            packet_frame.HEADER_BITS, convolutional.LENGTH, 2, convolutional.GR_FEC_POLYNOMIALS, 0, fec.CC_TRUNCATED
        ),
        threading=None,
        puncpat="11",
    )
    header_interleaver = blocks.blockinterleaver_bb(packet_frame.header_interleaver().tolist(), True)
    header_tag = blocks.stream_to_tagged_stream(1, 1, packet_frame.HEADER_CODED, packet_frame.PACKET_LEN)
    header_map = digital.chunks_to_symbols_bc(constellation.points(1).tolist())
    payload_bits = blocks.repack_bits_bb(8, fmt.bits, packet_frame.PACKET_LEN, False, gr.GR_MSB_FIRST)
    payload_map = digital.chunks_to_symbols_bc(fmt.points().tolist())
    mux = blocks.tagged_stream_mux(gr.sizeof_gr_complex, packet_frame.PACKET_LEN, 1)
    tb.connect(packet, header, header_untag, header_encoder, header_interleaver, header_tag)
    tb.connect(header_tag, header_map, (mux, 0))
    tb.connect(packet, payload_bits, payload_map, (mux, 1))

    allocator = digital.ofdm_carrier_allocator_cvc(
        LAYOUT.fft_len,
        packet_frame.occupied_carriers(),
        packet_frame.pilot_carriers(),
        packet_frame.pilot_symbols(),
        [word.tolist() for word in packet_frame.sync_words()],
        packet_frame.PACKET_LEN,
    )
    to_time = fft.fft_vcc(LAYOUT.fft_len, False, (), True)
    prefix = digital.ofdm_cyclic_prefixer(LAYOUT.fft_len, LAYOUT.symbol, 0, packet_frame.PACKET_LEN)
    scale = blocks.multiply_const_cc(1 / np.sqrt(len(LAYOUT.carriers)))
    head = blocks.head(gr.sizeof_gr_complex, len(payloads) * packet_frame.PACKET_SAMPLES)
    sink = blocks.vector_sink_c(1, len(payloads) * packet_frame.PACKET_SAMPLES)
    tb.connect(mux, allocator, to_time, prefix, scale, head, sink)
    run_limited(tb)
    samples = np.array(sink.data(), np.complex64)
    if samples.size != len(payloads) * packet_frame.PACKET_SAMPLES:
        raise RuntimeError(
            f"the transmitter gave {samples.size} samples for {len(payloads)} packets "
            f"instead of {len(payloads) * packet_frame.PACKET_SAMPLES}"
        )
    return samples.reshape(len(payloads), packet_frame.PACKET_SAMPLES)


def header_format(fmt):
    """gr-digital's header formatter of this packet format; a new one each time (it counts packets)."""
    from gnuradio import digital

    return digital.packet_header_ofdm(
        packet_frame.occupied_carriers(),
        n_syms=1,
        len_tag_key=packet_frame.PACKET_LEN,
        frame_len_tag_key=packet_frame.FRAME_LEN,
        num_tag_key=packet_frame.PACKET_NUM,
        bits_per_header_sym=1,
        bits_per_payload_sym=fmt.bits,
        scramble_header=True,
    )


def payload_symbols(samples):
    """What was sent on the data carriers, complex [packets, 9, 48], from noiseless samples."""
    packets = samples.reshape(-1, packet_frame.PACKET_SYMBOLS, LAYOUT.symbol)
    body = packets[:, packet_frame.SYNC_SYMBOLS + packet_frame.HEADER_SYMBOLS :, LAYOUT.cp_len :]
    return LAYOUT.spectra(body)[..., LAYOUT.data_bins] / LAYOUT.gain


def with_crc(payload):
    """A payload with its CRC-32, as `digital.crc32_bb` appends it (little endian)."""
    data = bytes(payload)
    return data + zlib.crc32(data).to_bytes(4, "little")
