# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples -> frames of a semantic link."""

from gnuradio import digital, gr

from .diffsem_python import frame_sync_cvc, frame_to_pdu, ofdm_chanest_vcvc, ofdm_equalizer_diffsem
from .frame_format_of import frame_format_of


class semantic_rx(gr.hier_block2):
    """Samples in, PDUs of frames out (port ``pdus``): equalised symbols, each with its own noise variance.

    Our own synchronisation and header, channel estimate under a learned prior, pilots followed. The symbols stay
    analogue. The dictionaries hold ``id``, ``total``, ``index``, ``digital``, ``snr_db``, ``noise_var`` (f32vector),
    ``carrier_offset``, ``clock_error``, ``start``.

    scheme: of `ofdm_chanest_vcvc`. The carriers as for `semantic_tx`, which must agree. max_offset: largest carrier
    offset, carrier spacings, 0 to 3. false_alarm: probability per sample that noise is taken for a preamble.
    phase_memory: of `ofdm_equalizer_diffsem`.

    Port ``stats``: dictionaries with ``in`` (preambles found), ``out`` (frames), ``dropped`` (without a header: false
    alarms and lost frames), ``recognised``, ``interference`` and more: see `frame_sync_cvc`. Raises ValueError naming
    the parameter, its value and the remedy.
    """

    def __init__(
        self,
        scheme="ofdm_chanest",
        fft_len=64,
        cp_len=16,
        occupied_carriers=None,
        pilot_carriers=None,
        pilot_symbols=None,
        frame_symbols=50,
        max_offset=2.25,
        false_alarm=1e-3,
        phase_memory=0.9,
    ):
        from gr_diffsem.codec.frame_layout import layout

        gr.hier_block2.__init__(
            self, "semantic_rx", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        )
        self.message_port_register_hier_out("pdus")
        self.message_port_register_hier_out("stats")
        self.layout = form = layout(fft_len, cp_len, occupied_carriers, pilot_carriers, pilot_symbols, frame_symbols)
        frames = frame_format_of(form)
        self.sync = frame_sync_cvc(frames, max_offset, false_alarm)
        symbols = self.sync.header_symbols() + frame_symbols
        self.chanest = ofdm_chanest_vcvc(scheme, self.sync.sync_reference(), [], symbols, cp_len, 0, extra_tags="error")
        self._policy = ofdm_equalizer_diffsem(
            fft_len,
            [list(form.data)],
            [list(form.pilots)],
            [list(s) for s in form.pilot_symbols],
            phase_memory=phase_memory,
        )
        equaliser = digital.ofdm_frame_equalizer_vcvc(self._policy.base(), cp_len, "frame_len", True, 0)
        self.output = frame_to_pdu(frames)
        for block in (self.sync, self.chanest, equaliser):
            block.set_min_output_buffer(4 * (1 + symbols))
        self.connect(self, self.sync, self.chanest, equaliser, self.output)
        self.msg_connect((self.output, "pdus"), (self, "pdus"))
        self.msg_connect((self.sync, "stats"), (self, "stats"))

    def frames_found(self):
        """Preambles found, false alarms included."""
        return self.sync.frames_found()

    def hint(self):
        """Where no frame is found, what of the sender's settings was seen to differ; "" where nothing was."""
        return self.sync.hint()

    def frames_out(self):
        """Frames that left as PDUs."""
        return self.output.frames_out()
