# SPDX-License-Identifier: GPL-3.0-or-later
"""Maps by the schemes of maps (`schemes/map_*.py`): something simpler, corrected by a network that knows cities.

The simpler map's mean and deviation over a raster are the scheme's measurement, tile by tile; what comes back is a
correction of the mean and a factor of the deviation, smooth between the cells, so that a place is foretold by the
simpler map at the place itself and the correction of its cell. Both are believed as far as they were worth something at
the samples themselves (`map_trust`).
"""

import numpy as np

from ..radiomap import expected_maps, map_units
from ..radiomap.kriging import Kriging
from ..radiomap.local_plane import Raster, raster_around
from ..radiomap.shadows import Shadowed, elected
from ..radiomap.simple_maps import InverseDistance
from . import map_trust
from .map_tiles import Tiled, between

STEP = 10.0  #: metres a cell where no raster is given
MOST_CELLS = 1_000_000
TRIED = 96  # cells of a side of the raster that trust is measured on, at the most
FLOW_STEPS = 4  #: of a draw by the flow; its map takes one
CANDIDATES, CANDIDATE_WORK = 4, 20_000_000  #: transmitters that are mapped; cells times (sites + 100) of all of them


class SchemeMap:
    """A map of sites by kriging and the network `spec`. transmitter: [2] metres or None; heights: [rows, columns]
    metres of buildings on `raster`, None: unknown; trusted: of `map_trust.judged`, None: what the sites tell."""

    def __init__(self, spec, sites, transmitter=None, heights=None, raster=None, trusted=None):
        self.spec, self.raster, self.heights = (
            spec,
            raster or raster_around(sites.places, STEP, most=MOST_CELLS),
            heights,
        )
        self.told = self._told(sites, transmitter)
        self.kriging = self._kriged(sites)
        self._middle = map_units.middle_of(sites)
        # Below the floor there is nothing to tell apart: the network has seen maps that end there.
        self._floor = float(sites.value[sites.censored].min()) if sites.censored.any() else -np.inf
        self._near = InverseDistance(sites)
        self.trust, self.width = self._trust(sites) if trusted is None else trusted
        self._made()

    def _told(self, sites, transmitter):
        """What the network is told of the transmitter: None, its place, or its `Shadowed`."""
        if transmitter is None or self.heights is None:
            return transmitter
        return Shadowed(np.asarray(transmitter, float), self.heights, self.raster)

    def _kriged(self, sites):
        return Kriging(sites, "search" if self.told is None else self.told)

    def _made(self):
        mean, deviation = self.kriging.predict_raster(self.raster)
        mean, (network, near) = np.maximum(mean, self._floor), self.trust
        answer, spread = mean, deviation
        if network > 0.01:
            answer, spread = self._network(mean, deviation)
        self._correction, self._factor = network * (answer - mean), network * np.log(spread / deviation)
        self._factor = self._factor + np.log(self.width)
        self._mean, self._spread = mean + self._correction, deviation * np.exp(self._factor)
        if near > 0.01:
            self._mean = self._mean + near * (self._near.predict_raster(self.raster)[0] - mean)

    def _network(self, mean, deviation):
        """(mean, deviation) [rows, columns] dB of the scheme, of kriging's."""
        self.tiled = Tiled(self.spec, self.raster, self.heights, self.told)
        return self._infer(self.tiled, mean, deviation)

    def _infer(self, tiled, mean, deviation):
        return tiled(mean, deviation, self._middle)

    def _trust(self, sites):
        raster, heights = coarser(self.raster, self.heights)
        tiled = Tiled(self.spec, raster, heights, self.told)

        def foretell(given, held):
            rest, places = sites.of(given), sites.places[held]
            kriging = self.kriging.of(rest)
            base, deviation = kriging.predict(places)
            mean, spread = kriging.predict_raster(raster)
            mean, base = np.maximum(mean, self._floor), np.maximum(base, self._floor)
            answer, left = self._infer(tiled, mean, spread)
            factor = between(np.log(left / spread), raster, places)
            answer = base + between(answer - mean, raster, places)
            noise = kriging.noise_of(sites.of(held))
            return base, deviation**2, noise, factor, answer, InverseDistance(rest).mean(places)

        return map_trust.judged(sites, foretell, self.heights is not None)

    def words(self):
        """What was fitted, as a sentence."""
        network, near = self.trust
        return (
            f"{self.kriging.words()}; at held-out samples {self.spec} earns {network:.2f}, inverse distance {near:.2f}"
        )

    def predict_raster(self, raster):
        """(mean, standard deviation) [rows, columns] in dB on the raster that the map was made on."""
        return self._mean, self._spread

    def predict(self, places):
        """(mean [N], standard deviation [N]) in dB of the field at places [N, 2]."""
        mean, deviation = self.kriging.predict(places)
        mean = np.maximum(mean, self._floor)
        near = self.trust[1] * (self._near.mean(places) - mean)
        spread = deviation * np.exp(between(self._factor, self.raster, places))
        return mean + between(self._correction, self.raster, places) + near, spread

    def noise_of(self, sites):
        """Variance [M] in dB^2 that a measured site has around the field."""
        return self.kriging.noise_of(sites)

    def draws(self, raster, count, rng):
        """[count, rows, columns] dB: mean and deviation are the scheme's, what hangs together is kriging's."""
        mean, deviation = self.kriging.predict_raster(raster)
        return self._mean + (self.kriging.draws(raster, count, rng) - mean) / deviation * self._spread


class FlowMap(SchemeMap):
    """`map_flow`: the map is one step from kriging's mean, a draw several from a draw of kriging's."""

    def _infer(self, tiled, mean, deviation):
        return tiled(mean, deviation, self._middle, kriged=mean)

    def flown(self, state, mean, deviation, steps):
        """The state [rows, columns], a draw of kriging's, led to a map: dx/ds = (x - E[x0 | x]) / s by Euler's."""
        levels = np.linspace(1, 0, steps + 1)
        for s, following in zip(levels[:-1], levels[1:], strict=True):
            answer, _ = self.tiled(state, deviation, self._middle, share=s, kriged=mean)
            state = answer + following / s * (state - answer)
        return state

    def draws(self, raster, count, rng, steps=FLOW_STEPS):
        """[count, rows, columns] dB: draws of kriging's, led to maps as far as the network is trusted."""
        mean, deviation = self.kriging.predict_raster(raster)
        drawn, mean = self.kriging.draws(raster, count, rng), np.maximum(mean, self._floor)
        if self.trust[0] <= 0.01:
            return drawn + self._mean - mean
        flown = np.stack([self.flown(state, mean, deviation, steps) for state in drawn])
        return drawn + self.trust[0] * (flown - drawn)


class ConditionalMap(SchemeMap):
    """`map_conditional`: buildings and transmitter make a map, which is the trend of kriging the samples. Where one of
    both is not known, kriging is all there is."""

    def _kriged(self, sites):
        if not isinstance(self.told, Shadowed):
            return super()._kriged(sites)
        self._generated, self._unsure = generated(self.spec, self.told)
        return Kriging(sites, MapTrend(self._generated, self.raster))

    def _trust(self, sites):
        return np.zeros(2), 1.0  # what was generated is in the trend already

    def words(self):
        if not isinstance(self.told, Shadowed):
            return f"{self.kriging.words()}; no transmitter and buildings: nothing is generated"
        return f"{self.kriging.words().split(';')[0]} around the generated map"


class ElectedMap:
    """`map_elect`: the likeliest transmitters, mapped each, averaged by their shares of the vote. Where buildings are
    not known, or the transmitter is, there is no election."""

    def __init__(self, spec, sites, transmitter=None, heights=None, raster=None):
        raster = raster or raster_around(sites.places, STEP, most=MOST_CELLS)
        self.shares, places = [1.0], [transmitter]
        if transmitter is None and heights is not None:
            many = np.clip(CANDIDATE_WORK // (raster.rows * raster.columns * (len(sites) + 100)), 1, CANDIDATES)
            found = [(who, share) for who, share in elected(sites, heights, raster, many) if share > 0.05]
            places, self.shares = [who.place for who, _ in found], [share for _, share in found]
        self.maps = [SchemeMap(spec, sites, places[0], heights, raster)]
        trust = self.maps[0].trust, self.maps[0].width
        self.maps += [SchemeMap(spec, sites, place, heights, raster, trust) for place in places[1:]]
        self.shares = np.array(self.shares) / np.sum(self.shares)

    def _mixed(self, parts):
        """(mean, deviation) of a mixture of (mean, deviation)."""
        means, deviations = (np.array(part) for part in zip(*parts, strict=True))
        share = self.shares.reshape(-1, *[1] * (means.ndim - 1))
        mean = (share * means).sum(0)
        return mean, np.sqrt((share * (deviations**2 + (means - mean) ** 2)).sum(0))

    def predict(self, places):
        """(mean [N], standard deviation [N]) in dB at places [N, 2]."""
        return self._mixed([made.predict(places) for made in self.maps])

    def predict_raster(self, raster):
        """The same over the raster that the map was made on."""
        return self._mixed([made.predict_raster(raster) for made in self.maps])

    def noise_of(self, sites):
        """Variance [M] in dB^2 that a measured site has around the field."""
        return self.maps[0].noise_of(sites)

    def words(self):
        """What was fitted, as a sentence."""
        first = f"{len(self.maps)} transmitters, the first with {100 * self.shares[0]:.0f} % of the vote; "
        return (first if len(self.maps) > 1 else "") + self.maps[0].words()

    def draws(self, raster, count, rng):
        """[count, rows, columns] dB, each of one of the candidates."""
        chosen = rng.choice(len(self.maps), count, p=self.shares)
        return np.concatenate([self.maps[i].draws(raster, 1, rng) for i in chosen])


class MapTrend:
    """A map [rows, columns] as a trend of kriging: b0 + b1 times it, b1 near 1."""

    PRIOR = ((0.0, np.inf), (1.0, 0.2))  # (mean, deviation)

    def __init__(self, field, raster):
        self.field, self.raster = field, raster

    def columns(self, places):
        """[N, 2] at places [N, 2]."""
        return np.stack((np.ones(len(places)), between(self.field, self.raster, places)), 1)

    def prior(self):
        """(mean [2], precision [2]) of the coefficients."""
        mean, deviation = np.array(self.PRIOR).T
        return mean, 1 / deviation**2


def generated(spec, transmitter):
    """(mean, deviation) [rows, columns] dB of path gain, of a `Shadowed` and no sample."""
    tiled = Tiled(spec, transmitter.raster, transmitter.heights, transmitter)
    return tiled(*expected_maps.expected(transmitter), map_units.MIDDLE)


def coarser(raster, heights):
    """The raster and the heights, of fewer and larger cells where there are more than TRIED a side."""
    k = -(-max(raster.rows, raster.columns) // TRIED)
    if k == 1:
        return raster, heights
    rows, columns = -(-raster.rows // k), -(-raster.columns // k)
    south = raster.south + (raster.rows - rows * k) * raster.step  # the northern edge stays
    return (
        Raster(raster.west, south, k * raster.step, rows, columns),
        None if heights is None else heights[::k, ::k].copy(),
    )


#: {scheme: what makes a map with it}
KINDS = {"map_posterior": SchemeMap, "map_elect": ElectedMap, "map_conditional": ConditionalMap, "map_flow": FlowMap}
