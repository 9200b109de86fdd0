# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver behind the detector, in GNU Radio: FFT -> estimate -> equaliser -> demapper -> decoder.

Two shapes. `receive_cut` takes packets already cut out at the triggers and decodes every payload,
whether or not its header was read (so that estimates can be compared where headers fail).
`receive_demux` is gr-digital's own receiver around `header_payload_demux`.

Every method sees the same samples. An estimate comes from a block (`ls`: the stock one; else ours with
a scheme), or is given as taps (`Taps`: what no receiver can know), which then take the block's
place as the same tags.
"""

from dataclasses import dataclass

import numpy as np

from ..phy import constellation, convolutional, packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .flowgraph import run_limited
from .link_transmitter import header_format, with_crc

TAPS, OFFSET = "ofdm_sync_chan_taps", "ofdm_sync_carr_offset"
NOISE, ERROR = "diffsem_noise_var", "diffsem_error_var"
TRIGGER = "link_trigger"
LLR_SCALE = 0.15  #: gr-fec multiplies by 48 and rounds into 8 bits: +-17 in steps of 0.14
TIME_LIMIT = 600.0


@dataclass(frozen=True)
class Taps:
    """Estimates made elsewhere: taps complex64 [found, 64], error_var float [found, 64] (units of |taps|^2)."""

    taps: np.ndarray
    error_var: np.ndarray


@dataclass(frozen=True)
class Method:
    """How the channel is estimated, and what equalises.

    chanest: "stock", a scheme's name for our block, or None (taps are given).
    equaliser: "diffsem", "tracking" (ours, told the constellation: it follows the channel), or "simpledfe"
    (gr-digital's default one, soft output switched on).
    demapper: "diffsem", or "stock" (gr-digital's, by a table, blind to the carriers' noise).
    """

    chanest: str | None
    equaliser: str = "diffsem"
    demapper: str = "diffsem"


@dataclass
class Received:
    """What came out, per packet found.

    header_ok, payload_ok: bool [found]. taps: complex64 [found, 64] as the equaliser got them;
    error_var: float [found, 64], theirs. symbols: complex64 [found, 9, 48], equalised. NaN where none
    came.
    """

    header_ok: np.ndarray
    payload_ok: np.ndarray
    taps: np.ndarray
    error_var: np.ndarray
    symbols: np.ndarray


def gr_constellation(bits):
    """A gr-digital constellation object with our points and labels."""
    from gnuradio import digital

    points = constellation.points(bits).tolist()
    return digital.constellation_calcdist(points, [], 4 if bits > 1 else 2, 1, digital.constellation.NO_NORMALIZATION)


def channel_estimator(method, n_data_symbols, max_offset):
    """The block of a method that has one: stock, or ours."""
    from gnuradio import digital

    words = [word.tolist() for word in packet_frame.sync_words()]
    if method.chanest == "stock":
        return digital.ofdm_chanest_vcvc(*words, n_data_symbols, 0, max_offset)
    from gnuradio import diffsem

    return diffsem.ofdm_chanest_vcvc(
        method.chanest, *words, n_data_symbols, max_carr_offset=max_offset, extra_tags="error"
    )


def frame_equaliser(method, bits, symbols_skipped, fixed=0, header=0):
    """A frame equaliser block and the object in it (keep both). header: symbols of BPSK before those of `bits` each."""
    from gnuradio import digital

    layout = (packet_frame.occupied_carriers(), packet_frame.pilot_carriers(), packet_frame.pilot_symbols())
    if method.equaliser == "simpledfe":
        policy = digital.ofdm_equalizer_simpledfe(
            LAYOUT.fft_len,
            gr_constellation(bits).base(),
            *layout,
            symbols_skipped,
            enable_soft_output=True,
        )
    else:
        from gnuradio import diffsem

        points = [gr_constellation(1)] * header + [gr_constellation(bits)] if method.equaliser == "tracking" else ""
        policy = diffsem.ofdm_equalizer_diffsem(LAYOUT.fft_len, *layout, symbols_skipped, constellation=points)
    block = digital.ofdm_frame_equalizer_vcvc(policy.base(), LAYOUT.cp_len, packet_frame.FRAME_LEN, True, fixed)
    return block, policy


def soft_demapper(bits, kind="diffsem"):
    """LLRs of symbols with `bits` each, weighted by each carrier's noise (unless `kind` is "stock")."""
    if kind == "stock":
        from gnuradio import digital

        points = gr_constellation(bits)
        points.gen_soft_dec_lut(6, 0.1)
        return digital.constellation_soft_decoder_cf(points.base())
    from gnuradio import diffsem

    return diffsem.soft_demapper_cf(
        gr_constellation(bits).base(),
        occupied_carriers=packet_frame.occupied_carriers(),
        fft_len=LAYOUT.fft_len,
        scale=LLR_SCALE,
    )


def header_decoder(tb, upstream, fmt):
    """From the header's LLRs to gr-digital's parser, which it returns."""
    from gnuradio import blocks, digital, fec

    interleaver = blocks.blockinterleaver_ff(packet_frame.header_interleaver().tolist(), False)
    decode = fec.extended_decoder(
        fec.cc_decoder.make(
            packet_frame.HEADER_BITS, convolutional.LENGTH, 2, convolutional.GR_FEC_POLYNOMIALS, 0, -1, fec.CC_TRUNCATED
        ),
        threading=None,
        puncpat="11",
    )
    parser = digital.packet_headerparser_b(header_format(fmt).base())
    parser.set_log_level("warn")  # at low SNR a rejected header is no news
    tb.connect(upstream, interleaver, decode, parser)
    return parser


def decoder(tb, upstream, fmt):
    """Deinterleave, decode, check. Returns (sink of all packets' bytes, sink of the CRC's)."""
    from gnuradio import blocks, digital, fec, gr

    interleaver = blocks.blockinterleaver_ff(fmt.interleaver().tolist(), False)
    untag = blocks.tag_gate(gr.sizeof_float, False)
    unfill = blocks.keep_m_in_n(gr.sizeof_float, fmt.code_bits, fmt.coded_bits, 0)
    decode = fec.extended_decoder(
        fec.cc_decoder.make(
            fmt.info_bits, convolutional.LENGTH, 2, convolutional.GR_FEC_POLYNOMIALS, 0, 0, fec.CC_TERMINATED
        ),
        threading=None,
        puncpat="11",
    )
    pack = blocks.pack_k_bits_bb(8)
    size = fmt.info_bits // 8
    tag = blocks.stream_to_tagged_stream(1, 1, size, packet_frame.PACKET_LEN)
    crc = digital.crc32_bb(True, packet_frame.PACKET_LEN)
    everything, checked = blocks.vector_sink_b(1, 1 << 20), blocks.vector_sink_b(1, 1 << 20)
    tb.connect(upstream, untag, interleaver, unfill, decode, pack, everything)
    tb.connect(pack, tag, crc, checked)
    return everything, checked


def receive_cut(windows, fmt, payloads, method, noise_var, taps=None, carrier_search=True):
    """Packets cut out at the triggers, all of them decoded.

    windows: complex64 [found, 12, 64] (link_sync.Synchronised.windows). payloads: uint8 [found, n],
    what was sent. noise_var: [found], true, per carrier behind the FFT; goes to the demapper where
    the estimator has no noise estimate of its own. taps: Taps for a method without a block.
    """
    from gnuradio import blocks, digital, gr

    found = len(windows)
    tb = gr.top_block("receiver")
    first = packet_frame.SYNC_SYMBOLS if method.chanest is None else 0
    symbols = windows[:, first:]
    tags = []
    for i in range(found):
        tags += packet_tags(i * symbols.shape[1], method, noise_var[i], i, taps)
    source = blocks.vector_source_c(symbols.ravel().tolist(), False, LAYOUT.fft_len, tags)
    upstream = source
    if method.chanest is not None:
        upstream = channel_estimator(method, packet_frame.FRAME_SYMBOLS, -1 if carrier_search else 0)
        tb.connect(source, upstream)
    length = blocks.stream_to_tagged_stream(
        gr.sizeof_gr_complex, LAYOUT.fft_len, packet_frame.FRAME_SYMBOLS, packet_frame.FRAME_LEN
    )
    equaliser, policy = frame_equaliser(method, fmt.bits, 0, header=packet_frame.HEADER_SYMBOLS)
    serialiser = digital.ofdm_serializer_vcc(
        LAYOUT.fft_len, packet_frame.occupied_carriers(), packet_frame.FRAME_LEN, packet_frame.PACKET_LEN
    )
    tap_sink = blocks.vector_sink_c(LAYOUT.fft_len, found * packet_frame.FRAME_SYMBOLS)
    carriers = len(LAYOUT.data)
    per_frame = packet_frame.FRAME_SYMBOLS * carriers
    symbol_sink = blocks.vector_sink_c(1, found * per_frame)
    tb.connect(upstream, length, equaliser, serialiser, symbol_sink)
    tb.connect(upstream, tap_sink)

    header_carriers = packet_frame.HEADER_SYMBOLS * carriers
    header_demapper = soft_demapper(1)
    header = blocks.keep_m_in_n(gr.sizeof_float, header_carriers, per_frame, 0)
    messages = blocks.message_debug()
    untag = blocks.tag_gate(gr.sizeof_float, False)  # a packet_len here would pass for the header's
    tb.connect(serialiser, header_demapper, header, untag)
    parser = header_decoder(tb, untag, fmt)
    tb.msg_connect(parser, "header_data", messages, "store")

    demapper = soft_demapper(fmt.bits)
    payload = blocks.keep_m_in_n(
        gr.sizeof_float,
        packet_frame.PAYLOAD_SYMBOLS * carriers * fmt.bits,
        per_frame * fmt.bits,
        header_carriers * fmt.bits,
    )
    tb.connect(serialiser, demapper, payload)
    everything, checked = decoder(tb, payload, fmt)
    run_limited(tb, TIME_LIMIT)

    return Received(
        _headers(messages, found, fmt, payloads),
        compare(everything, checked, fmt, payloads),
        *collected_taps(tap_sink, found, packet_frame.FRAME_SYMBOLS),
        np.array(symbol_sink.data(), np.complex64).reshape(found, -1, carriers)[:, packet_frame.HEADER_SYMBOLS :],
    )


def packet_tags(offset, method, noise_var, trigger, taps):
    """GNU Radio tags of one packet at item `offset`."""
    import pmt
    from gnuradio import gr

    values = {TRIGGER: pmt.from_long(int(trigger))}
    if method.chanest in (None, "stock"):
        values[NOISE] = pmt.from_double(float(noise_var))
    if method.chanest is None:
        values[OFFSET] = pmt.from_long(0)
        values[TAPS] = pmt.init_c32vector(LAYOUT.fft_len, taps.taps[trigger].tolist())
        values[ERROR] = pmt.init_f32vector(LAYOUT.fft_len, taps.error_var[trigger].tolist())
    tags = []
    for key, value in values.items():
        tag = gr.tag_t()
        tag.offset, tag.key, tag.value = int(offset), pmt.intern(key), value
        tags.append(tag)
    return tags


def collected_tags(sink, items):
    """What a sink's tags say, in the order of the packets: a list of {key: value}.

    items: of a packet in this sink; tags elsewhere than on a packet's first item belong to others."""
    import pmt

    by_offset = {}
    for tag in sink.tags():
        if tag.offset % items == 0:
            by_offset.setdefault(tag.offset, {}).setdefault(pmt.symbol_to_string(tag.key), tag.value)
    return [values for _, values in sorted(by_offset.items()) if TRIGGER in values]


def collected_taps(sink, found, items):
    """(taps complex64 [found, 64], error variance [found, 64]) from a sink's tags; else NaN."""
    import pmt

    taps = np.full((found, LAYOUT.fft_len), np.nan, np.complex64)
    error_var = np.full((found, LAYOUT.fft_len), np.nan, np.float32)
    for values in collected_tags(sink, items):
        index = pmt.to_long(values[TRIGGER])
        if TAPS in values:
            taps[index] = pmt.c32vector_elements(values[TAPS])
        if ERROR in values:
            error_var[index] = pmt.f32vector_elements(values[ERROR])
    return taps, error_var


def _headers(messages, found, fmt, payloads):
    """bool [found]: the header announces the packet that was sent."""
    import pmt

    if messages.num_messages() != found:
        raise RuntimeError(f"{messages.num_messages()} header messages for {found} packets")
    number = 256 * payloads[:, 0].astype(int) + payloads[:, 1]
    good = np.zeros(found, bool)
    for i in range(found):
        good[i] = header_is(messages.get_message(i), fmt, number[i], pmt)
    return good


def header_is(message, fmt, number, pmt):
    """Is this the header parser's message for packet `number` (None: any) of this format?"""
    if not pmt.is_dict(message):
        return False
    wanted = {packet_frame.PACKET_LEN: fmt.payload_symbols, packet_frame.FRAME_LEN: packet_frame.PAYLOAD_SYMBOLS}
    if number is not None:
        wanted[packet_frame.PACKET_NUM] = int(number)
    for key, value in wanted.items():
        got = pmt.dict_ref(message, pmt.intern(key), pmt.PMT_NIL)
        if not pmt.is_integer(got) or pmt.to_long(got) != value:
            return False
    return True


def compare(everything, checked, fmt, payloads):
    """bool [found]: the CRC fits and the bytes are those sent."""
    size = fmt.info_bits // 8
    got = np.array(everything.data(), np.uint8).reshape(-1, size)
    if len(got) != len(payloads):
        raise RuntimeError(f"{len(got)} packets decoded of {len(payloads)}")
    passed = len(checked.data()) // fmt.payload_bytes
    good = (got == np.array([list(with_crc(p)) for p in payloads], np.uint8)).all(1)
    if passed < good.sum():
        raise RuntimeError(f"{good.sum()} packets are right but only {passed} pass the CRC")
    return good
