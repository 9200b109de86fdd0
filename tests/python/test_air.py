# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths, fading and impairments against closed forms, and against each other."""

import numpy as np
import pytest
from gr_diffsem.air import fading, impairments, multipath, sample_channel, tdl
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.phy.ofdm_layout import LAYOUT_64, OfdmLayout

WIDE = OfdmLayout(128, 32, tuple(k for k in range(-50, 51) if k), ())


def ofdm(layout, rng, n, symbols):
    """(spectra [n, symbols, fft_len], samples [n, symbols * symbol]) of QPSK."""
    spectra = np.zeros((n, symbols, layout.fft_len), complex)
    shape = (n, symbols, len(layout.carriers))
    spectra[..., layout.carrier_bins] = np.sqrt(0.5) * (rng.choice([-1, 1], shape) + 1j * rng.choice([-1, 1], shape))
    return spectra, (layout.with_prefix(layout.bodies(spectra)) * layout.gain).reshape(n, -1)


@pytest.mark.parametrize("layout", [LAYOUT_64, WIDE], ids=["64", "128"])
def test_paths_multiply_each_carrier_where_the_window_holds_them(layout):
    rng = np.random.default_rng(1)
    spectra, samples = ofdm(layout, rng, 3, 4)
    delays, gains = rng.uniform(0, layout.cp_len, (3, 5)), complex_noise(rng, (3, 5))
    got = multipath.through_paths(samples, delays, gains, layout)
    bodies = got[:, : samples.shape[1]].reshape(3, 4, layout.symbol)[..., layout.cp_len :]
    h = np.einsum("pkl,pl->pk", tdl.steering(delays, layout.fft_len), gains)
    np.testing.assert_allclose(layout.spectra(bodies), layout.gain * h[:, None] * spectra, atol=1e-9)
    with pytest.raises(ValueError, match=f"delays: .* 0..{layout.cp_len} samples"):
        multipath.through_paths(samples, delays + layout.cp_len, gains, layout)


def test_paths_between_symbols_are_a_delayed_signal():
    """A whole sample of delay shifts everything, the border between two symbols too."""
    _, samples = ofdm(LAYOUT_64, np.random.default_rng(2), 1, 3)
    got = multipath.through_paths(samples, np.array([[5.0]]), np.ones((1, 1)))
    np.testing.assert_allclose(got[:, 5 : 5 + samples.shape[1]], samples, atol=1e-12)
    np.testing.assert_allclose(got[:, :5], 0, atol=1e-12)


def test_a_filter_of_the_paths_has_their_spectrum():
    delays, gains = tdl.profile("A").delays * 1.5, tdl.gains("A", np.random.default_rng(6), 1)[0]
    g = multipath.tdl_taps("A", 1.5, np.random.default_rng(6))
    k = tdl.carriers(64)
    spectrum = np.exp(-2j * np.pi * np.outer(k, np.arange(g.size) - 16) / 64) @ g
    inner = np.abs(k) <= 26
    error = np.abs(spectrum - tdl.steering(delays) @ gains)[inner] ** 2
    assert 10 * np.log10(error.mean() / np.mean(np.abs(tdl.steering(delays) @ gains) ** 2)) < -40


def test_an_exponential_profile_falls_as_it_says():
    rng = np.random.default_rng(3)
    power = np.array([np.abs(multipath.exponential_taps(2.0, rng)) ** 2 for _ in range(4000)])
    assert power.sum(1) == pytest.approx(np.ones(4000))
    slope = np.polyfit(np.arange(12), np.log(power).mean(0), 1)[0]  # where each draw's own norm falls out
    assert -1 / slope == pytest.approx(2, rel=0.05)
    assert multipath.exponential_taps(0.0, rng) == pytest.approx([1])


@pytest.mark.parametrize("kind", ["awgn", *fading.KINDS])
def test_paths_lie_in_the_prefix_and_have_unit_power(kind):
    delays, gains = fading.paths(kind, np.random.default_rng(4), 4000)
    assert delays.min() >= 0 and delays.max() <= fading.LONGEST
    assert np.sum(np.abs(gains) ** 2, 1).mean() == pytest.approx(1, abs=0.05)


def test_published_seeds_mean_the_channels_that_they_meant():
    """A fixed spread asks the generator for nothing, a pair for a number a channel, even where it is no choice."""
    p = tdl.profile("B")
    rng, same = np.random.default_rng(6), np.random.default_rng(6)
    delays, gains = fading.paths("long", rng, 3)
    np.testing.assert_array_equal(delays, p.delays * 3.0 + same.random((3, 1)))
    np.testing.assert_array_equal(gains, tdl.gains("B", same, 3))
    p = tdl.profile("C")
    delays, gains = fading.paths("tdl_c", rng, 3)
    spreads = same.uniform(1.5, 1.5, (3, 1))
    np.testing.assert_array_equal(delays, np.minimum(p.delays * spreads + same.random((3, 1)), 16))
    np.testing.assert_array_equal(gains, tdl.gains("C", same, 3))


def test_unknown_kinds_are_named():
    with pytest.raises(ValueError, match="kind: 'rain' is no channel; choose one of awgn, tdl"):
        fading.paths("rain", np.random.default_rng(0), 1)
    with pytest.raises(ValueError, match="kind: 'tdl' is no channel; choose one of short, medium, long"):
        sample_channel.send_packets(np.zeros((1, 960), complex), "tdl", 10.0, 1)


def test_noise_is_the_same_in_pieces_and_as_strong_as_it_says():
    whole = impairments.noise(np.random.default_rng(7), 50_000, 0.3)
    rng = np.random.default_rng(7)
    np.testing.assert_array_equal(whole, np.concatenate([impairments.noise(rng, n, 0.3) for n in (1, 9, 49_990)]))
    assert np.mean(np.abs(whole) ** 2) == pytest.approx(0.3, rel=0.03)
    assert abs(np.mean(whole**2)) < 0.01  # circular


@pytest.mark.parametrize("layout", [LAYOUT_64, WIDE], ids=["64", "128"])
def test_noise_per_sample_gives_that_es_n0_behind_the_fft(layout):
    rng = np.random.default_rng(8)
    spectra, samples = ofdm(layout, rng, 1, 200)
    noisy = samples[0] + impairments.noise(rng, samples.size, impairments.noise_per_sample(7.0, layout))
    got = layout.spectra(noisy.reshape(200, layout.symbol)[:, layout.cp_len :]) / layout.gain
    error = (got - spectra[0])[:, layout.carrier_bins]
    assert -10 * np.log10(np.mean(np.abs(error) ** 2)) == pytest.approx(7.0, abs=0.2)


def test_frames_arrive_with_the_offset_and_place_that_are_said():
    rng = np.random.default_rng(9)
    _, samples = ofdm(LAYOUT_64, rng, 3, 5)
    got = sample_channel.send_frames(samples, "awgn", 100.0, rng, max_offset=0.4)
    for i, start in enumerate(got.start):
        part = got.noisy[start : start + samples.shape[1]]
        back = part * impairments.carrier_turn(part.size, -got.offset[i] / 64)
        np.testing.assert_allclose(back, samples[i] * got.gains[i, 0], atol=1e-3)
    assert np.abs(got.noisy - got.noiseless).max() < 1e-3 and got.snr_db.tolist() == [100.0] * 3
