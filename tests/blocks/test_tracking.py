# SPDX-License-Identifier: GPL-3.0-or-later
"""The equaliser that is told a constellation, and follows the channel: against its NumPy twin, against the truth, and
through gr-digital's frame equaliser, where it reads the noise from tags."""

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, digital, gr
from gr_diffsem.reference import tracking

N, CP = 64, 16
DATA_CARRIERS = [k for k in range(-26, 27) if k and k not in (-21, -7, 7, 21)]
PILOT_CARRIERS = [-21, -7, 7, 21]
USED = np.array(sorted(DATA_CARRIERS + PILOT_CARRIERS))
AT = USED + N // 2
PILOT_SYMBOLS = [[1, 1, 1, -1], [1, -1, 1, 1]]
DATA = np.isin(USED, DATA_CARRIERS)
POINTS = {name: np.array(diffsem.core.constellation_points(name)) for name in ("bpsk", "qpsk", "16qam")}
CONSTELLATIONS = {
    "bpsk": "bpsk",
    "16qam": "16qam",
    "8psk": digital.constellation_8psk(),
    "qpsk of gr-digital": digital.constellation_qpsk(),  # its points have power 4 in GNU Radio 3.10
}


def cnormal(rng, *shape):
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)


def equaliser(constellation, **more):
    return diffsem.ofdm_equalizer_diffsem(
        N, [DATA_CARRIERS], [PILOT_CARRIERS], PILOT_SYMBOLS, constellation=constellation, **more
    )


def frame(rng, points, symbols, noise_var, doppler=0.0, step=0.05):
    """(received [S, 64], channel [S + 1, 64] from one symbol before on, sent [S, 52]); 6 paths, of which each turns."""
    delays, speeds = 2.1 * np.arange(6), doppler * np.cos(2 * np.pi * rng.random(6))
    gains = cnormal(rng, 6) / np.sqrt(6)
    s = np.arange(symbols + 1)
    paths = gains * np.exp(2j * np.pi * np.outer(s, speeds)) * np.exp(1j * step * s)[:, None]
    h = np.zeros((symbols + 1, N), complex)
    h[:, AT] = paths @ np.exp(-2j * np.pi * np.outer(delays, USED) / N)
    sent = rng.choice(points, (symbols, USED.size)).astype(complex)
    sent[:, ~DATA] = [PILOT_SYMBOLS[i % 2] for i in range(symbols)]
    y = np.sqrt(noise_var) * cnormal(rng, symbols, N)
    y[:, AT] += h[1:, AT] * sent
    return y, h, sent


@pytest.mark.parametrize("name", CONSTELLATIONS)
@pytest.mark.parametrize("symbols, doppler", [(1, 0), (12, 0), (40, 0.001)])
@pytest.mark.parametrize("snr_db", [5, 25])
def test_is_its_twin(name, symbols, doppler, snr_db):
    rng = np.random.default_rng(7)
    v = 10 ** (-snr_db / 10)
    said = CONSTELLATIONS[name]
    points = POINTS[said] if isinstance(said, str) else np.array(said.points())
    y, h, _ = frame(rng, points, symbols, v, doppler)
    first = h[0] + np.sqrt(v) * cnormal(rng, N) * (h[0] != 0)
    got, state = equaliser(said).equalize_frame(y, first, v, v)
    known = np.zeros((symbols, USED.size))
    known[:, ~DATA] = [PILOT_SYMBOLS[i % 2] for i in range(symbols)]
    expected, last = tracking.equalise(y[:, AT], USED, known, points, first[AT], v, v)
    # Single precision decides now and then otherwise; what follows is a little different then.
    scale = np.abs(expected).max()
    assert np.mean(np.abs(got[:, AT] - expected) ** 2) < 1e-6 * scale**2
    np.testing.assert_allclose(state[AT], last, atol=2e-3)


def test_is_its_twin_where_a_delay_is_outside_of_the_window():
    rng = np.random.default_rng(8)
    y, h, _ = frame(rng, POINTS["qpsk"], 10, 1e-3)
    ramp = np.exp(-2j * np.pi * 20 * (np.arange(N) - N // 2) / N)
    got, _ = equaliser("qpsk", delay_window=8).equalize_frame(y * ramp, h[0] * ramp, 1e-3, 1e-3)
    known = np.zeros((10, USED.size))
    known[:, ~DATA] = [PILOT_SYMBOLS[i % 2] for i in range(10)]
    expected, _ = tracking.equalise(
        (y * ramp)[:, AT], USED, known, POINTS["qpsk"], (h[0] * ramp)[AT], 1e-3, 1e-3, window=8
    )
    np.testing.assert_allclose(got[:, AT], expected, atol=2e-2)


def error(symbols, sent, h):
    """Mean |error of a symbol|^2, each weighted by its channel: over the noise it is 1 with the true channel."""
    return np.mean(np.abs(h[1:, AT] * (symbols[:, AT] - sent)) ** 2)


def test_follows_where_the_first_estimate_does_not_hold():
    """0.1 cycles in 45 symbols at 30 dB: within 0.3 of the noise, where holding is ten times off."""
    rng = np.random.default_rng(9)
    ours, held = [], []
    for _ in range(20):
        y, h, sent = frame(rng, POINTS["qpsk"], 45, 1e-3, 0.1 / 45)
        ours.append(error(equaliser("qpsk").equalize_frame(y, h[0], 1e-3, 1e-3)[0], sent, h))
        held.append(error(equaliser("").equalize_frame(y, h[0])[0], sent, h))
    assert np.mean(ours) < 1.5e-3 and np.mean(held) > 1e-2


def test_a_still_channel_is_averaged_whoever_says_the_noise():
    """At 10 dB least squares doubles the noise; what a frame of 40 symbols leaves of that is a twentieth."""
    rng = np.random.default_rng(10)
    told, guessed = [], []
    for _ in range(30):
        y, h, sent = frame(rng, POINTS["qpsk"], 40, 0.1)
        first = h[0] + np.sqrt(0.1) * cnormal(rng, N) * (h[0] != 0)
        true = np.mean(np.abs(y[:, AT] - h[1:, AT] * sent) ** 2)
        for errors, known in ((told, (0.1, 0.1)), (guessed, ())):
            out, state = equaliser("qpsk").equalize_frame(y, first, *known)
            errors.append(np.mean(np.abs(state[AT] - h[-1, AT]) ** 2) / true)
    assert np.median(told) < 0.06 and np.median(guessed) < 0.06


@pytest.mark.parametrize(
    "name, snr_db, share", [("qpsk", 0, 0.38), ("qpsk", 4, 0.25), ("16qam", 6, 0.37), ("16qam", 10, 0.29)]
)
def test_data_that_are_hardly_known_do_no_harm(name, snr_db, share):
    """Where most symbols cannot be told, and the first estimate is as good as a network's (a third of the noise), what
    is followed is never further from the channel than what is held; `share` of its error power is left."""
    rng = np.random.default_rng(15)
    v, left, held = 10 ** (-snr_db / 10), [], []
    for _ in range(60):
        y, h, _ = frame(rng, POINTS[name], 11, v, step=0.0)
        first = h[0] + np.sqrt(v / 3) * cnormal(rng, N) * (h[0] != 0)
        for errors, eq, known in ((left, equaliser(name), (v, v / 3)), (held, equaliser(""), ())):
            out, _ = eq.equalize_frame(y, first, *known)
            errors.append(np.mean(np.abs(y[:, AT] / out[:, AT] - h[1:, AT]) ** 2))
    assert np.mean(left) < share * np.mean(held), np.mean(left) / np.mean(held)


@pytest.mark.parametrize("gain", [1e-3, 1.0, 3.0, 1e4])
def test_any_scale_of_points_and_of_samples(gain):
    """Points three times as large are followed as well: y / h is three times as large."""
    rng = np.random.default_rng(14)
    points = 3 * POINTS["qpsk"]
    y, h, sent = frame(rng, points, 30, 1e-2, 0.02 / 45)
    first = gain * (h[0] + 0.1 * cnormal(rng, N) * (h[0] != 0))

    class Large:
        points = staticmethod(lambda: points.tolist())

    out, _ = equaliser(Large()).equalize_frame(gain * y, first, 1e-2 * gain**2, 1e-2 * gain**2)
    assert error(out, sent, h) < 1.6e-2


def through_frame_equaliser(eq, y, tags):
    """Frames [n, S, 64] through gr-digital's block, each with its tags."""
    tb = gr.top_block()
    block = digital.ofdm_frame_equalizer_vcvc(eq.base(), CP, "frame_len", True)
    sink = blocks.vector_sink_c(N)
    every = []
    for i, values in enumerate(tags):
        every += [flow.tag(i * y.shape[1], k, v) for k, v in values.items()]
        every.append(flow.tag(i * y.shape[1], "frame_len", y.shape[1]))
    tb.connect(flow.source(tb, y.reshape(-1, N), every), block, sink)
    flow.run(tb)
    return np.array(sink.data()).reshape(y.shape)


def test_noise_and_error_come_as_tags_and_each_frame_begins_anew():
    rng = np.random.default_rng(11)
    made = [frame(rng, POINTS["16qam"], 9, v, step=0.0) for v in (0.01, 0.1)]
    y = np.array([m[0] for m in made])
    tags = [
        {
            "ofdm_sync_chan_taps": pmt.init_c32vector(N, m[1][0].tolist()),
            "diffsem_noise_var": v,
            "diffsem_error_var": pmt.init_f32vector(N, [v] * N),
        }
        for m, v in zip(made, (0.01, 0.1), strict=True)
    ]
    got = through_frame_equaliser(equaliser(digital.constellation_16qam()), y, tags)
    for i, v in enumerate((0.01, 0.1)):
        alone, _ = equaliser(digital.constellation_16qam()).equalize_frame(y[i], made[i][1][0], v, v)
        np.testing.assert_allclose(got[i], alone, atol=1e-5)


def test_symbols_may_have_points_of_their_own():
    """Two symbols of BPSK before 16-QAM; the numbers of carriers' sets go on where symbols were skipped."""
    rng = np.random.default_rng(12)
    y, h, sent = frame(rng, POINTS["16qam"], 20, 1e-3)
    bpsk = rng.choice(POINTS["bpsk"], (2, USED.size))
    y[:2, AT] += np.where(DATA, h[1:3, AT] * (bpsk - sent[:2]), 0)
    sent[:2] = np.where(DATA, bpsk, sent[:2])
    out, _ = equaliser(["bpsk", "bpsk", "16qam"]).equalize_frame(y, h[0], 1e-3, 1e-3)
    assert error(out, sent, h) < 1.3e-3
    rest, _ = equaliser("16qam", symbols_skipped=1).equalize_frame(y[3:], h[3], 1e-3, 1e-3)
    assert error(rest, sent[3:], h[3:]) < 1.3e-3


def test_carriers_that_some_symbols_leave_empty_are_not_taken_for_data():
    rng = np.random.default_rng(13)
    y, h, sent = frame(rng, POINTS["qpsk"], 30, 1e-3, step=0.0)
    halves = [[k for k in DATA_CARRIERS if k % 2 == i] for i in (0, 1)]
    used = np.array([np.isin(USED, halves[s % 2]) | ~DATA for s in range(30)])
    y[:, AT] -= np.where(used, 0, h[1:, AT] * sent)
    eq = diffsem.ofdm_equalizer_diffsem(
        N, halves, [PILOT_CARRIERS], PILOT_SYMBOLS, constellation="qpsk", delay_window=12
    )
    out, state = eq.equalize_frame(y, h[0], 1e-3, 1e-3)
    assert np.mean(np.abs(h[1:, AT] * (out[:, AT] - sent))[used] ** 2) < 1.4e-3
    np.testing.assert_allclose(state[AT], h[-1, AT], atol=0.06)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"constellation": "32apsk"}, "constellation is '32apsk'"),
        ({"constellation": 4}, "constellation is 4"),
        ({"constellation": ["qpsk", None]}, "constellation is None"),
        ({"constellation": "qpsk", "delay_window": -1}, "delay_window is -1"),
    ],
)
def test_wrong_parameters_are_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        diffsem.ofdm_equalizer_diffsem(N, **arguments)
