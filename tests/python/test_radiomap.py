# SPDX-License-Identifier: GPL-3.0-or-later
"""Radio maps: the process against closed forms and brute force, on walks whose statistics are known."""

import numpy as np
import pytest
from gr_diffsem.radiomap import kriging, local_plane, simple_maps, sites
from radio_walk import MIDDLE, TRUE, field, scattered, sites_of

Z90 = 1.645


def test_a_plane_is_right_to_half_a_per_cent_and_crosses_the_date_line():
    # One degree of latitude at the equator is 110.574 km, one of longitude at 60 degrees 55.800 km (WGS 84, tables).
    assert local_plane.Plane(0, 0).metres[1] == pytest.approx(110_574, rel=1e-4)
    assert local_plane.Plane(60, 0).metres[0] == pytest.approx(55_800, rel=1e-4)
    east = local_plane.Plane(-17, 179.999)
    places = east.to_metres(np.array([-17.0]), np.array([-179.999]))
    assert places[0] == pytest.approx([0.002 * east.metres[0], 0])
    latitude, longitude = east.to_degrees(places)
    assert (latitude[0], longitude[0]) == pytest.approx((-17, -179.999))


def test_a_raster_knows_its_cells():
    raster = local_plane.raster_around(np.array([[0.0, 0.0], [90.0, 50.0]]), 10)
    row, column = raster.cell_of(raster.centres().reshape(-1, 2))
    assert np.array_equal(row.reshape(raster.rows, -1)[:, 0], np.arange(raster.rows))
    assert np.array_equal(column.reshape(raster.rows, -1)[0], np.arange(raster.columns))
    assert raster.centres()[0, 0, 1] > raster.centres()[1, 0, 1]  # the first row is the northernmost


def test_samples_of_one_place_are_one_site():
    rng = np.random.default_rng(1)
    places = np.repeat([[5.0, 5.0], [55.0, 5.0]], [400, 3], axis=0)
    value = np.r_[-80 + 3 * rng.standard_normal(400), -90, -91, -92]
    found = sites.gather(places, value, np.zeros(403, bool), 10)
    assert len(found) == 2 and found.count.tolist() == [400, 3]
    assert found.value == pytest.approx([value[:400].mean(), -91]) and found.spread == pytest.approx(3, rel=0.1)


def test_a_site_below_the_floor_half_of_the_time_is_where_it_is():
    """Tobit: the mean of censored samples is found although 40 % are cut off."""
    rng = np.random.default_rng(2)
    full = -100 + 4 * rng.standard_normal((50, 200))
    floor = -101.0
    value, censored = np.maximum(full, floor).ravel(), full.ravel() <= floor
    places = np.repeat(np.arange(50)[:, None] * [20.0, 0.0], 200, axis=0) + 1
    found = sites.gather(places, value, censored, 10)
    assert not found.censored.all()
    seen = ~found.censored
    assert np.abs(found.value[seen].mean() + 100) < 0.5 < value.mean() + 100


def test_more_samples_make_larger_sites_and_none_is_left_out():
    rng = np.random.default_rng(3)
    places = scattered(rng, 5000)
    found, side = sites.gather_at_most(places, np.zeros(5000), np.zeros(5000, bool), 5, 300)
    assert len(found) <= 300 and found.count.sum() == 5000 and side > 5


def test_kriging_is_the_closed_form():
    """Universal kriging as one linear system (Cressie 1993, 3.4.2), which has no Cholesky factor."""
    rng = np.random.default_rng(4)
    places, asked = scattered(rng, 40), scattered(rng, 7)
    method = kriging.Kriging(sites_of(places, field(rng, places)), None)
    k, n = method.covariance, len(places)
    own = method.sites
    system = np.zeros((n + 1, n + 1))
    system[:n, :n] = k.between(places, places) + np.diag(k.noise(own))
    system[n, :n] = system[:n, n] = 1
    right = np.vstack((k.between(places, asked), np.ones(7)))
    weights = np.linalg.solve(system, right)
    mean, deviation = method.predict(asked)
    assert mean == pytest.approx(weights[:n].T @ own.value, abs=1e-6)
    assert deviation**2 == pytest.approx(k.amplitude**2 - np.sum(weights * right, axis=0), rel=2e-3)


def test_the_gradient_of_the_likelihood_is_its_slope():
    rng = np.random.default_rng(5)
    places = scattered(rng, 60)
    own = sites_of(places, field(rng, places))
    own.error[:] = 8.0
    own.count[::2] = 5
    t, metres = kriging.trend(places, [100.0, 300.0]), kriging.distances(places, places)
    x = np.log([5.0, 120.0, 1.0, 2.0])
    _, gradient = kriging._negative(x, metres, own, own.value, t)
    for i in range(4):
        step = 1e-5 * np.eye(4)[i]
        ends = [kriging._negative(x + s * step, metres, own, own.value, t)[0] for s in (1, -1)]
        assert gradient[i] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-3, abs=1e-3)


def test_kriging_finds_its_parameters_and_its_intervals_hold():
    inside, found, better = [], [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        places = scattered(rng, 260)
        value = field(rng, places) + TRUE.nugget * rng.standard_normal(260)
        given, held = slice(0, 200), slice(200, None)
        method = kriging.Kriging(sites_of(places[given], value[given]))
        rest = sites_of(places[held], value[held])
        mean, deviation = method.predict(rest.places)
        error = mean - rest.value
        inside.append(np.abs(error) < Z90 * np.sqrt(deviation**2 + method.noise_of(rest)))
        near = simple_maps.InverseDistance(method.sites).predict(rest.places)[0] - rest.value
        better.append(np.sqrt(np.mean(error**2) / np.mean(near**2)))
        found.append(method.covariance.nugget)
    assert 0.86 < np.mean(inside) < 0.94
    assert np.mean(better) < 1 and 0.5 < np.mean(found) < 2.5


def test_a_transmitter_is_found_where_power_falls_and_not_where_it_does_not():
    rng = np.random.default_rng(6)
    places, sender = scattered(rng, 150, 1500), np.array([600.0, 900.0])
    metres = np.hypot(*(places - sender).T)
    value = -60 - 35 * np.log10(metres / 100) + 0.5 * (field(rng, places) + 90)
    method = kriging.Kriging(sites_of(places, value))
    assert np.hypot(*(method.transmitter - sender)) < 60
    assert method.coefficients[1] == pytest.approx(-35, abs=6)
    own = simple_maps.LogDistance(sites_of(places, value))
    assert np.hypot(*(own.transmitter - sender)) < 100 and own.deviation < 5
    far = scattered(rng, 100)
    assert kriging.Kriging(sites_of(far, field(rng, far))).transmitter is None


def test_censored_sites_enter_as_brute_force_says():
    """Expectation propagation against importance sampling of the exact posterior, a process of ten sites."""
    rng = np.random.default_rng(7)
    places = np.stack((np.arange(10) * 60.0, np.zeros(10)), 1)
    k = kriging.Covariance(6.0, 150.0, 1.5, 0.1)
    value = np.array([-84, -86, -90, -95, -95, -95, -95, -92, -88, -85.0])
    censored = value == -95
    own = sites_of(places, value, censored)
    method = kriging.Kriging.__new__(kriging.Kriging)
    method.sites, method.transmitter, method.covariance = own, None, k
    method._condition()
    mean, deviation = method.predict(places)
    # Draws given the measured sites (the mean's flat prior as a wide one), weighted by what the censored ones say.
    from scipy.stats import norm

    prior = k.between(places, places) + 1e4
    seen = ~censored
    gain = np.linalg.solve(prior[np.ix_(seen, seen)] + np.diag(k.noise(own)[seen]), prior[seen]).T
    middle = value[seen].mean()
    draws = rng.multivariate_normal(middle + gain @ (value[seen] - middle), prior - gain @ prior[seen], 200_000)
    log_weight = norm.logcdf((value - draws)[:, censored] / np.sqrt(k.noise(own)[censored])).sum(1)
    weight = np.exp(log_weight - log_weight.max())
    exact = weight @ draws / weight.sum()
    assert mean == pytest.approx(exact, abs=0.15)
    spread = np.sqrt(weight @ (draws - exact) ** 2 / weight.sum())
    assert deviation == pytest.approx(spread, rel=0.1)
    assert (mean[censored] < -95).all()


def test_what_a_misplaced_site_loses_is_what_draws_lose():
    rng = np.random.default_rng(8)
    d = np.hypot(*rng.normal(0, 20, (2, 400_000)))
    assert TRUE.misplaced(20.0) == pytest.approx(2 * 36 * np.mean(1 - np.exp(-d / 150)), rel=0.01)
    assert TRUE.misplaced(0.0) == 0


def test_draws_have_the_mean_and_the_spread_of_the_map():
    rng = np.random.default_rng(9)
    places = scattered(rng, 60, 300)
    raster = local_plane.raster_around(places, 15)
    row, column = raster.cell_of(places)
    places = raster.centres()[row, column]  # where draws take a site to be
    method = kriging.Kriging(sites_of(places, field(rng, places)), None)
    mean, deviation = method.predict_raster(raster)
    draws = method.draws(raster, 400, rng)
    assert np.abs(draws.mean(0) - mean).mean() < 0.1 * deviation.mean() + 0.05
    assert draws.std(0).mean() == pytest.approx(deviation.mean(), rel=0.08)
    # and hang together as the process does: neighbours differ by less than the deviation of either
    assert np.std(draws[:, :, 1:] - draws[:, :, :-1]) < 0.8 * deviation.mean() * np.sqrt(2)


def test_a_geotiff_says_where_it_is(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    from gr_diffsem.radiomap import geotiff

    raster = local_plane.Raster(-100.0, -50.0, 10.0, 10, 20)
    bands = {"mean": np.arange(200.0).reshape(10, 20), "a<b": np.zeros((10, 20))}
    geotiff.write(tmp_path / "map.tif", bands, MIDDLE, raster)
    with tifffile.TiffFile(tmp_path / "map.tif") as file:
        page, said = file.pages[0], file.geotiff_metadata
        assert np.array_equal(page.asarray()[0], bands["mean"].astype(np.float32))
        assert "a&lt;b" in page.tags[42112].value and int(said["GeographicTypeGeoKey"]) == 4326
    scale, point = np.array(said["ModelPixelScale"]), np.array(said["ModelTiepoint"])
    for row, column in ((0, 0), (9, 19)):  # middles of cells, by the file and by the raster
        latitude, longitude = MIDDLE.to_degrees(raster.centres()[row, column])
        assert point[3] + (column + 0.5) * scale[0] == pytest.approx(longitude, abs=1e-9)
        assert point[4] - (row + 0.5) * scale[1] == pytest.approx(latitude, abs=1e-9)
