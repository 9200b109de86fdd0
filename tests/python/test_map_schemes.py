# SPDX-License-Identifier: GPL-3.0-or-later
"""What schemes of maps stand on: shadows behind roofs, elected transmitters, trends with a prior, and trust."""

import json

import numpy as np
import pytest
from gr_diffsem.air import traced_maps
from gr_diffsem.apps import cli
from gr_diffsem.base import model_packages
from gr_diffsem.eval import map_city, map_methods, map_scheme, map_trust
from gr_diffsem.radiomap import expected_maps, kriging, map_units, shadows, visits
from gr_diffsem.radiomap.local_plane import Raster
from radio_walk import field, scattered, sites_of

RASTER = Raster(0.0, 0.0, 4.0, 64, 64)
PACKAGES = [name for name in map_methods.SCHEMES if name in model_packages.find_packages()]


def town(rng, count=24):
    """Heights [64, 64] of blocks of 24 m with streets of 16 m between, some missing."""
    heights = np.zeros((64, 64))
    for row in range(0, 60, 10):
        for column in range(0, 60, 10):
            heights[row : row + 6, column : column + 6] = rng.choice([0.0, 12.0, 18.0, 24.0])
    return heights


def city(rng, place=(90.0, 150.0)):
    """(heights, gain [64, 64] dB, `Shadowed`) of a transmitter whose power its own trend tells, but for 3 dB."""
    heights = town(rng)
    sender = shadows.Shadowed(np.array(place), heights, RASTER)
    mean, _ = expected_maps.expected(sender)
    rough = rng.standard_normal((64, 64))
    return heights, mean + 3 * rough, sender


def walked(rng, heights, gain, count):
    """`Sites` of some outdoor cells."""
    cells = rng.choice(np.flatnonzero(heights.ravel() == 0), count, replace=False)
    return sites_of(RASTER.centres().reshape(-1, 2)[cells], gain.ravel()[cells])


def test_the_loss_of_an_edge_is_the_recommendations():
    """ITU-R P.526-15, figure 9: 6 dB at grazing (nu = 0), 13 at 1, none below -0.8."""
    assert shadows.edge_loss(np.array([-1.0, 0.0, 1.0])) == pytest.approx([0, 6.0, 13.9], abs=0.1)


def test_a_wall_throws_a_shadow():
    heights = np.zeros((64, 64))
    heights[:, 30] = 20.0  # a wall from north to south, 122 m east
    places = np.array([[60.0, 128.0], [140.0, 128.0], [240.0, 128.0]])
    loss = shadows.blocked(heights, RASTER, np.array([20.0, 128.0]), 10.0, places)
    # The edge stands 100 m from the transmitter, 20 m from the second place, 10 + 8.5 d1 / d above the line.
    d1, d2 = 102.0, 18.0
    h = 20 - (10 + (1.5 - 10) * d1 / (d1 + d2))
    nu = h * np.sqrt(2 * (d1 + d2) / (shadows.WAVELENGTH * d1 * d2))
    assert loss[0] == 0 and loss[1] == pytest.approx(shadows.edge_loss(nu), abs=0.5)
    assert loss[1] > loss[2] > 10  # farther behind it is less deep
    outside = np.array([[-500.0, -500.0]])
    assert shadows.blocked(heights, RASTER, np.array([20.0, 128.0]), 10.0, outside) == 0


def test_a_trend_of_shadows_is_better_than_distance():
    rng = np.random.default_rng(1)
    heights, gain, sender = city(rng)
    own, outdoor = walked(rng, heights, gain, 40), heights == 0
    errors = []
    for transmitter in (sender, sender.place):
        method = kriging.Kriging(own, transmitter)
        mean, deviation = method.predict_raster(RASTER)
        errors.append((mean - gain)[outdoor].std())
        assert (np.abs(mean - gain) < 1.645 * np.sqrt(deviation**2 + 9))[outdoor].mean() > 0.7
    assert errors[0] < 0.8 * errors[1] and "behind roofs" in kriging.Kriging(own, sender).words()


def test_draws_with_a_prior_have_the_mean_and_the_spread_of_the_map():
    rng = np.random.default_rng(2)
    heights, gain, sender = city(rng)
    raster = Raster(0.0, 0.0, 8.0, 32, 32)
    own = walked(rng, heights, gain, 12)
    row, column = raster.cell_of(own.places)
    own.places = raster.centres()[row, column]
    method = kriging.Kriging(own, sender)
    mean, deviation = method.predict_raster(raster)
    draws = method.draws(raster, 300, rng)
    assert np.abs(draws.mean(0) - mean).mean() < 0.12 * deviation.mean()
    assert draws.std(0).mean() == pytest.approx(deviation.mean(), rel=0.1)


def test_samples_elect_the_transmitter():
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        place = rng.uniform(40, 216, 2)
        heights, gain, sender = city(rng, place)
        winner, share = shadows.elected(walked(rng, heights, gain, 25), heights, RASTER)[0]
        assert share == 1
        found.append(np.hypot(*(winner.place - place)))
    assert np.median(found) < 25
    several = shadows.elected(walked(rng, heights, gain, 25), heights, RASTER, 3)
    assert sum(share for _, share in several) == pytest.approx(1) and several[0][1] >= several[1][1]


def test_a_network_is_told_what_is_known():
    heights = town(np.random.default_rng(3))
    place = np.array([100.0, 100.0])
    decades, shadow = map_units.way_units(None, RASTER)
    assert (decades == map_units.FAR).all() and (shadow == map_units.UNKNOWN).all()
    decades, shadow = map_units.way_units(place, RASTER)
    assert decades.min() == -1 and (shadow == map_units.UNKNOWN).all()
    decades, shadow = map_units.way_units(shadows.Shadowed(place, heights, RASTER), RASTER)
    assert shadow.min() == 0 and shadow.max() > 0.5


def test_trust_is_what_a_correction_is_worth():
    """A network that is right is believed, one that is wrong is not, and inverse distance takes its share."""
    rng = np.random.default_rng(4)
    places = scattered(rng, 120)
    own = sites_of(places, field(rng, places))

    def foretell(network):
        def both(given, held):
            truth = own.value[held]
            base = truth + rng.normal(0, 5, len(held))
            near = base + rng.normal(0, 5, len(held))
            some = np.full(len(held), 24.0), np.full(len(held), 1.0), np.zeros(len(held))
            return base, *some, network(base, truth), near

        return both

    right, narrow = map_trust.judged(own, foretell(lambda base, truth: truth), False)
    wrong, usual = map_trust.judged(own, foretell(lambda base, truth: 2 * base - truth), False)
    told, _ = map_trust.judged(own, foretell(lambda base, truth: base), True)
    assert narrow < 0.8 < usual < 1.2  # what is nearly right is said to be
    assert right[0] > 0.7 and wrong[0] < 0.05 and told[0] == pytest.approx(1)
    for found in (right, wrong, told):
        assert (found >= 0).all() and found.sum() <= 1 + 1e-9
    few = own.of(np.arange(8))
    assert map_trust.judged(few, None, True)[0].tolist() == [1, 0]
    assert map_trust.judged(few, None, False)[0].tolist() == [0, 0]
    one_place = sites_of(np.repeat(places[:1], 20, 0), own.value[:20])
    assert map_trust.judged(one_place, None, False)[0].tolist() == [0, 0]


def test_visits_tell_how_wrong_positions_are():
    """The same 60 places three times, each time elsewhere by an error: none is none, 6 m are a bound of their order."""
    for wrong in (0.0, 6.0):
        found = []
        for seed in range(3):
            rng = np.random.default_rng(seed)
            true = np.repeat(np.arange(60)[:, None] * [11.0, 0.0] + [2.5, 2.5], 3, axis=0).reshape(60, 3, 2)
            actual = true + rng.normal(0, 1, true.shape) * wrong
            value = field(rng, actual.reshape(-1, 2)).reshape(60, 3)
            order = value.T.ravel()  # one walk after the other; two samples at each place
            said = true.transpose(1, 0, 2).reshape(-1, 2)
            said, order = np.repeat(said, 2, axis=0), np.repeat(order, 2) + 0.3 * rng.standard_normal(360)
            own = sites_of(true[:, 0], value.mean(1))
            found.append(visits.position_error(said, order, np.zeros(360, bool), own))
        assert 0.7 * wrong <= np.mean(found) < 3 * wrong + 0.5, found
    assert visits.position_error(said[:120], order[:120], np.zeros(120, bool), own) is None


def test_a_coarser_raster_covers_the_same():
    raster = Raster(5.0, 7.0, 2.0, 301, 150)
    coarse, heights = map_scheme.coarser(raster, np.arange(301 * 150.0).reshape(301, 150))
    assert coarse.step == 8 and heights.shape == (coarse.rows, coarse.columns)
    assert coarse.south + coarse.rows * 8 == raster.south + raster.rows * 2 and coarse.west == 5
    assert map_scheme.coarser(RASTER, None) == (RASTER, None)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_scheme_makes_a_map_with_what_is_known(name):
    pytest.importorskip("gnuradio.diffsem")
    rng = np.random.default_rng(5)
    heights, gain, sender = city(rng)
    own, outdoor = walked(rng, heights, gain, 30), heights == 0
    base, _ = kriging.Kriging(own).predict_raster(RASTER)
    for place, told in ((None, None), (None, heights), (sender.place, heights)):
        method = map_methods.make(name, own, place, told, RASTER)
        mean, deviation = method.predict_raster(RASTER)
        assert np.isfinite(mean).all() and (deviation > 0).all() and method.words()
        there = method.predict(own.places)[0]
        assert np.abs(there - own.value).mean() < 6
        if place is None and told is None:  # nothing is known: it stays beside kriging
            assert np.abs(mean - base)[outdoor].mean() < 4
    assert (mean - gain)[outdoor].std() < 0.9 * (base - gain)[outdoor].std()  # 3 dB of both no map can tell
    draws = method.draws(RASTER, 3, rng)
    assert draws.shape == (3, 64, 64) and np.isfinite(draws).all() and draws.std(0).mean() > 0.3


def test_a_map_without_samples():
    if "map_conditional" not in PACKAGES:
        pytest.skip("map_conditional is not installed")
    rng = np.random.default_rng(6)
    heights, gain, sender = city(rng)
    mean, deviation = map_methods.generated("map_conditional", sender.place, heights, RASTER)
    error = (np.maximum(mean, -130) - np.maximum(gain, -130))[heights == 0]
    assert error.std() < 12 and (deviation > 1).all()


def test_an_evaluation_is_against_kriging(tmp_path, monkeypatch, capsys):
    """Without traced maps on simulated streets, which no gate is judged on; with them on those."""
    if "map_posterior" not in PACKAGES:
        pytest.skip("map_posterior is not installed")
    pytest.importorskip("gnuradio.diffsem")
    monkeypatch.setenv("DIFFSEM_CACHE", str(tmp_path))
    monkeypatch.setattr(map_city, "SHARES", (0.05,))
    words = ["eval", "map_posterior", "--realisations", "2", "--json"]
    assert cli.main(words) == 0
    said = json.loads(capsys.readouterr().out)
    rows = said["maps"]["5 %"]
    assert list(rows) == ["kriging", "idw", "log_distance", "map_posterior"] and said["realisations"] == 2
    assert rows["map_posterior"]["ratio"] < 1 and 0.5 < rows["map_posterior"]["coverage90"] <= 1
    assert said["data"] == map_city.SIMULATED and said["claims"][0]["holds"] is None
    assert cli.main([*words, "--chain", "block"]) == 2 and "leave it out" in capsys.readouterr().err
    rng = np.random.default_rng(1)
    gain, height, _, _, _, _, sender = map_city.streets(1, 0.05, 1)
    at = np.array([[80 - 16 - sender[1] / 4 - 0.5 + 8, sender[0] / 4 - 0.5 + 8, 30.0]])
    maps = [traced_maps.FLOOR + np.pad(gain - traced_maps.FLOOR, 8), np.pad(height, 8)]
    again = [(part[None] if part.ndim == 2 else part) for part in maps]
    arrays = dict(zip(traced_maps.NAMES, (*again, np.array([4.0]), at), strict=True))
    np.savez(traced_maps.file_of(traced_maps.HELD_OUT), seed=rng.integers(9), **arrays)
    assert cli.main(words[:-1]) == 0 and "Florence" in capsys.readouterr().out
