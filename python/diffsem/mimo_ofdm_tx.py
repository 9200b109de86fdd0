# SPDX-License-Identifier: GPL-3.0-or-later
"""Octets to the samples of two antennas: packets of 2x2 OFDM, of gr-digital's blocks."""

from gnuradio import blocks, digital, fft, gr

TAG = "packet_length"


class mimo_ofdm_tx(gr.hier_block2):
    """Octets in, samples of two transmit antennas out, 16-QAM on 52 of 64 carriers, packet after packet.

    A packet is a word for timing (antenna 0 alone), a symbol of pilots, and `symbols` symbols of data; the tag
    ``packet_length`` stands on its first sample. It takes `packet_octets()` octets, the upper four bits of each to
    antenna 0. The mean power of an antenna's samples is 1 in symbols of data.

    pilots: ``all``: 26 carriers for each antenna, between the other's; ``half``: 13, and data on the others. symbols: 1
    to 1000. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, pilots="all", symbols=8):
        from gr_diffsem.base.errors import UserError
        from gr_diffsem.phy import mimo_ofdm as phy

        gr.hier_block2.__init__(
            self, "mimo_ofdm_tx", gr.io_signature(1, 1, gr.sizeof_char), gr.io_signature(2, 2, gr.sizeof_gr_complex)
        )
        try:
            self._octets = phy.packet_octets(pilots, symbols)
        except UserError as e:
            raise ValueError(str(e)) from None
        layout, free = phy.LAYOUT, phy.K[phy.data_mask(pilots, symbols)[0]].tolist()
        bits = blocks.repack_bits_bb(8, phy.BITS, "", False, gr.GR_MSB_FIRST)
        points = digital.chunks_to_symbols_bc(phy.POINTS.tolist())
        streams = blocks.deinterleave(gr.sizeof_gr_complex)
        self.connect(self, bits, points, streams)
        self._parts = []
        for antenna, spectrum in enumerate(phy.training(pilots)):
            words = [phy.timing_word() * (antenna == 0)]
            carriers, pilot_carriers, pilot_symbols = [list(phy.USED)], [[]], [[]]
            if free:  # data beside the pilots
                mine = phy.K[spectrum != 0].tolist()
                carriers = [free, *carriers * symbols]
                pilot_carriers = [mine, *pilot_carriers * symbols]
                pilot_symbols = [spectrum[spectrum != 0].tolist(), *pilot_symbols * symbols]
            else:
                words.append(spectrum)
            chain = (
                (streams, antenna),
                blocks.stream_to_tagged_stream(gr.sizeof_gr_complex, 1, self._octets, TAG),
                digital.ofdm_carrier_allocator_cvc(
                    layout.fft_len, carriers, pilot_carriers, pilot_symbols, [list(map(complex, w)) for w in words], TAG
                ),
                fft.fft_vcc(layout.fft_len, False, (), True),
                digital.ofdm_cyclic_prefixer(layout.fft_len, layout.symbol, 0, TAG),
                blocks.multiply_const_cc(phy.GAIN / layout.fft_len),
            )
            self.connect(*chain, (self, antenna))
            self._parts.append(chain)

    def packet_octets(self):
        """Octets that a packet takes."""
        return self._octets
