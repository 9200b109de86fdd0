# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel over time and frequency, seen at some of its elements: one prior for any pilots, delays and Doppler."""

from dataclasses import dataclass

import numpy as np

from ..air import grid_channel, grid_pilots, measure
from .base import Network, Scheme

TILE = (16, 64)  # symbols, carriers
FASTEST = (0.001, 0.125)  # cycles a symbol period: 0.1 of the carrier spacing behind a guard interval of a quarter


def full():
    from ..models.delay_doppler import DelayDoppler

    return DelayDoppler(*TILE)


@dataclass
class GridBatch(measure.Batch):
    """Training pairs, and the `grid_channel.Channels` that they are of."""

    channels: grid_channel.Channels


class OfdmGrid(Scheme):
    name = "ofdm_grid"
    title = "a channel over time and frequency, 16 symbols x 64 carriers a tile, seen at any of its elements"
    reference = (
        "a Gaussian given the power of each delay and Doppler: sparse Bayesian learning (Tipping 2001) with a network in "
        "place of its update, as a one-step diffusion prior"
    )
    default = "full"
    data = (
        "channels drawn as they go (gr_diffsem.air.grid_channel): exponential, few-path and line-of-sight profiles, rms "
        "delay 0.003 to 0.06 of a symbol, Doppler to 0.125 cycles a symbol, Clarke's fading; pilot patterns and noise at "
        "random (air.grid_pilots). Nothing recorded"
    )
    shape = TILE
    axes = ("symbol", "carrier")
    gain = "measured"
    operator = "mask"

    def networks(self):
        return {"full": Network(full, "delay-Doppler network", 0.15, minutes=60, batch=64, rate=2e-3)}

    def training(self):
        from ..models.grid_training import RoundsTraining

        return RoundsTraining

    def sample(self, rng, n):
        return grid_channel.draw(rng, n, *TILE, doppler=FASTEST).response

    def batch(self, rng, n, prior_share):
        observed = grid_pilots.draw(rng, n, *TILE)
        true, believed = draw_noise(rng, n)
        channels = grid_channel.draw(rng, n, *TILE, doppler=FASTEST)
        batch = measure.observe(channels.response, true, believed, observed, rng)
        batch = measure.as_prior_state(batch, prior_share, rng) if prior_share else batch
        return GridBatch(**vars(batch), channels=channels)

    def validation(self):
        def of(pattern):
            def at(snr_db):
                rng = np.random.default_rng(77)
                observed = np.zeros((100, *TILE), bool)
                observed[:, :, 8:56] = pattern
                h = self.sample(rng, len(observed))
                nv = np.float32(10 ** (-snr_db / 10))
                return measure.observe(h, nv, nv, observed, rng)

            return at

        return {name: of(pattern) for name, pattern in grid_channel.patterns().items()}


def draw_noise(rng, n, snr_db=(-10.0, 35.0)):
    """(true, believed) noise variance [n, 16, 64] over unit power: mostly equal everywhere, else with elements far above
    the others (decided data, interference); believed off as an estimate of 8 to 60 samples is."""
    nv = np.broadcast_to(10 ** (-rng.uniform(*snr_db, (n, 1, 1)) / 10), (n, *TILE)).copy()
    uneven = rng.random((n, 1, 1)) < 0.2
    more = 10 ** (rng.uniform(0, 2.5, (n, *TILE)) * (rng.random((n, *TILE)) < rng.random((n, 1, 1))))
    nv = np.where(uneven, nv * more, nv)
    samples = rng.integers(8, 60, (n, 1, 1))
    error = np.where(rng.random((n, 1, 1)) < 0.4, rng.gamma(samples, 1 / samples), 1.0)
    return nv.astype(np.float32), (nv * error).astype(np.float32)


SCHEME = OfdmGrid()
