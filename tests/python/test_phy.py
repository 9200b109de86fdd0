# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM layout, constellations, soft bits, the K=7 code and resampling, against the standard and closed forms."""

from fractions import Fraction

import numpy as np
import pytest
from gr_diffsem.base.pilot_patterns import WIFI_PILOT_SIGNS
from gr_diffsem.phy import constellation, convolutional, resample, soft_demap
from gr_diffsem.phy.ofdm_layout import LAYOUT_64, OfdmLayout

SMALL = OfdmLayout(16, 4, (-3, -1, 1, 3), (-2, 2))


@pytest.mark.parametrize("layout", [LAYOUT_64, SMALL], ids=["64", "16"])
def test_spectra_and_samples_are_the_same_signal(layout):
    rng = np.random.default_rng(1)
    spectra = np.zeros((200, layout.fft_len), complex)
    spectra[:, layout.carrier_bins] = np.exp(2j * np.pi * rng.random((200, len(layout.carriers))))
    samples = layout.with_prefix(layout.bodies(spectra) * layout.gain)
    assert samples.shape == (200, layout.symbol)
    np.testing.assert_array_equal(samples[:, : layout.cp_len], samples[:, -layout.cp_len :])
    assert np.mean(np.abs(samples[:, layout.cp_len :]) ** 2) == pytest.approx(1)
    np.testing.assert_allclose(layout.spectra(samples[:, layout.cp_len :]), layout.gain * spectra, atol=1e-12)


def test_a_carrier_turns_as_often_as_its_number_says():
    spectrum = np.zeros(16)
    spectrum[SMALL.data_bins[-1]] = 16  # carrier 3
    np.testing.assert_allclose(SMALL.bodies(spectrum), np.exp(2j * np.pi * 3 * np.arange(16) / 16), atol=1e-12)


def test_layout_of_the_standard():
    """802.11-2016, 17.3.5.10: 48 data carriers, pilots at +-7 and +-21; the first pilot signs of (17-25)."""
    assert len(LAYOUT_64.data) == 48 and sorted(LAYOUT_64.pilots) == [-21, -7, 7, 21]
    assert LAYOUT_64.carriers == tuple(k for k in range(-26, 27) if k)
    assert WIFI_PILOT_SIGNS[:13] == (1, 1, 1, 1, -1, -1, -1, 1, -1, -1, -1, -1, 1)


def test_axis_of_64qam_is_that_of_the_standard():
    """802.11-2016, table 17-16, by label 000, 001, ... 111; unit mean power is 1 / sqrt 42."""
    assert constellation.axis_levels(6) * np.sqrt(42) == pytest.approx([-7, -5, -1, -3, 7, 5, 1, 3])
    assert constellation.axis_levels(4) * np.sqrt(10) == pytest.approx([-3, -1, 3, 1])


@pytest.mark.parametrize("alternate", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_points_have_unit_power_and_neighbours_differ_in_one_bit(bits, alternate):
    points = constellation.points(bits, alternate)
    assert np.mean(np.abs(points) ** 2) == pytest.approx(1)
    distance = np.abs(points[:, None] - points)
    least = distance[distance > 1e-9].min()
    a, b = np.nonzero(np.isclose(distance, least))
    assert {int(x).bit_count() for x in a ^ b} == {1}
    np.testing.assert_array_equal(constellation.nearest(points + 0.4j * least * (bits > 1), bits), points)


def test_bits_alternate_between_the_axes_only_where_asked_for():
    """Label 1000 sets the first bit of I; 0100 is I's second bit, or Q's first."""
    of = constellation.points(4, alternate=False), constellation.points(4, alternate=True)
    assert all(points[8].real > 0 > points[8].imag for points in of)
    assert of[0][4].imag < 0 < of[1][4].imag
    with pytest.raises(ValueError, match="bits: 3 a symbol; give 1"):
        constellation.axis_levels(3)


def test_qpsk_has_the_bit_0_on_the_positive_side():
    bits = np.array([0, 0, 0, 1, 1, 0, 1, 1])
    points = constellation.qpsk(bits)
    assert points == pytest.approx(np.sqrt(0.5) * np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]))
    assert points == pytest.approx(-constellation.modulate(bits, 2))


def labels(bits):
    return np.arange(2**bits)[:, None] >> np.arange(bits - 1, -1, -1) & 1


def received(points, n=40):
    rng = np.random.default_rng(points.size)
    noise_var = rng.uniform(0.05, 0.5, n)
    noise = (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(noise_var / 2)
    return points[rng.integers(0, points.size, n)] + noise, noise_var


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_exact_soft_bits_are_those_of_all_points(bits):
    points = -constellation.points(bits, alternate=False)
    y, noise_var = received(points)
    density = np.exp(-(np.abs(y[:, None] - points) ** 2) / noise_var[:, None])
    one = labels(bits).astype(bool)
    if bits == 2:  # its bits alternate between I and Q, which is the order of a symbol's two bits
        assert np.array_equal(soft_demap.exact(y, noise_var, 2), soft_demap.qpsk(y, noise_var))
    expected = [np.log(density @ ~one[:, b]) - np.log(density @ one[:, b]) for b in range(bits)]
    np.testing.assert_allclose(soft_demap.exact(y, noise_var, bits).reshape(-1, bits).T, expected, rtol=1e-3, atol=1e-3)
    lost = np.where(np.arange(40) < 3, np.inf, noise_var)
    soft = soft_demap.exact(y, lost, bits).reshape(-1, bits)
    assert not soft[:3].any() and soft[3:].all()


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_max_log_soft_bits_are_those_of_the_nearest_points(bits):
    points = constellation.points(bits, alternate=False)
    y, noise_var = received(points)
    distance = np.abs(y[:, None] - points) ** 2 / noise_var[:, None]
    one = labels(bits).astype(bool)
    expected = np.stack([distance[:, one[:, b]].min(1) - distance[:, ~one[:, b]].min(1) for b in range(bits)], 1)
    got = soft_demap.max_log(y[None], 1 / noise_var, bits)
    np.testing.assert_allclose(got[0].reshape(-1, bits), expected, rtol=1e-4, atol=1e-4)


def test_the_code_is_133_171():
    """The answer to a single 1 spells the generators; gr-fec has them backwards (its 109 and 79)."""
    answer = convolutional.encode([1, 0, 0, 0, 0, 0, 0]).reshape(7, 2).T
    assert [int("".join(map(str, row)), 2) for row in answer] == [0o133, 0o171]
    assert convolutional.GR_FEC_POLYNOMIALS == (109, 79)


@pytest.mark.parametrize("rate", convolutional.PUNCTURE)
def test_what_was_not_sent_is_unknown(rate):
    n = 26  # no whole number of patterns
    coded = np.arange(1.0, n + 1)
    back = convolutional.depuncture(convolutional.puncture(coded, rate), rate, n)
    assert ((back == coded) | (back == 0)).all()
    assert np.mean(back[:24] != 0) == pytest.approx(rate[1] / rate[0] / 2)


def test_a_slow_clock_sees_a_higher_tone():
    step, f = 1 + 40e-6, 0.21
    x = np.exp(2j * np.pi * f * np.arange(20_000))
    y = resample.at_steps(x, step)
    expected = np.exp(2j * np.pi * f * step * np.arange(y.size))
    assert np.abs(y - expected)[32:].max() < 2e-3


def test_pieces_of_another_rate_are_those_of_the_whole():
    rng = np.random.default_rng(2)
    x = (rng.normal(size=5000) + 1j * rng.normal(size=5000)).astype(np.complex64)

    def read(first, last):
        return x[first:last]

    ratio = Fraction(4, 5)
    whole = resample.rational(read, ratio, 0, 4000)
    parts = [resample.rational(read, ratio, a, b) for a, b in ((0, 777), (777, 2501), (2501, 4000))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-5)
