# SPDX-License-Identifier: GPL-3.0-or-later
"""channel_model_cc: the samples are those of the taps that were drawn; seeded, continuous, counted."""

import time

import numpy as np
import pmt
import pytest
from gnuradio import blocks, gr

diffsem = pytest.importorskip("gnuradio.diffsem")

SCHEME = "tap_generator_clarke"
DOPPLER = 0.05  # cycles an instant


def through(block, x, chunk=0, between=None):
    """x through a block in a flowgraph; chunk: at most so many samples at once."""
    tb = gr.top_block()
    source, sink = blocks.vector_source_c(np.asarray(x, np.complex64).tolist()), blocks.vector_sink_c()
    if chunk:
        block.set_max_noutput_items(chunk)
    tb.connect(source, block, sink)
    tb.run()
    return np.array(sink.data(), np.complex64)


def impulses(count, period=32):
    x = np.zeros(count * period, np.complex64)
    x[::period] = 1
    return x


def test_the_same_seed_gives_the_same_samples_however_they_are_cut():
    rng = np.random.default_rng(1)
    x = rng.standard_normal(30000) + 1j * rng.standard_normal(30000)

    def channel(seed):
        return diffsem.channel_model_cc(SCHEME, 50, (0, 2.5), (1.0, 0.5), seed=seed)

    first = through(channel(3), x)
    np.testing.assert_allclose(through(channel(3), x, chunk=777), first, atol=1e-4)
    assert np.mean(np.abs(through(channel(4), x) - first) ** 2) > 0.5
    assert len(first) == len(x)


def test_power_delay_and_doppler_are_what_was_asked_for():
    """A tap every 32 samples over 80 frames: powers of the profile, no power beyond the largest Doppler."""
    interval, period = 64, 32
    taps = through(diffsem.channel_model_cc(SCHEME, interval, (0, 7), (0.8, 0.6)), impulses(10240)).reshape(-1, period)
    power = np.mean(np.abs(taps) ** 2, 0)
    assert power[0] == pytest.approx(0.64, rel=0.25) and power[7] == pytest.approx(0.36, rel=0.25)
    assert power[[1, 3, 8, 20]].max() < 1e-6
    pieces = taps[:, 0].reshape(-1, 512) * np.hanning(512)
    spectrum = np.mean(np.abs(np.fft.fft(pieces, axis=1)) ** 2, 0)
    doppler = np.abs(np.fft.fftfreq(512)) / period  # cycles a sample
    assert spectrum[doppler > 1.5 * DOPPLER / interval].sum() < 2e-3 * spectrum.sum()
    assert spectrum[doppler > 0.7 * DOPPLER / interval].sum() > 0.3 * spectrum.sum()  # the horns of Clarke's spectrum
    step = np.abs(np.diff(taps[:, 0]))
    assert step.max() < 2 * np.pi * DOPPLER / interval * period * 4  # no jump between frames


def test_a_prior_over_carriers_draws_too_where_it_begins_in_noise():
    spec = "known_mixture:start=noise,sampler=dpmpp_2m,plan=karras,steps=10"
    block = diffsem.channel_model_cc(spec, 100, ntaps=32)
    assert block.ntaps() == 32
    y = through(block, impulses(200, 64)).reshape(-1, 64)
    assert np.sum(np.mean(np.abs(y) ** 2, 0)) > 0.1 and np.abs(y[:, 32:]).max() == 0


def test_where_nothing_is_drawn_the_taps_stand_still_and_it_is_counted():
    """`hold` never waits: with a frame each 64 samples the drawing cannot keep up."""
    block = diffsem.channel_model_cc(SCHEME, 1, underrun="hold", ahead=1)
    taps = through(block, np.ones(200_000))
    said = block.counts()
    assert len(taps) == 200_000 and said["underruns"] >= 1 and said["held"] > 0 and said["faults"] == 0
    assert 64 * said["frames"] + said["held"] == pytest.approx(200_000, abs=200)
    assert np.abs(np.diff(taps)).max() < 2  # held, not dropped to zero
    assert np.abs(taps).min() >= 0 and np.isfinite(taps).all()


def test_an_underrun_is_tagged_and_stats_are_said():
    block = diffsem.channel_model_cc(SCHEME, 1, underrun="hold", ahead=1)
    tb = gr.top_block()
    source, head = blocks.null_source(gr.sizeof_gr_complex), blocks.head(gr.sizeof_gr_complex, 100_000)
    sink, debug = blocks.vector_sink_c(), blocks.message_debug()
    tb.connect(source, head, block, sink)
    tb.msg_connect((block, "stats"), (debug, "store"))
    tb.run()
    assert any(pmt.symbol_to_string(tag.key) == "diffsem_underrun" for tag in sink.tags())
    for _ in range(50):
        if debug.num_messages():
            break
        time.sleep(0.05)
    said = pmt.to_python(debug.get_message(0))
    assert {"frames", "underruns", "held", "faults", "block"} <= set(said)


def test_the_interval_is_live():
    block = diffsem.channel_model_cc(SCHEME, 1000)
    block.set_tap_interval(10)
    through(block, np.ones(20_000))
    assert block.counts()["frames"] >= 20_000 // (64 * 10) - 2
    with pytest.raises(ValueError, match="tap_interval is 0: give a whole number 1"):
        block.set_tap_interval(0)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scheme": "ls"}, "scheme|axes|length"),
        ({"scheme": "known_mixture"}, "draws nothing without one: give a generator"),
        ({"scheme": "digits:class=3"}, "no taps are made"),
        ({"scheme": "mimo_joint"}, "draws no channels by itself"),
        ({"tap_interval": 0}, "tap_interval is 0"),
        ({"tap_interval": 1.5}, "tap_interval is 1.5"),
        ({"delays": (0, 1)}, "delays has 2 paths, mags 1"),
        ({"delays": (-1.0,)}, "give delays 0 .."),
        ({"delays": (0.0,), "mags": (float("nan"),)}, "finite magnitudes"),
        ({"delays": "x"}, "give lists of numbers"),
        ({"seed": -1}, "seed is -1"),
        ({"ahead": 0}, "ahead is 0"),
        ({"ntaps": 5000}, "ntaps is 5000"),
        ({"underrun": "stop"}, "underrun is 'stop': give one of wait, hold"),
        ({"condition": {"colour": 1}}, "colour"),
    ],
)
def test_what_does_not_fit_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        diffsem.channel_model_cc(**{"scheme": SCHEME, **given})
