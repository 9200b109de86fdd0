# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map from few samples: kriging's answer, corrected by what traced cities have taught.

After RME-DDPM and IRDM, which draw maps given sparse samples and buildings. Here the sites are conditioned on exactly,
by a Gaussian process (`radiomap.kriging`), whose answer over 64 x 64 cells with its own standard deviation is the
measurement y = x0 + n of this prior; one step gives mean and variance. So noise, censored samples, errors of positions
and any number of samples are the process's matter, and the network's is what no stationary process can know: streets,
corners, the shadow behind a block.
"""

import numpy as np

from ..air import traced_maps
from ..base.errors import UserError
from ..radiomap import map_units
from .base import Network, Scheme

PAIRS = 2400  #: of samples and truth, that training draws from


def net():
    from ..models.map_net import MapNet

    return MapNet()


class MapPosterior(Scheme):
    name = "map_posterior"
    title = "a radio map of 64 x 64 cells from few samples, with or without its buildings"
    reference = (
        "RME-DDPM (diffusion for radio map estimation from sparse samples) and IRDM, in one step behind a Gaussian "
        "process; Gudmundson 1991"
    )
    domain = "real"
    shape, axes = (map_units.SIDE, map_units.SIDE), ("north", "east")
    condition = (
        {"name": "height", "type": "float32", "shape": [map_units.SIDE, map_units.SIDE], "null": map_units.UNKNOWN},
        {"name": "metres", "type": "float32", "shape": [], "null": 4.0, "least": 0.5, "most": 100.0},
    )
    default = "diffusion"
    cost_unit = "map of 64 x 64 cells"
    snr_definition = "15 dB squared over kriging's mean variance; stated for the card alone"
    snr_db = (10,)
    evaluations = ()
    data = (
        "maps traced by sionna-rt in its models of Munich and Paris (Etoile), Florence held out: one base station "
        "above the roofs, 2 GHz, cells of 4 to 10 m, floor -130 dB (gr_diffsem.air.traced_maps)"
    )

    def networks(self):
        return {"diffusion": Network(net, "U-Net behind kriging, one step", 0.0, minutes=20, batch=16, rate=1.5e-3)}

    def training(self):
        from ..models.map_training import MapTraining

        return MapTraining

    def sample(self, rng, n):
        batch = self.batch(rng, n, 0)
        return batch.clean, batch.condition

    def batch(self, rng, n, prior_share):
        from ..models import map_training

        if not hasattr(self, "_pairs"):
            self._pairs = map_training.bank(traced_maps.TRAIN, PAIRS, self.seed)
        return map_training.batch_of(self._pairs, rng, n)

    def power_warning(self, count=1000):
        return ""  # kriging's own deviation is the level, whatever the power

    def validation(self):
        from ..models import map_training

        pairs = map_training.bank(traced_maps.TRAIN, 100, self.seed + 9000)

        def at(snr_db):
            return map_training.batch_of(pairs, np.random.default_rng(1), 100, blind=0.0)

        return {"all": at}

    def test_data(self, count, seed):
        raise UserError(
            "map_posterior corrects kriging's map and is no prior for white noise: `gr-diffsem eval radiomap CSV...` "
            "measures it on real samples, bench/radiomap.py on a held-out city"
        )

    def card(self):
        return (
            "`gr-diffsem radiomap` and `gr-diffsem eval radiomap` draw maps with it; it is no prior for white noise. "
            "On the held-out city it is better than kriging from 1 % of the cells and no better from 10 %; on a real "
            "drive test, buildings unknown, it is a little worse (bench/results.md). It has seen two European cities, "
            "one frequency (2 GHz) and one base station a map."
        )


SCHEME = MapPosterior()
