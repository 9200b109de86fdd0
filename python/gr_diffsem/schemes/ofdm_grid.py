# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel over time and frequency, seen at some of its elements: one prior for any pilots, delays and Doppler.

y = M(h + n): h the response over a tile of 16 symbols x 64 carriers, M the elements with pilots or decided data; what
is not observed has infinite noise. Grids of other sizes are tiles that overlap (`core::TiledEstimator`); a shorter one
is a tile of which the rest is not observed.
"""

from dataclasses import dataclass

import numpy as np

from ..air import grid_channel, grid_pilots, measure
from ..models import grid_bank
from .base import Claim, Network, Scheme, TestData

TILE = grid_pilots.TILE
MEASURED = 48  # carriers of the test's grid, in the middle of the tile
FASTEST = (0.001, 0.125)  # cycles a symbol period: 0.1 of the carrier spacing behind a guard interval of a quarter
ROUNDING = 0.03  # of the error's power: what the order of additions may change, at most
# Of a hundred channels five are as wide as these, and make most of the error: a quarter of those that are trained on
# are, and count the less for it.
WIDE = 0.04  # rms delay spread, symbols
WIDE_SHARE = 0.25
AVERAGE = (8000, 31)  # channels that the average statistics are taken from, and their seed


def full():
    from ..models.delay_doppler import DelayDoppler

    return DelayDoppler(*TILE)


def fast():
    from ..models.delay_doppler import DelayDoppler

    return DelayDoppler(
        *TILE, delays=48, dopplers=11, steps=(2, 12), last=12, channels=40, hidden=36, blocks=1, spread=(8, 12)
    )


def mse_net():
    from ..models.grid_convolutions import GridConvolutions

    return GridConvolutions(*TILE)


@dataclass
class GridBatch(measure.Batch):
    """Training pairs, the `grid_channel.Channels` that they are of, the part [n, S, K] of a tile that is there, and
    what each item counts [n], 1 in the mean."""

    channels: grid_channel.Channels
    part: np.ndarray
    counts: np.ndarray


class OfdmGrid(Scheme):
    name = "ofdm_grid"
    title = "a channel over time and frequency, 16 symbols x 64 carriers a tile, seen at any of its elements"
    reference = (
        "a Gaussian given the power of each delay and Doppler: sparse Bayesian learning (Tipping 2001) with a network "
        "in place of its update, as a one-step diffusion prior"
    )
    shape = TILE
    axes = ("symbol", "carrier")
    gain = "measured"
    operator = "mask"
    default = "full"
    fallbacks = {"full": "robust", "fast": "full", "mse_net": "robust"}
    cost_unit = "tile of 1,024 elements"
    snr_definition = "mean channel power over noise variance, both per observed element"
    snr_db = (0, 10, 20, 30)
    evaluations = ()
    data = (
        "drawn as training goes (gr_diffsem.air.grid_channel): exponential, few-path and line-of-sight profiles in "
        "equal parts, rms delay 0.003 to 0.06 of a symbol, all paths within a quarter of one, Doppler 0.001 to 0.125 "
        "cycles a symbol period, Clarke's fading; observed elements and noise at random (air.grid_pilots). Nothing "
        "recorded"
    )

    def networks(self):
        return {
            "full": Network(full, "powers of delays and Dopplers in four rounds", 0.15, minutes=90, batch=64),
            "fast": Network(fast, "the same in two rounds", 0.15, minutes=30, batch=64),
            "mse_net": Network(mse_net, "convolutions, one step, trained for squared error", 0.0, minutes=15, batch=64),
        }

    def training(self):
        from ..models.grid_training import GridTraining

        return GridTraining

    def adapting(self):
        from ..models.site_training import SiteTraining

        return SiteTraining

    def sample(self, rng, n):
        return grid_channel.draw(rng, n, *TILE, doppler=FASTEST).response

    def batch(self, rng, n, prior_share):
        observed, part = grid_pilots.draw(rng, n, *TILE)
        true, believed = draw_noise(rng, n)
        profiles, counts = more_wide_ones(rng, n)
        channels = grid_channel.fade(rng, profiles, *TILE)
        batch = measure.observe(channels.response, true, believed, observed, rng)
        batch = measure.as_prior_state(batch, prior_share, rng) if prior_share else batch
        return GridBatch(**vars(batch), channels=channels, part=part | batch.observed, counts=counts)

    def validation(self):
        def of(pattern):
            def at(snr_db):
                rng = np.random.default_rng(77)
                observed = np.repeat(in_tile(pattern[None], False), 100, 0)
                nv = np.float32(10 ** (-snr_db / 10))
                return measure.observe(self.sample(rng, 100), nv, nv, observed, rng)

            return at

        return {name: of(pattern) for name, pattern in grid_channel.patterns(TILE[0], MEASURED).items()}

    def write_network(self, net, path, network, facts):
        from ..models import grid_training

        return grid_training.write(net, path, self, network, facts, ROUNDING)

    def tensors(self, progress=print):
        wide = grid_bank.robust(*TILE).members[0]
        factors = {"robust_time.npy": wide.time, "robust_carrier.npy": wide.carrier}
        return {name: values.astype(np.complex64) for name, values in factors.items()}

    def classical(self):
        prior = {"type": "gaussian", "covariance": "robust_time.npy", "kronecker": "robust_carrier.npy"}
        return {"robust": {"title": "Wiener filter for all delays and Dopplers that there may be", "prior": prior}}

    def claims(self):
        return [
            Claim(f"{name}: {text} at {snr} dB", member, snr, against=other, gate=gate, data=name)
            for name in grid_channel.patterns()
            for member, other, gate, text in (
                ("full", "bank", 0.1, "`full` no worse than the bank of 180"),
                ("fast", "adaptive", 0.0, "`fast` below the adaptive filter"),
            )
            for snr in self.snr_db
        ]

    def test_data(self, count, seed):
        average = grid_bank.Average(grid_channel.draw(np.random.default_rng(AVERAGE[1]), AVERAGE[0], TILE[0], MEASURED))
        banks = {
            "interpolation": grid_bank.interpolate,
            "adaptive": grid_bank.adaptive(TILE[0], MEASURED),
            "average": average,
            "bank": grid_bank.bank_of_180(TILE[0], MEASURED),
        }
        parts, patterns = [], grid_channel.patterns(TILE[0], MEASURED)
        for i, (name, pattern) in enumerate(patterns.items()):
            rng, size = np.random.default_rng([seed, i]), -(-count // len(patterns))
            channels = grid_channel.draw(rng, size, TILE[0], MEASURED)
            known = {**banks, "genie": grid_bank.genie(channels)}
            estimators = {key: within(estimate, pattern) for key, estimate in known.items()}
            truth = in_tile(channels.response, 0)
            seen, counted = (in_tile(m, False).reshape(-1) for m in (pattern, np.ones_like(pattern)))
            parts.append(TestData(truth, seen, estimators=estimators, name=name, counted=counted))
        return parts

    def card(self):
        return (
            "For estimates over the whole grid of an OFDM signal from pilots, preambles and decided data, wherever "
            "they lie. Delays count from where the FFT's window begins, and may lie from 0.04 of a symbol before it to "
            "0.228 behind it. The channel is constant within a symbol; Doppler above 0.13 cycles a symbol is not known "
            "to it, and the guard gives such tiles to `robust`."
        )


def more_wide_ones(rng, n):
    """(n `Profiles` of which WIDE_SHARE are wide, what each counts [n] so that their mean is that of all)."""
    among = grid_channel.profiles(rng, 40 * n, FASTEST)
    wide = among.rms() > WIDE
    wanted = rng.random(n) < WIDE_SHARE
    wanted &= np.cumsum(wanted) <= wide.sum()
    which = np.empty(n, int)
    which[wanted], which[~wanted] = np.flatnonzero(wide)[: wanted.sum()], np.flatnonzero(~wide)[: (~wanted).sum()]
    usual = wide.mean()
    return among.of(which), np.where(wanted, usual / WIDE_SHARE, (1 - usual) / (1 - WIDE_SHARE)).astype(np.float32)


def in_tile(grid, rest):
    """Grids [..., 16, 48] in the middle of tiles [..., 16, 64]; `rest` is what lies beside them."""
    side = (TILE[1] - MEASURED) // 2
    return np.pad(grid, [*[(0, 0)] * (grid.ndim - 1), (side, side)], constant_values=rest)


def within(estimate, pattern):
    """An estimator of grids [n, 16, 48] as one of tiles [n, 1024], for `TestData.estimators`."""
    side = (TILE[1] - MEASURED) // 2

    def on_tiles(y, noise_var):
        grid = y.reshape(-1, *TILE)[:, :, side : side + MEASURED]
        return in_tile(estimate(grid, pattern, noise_var), 0).reshape(len(y), -1)

    return on_tiles


def draw_noise(rng, n, snr_db=(-10.0, 35.0)):
    """(true, believed) noise variance [n, 16, 64] over unit power: mostly equal everywhere, else with elements far
    above the others (decided data, interference); believed off as an estimate of 8 to 60 samples is."""
    nv = np.broadcast_to(10 ** (-rng.uniform(*snr_db, (n, 1, 1)) / 10), (n, *TILE)).copy()
    uneven = rng.random((n, 1, 1)) < 0.2
    more = 10 ** (rng.uniform(0, 2.5, (n, *TILE)) * (rng.random((n, *TILE)) < rng.random((n, 1, 1))))
    nv = np.where(uneven, nv * more, nv)
    samples = rng.integers(8, 60, (n, 1, 1))
    error = np.where(rng.random((n, 1, 1)) < 0.4, rng.gamma(samples, 1 / samples), 1.0)
    return nv.astype(np.float32), (nv * error).astype(np.float32)


SCHEME = OfdmGrid()
