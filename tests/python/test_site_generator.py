# SPDX-License-Identifier: GPL-3.0-or-later
"""`site_generator`: what it ships, its baselines, and draws that follow the place."""

import numpy as np
import pytest
from gr_diffsem.air import traced_channels as traced
from gr_diffsem.base import model_packages
from gr_diffsem.base.errors import UserError
from gr_diffsem.models import site_statistics
from gr_diffsem.schemes import site_generator as site


@pytest.fixture(scope="module")
def known():
    return site.SCHEME.site(True)


def test_paths_are_kept_to_what_a_half_float_says(known):
    paths, h = known
    again = site.unpacked(site.packed(paths))
    assert h.shape == (site.KNOWN, *site.SHAPE)
    np.testing.assert_allclose(again["power"].sum(1), 1)
    np.testing.assert_allclose(again["delay"], paths["delay"], atol=2e-9)
    assert np.mean(np.abs(h) ** 2) == pytest.approx(1, abs=0.1)


def test_places_that_are_judged_are_others(known):
    asked, _ = site.SCHEME.site(False)
    apart = np.abs(asked["place"][:, None] - known[0]["place"]).max(-1)
    assert apart.min() > 0 and len(asked["place"]) == site.KNOWN


def test_baselines_are_those_of_places_nearby(known):
    """Two of each place: leaving one out, its neighbour at the same place says it best."""
    paths, h = known
    twice = site.Statistics(np.repeat(paths["place"][:100], 2, 0), np.repeat(h[:100], 2, 0))
    assert twice.k == 1
    one = twice.nearest(paths["place"][:3])
    np.testing.assert_allclose(one, np.einsum("ni,nj->nij", *(f(h[:3].reshape(3, -1)) for f in (np.array, np.conj))))


def test_what_was_not_traced_is_said(tmp_path):
    with pytest.raises(UserError, match="traced_channels.*DIFFSEM_CACHE"):
        traced.load("florence", 0, tmp_path)


def test_draws_follow_the_place():
    """Profiles at 12 places that no training saw lie nearer to the traced ones than the mean profile of the site."""
    diffsem = pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")
    package, _ = model_packages.locate("site_generator", checkout_first=True)
    asked, _ = site.SCHEME.site(False)
    part = {name: values[:12] for name, values in asked.items()}
    truth = np.real(np.einsum("npab,npab->nab", *(f(traced.waves(part)) for f in (np.array, np.conj))))
    place = np.repeat(part["place"], 50, 0).astype(np.float32)
    y = np.zeros((len(place), 256), np.complex64)
    made, _, info = diffsem.scheme(f"{package}/florence").estimate(y, np.float32(np.inf), condition={"place": place})
    assert not np.any(info["bypassed"])
    powers = np.mean(np.abs(made.reshape(12, 50, *site.SHAPE)) ** 2, 1)
    assert np.mean(powers) == pytest.approx(1, abs=0.3)
    plain = np.repeat(np.mean(np.abs(site.SCHEME.site(True)[1]) ** 2, 0)[None], 12, 0)
    ours, mean = (site_statistics.profile_errors_db(p, truth, 2).mean() for p in (powers, plain))
    assert ours < mean
