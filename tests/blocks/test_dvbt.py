# SPDX-License-Identifier: GPL-3.0-or-later
"""DVB-T: gr-dtv's transmitter, its receiver with our two blocks in it, and what may come instead of a signal."""

import flow
import grid
import numpy as np
import pytest
from gnuradio import blocks, gr

dtv = pytest.importorskip("gnuradio.dtv")
from gnuradio import diffsem  # noqa: E402
from gr_diffsem.air import impairments, moving_paths  # noqa: E402
from gr_diffsem.eval import dvbt_link  # noqa: E402
from gr_diffsem.receivers.dvbt.dvbt_layout import RATE, Layout  # noqa: E402

HERE = Layout()
FLAT = moving_paths.still([0.0], [1.0])


@pytest.fixture(scope="module")
def sent():
    return dvbt_link.broadcast(0.2)


@pytest.fixture(scope="module")
def most(sent):
    """Packets that a receiver can give which begins with the second superframe."""
    return dvbt_link.right(dvbt_link.genie(sent.samples, sent.mode, FLAT), sent)


def right(sent, samples, acquisition="ours", **options):
    packets = dvbt_link.receive(samples.astype(np.complex64), sent.mode, acquisition, "ours", **options)
    return dvbt_link.right(packets, sent)


@pytest.mark.parametrize("acquisition", ["ours", "stock"])
def test_nothing_is_lost_on_a_clean_channel(sent, most, acquisition):
    assert most > 300
    assert right(sent, sent.samples, acquisition) == most


@pytest.mark.parametrize("doppler", [10, 100])
def test_a_moving_car_receives_what_can_be_received(sent, doppler):
    """TU6 at 15 dB: as many as with the true channel, but for two in a hundred."""
    rng = np.random.default_rng(doppler)
    delays, powers = moving_paths.TU6
    paths = moving_paths.draw(rng, np.array(delays) * RATE, powers, doppler / RATE)
    y = dvbt_link.faded(sent, paths, 15, rng)
    known = dvbt_link.right(dvbt_link.genie(y, sent.mode, paths), sent)
    assert known > 200 and right(sent, y) > 0.98 * known - 8


@pytest.mark.parametrize("delay", [85, 250])
def test_an_equal_echo_anywhere_in_the_guard_interval(sent, most, delay):
    paths = moving_paths.still([0.0, delay], np.array([1, 1j]) / np.sqrt(2))
    assert right(sent, dvbt_link.faded(sent, paths, 15, np.random.default_rng(1))) == most


def test_a_radio_that_is_not_perfect(sent, most):
    """Carrier offset, clock, image, DC, gain steps of 3 dB; a recording that begins in the middle of a symbol."""
    y = sent.samples * impairments.carrier_turn(len(sent.samples), 3.4 / HERE.fft_len)
    y = impairments.dc(impairments.iq_image(impairments.slow_clock(y, 20), 0.3, 2), -20)
    y = impairments.gain_steps(y, 300_000, (0, 3, -3))
    y = impairments.add_noise(y, np.random.default_rng(2), 20)[1234:]
    assert right(sent, y) > 0.9 * most


def test_a_recording_may_begin_anywhere(sent, most):
    """In a superframe, in a symbol: the next one is the first that comes, and whole."""
    assert right(sent, sent.samples[150 * HERE.symbol + 777 :]) == most


def test_lost_samples_are_seen(sent):
    """It goes on with the next superframe."""
    y = np.delete(np.tile(sent.samples[: 816 * HERE.symbol], 2), np.arange(700 * HERE.symbol, 705 * HERE.symbol + 100))
    spectra = through([diffsem.dvbt_ofdm_sym_acquisition(1, 2048, 1705, 256, 15.0)], y, 2048)[0]
    block = demodulator(sent.mode)
    payload, sink = through([block], fft(spectra), 1512)
    begins = [t.offset for t in sink.tags() if str(t.key) == "superframe_start"]
    assert len(begins) >= 2 and block.losses() >= 1
    assert block.items_in() == len(spectra) == block.items_out() + block.items_dropped()
    assert len(payload) == block.items_out()
    assert np.isfinite(payload).all()


def fft(symbols):
    return np.fft.fftshift(np.fft.fft(symbols, axis=1), 1).astype(np.complex64)


def demodulator(mode=None, **options):
    mode = mode or dvbt_link.Mode()
    return diffsem.dvbt_demod_reference_signals(8, 2048, 1512, *mode.reference_signals(), **options)


def through(chain, x, length):
    """(what comes out, [n, length]; the sink) of blocks behind samples or rows."""
    tb, sink = gr.top_block(), blocks.vector_sink_c(length)
    tb.connect(flow.source(tb, x), *chain, sink)
    flow.run(tb, 60)
    return np.array(sink.data(), np.complex64).reshape(-1, length), sink


def test_tags_are_those_of_gr_dtv(sent):
    spectra = fft(sent.samples[: 500 * HERE.symbol].reshape(-1, HERE.symbol)[:, HERE.guard_len - 3 : -3])
    payload, sink = through([demodulator()], spectra, 1512)
    tags = [(t.offset, str(t.key)) for t in sink.tags()]
    assert [t for t in tags if t[1] == "superframe_start"] == [(0, "superframe_start")]
    index = flow.tag_values(sink, "symbol_index")
    assert index == {i: i % 68 for i in range(500 - 272)} and len(payload) == 500 - 272
    assert np.abs(np.abs(payload.real) - 0.5**0.5).max() < 0.05


def test_a_symbol_that_is_not_finite_costs_itself(sent):
    spectra = fft(sent.samples[: 400 * HERE.symbol].reshape(-1, HERE.symbol)[:, HERE.guard_len - 3 : -3])
    spectra[300, 500] = np.nan
    payload, _ = through([demodulator()], spectra, 1512)
    assert len(payload) == 400 - 272 and np.isfinite(payload).all() and not payload[300 - 272].any()
    assert np.abs(np.abs(payload[300 - 271 :].real) - 0.5**0.5).max() < 0.05


def test_a_second_run_gives_what_the_first_gave(sent):
    spectra = fft(sent.samples[: 400 * HERE.symbol].reshape(-1, HERE.symbol)[:, HERE.guard_len - 3 : -3])
    block = demodulator()
    first, second = (through([block], spectra, 1512)[0] for _ in range(2))
    assert len(first) == 400 - 272 and np.allclose(first, second, atol=2e-3)  # what it learned of the paths stays
    assert block.losses() == 0 and block.items_in() == block.items_out() + block.items_dropped()


def test_a_tone_is_not_locked_to():
    sync = diffsem.dvbt_ofdm_sym_acquisition(1, 2048, 1705, 256, 15.0)
    tone = np.exp(2j * np.pi * 0.1234 * np.arange(600 * HERE.symbol)).astype(np.complex64)
    assert len(through([sync], tone, 2048)[0]) == 0 and not sync.locked()


@pytest.mark.parametrize("kind", ["silence", "noise", "huge", "nan", "8k"])
def test_what_is_no_signal_gives_nothing(kind):
    rng = np.random.default_rng(3)
    n = 300 * HERE.symbol
    if kind == "8k":
        symbols = impairments.noise(rng, 80 * 8192, 1.0).reshape(-1, 8192)
        x = np.concatenate([symbols[:, -256:], symbols], 1).ravel()[:n]
    else:
        noise = impairments.noise(rng, n, 1.0)
        x = {"silence": 0 * noise, "noise": noise, "huge": 1e30 * noise, "nan": noise + np.nan}[kind]
    sync, block = diffsem.dvbt_ofdm_sym_acquisition(1, 2048, 1705, 256, 15.0), demodulator()
    assert len(through([sync], x, 2048)[0]) == 0 and not sync.locked()
    rows = x[: n // 2048 * 2048].reshape(-1, 2048)
    assert len(through([block], rows, 1512)[0]) == 0
    assert block.items_in() == block.items_dropped() == len(rows)


def test_another_standard_gives_nothing():
    """Symbols of as many samples with another prefix, as LTE's: a place for them may be found, a frame is not."""
    symbols = impairments.noise(np.random.default_rng(6), 700 * 2048, 1.0).reshape(-1, 2048)
    x = np.concatenate([symbols[:, -144:], symbols], 1).ravel()
    spectra = through([diffsem.dvbt_ofdm_sym_acquisition(1, 2048, 1705, 256, 15.0)], x, 2048)[0]
    block = demodulator()
    assert len(through([block], fft(spectra), 1512)[0]) == 0 and block.items_dropped() == len(spectra)


def test_hierarchical_payload_is_equalised():
    """16-QAM, alpha 2. The cells are made here: gr-dtv's bit interleaver makes none that its mapper knows."""
    rng = np.random.default_rng(7)
    axis = np.array([2, 4, -2, -4]) / 20**0.5
    points = (rng.choice(axis, (450, 1512)) + 1j * rng.choice(axis, (450, 1512))).astype(np.complex64)
    mode = (dtv.MOD_16QAM, dtv.ALPHA2, dtv.C1_2, dtv.C1_2, dtv.GI_1_8, dtv.T2k, 1, 0)
    symbols, _ = through([dtv.dvbt_reference_signals(8, 1512, 2048, *mode)], points, 2048)
    block = diffsem.dvbt_demod_reference_signals(8, 2048, 1512, *mode)
    payload, _ = through([block], fft(symbols), 1512)
    assert len(payload) == 450 - 272 and np.abs(payload - points[272:]).max() < 0.05


def test_a_prior_over_tiles_may_estimate(sent, tmp_path):
    """Such as `ofdm_grid/fast`, which takes seconds to load; here a small one, of what stands still at short delays."""
    frequency = np.exp(-2j * np.pi * np.outer(np.arange(24), [-2, 0, 3, 6, 9]) / 2048)
    prior = np.kron(np.ones((8, 8)), frequency @ frequency.conj().T / 5) + 1e-3 * np.eye(192)
    grid.package(tmp_path / "tiles", (8, 24), gain="measured", prior=prior)
    y = impairments.add_noise(sent.samples[: 300 * HERE.symbol], np.random.default_rng(4), 15)
    spectra = fft(y.reshape(-1, HERE.symbol)[:, HERE.guard_len - 3 : -3])
    payload, _ = through([demodulator(scheme=str(tmp_path / "tiles"))], spectra, 1512)
    assert len(payload) == 300 - 272
    assert np.mean(np.abs(np.abs(payload.real) - 0.5**0.5) ** 2) < 0.05
    with pytest.raises(ValueError, match="tiles of symbols x carriers"):
        demodulator(scheme="ofdm_chanest")


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ((4, 2048, 1512), "itemsize is 4"),
        ((8, 8192, 1512), "ninput is 8192.*2048"),
        ((8, 2048, 6048), "noutput is 6048.*1512"),
    ],
)
def test_refusals(wrong, says):
    with pytest.raises(ValueError, match=says):
        diffsem.dvbt_demod_reference_signals(*wrong, *dvbt_link.Mode().reference_signals())
    with pytest.raises(ValueError, match="constellation is 7.*MOD_QPSK"):
        diffsem.dvbt_demod_reference_signals(8, 2048, 1512, 7, 0, 3, 3, 0, 0)
    right = dvbt_link.Mode().reference_signals()
    swapped = (right[1], right[0], *right[2:])
    with pytest.raises(ValueError, match="constellation is .*NH.*: give a member of gr-dtv's dvb_constellation_t"):
        diffsem.dvbt_demod_reference_signals(8, 2048, 1512, *swapped)
    with pytest.raises(ValueError, match="ninput is '2048': give a whole number"):
        diffsem.dvbt_demod_reference_signals(8, "2048", 1512, *right)
    with pytest.raises(ValueError, match="scheme is 3: give a name"):
        demodulator(scheme=3)
    with pytest.raises(ValueError, match="soft is 'yes': give True or False"):
        demodulator(soft="yes")
    with pytest.raises(ValueError, match="cell_id is -1: give 0 to 65535"):
        diffsem.dvbt_demod_reference_signals(8, 2048, 1512, *dvbt_link.Mode().reference_signals()[:6], 1, -1)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ((2, 2048, 1705, 256, 10), "blocks is 2"),
        ((1, 8, 4, 4, 10), "fft_length is 8"),
        ((1, 2**31 - 1, 1705, 256, 10), "fft_length is 2147483647"),
        ((1, -2048, 1705, 256, 10), "fft_length is -2048"),
        ((1, 2048, 1705, 2048, 10), "cp_length is 2048"),
        ((1, 2048, 4000, 256, 10), "occupied_tones is 4000"),
        ((1, 2048, 1705, 256, float("nan")), "snr is nan"),
        ((1, 2048, 1705, 256, "15"), "snr is '15': give dB"),
        ((1, 2048.5, 1705, 256, 15), "fft_length is 2048.5: give a whole number"),
        ((dtv.GI_1_8, 2048, 1705, 256, 10), "blocks is 2"),
    ],
)
def test_refusals_of_the_acquisition(wrong, says):
    with pytest.raises(ValueError, match=says):
        diffsem.dvbt_ofdm_sym_acquisition(*wrong)
