# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of two antennas to octets: the receiver of `mimo_ofdm_tx`."""

from gnuradio import analog, blocks, digital, gr

from .diffsem_python import estimate
from .mimo_ofdm_packets import mimo_ofdm_cut, mimo_ofdm_decide

ESTIMATORS = ("posterior", "lmmse", "ls")


class mimo_ofdm_rx(gr.hier_block2):
    """Samples of two receive antennas in; octets (port 0), equalised points of both streams (1) and the four channels
    as they were estimated (2: vectors of 256, links of 64 carriers: receive antenna 0 from 0 and 1, then 1) out.

    gr-digital's Schmidl-Cox detector finds packets and the carrier offset on antenna 0; the noise variance comes from
    carriers that nobody uses; the channel is estimated from one symbol of pilots; symbols of both streams are decided
    together (maximum likelihood), and the phase is followed by what was decided. A packet that is not found leaves
    nothing, so octets have no number: send what tells itself.

    estimator: ``posterior`` (the network), ``lmmse`` (average statistics), ``ls`` (lines between pilots). pilots,
    symbols: as in `mimo_ofdm_tx`. threshold: of the detector, 0 to 1. scheme: the package that has the members
    ``posterior`` and ``lmmse``. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, estimator="posterior", pilots="all", symbols=8, threshold=0.8, scheme="mimo_ofdm_chanest"):
        import numpy as np
        from gr_diffsem.base.errors import UserError
        from gr_diffsem.phy import mimo_ofdm as phy

        gr.hier_block2.__init__(
            self,
            "mimo_ofdm_rx",
            gr.io_signature(2, 2, gr.sizeof_gr_complex),
            gr.io_signature.makev(3, 3, [gr.sizeof_char, gr.sizeof_gr_complex, 256 * gr.sizeof_gr_complex]),
        )
        if estimator not in ESTIMATORS:
            raise ValueError(f"estimator is '{estimator}': give one of {', '.join(ESTIMATORS)}")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}: give a correlation between 0 and 1")
        try:
            octets = phy.packet_octets(pilots, symbols)
        except UserError as e:
            raise ValueError(str(e)) from None
        layout = phy.LAYOUT
        detector = digital.ofdm_sync_sc_cfb(layout.fft_len, layout.cp_len, True, threshold)
        oscillator = analog.frequency_modulator_fc(-2.0 / layout.fft_len)
        cut = mimo_ofdm_cut(pilots, symbols)
        decide = mimo_ofdm_decide(pilots, symbols, estimator == "ls")
        self.connect((self, 0), detector)
        self.connect((detector, 0), oscillator)
        self.connect((detector, 1), (cut, 2))
        for antenna in range(2):
            delay, mixer = blocks.delay(gr.sizeof_gr_complex, layout.symbol), blocks.multiply_cc()
            self.connect((self, antenna), delay, (mixer, 0), (cut, antenna))
            self.connect(oscillator, (mixer, 1))
        found = cut
        if estimator != "ls":
            # What the noise is measured on; the guard reads it, and an average knows no guard.
            unused = 2 * (1 + symbols) * int(np.sum(~phy.IS_USED)) if estimator == "posterior" else 0
            seen = np.flatnonzero(phy.observed(pilots)).tolist()
            found = estimate(f"{scheme}/{estimator}", noise="tag", observed=seen, noise_freedom=unused)
            self.connect((cut, 0), found)
        self.connect((found, 0), (decide, 0))
        self.connect((cut, 1), (decide, 1))
        self.connect((decide, 0), blocks.vector_to_stream(gr.sizeof_char, octets), (self, 0))
        self.connect((decide, 1), blocks.vector_to_stream(gr.sizeof_gr_complex, 2 * octets), (self, 1))
        self.connect((decide, 2), (self, 2))
        self._parts = cut, decide, found
