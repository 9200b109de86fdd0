# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of known paths, their covariances, and what is said of them at other places."""

import numpy as np
import pytest
from gr_diffsem.air import traced_channels
from gr_diffsem.models import site_statistics


def places(rng, n):
    """Receivers whose one strong path turns and runs longer with the place, and a weak echo."""
    place = rng.uniform(-1, 1, (n, 2))
    power = np.zeros((n, traced_channels.PATHS))
    power[:, 0], power[:, 1] = 0.9, 0.1
    delay, sine = np.zeros_like(power), np.zeros_like(power)
    delay[:, 1] = 2e-7 * (1 + place[:, 1])
    sine[:, 0] = 0.9 * place[:, 0]
    return {"place": place, "power": power, "delay": delay, "sine": sine}


def test_channels_have_the_covariance_that_their_paths_say():
    rng = np.random.default_rng(1)
    made = traced_channels.waves(places(rng, 1))
    truth = traced_channels.covariances(made)
    assert np.trace(truth[0]).real == pytest.approx(traced_channels.ANTENNAS * traced_channels.CARRIERS)
    h = traced_channels.channels(np.repeat(made, 4000, 0), rng).reshape(4000, -1)
    own = np.einsum("ni,nj->ij", h, h.conj()) / len(h)
    assert site_statistics.covariance_errors(own[None], truth)[0] < 0.06
    # One path from straight ahead, one sample late: beam 0, delay 1.
    ahead = {name: np.zeros((1, traced_channels.PATHS)) for name in ("power", "delay", "sine")}
    ahead["power"][0, 0] = 1
    profile = np.abs(traced_channels.channels(traced_channels.waves(ahead), rng)[0]) ** 2
    assert profile[0, 1] == pytest.approx(profile.sum(), rel=1e-4)


def test_places_between_known_ones_are_told_by_both():
    rng = np.random.default_rng(2)
    paths = places(rng, 400)
    covariances = traced_channels.covariances(traced_channels.waves(paths))
    shape = (traced_channels.ANTENNAS, traced_channels.CARRIERS)
    known, asked = slice(0, 300), slice(300, 400)
    powers = site_statistics.profiles(covariances, shape)
    nearest = site_statistics.nearest(paths["place"][known], paths["place"][asked])
    drawn = site_statistics.gaussian_process(paths["place"][known], powers[known], paths["place"][asked])
    assert drawn.mean() == pytest.approx(1)
    plain = np.repeat(powers[known].mean(0)[None], 100, 0)
    errors = [
        site_statistics.profile_errors_db(one, powers[asked], 2).mean()
        for one in (powers[known][nearest], drawn, plain, powers[asked])
    ]
    assert errors[3] == 0 and max(errors[:2]) < 0.7 * errors[2]
    near = site_statistics.covariance_errors(covariances[known][nearest], covariances[asked]).mean()
    assert near < site_statistics.covariance_errors(plain, covariances[asked]).mean()
