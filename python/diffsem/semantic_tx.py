# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of a semantic link -> samples."""

import math

from gnuradio import blocks, digital, fft, gr, pdu

from .diffsem_python import clip_cc, frame_mapper
from .frame_format_of import frame_format_of

LENGTH = "packet_len"


class semantic_tx(gr.hier_block2):
    """PDUs of frames in (port ``frames``), bursts of samples out, tagged ``packet_len``.

    Header, carrier allocation, IFFT, cyclic prefix, clipping to a chosen peak to mean power, one gain for sync
    words, header and payload, and an idle gap behind each frame.

    occupied_carriers, pilot_carriers: one set each, counted from DC (None: gr-digital's 48 + 4 of 64 carriers).
    pilot_symbols: sets gone through symbol by symbol (None: with the default layout only).
    frame_symbols: OFDM symbols of a full payload. papr_db: largest power of a sample over the mean one, dB; None: not
    clipped. amplitude: RMS of the samples of a frame. gap: idle samples behind each frame.

    Port ``stats``: dictionaries with ``in``, ``out``, ``dropped`` (PDUs that are no frame). Raises ValueError naming
    the parameter, its value and the remedy.
    """

    def __init__(
        self,
        fft_len=64,
        cp_len=16,
        occupied_carriers=None,
        pilot_carriers=None,
        pilot_symbols=None,
        frame_symbols=50,
        papr_db=8.0,
        amplitude=1.0,
        gap=0,
    ):
        from gr_diffsem.codec.frame_layout import layout

        gr.hier_block2.__init__(
            self, "semantic_tx", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, gr.sizeof_gr_complex)
        )
        self.message_port_register_hier_in("frames")
        self.message_port_register_hier_out("stats")
        if gap < 0:
            raise ValueError(f"gap is {gap}: give a number of samples, 0 or more")
        check_amplitude(amplitude)
        self.layout = form = layout(fft_len, cp_len, occupied_carriers, pilot_carriers, pilot_symbols, frame_symbols)
        frame_format_of(form)  # refuses what the receiver would
        self._scale = 1 / math.sqrt(len(form.carriers))
        self.mapper = frame_mapper(len(form.data), frame_symbols)
        stream = pdu.pdu_to_tagged_stream(gr.types.complex_t, LENGTH)
        allocator = digital.ofdm_carrier_allocator_cvc(
            fft_len,
            [list(form.data)],
            [list(form.pilots)],
            [list(s) for s in form.pilot_symbols],
            form.sync_words.tolist(),
            LENGTH,
        )
        ifft = fft.fft_vcc(fft_len, False, (), True)
        prefix = digital.ofdm_cyclic_prefixer(fft_len, fft_len + cp_len, 0, LENGTH)
        to_unit = blocks.multiply_const_cc(self._scale)
        self.clip = clip_cc(math.inf if papr_db is None else papr_db)
        self.gain = blocks.multiply_const_cc(amplitude)
        # A packet must fit its buffer whole, or the stream stalls.
        symbols = 2 + form.header_symbols + frame_symbols
        for block, items in (
            (stream, symbols * len(form.data)),
            (allocator, symbols),
            (ifft, symbols),
            (prefix, symbols * form.symbol),
            (to_unit, symbols * form.symbol),
            (self.clip, symbols * form.symbol),
            (self.gain, symbols * form.symbol),
        ):
            block.set_min_output_buffer(2 * items)
        shaper = digital.burst_shaper_cc([], 0, gap, False, LENGTH)
        self.msg_connect((self, "frames"), (self.mapper, "frames"))
        self.msg_connect((self.mapper, "pdus"), (stream, "pdus"))
        self.msg_connect((self.mapper, "stats"), (self, "stats"))
        self.connect(stream, allocator, ifft, prefix, to_unit, self.clip, self.gain, shaper, self)

    def set_papr_db(self, papr_db):
        """Live; None: not clipped."""
        self.clip.set_papr_db(math.inf if papr_db is None else papr_db)

    def set_amplitude(self, amplitude):
        """Live."""
        check_amplitude(amplitude)
        self.gain.set_k(amplitude)

    def frames_dropped(self):
        """PDUs that were no frame."""
        return self.mapper.frames_dropped()


def check_amplitude(amplitude):
    """Raise ValueError unless it is a positive number."""
    if not 0 < amplitude < math.inf:
        raise ValueError(f"amplitude is {amplitude}: give the RMS of a frame's samples, above 0")
