# SPDX-License-Identifier: GPL-3.0-or-later
"""The equaliser inside gr-digital's frame equaliser, and the way of the noise to the demapper."""

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, digital, gr

N, CP = 64, 16
OCCUPIED = [[k for k in (*range(-26, 0), *range(1, 27)) if k not in (-21, -7, 7, 21)]]
PILOTS = [[-21, -7, 7, 21]]
PILOT_SYMBOLS = [[1, 1, 1, -1], [1, -1, 1, 1]]
DATA = np.array(OCCUPIED[0]) + N // 2
PILOT = np.array(PILOTS[0]) + N // 2


def equaliser(memory=0.8, skipped=0):
    return diffsem.ofdm_equalizer_diffsem(N, OCCUPIED, PILOTS * 2, PILOT_SYMBOLS, skipped, True, memory)


def cnormal(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def frame(rng, symbols, phase, noise_var, skipped=0):
    """Received frame, channel, sent data."""
    taps = cnormal(rng, 8) * np.sqrt(0.125)
    h = taps @ np.exp(-2j * np.pi * np.outer(np.arange(8), np.arange(N) - N // 2) / N)
    x = np.zeros((symbols, N), complex)
    data = np.exp(0.5j * np.pi * (rng.integers(0, 4, (symbols, DATA.size)) + 0.5))
    x[:, DATA] = data
    for s in range(symbols):
        x[s, PILOT] = PILOT_SYMBOLS[(s + skipped) % 2]
    y = h * x * np.exp(1j * np.asarray(phase))[:, None] + np.sqrt(noise_var) * cnormal(rng, symbols, N)
    return y, h, data


@pytest.mark.parametrize("memory", [0.0, 0.8, 1.0])
@pytest.mark.parametrize("skipped", [0, 1])
def test_a_turning_phase_is_followed_exactly_without_noise(memory, skipped):
    rng = np.random.default_rng(1)
    phase = 0.7 + 0.4 * np.arange(20)  # more than a turn over the frame
    y, h, data = frame(rng, 20, phase, 0, skipped)
    out, state = equaliser(memory, skipped).equalize_frame(y, h)
    np.testing.assert_allclose(out[:, DATA], data, atol=2e-4)
    np.testing.assert_allclose(out[0, PILOT], PILOT_SYMBOLS[skipped], atol=2e-4)
    np.testing.assert_allclose(state, h * np.exp(1j * phase[-1]), atol=2e-4)
    untouched = np.setdiff1d(np.arange(N), [*DATA, *PILOT])
    np.testing.assert_array_equal(out[:, untouched], y[:, untouched].astype(np.complex64))


def test_takes_what_gr_digitals_own_receiver_gives():
    """One set of pilot carriers and many of symbols: each list is gone through again when it ends."""
    rng = np.random.default_rng(5)
    y, h, data = frame(rng, 7, np.zeros(7), 0)
    equal = diffsem.ofdm_equalizer_diffsem(N, OCCUPIED, PILOTS, PILOT_SYMBOLS)
    np.testing.assert_allclose(equal.equalize_frame(y, h)[0][:, DATA], data, atol=2e-4)
    from gnuradio.digital import ofdm_txrx

    diffsem.ofdm_equalizer_diffsem(
        N, ofdm_txrx._def_occupied_carriers, ofdm_txrx._def_pilot_carriers, ofdm_txrx._def_pilot_symbols
    )


def test_memory_trades_noise_against_speed():
    rng = np.random.default_rng(2)
    error = {m: [] for m in (0.0, 0.8, 1.0)}
    wander = {m: [] for m in error}
    for _ in range(100):
        straight = 0.05 * np.arange(30)
        walk = np.cumsum(0.15 * rng.standard_normal(30))
        for target, phase in ((error, straight), (wander, walk)):
            y, h, data = frame(rng, 30, phase, 0.3)
            for m, values in target.items():
                out, _ = equaliser(m).equalize_frame(y, h)
                turn = np.angle(np.sum(np.abs(h[DATA]) ** 2 * out[:, DATA] * data.conj(), 1))
                values.append(np.mean(turn**2))
    error, wander = ({m: np.mean(v) for m, v in d.items()} for d in (error, wander))
    assert max(error[1.0], error[0.8]) < 0.3 * error[0.0]
    assert wander[0.8] < wander[0.0] and wander[0.8] < wander[1.0]


def test_pilots_weigh_by_their_power():
    """A pilot in a fade must not turn the symbol: weighted least squares beats equal weights."""
    rng = np.random.default_rng(3)
    ours, equal = [], []
    for _ in range(300):
        y, h, _ = frame(rng, 1, [0.3], 0.2)
        out, _ = equaliser(0.0).equalize_frame(y, h)
        turn = np.angle(np.vdot(out[0, DATA], (y[0] / h)[DATA] * 1))
        ours.append(turn - 0.3)
        z = (y[0] / h)[PILOT] / PILOT_SYMBOLS[0]
        equal.append(np.angle(np.sum(z)) - 0.3)
    wrap = [np.angle(np.exp(1j * np.array(e))) for e in (ours, equal)]
    assert np.mean(wrap[0] ** 2) < 0.8 * np.mean(wrap[1] ** 2)


def test_carriers_without_estimate_give_zero():
    rng = np.random.default_rng(4)
    y, h, data = frame(rng, 3, [0, 0, 0], 0)
    h[DATA[5]] = 0
    h[PILOT[0]] = 0
    out, _ = equaliser().equalize_frame(y, h)
    assert np.isfinite(out).all() and not out[:, DATA[5]].any()
    keep = np.arange(DATA.size) != 5
    np.testing.assert_allclose(out[:, DATA[keep]], data[:, keep], atol=2e-4)


def test_without_pilots_it_divides():
    rng = np.random.default_rng(5)
    y, h, data = frame(rng, 4, [0] * 4, 0)
    eq = diffsem.ofdm_equalizer_diffsem(N, OCCUPIED)
    out, state = eq.equalize_frame(y, h)
    np.testing.assert_allclose(out[:, DATA], data, atol=1e-4)
    np.testing.assert_allclose(state, h, atol=1e-6)


def through_frame_equalizer(eq, y, tags, frame_len):
    tb = gr.top_block()
    block = digital.ofdm_frame_equalizer_vcvc(eq.base(), CP, "frame_len", True)
    sink = blocks.vector_sink_c(N)
    tb.connect(flow.source(tb, y, [*tags, flow.tag(0, "frame_len", frame_len)]), block, sink)
    flow.run(tb)
    return np.array(sink.data()).reshape(-1, N), sink


@pytest.mark.parametrize("offset", [0, 2, -4])
def test_in_the_frame_equalizer_with_a_carrier_offset(offset):
    rng = np.random.default_rng(6)
    y, h, data = frame(rng, 6, 0.1 * np.arange(6), 0)
    turn = np.exp(2j * np.pi * offset * CP / N * (1 + np.arange(6)))
    received = np.roll(y, offset, 1) * turn[:, None]
    tags = [
        flow.tag(0, "ofdm_sync_chan_taps", pmt.init_c32vector(N, h.tolist())),
        flow.tag(0, "ofdm_sync_carr_offset", offset),
        flow.tag(0, "diffsem_noise_var", 0.1),
    ]
    out, sink = through_frame_equalizer(equaliser(), received, tags, 6)
    np.testing.assert_allclose(out[:, DATA], data, atol=1e-3)
    assert flow.tag_values(sink, "diffsem_noise_var") == {0: 0.1}
    assert list(flow.tag_values(sink, "ofdm_sync_chan_taps")) == [0]


def test_the_noise_reaches_the_demapper():
    """chanest -> frame equaliser -> serialiser -> demapper: LLRs scaled by the noise of each carrier."""
    rng = np.random.default_rng(7)
    v = 0.05
    one, two = np.zeros(N, complex), np.zeros(N, complex)
    used = np.r_[6:32, 33:59]
    odd = used[used % 2 == 1]
    one[odd] = np.sqrt(2) * rng.choice([-1, 1], odd.size)
    two[used] = rng.choice([-1, 1], used.size)
    symbols = 8
    y, h, data = frame(rng, symbols, np.zeros(symbols), v)
    words = h * np.array([one, two]) + np.sqrt(v) * cnormal(rng, 2, N)
    received = np.concatenate([words, y])

    tb = gr.top_block()
    chanest = diffsem.ofdm_chanest_vcvc("ls", one, two, symbols, max_carr_offset=0, extra_tags="error")
    eq = equaliser()
    frame_eq = digital.ofdm_frame_equalizer_vcvc(eq.base(), CP, "frame_len", True)
    serializer = digital.ofdm_serializer_vcc(N, OCCUPIED, "frame_len", "", 0, "", True)
    demapper = diffsem.soft_demapper_cf("qpsk", occupied_carriers=OCCUPIED, fft_len=N, len_tag_key="frame_len")
    plain, llr = blocks.vector_sink_c(), blocks.vector_sink_f()
    tb.connect(
        flow.source(tb, received, [flow.tag(2, "frame_len", symbols)]), chanest, frame_eq, serializer, demapper, llr
    )
    tb.connect(serializer, plain)
    flow.run(tb)
    tags = {k: flow.tag_values(plain, k)[0] for k in ("diffsem_noise_var", "diffsem_error_var", "ofdm_sync_chan_taps")}
    taps, error = np.array(tags["ofdm_sync_chan_taps"]), np.array(tags["diffsem_error_var"])
    noise = (tags["diffsem_noise_var"] + error[DATA]) / np.abs(taps[DATA]) ** 2
    z = np.array(plain.data()).reshape(symbols, -1)
    assert z.shape[1] == DATA.size
    points = diffsem.core.constellation_points("qpsk")
    level = np.abs(np.real(points[0]))
    got = np.array(llr.data()).reshape(symbols, DATA.size, 2)
    np.testing.assert_allclose(got[..., 0], 4 * level * z.real / noise, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(got[..., 1], 4 * level * z.imag / noise, rtol=1e-3, atol=1e-3)
    assert flow.tag_values(llr, "frame_len") == {0: symbols * DATA.size * 2}
    # and that noise is what the symbols show
    actual = np.mean(np.abs(z - data) ** 2 / noise)
    assert 0.6 < actual < 1.6, actual


def test_common_phase_of_the_core():
    z = np.exp(1j * (0.2 + 0.3 * np.arange(10))) * np.linspace(1, 3, 10)
    for memory in (0.0, 0.5, 1.0):
        np.testing.assert_allclose(diffsem.core.common_phase(z.tolist(), memory), z / np.abs(z), atol=1e-5)
    assert diffsem.core.common_phase([0, 0], 0.5) == [1, 1]
    assert diffsem.core.common_phase([complex("nan"), 1], 0.0) == [1, 1]


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"fft_len": 0}, "fft_len is 0"),
        ({"occupied_carriers": [[64]]}, "occupied_carriers: carrier 64"),
        ({"pilot_carriers": [[-65]], "pilot_symbols": [[1]]}, "pilot_carriers: carrier -65"),
        ({"pilot_carriers": [[1]]}, "pilot_symbols has 0 sets"),
        ({"pilot_carriers": [[1]], "pilot_symbols": [[1, 1]]}, r"pilot_symbols\[0\] has 2 values"),
        ({"pilot_carriers": [[3, -61]], "pilot_symbols": [[1, 1]]}, r"pilot_carriers\[0\] has carrier -61 twice"),
        ({"symbols_skipped": -1}, "symbols_skipped is -1"),
        ({"phase_memory": 1.5}, "phase_memory is 1.5"),
        ({"phase_memory": float("nan")}, "phase_memory is nan"),
    ],
)
def test_wrong_parameters_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        diffsem.ofdm_equalizer_diffsem(**{"fft_len": N, **arguments})
