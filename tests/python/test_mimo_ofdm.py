# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2x2 OFDM packet: its layout, its detector, the way from octets to octets."""

import itertools

import numpy as np
import pytest
from gr_diffsem.base.errors import UserError
from gr_diffsem.base.signal import complex_noise
from gr_diffsem.phy import mimo_ofdm as phy


@pytest.mark.parametrize(("pilots", "each"), [("all", 26), ("half", 13)])
def test_antennas_have_as_many_pilots_and_never_meet(pilots, each):
    mask = phy.pilot_mask(pilots)
    assert mask.sum(1).tolist() == [each, each]
    assert not (mask[0] & mask[1]).any() and not mask[:, ~phy.IS_USED].any()
    assert phy.packet_octets(pilots, 3) == 52 * 3 + 52 - 2 * each


def test_detection_is_the_nearest_of_all_pairs():
    rng = np.random.default_rng(3)
    h, y = complex_noise(rng, (200, 2, 2)), complex_noise(rng, (200, 2), 3.0)
    pairs = np.array(list(itertools.product(range(16), repeat=2)))
    away = np.sum(np.abs(y[:, :, None] - h @ phy.POINTS[pairs].T) ** 2, 1)
    assert np.array_equal(phy.detect(y, h), pairs[away.argmin(1)])


@pytest.mark.parametrize("pilots", phy.PILOTS)
@pytest.mark.parametrize("late", [0, 5])
def test_octets_come_back_through_two_paths(pilots, late):
    """Samples, a channel of three samples, timing by the first path, lines between pilots, a carrier offset that is
    left: all octets, and the noise as it was."""
    rng = np.random.default_rng(5)
    symbols = 6
    sent = rng.integers(0, 256, (1, phy.packet_octets(pilots, symbols)))
    clean = phy.samples(phy.spectra(sent, pilots, symbols))[0]
    assert np.mean(np.abs(clean[:, 160:]) ** 2) == pytest.approx(1, rel=0.1)
    taps = np.array([[[0.8, 0, 0.2j], [0.3, 0.1, 0]], [[-0.3j, 0.1, 0], [0.9, -0.2, 0.1]]])
    air = [sum(np.convolve(clean[t], taps[r, t]) for t in range(2)) for r in range(2)]
    air = np.pad(air, ((0, 0), (40, 40))) * np.exp(2e-5j * np.arange(clean.shape[1] + 82))
    air = air + complex_noise(rng, air.shape, 1e-4 * 64 / 52)
    body = 40 + 16 + late
    begin = body - late + phy.first_path(air[:, body - late - 8 : body - late + 88]) + 64 - phy.EARLY
    assert begin == 120 - phy.EARLY
    packet = phy.heard(air[:, begin : begin + 80 * (1 + symbols)], symbols)
    noise = phy.noise_variance(packet)
    assert noise == pytest.approx(1e-4, rel=0.3)
    links = phy.interpolate(phy.looks(packet[None, :, 0], pilots), pilots)[0]
    octets, points = phy.receive(packet, links, noise, pilots)
    assert np.mean(octets != sent[0]) <= (0 if pilots == "all" else 0.05)  # lines are level beyond the last pilot
    assert points.shape == (len(octets), 2)


def test_what_is_wrong_is_named():
    with pytest.raises(UserError, match="pilots"):
        phy.pilot_mask("few")
    with pytest.raises(UserError, match="symbols is 0"):
        phy.data_mask("all", 0)
