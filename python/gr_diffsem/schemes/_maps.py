# SPDX-License-Identifier: GPL-3.0-or-later
"""What the schemes of radio maps have in common: one network, one data set, and what each is told."""

import numpy as np

from ..air import traced_maps
from ..radiomap import map_units
from .base import Network, Scheme

CELLS = [map_units.SIDE, map_units.SIDE]


def net():
    from ..models.map_net import MapNet

    return MapNet()


class MapScheme(Scheme):
    """A scheme of maps of 64 x 64 cells. kind: the arguments of a `map_training.Kind`; pairs: how many training draws
    from."""

    domain = "real"
    shape, axes = tuple(CELLS), ("north", "east")
    condition = (
        {"name": "height", "type": "float32", "shape": CELLS, "null": map_units.UNKNOWN},
        {"name": "metres", "type": "float32", "shape": [], "null": 4.0, "least": 0.5, "most": 100.0},
        {"name": "decades", "type": "float32", "shape": CELLS, "null": map_units.FAR},
        {"name": "shadow", "type": "float32", "shape": CELLS, "null": map_units.UNKNOWN},
    )
    default = "diffusion"
    cost_unit = "map of 64 x 64 cells"
    snr_definition = "15 dB squared over the mean variance of what is corrected; stated for the card alone"
    snr_db = (10,)
    evaluations = ()
    data = (
        "maps traced by sionna-rt in its models of Munich and Paris (Etoile), Florence held out: one base station "
        "above the roofs, 2 GHz, cells of 4 to 10 m, floor -130 dB (gr_diffsem.air.traced_maps)"
    )
    limits = "It has seen two European cities, one frequency (2 GHz) and one base station a map."
    kind, pairs, minutes, build = {}, 1000, 20, staticmethod(net)

    def networks(self):
        return {"diffusion": Network(self.build, self.title, 0.0, minutes=self.minutes, batch=16, rate=1e-3)}

    def training(self):
        from ..models.map_training import MapTraining

        return MapTraining

    def told(self):
        """The `Kind` of its pairs."""
        from ..models.map_training import Kind

        return Kind(**{"name": self.name, **self.kind})

    def sample(self, rng, n):
        batch = self.batch(rng, n, 0)
        return batch.clean, batch.condition

    def made(self, pairs, rng, n):
        """n of the pairs as training sees them."""
        from ..models import map_training

        return map_training.batch_of(pairs, rng, n, self.told().blind)

    def batch(self, rng, n, prior_share):
        from ..models import map_training

        if not hasattr(self, "_pairs"):
            self._pairs = map_training.bank(traced_maps.TRAIN, self.pairs, self.seed, self.told())
        return self.made(self._pairs, rng, n)

    def power_warning(self, count=1000):
        return ""  # a map's own deviation is the level, whatever the power

    def validation(self):
        from ..models import map_training

        pairs = map_training.bank(traced_maps.TRAIN, 100, self.seed + 9000, self.told())

        def at(snr_db):
            return self.made(pairs, np.random.default_rng(1), 100)

        return {"all": at}

    def card(self):
        return (
            f"`gr-diffsem radiomap --method {self.name}` and `gr-diffsem eval radiomap` draw maps with it; it is no "
            f"prior for white noise. {self.limits} What it is worth: bench/results.md."
        )
