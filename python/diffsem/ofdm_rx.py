# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-digital's OFDM receiver with our channel estimate and equaliser in it."""

from gnuradio import analog, blocks, digital, fft, gr
from gnuradio.digital import ofdm_txrx

from .diffsem_python import ofdm_chanest_vcvc, ofdm_equalizer_diffsem


class ofdm_rx(gr.hier_block2):
    """Samples in, bytes of the packets whose CRC holds out: `digital.ofdm_rx` with our estimate and equaliser in it.

    Every parameter of `digital.ofdm_rx` has its name, its place and its default, so that

        digital.ofdm_rx(...)  ->  diffsem.ofdm_rx(...)

    is the whole swap; the transmitter stays `digital.ofdm_tx`. The estimate is the posterior mean under `scheme`
    (`ofdm_chanest_vcvc`), and `ofdm_equalizer_diffsem` follows it through header and payload, by pilots and decided
    data.

    fft_len, cp_len: carriers, and samples of the cyclic prefix. frame_length_tag_key, packet_length_tag_key,
    packet_num_tag_key: names of tags. occupied_carriers, pilot_carriers, pilot_symbols: as for
    `digital.ofdm_carrier_allocator_cvc`; None: those of `digital.ofdm_tx`. bps_header, bps_payload: bits of a symbol,
    1 (BPSK), 2 (QPSK), 3 (8PSK). sync_word1, sync_word2: fft_len values, DC in the middle; None: those of
    `digital.ofdm_tx`; sync_word2 = (): one word. debug_log: write what is inside into files in the current folder,
    named as gr-digital's. scramble_bits: as in the transmitter.
    scheme: a name or a handle; "ls": no prior. threshold: of the detector (`digital.ofdm_sync_sc_cfb`), 0 to 1; the
    default finds little below 15 dB, where 0.7 does.

    Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(
        self,
        fft_len=64,
        cp_len=16,
        frame_length_tag_key="frame_length",
        packet_length_tag_key="packet_length",
        packet_num_tag_key="packet_num",
        occupied_carriers=None,
        pilot_carriers=None,
        pilot_symbols=None,
        bps_header=1,
        bps_payload=1,
        sync_word1=None,
        sync_word2=None,
        debug_log=False,
        scramble_bits=False,
        scheme="ofdm_chanest",
        threshold=0.9,
    ):
        gr.hier_block2.__init__(
            self, "ofdm_rx", gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(1, 1, gr.sizeof_char)
        )
        if not 1 <= cp_len < fft_len:
            raise ValueError(f"cp_len is {cp_len}: give samples of the cyclic prefix, 1 to fft_len - 1")
        if not 0 < threshold < 1:
            raise ValueError(f"threshold is {threshold}: give a correlation between 0 and 1")
        occupied_carriers = occupied_carriers or ofdm_txrx._def_occupied_carriers
        pilot_carriers = pilot_carriers or ofdm_txrx._def_pilot_carriers
        pilot_symbols = pilot_symbols or ofdm_txrx._def_pilot_symbols
        self.fft_len, self.cp_len = fft_len, cp_len
        self.frame_length_tag_key, self.packet_length_tag_key = frame_length_tag_key, packet_length_tag_key
        self.occupied_carriers = occupied_carriers
        self.bps_header, self.bps_payload = bps_header, bps_payload
        self.sync_word1, self.sync_word2 = _sync_words(
            fft_len, occupied_carriers, pilot_carriers, sync_word1, sync_word2
        )
        self.scramble_seed = 0x7F if scramble_bits else 0
        points = {
            "header": _constellation("bps_header", bps_header),
            "payload": _constellation("bps_payload", bps_payload),
        }
        self._log = debug_log
        self._policies = []  # a frame equaliser's C++ side does not keep its Python object

        def equaliser(part, skipped, *fixed):
            policy = ofdm_equalizer_diffsem(
                fft_len,
                occupied_carriers,
                pilot_carriers,
                pilot_symbols,
                skipped,
                constellation=points[part],
                delay_window=cp_len,
            )
            self._policies.append(policy)
            return digital.ofdm_frame_equalizer_vcvc(policy.base(), cp_len, frame_length_tag_key, *fixed)

        demux = self._front(threshold)
        formatter = digital.packet_header_ofdm(
            occupied_carriers,
            1,
            packet_length_tag_key,
            frame_length_tag_key,
            packet_num_tag_key,
            bps_header,
            bps_payload,
            scramble_header=scramble_bits,
        )
        parser = digital.packet_headerparser_b(formatter.formatter())
        header_fft = fft.fft_vcc(fft_len, True, (), True)
        # The estimate's error goes to the equalisers as a tag.
        self.chanest = ofdm_chanest_vcvc(scheme, self.sync_word1, self.sync_word2, 1, cp_len, extra_tags="error")
        header_equaliser = equaliser("header", 0, True, 1)
        header_symbols = digital.ofdm_serializer_vcc(fft_len, occupied_carriers, frame_length_tag_key)
        header_bits = digital.constellation_decoder_cb(points["header"].base())
        self.connect((demux, 0), header_fft, self.chanest, header_equaliser, header_symbols, header_bits, parser)
        self.msg_connect(parser, "header_data", demux, "header_data")

        payload_fft = fft.fft_vcc(fft_len, True, (), True)
        payload_equaliser = equaliser("payload", 1)
        payload_symbols = digital.ofdm_serializer_vcc(
            fft_len, occupied_carriers, frame_length_tag_key, packet_length_tag_key, 1
        )
        payload_bits = digital.constellation_decoder_cb(points["payload"].base())
        pack = blocks.repack_bits_bb(bps_payload, 8, packet_length_tag_key, True)
        self.payload_descrambler = digital.additive_scrambler_bb(
            0x8A, self.scramble_seed, 7, 0, bits_per_byte=8, reset_tag_key=packet_length_tag_key
        )
        self.crc = digital.crc32_bb(True, packet_length_tag_key)
        self.connect((demux, 1), payload_fft, payload_equaliser, payload_symbols, payload_bits, pack)
        self.connect(pack, self.payload_descrambler, self.crc, self)

        vector = gr.sizeof_gr_complex * fft_len
        self._log_to("post-hdr-chanest.dat", self.chanest, vector)
        self._log_to("channel-estimate.dat", (self.chanest, 1), vector)
        self._log_to("post-hdr-eq.dat", header_equaliser, vector)
        self._log_to("post-hdr-serializer.dat", header_symbols, gr.sizeof_gr_complex)
        self._log_to("post-payload-fft.dat", payload_fft, vector)
        self._log_to("post-payload-eq.dat", payload_equaliser, vector)
        self._log_to("post-payload-serializer.dat", payload_symbols, gr.sizeof_gr_complex)
        self._log_to("post-payload-demod.dat", payload_bits, 1)
        self._log_to("post-payload-pack.dat", pack, 1)
        self._log_to("post-payload-crc.dat", self.crc, 1)

    def _front(self, threshold):
        """Detector, coarse carrier offset, and the demultiplexer of header and payload, which it returns."""
        words = 2 if len(self.sync_word2) else 1
        detector = digital.ofdm_sync_sc_cfb(self.fft_len, self.cp_len, False, threshold)
        delay = blocks.delay(gr.sizeof_gr_complex, self.fft_len + self.cp_len)
        oscillator = analog.frequency_modulator_fc(-2.0 / self.fft_len)
        mixer = blocks.multiply_cc()
        demux = digital.header_payload_demux(words + 1, self.fft_len, self.cp_len, self.frame_length_tag_key, "", True)
        self.connect(self, detector)
        self.connect(self, delay, (mixer, 0), (demux, 0))
        self.connect((detector, 0), oscillator, (mixer, 1))
        self.connect((detector, 1), (demux, 1))
        self._log_to("freq-offset.dat", (detector, 0), gr.sizeof_float)
        self._log_to("sync-detect.dat", (detector, 1), gr.sizeof_char)
        return demux

    def _log_to(self, name, port, size):
        if self._log:
            self.connect(port, blocks.file_sink(size, name))


def _constellation(name, bits):
    if bits not in (1, 2, 3):
        raise ValueError(f"{name} is {bits}: give 1 (BPSK), 2 (QPSK) or 3 (8PSK)")
    return {1: digital.constellation_bpsk, 2: digital.constellation_qpsk, 3: digital.constellation_8psk}[bits]()


def _sync_words(fft_len, occupied_carriers, pilot_carriers, word1, word2):
    """Both as lists, the transmitter's own where none is given."""
    carriers = (fft_len, occupied_carriers, pilot_carriers)
    words = {
        "sync_word1": ofdm_txrx._make_sync_word1(*carriers) if word1 is None else word1,
        "sync_word2": ofdm_txrx._make_sync_word2(*carriers) if word2 is None else word2,
    }
    for name, word in words.items():
        if len(word) != fft_len and (len(word) or name == "sync_word1"):
            raise ValueError(f"{name} has {len(word)} values: give fft_len = {fft_len}")
    return [list(word) for word in words.values()]
