# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-dtv's DVB-T transmitter and receiver, ours in its place, and a receiver that knows the channel; transport packets
that arrive, counted."""

import importlib
from dataclasses import dataclass, field

import numpy as np

from ..air import moving_paths
from ..air.impairments import noise
from ..receivers.dvbt.dvbt_layout import FRAMES, GUARDS, RATE, SYMBOLS, Layout
from .flowgraph import run_limited

PACKET = 188  #: octets of a transport packet
BLOCK = 768  #: of gr-dtv's Viterbi decoder
CONSTELLATIONS = {"qpsk": ("MOD_QPSK", 2), "16qam": ("MOD_16QAM", 4), "64qam": ("MOD_64QAM", 6)}
RATES = {"1/2": "C1_2", "2/3": "C2_3", "3/4": "C3_4", "5/6": "C5_6", "7/8": "C7_8"}
SUPERFRAME = SYMBOLS * FRAMES


@dataclass(frozen=True)
class Mode:
    """How a signal is sent, by the names of the tables above and of `dvbt_layout`."""

    mode: str = "2k"
    guard: str = "1/8"
    constellation: str = "qpsk"
    rate: str = "1/2"

    @property
    def layout(self):
        return Layout(self.mode, self.guard)

    @property
    def bits(self):
        """Of a carrier."""
        return CONSTELLATIONS[self.constellation][1]

    @property
    def packets_a_second(self):
        k, n = map(int, self.rate.split("/"))
        here = self.layout
        return RATE / here.symbol * here.data_len * self.bits * k / n / 8 / 204

    def dtv(self):
        """The words of gr-dtv: constellation, hierarchy, code rate, guard interval, transmission mode."""
        from gnuradio import dtv

        return (
            getattr(dtv, CONSTELLATIONS[self.constellation][0]),
            dtv.NH,
            getattr(dtv, RATES[self.rate]),
            getattr(dtv, "GI_1_" + str(GUARDS[self.guard])),
            getattr(dtv, "T" + self.mode),
        )

    def reference_signals(self):
        """The arguments of gr-dtv's blocks of this name, the first three left out."""
        constellation, hierarchy, rate, guard, mode = self.dtv()
        return (constellation, hierarchy, rate, rate, guard, mode, 1, 0)


@dataclass(frozen=True)
class Broadcast:
    """What was sent: samples complex64 at RATE, of unit mean power; packets: a set of bytes; mode."""

    samples: np.ndarray
    packets: frozenset
    mode: Mode
    copies: dict = field(default_factory=dict, repr=False)

    def over(self, paths):
        """The samples behind `moving_paths.MovingPaths`; the delayed ones are kept for the next channel."""
        key = tuple(paths.delays)
        if key not in self.copies:
            self.copies.clear()
            self.copies[key] = moving_paths.delayed(self.samples, paths.delays)
        return paths.through(self.copies[key])

    def noise_var(self, snr_db):
        """Of a sample: SNR of a carrier in use on the mean, behind the FFT."""
        here = self.mode.layout
        return here.fft_len / here.carriers * 10 ** (-snr_db / 10)


def broadcast(seconds, mode=None, seed=0):
    """So many seconds of random packets from gr-dtv's transmitter: a `Broadcast`."""
    from gnuradio import blocks, digital, dtv, gr

    mode = mode or Mode()
    here, (constellation, hierarchy, rate, _, size) = mode.layout, mode.dtv()
    n, symbols = here.data_len, int(seconds * RATE / here.symbol)
    count = int(seconds * mode.packets_a_second) + 60
    packets = np.random.default_rng(seed).integers(0, 256, (count, PACKET), np.uint8)
    packets[:, 0] = 0x47
    tb = gr.top_block("dvbt transmitter")
    sink = blocks.vector_sink_c()
    tb.connect(
        blocks.vector_source_b(packets.ravel().tolist(), False),
        dtv.dvbt_energy_dispersal(1),
        dtv.dvbt_reed_solomon_enc(2, 8, 0x11D, 255, 239, 8, 51, 8),
        dtv.dvbt_convolutional_interleaver(136, 12, 17),
        dtv.dvbt_inner_coder(1, n, constellation, hierarchy, rate),
        dtv.dvbt_bit_inner_interleaver(n, constellation, hierarchy, size),
        dtv.dvbt_symbol_inner_interleaver(n, size, 1),
        dtv.dvbt_map(n, constellation, hierarchy, size, 1),
        dtv.dvbt_reference_signals(8, n, here.fft_len, *mode.reference_signals()),
        digital.ofdm_cyclic_prefixer(here.fft_len, here.symbol, 0, ""),
        blocks.head(8, symbols * here.symbol),
        sink,
    )
    run_limited(tb, 60 + 60 * seconds)
    samples = np.array(sink.data(), np.complex64)
    samples /= np.sqrt(np.mean(np.abs(samples) ** 2))
    return Broadcast(samples, frozenset(p.tobytes() for p in packets), mode)


def receive(samples, mode, acquisition="stock", reference="stock", soft=False, snr_db=15.0, seconds=300.0, **options):
    """Transport packets, uint8 [n, 188], of gr-dtv's receiver with one of its blocks, or both, taken from here.

    acquisition, reference: "stock" or "ours". soft: with our decoder too, behind our reference.
    options: of our `dvbt_demod_reference_signals`."""
    from gnuradio import gr

    tb = gr.top_block("dvbt receiver")
    options |= {"soft": True} if soft else {}
    cells = _front(tb, samples, mode, acquisition, reference, snr_db, options)
    return _packets(tb, [cells], mode, soft, seconds)


def payload(samples, mode, acquisition="stock", reference="stock", snr_db=15.0, seconds=300.0):
    """What such a receiver's decoder is given: complex64 [symbols, carriers of payload]."""
    from gnuradio import blocks, gr

    tb, sink = gr.top_block("dvbt demodulator"), blocks.vector_sink_c(mode.layout.data_len)
    tb.connect(_front(tb, samples, mode, acquisition, reference, snr_db, {}), sink)
    run_limited(tb, seconds)
    return np.array(sink.data(), np.complex64).reshape(-1, mode.layout.data_len)


def _front(tb, samples, mode, acquisition, reference, snr_db, options):
    """Connects a receiver up to the block that gives payload; this block."""
    from gnuradio import blocks, dtv, fft
    from gnuradio.fft import window

    here = mode.layout
    ours = None if acquisition == reference == "stock" else importlib.import_module("gnuradio.diffsem")
    sync = {"stock": dtv, "ours": ours}[acquisition].dvbt_ofdm_sym_acquisition
    demod = {"stock": dtv, "ours": ours}[reference].dvbt_demod_reference_signals
    front = [
        blocks.vector_source_c(samples, False),
        sync(1, here.fft_len, here.carriers, here.guard_len, snr_db),
        fft.fft_vcc(here.fft_len, True, window.rectangular(here.fft_len), True, 1),
        demod(8, here.fft_len, here.data_len, *mode.reference_signals(), **options),
    ]
    tb.connect(*front)
    return front[-1]


def decoder(mode):
    """gr-dtv's blocks from demapper to descrambler."""
    return [*hard_decoder(mode), *outer_decoder()]


def hard_decoder(mode):
    """gr-dtv's blocks from demapper to Viterbi decoder."""
    from gnuradio import blocks, dtv

    constellation, hierarchy, rate, _, size = mode.dtv()
    n = mode.layout.data_len
    return [
        dtv.dvbt_demap(n, constellation, hierarchy, size, 1),
        dtv.dvbt_symbol_inner_interleaver(n, size, 0),
        dtv.dvbt_bit_inner_deinterleaver(n, constellation, hierarchy, size),
        blocks.vector_to_stream(1, n),
        dtv.dvbt_viterbi_decoder(constellation, hierarchy, rate, BLOCK),
    ]


def soft_decoder(mode):
    """Ours in their place; its second input is the noise of each carrier."""
    from gnuradio import diffsem

    constellation, hierarchy, rate, _, size = mode.dtv()
    return diffsem.dvbt_soft_decoder(mode.layout.data_len, constellation, hierarchy, rate, size)


def outer_decoder():
    """gr-dtv's blocks from the deinterleaver of octets to the descrambler."""
    from gnuradio import dtv

    return [
        dtv.dvbt_convolutional_deinterleaver(136, 12, 17),
        dtv.dvbt_reed_solomon_dec(2, 8, 0x11D, 255, 239, 8, 51, 8),
        dtv.dvbt_energy_descramble(8),
    ]


def _packets(tb, cells, mode, soft, seconds):
    """Runs a receiver from its decoder on; its packets, uint8 [n, 188].

    cells: the block that gives payload and, with soft, the noise of each carrier; or one block for each of them."""
    from gnuradio import blocks

    sink = blocks.vector_sink_b()
    if soft:
        inner = soft_decoder(mode)
        tb.connect((cells[0], 0), (inner, 0))
        tb.connect((cells[-1], 2 - len(cells)), (inner, 1))
        tb.connect(inner, *outer_decoder(), sink)
    else:
        tb.connect(cells[0], *decoder(mode), sink)
    run_limited(tb, seconds)
    return np.array(sink.data(), np.uint8).reshape(-1, PACKET)


def genie(samples, mode, paths, soft=False, noise_var=0.0, seconds=300.0):
    """The same with the true channel: each carrier divided by what it is in the middle of the symbol, the place of each
    symbol known. Begins with the second superframe, as the others do at best. noise_var: of a sample, with soft."""
    from gnuradio import blocks, gr

    here = mode.layout
    early = int(here.guard_len - np.max(paths.delays)) // 2
    count = (len(samples) - here.symbol) // here.symbol
    numbers = np.arange(SUPERFRAME, count)
    out = np.zeros((len(numbers), here.data_len), np.complex64)
    var = np.zeros(out.shape, np.float32)
    low = here.fft_len // 2 - (here.carriers - 1) // 2
    advance = np.exp(-2j * np.pi * here.from_dc * -early / here.fft_len)
    for part in np.array_split(numbers, max(1, len(numbers) // 64)):
        begin = part * here.symbol + here.guard_len - early
        y = samples[begin[:, None] + np.arange(here.fft_len)]
        spectra = np.fft.fftshift(np.fft.fft(y, axis=1), 1)[:, low : low + here.carriers]
        h = paths.response(begin + here.fft_len / 2, here.from_dc, here.fft_len) * np.conj(advance)
        for i, number in enumerate(part):
            data = here.data(number)
            out[number - SUPERFRAME] = (spectra[i, data] / h[i, data]).astype(np.complex64)
            if soft:
                with np.errstate(over="ignore", divide="ignore"):  # a carrier that is not there
                    var[number - SUPERFRAME] = here.fft_len * noise_var / np.abs(h[i, data]) ** 2
    out /= _scale(mode)
    var /= _scale(mode) ** 2
    tags = [_tag(i, "symbol_index", int(n % SYMBOLS)) for i, n in enumerate(numbers)]
    tags.append(_tag(0, "superframe_start", 0xAA))
    tb = gr.top_block("dvbt genie")
    cells = [blocks.vector_source_c(out.ravel(), False, here.data_len, tags)]
    if soft:
        cells.append(blocks.vector_source_f(var.ravel(), False, here.data_len))
    return _packets(tb, cells, mode, soft, seconds)


def _scale(mode):
    """A data carrier's amplitude behind the FFT, of samples of unit mean power."""
    here = mode.layout
    pilots = len(here.pilots[0])
    power = (here.carriers - pilots) + 16 / 9 * pilots
    return here.fft_len / np.sqrt(power)


def _tag(offset, key, value):
    import pmt
    from gnuradio import gr

    tag = gr.tag_t()
    tag.offset, tag.key, tag.value = offset, pmt.intern(key), pmt.from_long(value)
    return tag


def quiet():
    """gr-dtv's items are of odd sizes, of which the scheduler says something for each buffer."""
    from gnuradio import gr

    gr.logging().set_default_level(gr.log_levels.err)


def right(packets, sent):
    """How many of the packets were sent."""
    return sum(p.tobytes() in sent.packets for p in packets)


def faded(sent, paths, snr_db, rng):
    """The samples behind paths, with noise: complex64."""
    y = sent.over(paths)
    return (y + noise(rng, len(y), sent.noise_var(snr_db))).astype(np.complex64)
