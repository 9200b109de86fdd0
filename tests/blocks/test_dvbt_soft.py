# SPDX-License-Identifier: GPL-3.0-or-later
"""DVB-T by soft decisions: gr-dtv's inner coder and its decoder are the oracle; what fading leaves to gain."""

import flow
import grid
import numpy as np
import pytest
from gnuradio import blocks, gr

dtv = pytest.importorskip("gnuradio.dtv")
from gnuradio import diffsem  # noqa: E402
from gr_diffsem.air import moving_paths  # noqa: E402
from gr_diffsem.eval import dvbt_link  # noqa: E402
from gr_diffsem.eval.dvbt_link import Mode  # noqa: E402
from gr_diffsem.receivers.dvbt.dvbt_layout import RATE  # noqa: E402

BEGINS = flow.tag(0, "superframe_start", 0xAA)


def decoder(mode):
    return dvbt_link.soft_decoder(mode)


def inner_coded(mode, symbols):
    """(octets, payload [symbols, carriers]) of gr-dtv's blocks from inner coder to mapper."""
    constellation, hierarchy, rate, _, size = mode.dtv()
    n = mode.layout.data_len
    octets = np.random.default_rng(1).integers(0, 256, 8 + symbols * n, np.uint8)  # more than any mode needs
    tb, sink = gr.top_block(), blocks.vector_sink_c(n)
    tb.connect(
        blocks.vector_source_b(octets.tolist(), True),
        dtv.dvbt_inner_coder(1, n, constellation, hierarchy, rate),
        dtv.dvbt_bit_inner_interleaver(n, constellation, hierarchy, size),
        dtv.dvbt_symbol_inner_interleaver(n, size, 1),
        dtv.dvbt_map(n, constellation, hierarchy, size, 1),
        blocks.head(8 * n, symbols),
        sink,
    )
    flow.run(tb)
    return octets, np.array(sink.data(), np.complex64).reshape(-1, n)


def index_tags(count, first=0):
    return [flow.tag(i, "symbol_index", (first + i) % 68) for i in range(count)]


def decoded(payload, noise, mode, tags, chunk=None, block=None):
    """(octets, tags of the output) of payload [symbols, carriers] and its noise, a number or as many."""
    block = block or decoder(mode)
    tb, sink = gr.top_block(), blocks.vector_sink_b()
    var = np.broadcast_to(np.asarray(noise, np.float32), payload.shape)
    tb.connect(flow.source(tb, payload, tags, chunk), (block, 0))
    tb.connect(blocks.vector_source_f(var.ravel().tolist(), False, payload.shape[1]), (block, 1))
    tb.connect(block, sink)
    flow.run(tb)
    return np.array(sink.data(), np.uint8), [(t.offset, str(t.key)) for t in sink.tags()]


def hard(payload, mode, tags):
    """What gr-dtv's blocks make of it."""
    tb, sink = gr.top_block(), blocks.vector_sink_b()
    tb.connect(flow.source(tb, payload, tags), *dvbt_link.hard_decoder(mode), sink)
    flow.run(tb)
    return np.array(sink.data(), np.uint8)


MODES = [
    Mode(),
    Mode(constellation="16qam", rate="3/4"),
    Mode(constellation="64qam", rate="5/6"),
    Mode("8k", constellation="16qam", rate="2/3"),
    Mode("8k", constellation="64qam", rate="7/8"),
]


@pytest.mark.parametrize("mode", MODES, ids=lambda m: f"{m.mode} {m.constellation} {m.rate}")
def test_octets_are_those_of_gr_dtv(mode):
    octets, payload = inner_coded(mode, 12)
    tags = [BEGINS, *index_tags(12)]
    stock = hard(payload, mode, tags)
    got, begins = decoded(payload, 0.01, mode, tags)
    assert len(got) == 12 * mode.layout.data_len * mode.bits * eval(mode.rate) // 8
    assert np.array_equal(got, octets[: len(got)])
    assert 0 < len(stock) < len(got) and np.array_equal(got[: len(stock)], stock)
    assert begins == [(0, "superframe_start")]


def test_pieces_make_no_difference():
    octets, payload = inner_coded(Mode(rate="3/4"), 9)
    tags = [BEGINS, *index_tags(9)]
    for chunk in (1, 4):
        assert np.array_equal(decoded(payload, 1, Mode(rate="3/4"), tags, chunk)[0], octets[: 9 * 567 // 2])


def test_stretches_begin_with_superframes_and_all_is_counted():
    """Two symbols before the first, a second one after half an octet, symbol numbers left out in its middle."""
    mode = Mode(rate="3/4")  # 283.5 octets a symbol
    octets, payload = inner_coded(mode, 12)
    rows = np.concatenate([payload[:2], payload[:3], payload])
    tags = [flow.tag(0, "symbol_index", 0), flow.tag(2, "superframe_start", 0xAA), flow.tag(2, "symbol_index", 0)]
    tags += [flow.tag(5, "superframe_start", 0xAA), flow.tag(5, "symbol_index", 0)]
    block = decoder(mode)
    got, begins = decoded(rows, 0.1, mode, tags, block=block)
    assert begins == [(0, "superframe_start"), (850, "superframe_start")]  # 850.5
    assert np.array_equal(got, np.concatenate([octets[:850], octets[: 12 * 567 // 2]]))
    assert (block.items_in(), block.items_out(), block.items_dropped()) == (17, 15, 2)
    again, _ = decoded(rows[:5], 0.1, mode, tags[:3], block=block)  # a second run owes nothing to the first
    assert np.array_equal(again, octets[:850])


def test_without_a_superframe_nothing_comes():
    block = decoder(Mode())
    rng = np.random.default_rng(2)
    rows = rng.standard_normal((20, 3024), np.float32).view(np.complex64)
    got, _ = decoded(rows, 1, Mode(), index_tags(20), block=block)
    assert len(got) == 0 and block.items_dropped() == 20


@pytest.mark.parametrize("noise", [0, np.nan, np.inf, -1, 1e-38, 1e38])
def test_noise_of_any_size(noise):
    """Nothing known, or everything: as many octets, and right ones where something is."""
    octets, payload = inner_coded(Mode(), 4)
    payload[1, ::9] = np.nan
    payload[2, ::9] = 1e38
    got, _ = decoded(payload, noise, Mode(), [BEGINS, *index_tags(4)])
    assert len(got) == 4 * 189
    if noise == 1e-38:
        assert np.array_equal(got[:189], octets[:189])


@pytest.mark.parametrize("tiles", [False, True])
def test_noise_of_each_carrier_is_what_it_has(tiles, tmp_path):
    """Two paths, 20 dB: carriers differ by 15 dB, and so do their errors."""
    scheme = ""
    if tiles:
        scheme = str(tmp_path / "tiles")
        frequency = np.exp(-2j * np.pi * np.outer(np.arange(24), [-2, 0, 3, 6, 9]) / 2048)
        prior = np.kron(np.ones((8, 8)), frequency @ frequency.conj().T / 5) + 1e-3 * np.eye(192)
        grid.package(tmp_path / "tiles", (8, 24), gain="measured", prior=prior)
    sent = dvbt_link.broadcast(0.1)
    here = sent.mode.layout
    y = dvbt_link.faded(sent, moving_paths.still([0.0, 6.0], np.array([1, 0.7j])), 20, np.random.default_rng(4))
    symbols = y[: len(y) // here.symbol * here.symbol].reshape(-1, here.symbol)[:, here.guard_len - 3 : -3]
    spectra = np.fft.fftshift(np.fft.fft(symbols, axis=1), 1)
    block = diffsem.dvbt_demod_reference_signals(
        8, 2048, 1512, *sent.mode.reference_signals(), scheme=scheme, soft=True
    )
    tb, sinks = gr.top_block(), (blocks.vector_sink_c(1512), blocks.vector_sink_f(1512))
    tb.connect(flow.source(tb, spectra), block)
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    flow.run(tb, 60)
    payload, noise = (np.array(s.data()).reshape(-1, 1512)[20:] for s in sinks)
    points = (np.sign(payload.real) + 1j * np.sign(payload.imag)) / 2**0.5
    surprise = np.abs(payload - points) ** 2 / noise
    limit = np.quantile(noise, [0.2, 0.8])
    assert len(payload) == len(noise) > 80 and limit[1] > 4 * limit[0]
    for part in (noise < limit[0], noise > limit[1]):
        assert 0.75 < surprise[part].mean() < 1.25


@pytest.mark.parametrize(("constellation", "snr"), [("qpsk", 8), ("16qam", 14)])
def test_a_moving_car_needs_less_power(constellation, snr):
    """TU6 at 50 Hz, where hard decisions lose a third and more: soft ones lose few."""
    sent = dvbt_link.broadcast(0.16, Mode(constellation=constellation))
    rng = np.random.default_rng(5)
    delays, powers = moving_paths.TU6
    paths = moving_paths.draw(rng, np.array(delays) * RATE, powers, 50 / RATE)
    y = dvbt_link.faded(sent, paths, snr, rng)
    most = dvbt_link.right(dvbt_link.genie(sent.samples, sent.mode, moving_paths.still([0.0], [1.0])), sent)
    by_hard, by_soft = (
        dvbt_link.right(dvbt_link.receive(y, sent.mode, "ours", "ours", soft), sent) for soft in (False, True)
    )
    assert by_hard < 0.7 * most < 0.9 * most < by_soft


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ((1512, 7, 0, 3, 0), "constellation is 7: give MOD_QPSK"),
        ((1512, 0, 1, 3, 0), "hierarchy is ALPHA1: soft decisions are for NH"),
        ((1512, 0, 9, 3, 0), "hierarchy is 9"),
        ((1512, 0, 0, 4, 0), "code_rate is 4: give C1_2"),
        ((1512, 0, 0, 3, 2), "transmission_mode is 2: give T2k"),
        ((6048, 0, 0, 3, 0), "nsize is 6048: a symbol of the mode T2k has 1512"),
        ((1512.5, 0, 0, 3, 0), "nsize is 1512.5: give a whole number"),
        ((1512, dtv.GI_1_8, 0, 3, 0), "constellation is .*GI_1_8.*: give a member of gr-dtv's dvb_constellation_t"),
        ((1512, 0, 0, "1/2", 0), "code_rate is '1/2': give a member of gr-dtv's dvb_code_rate_t"),
    ],
)
def test_refusals(wrong, says):
    with pytest.raises(ValueError, match=says):
        diffsem.dvbt_soft_decoder(*wrong)


@pytest.mark.parametrize("level_db", [30, 50])
def test_an_impulse_costs_its_own_symbol(level_db):
    """And not the noise of the hundreds behind it: as many packets as by hard decisions, nearly all."""
    sent = dvbt_link.broadcast(0.25)
    paths = moving_paths.still([0.0, 6.0], np.array([1, 0.3j]))
    rng = np.random.default_rng(4)
    y = dvbt_link.faded(sent, paths, 30, rng)
    most = dvbt_link.right(dvbt_link.receive(y, sent.mode, "ours", "ours", True), sent)
    at, size = 380 * sent.mode.layout.symbol, sent.mode.layout.symbol
    y[at : at + size] += 10 ** (level_db / 20) * np.sqrt(0.5) * (rng.standard_normal((size, 2)) @ [1, 1j])
    hard, soft = (dvbt_link.right(dvbt_link.receive(y, sent.mode, "ours", "ours", s), sent) for s in (False, True))
    assert most > 500 and soft >= hard > most - 60
