# SPDX-License-Identifier: GPL-3.0-or-later
"""Adapts a prior over the grid to where somebody's recordings are from (`gr-diffsem train ofdm_grid --from`).

Nobody knows the channels of a recording; there are looks at them, y = H + n, n of variance v. A network that is shown
some looks is right in the mean where it comes near to others, because their noise is independent. It is shown

    u = y + e,  e of variance w,     and held to     t = y - (v/w) e                                        (1)

at the same elements: u - H and t - H are uncorrelated, both Gaussian, hence independent (Recorrupted-to-Recorrupted:
T. Pang et al., CVPR 2021; the extra noise is that of Stein's unbiased risk estimate by Monte Carlo). At elements that
it is not shown, t = y. So E|answer - t|^2 = E|answer - H|^2 + doubt, doubt = v + v^2/w, or v: known, and taken off.

Half of each batch is the scheme's own simulated channels, so that what the site does not show is not forgotten.
"""

import math

import numpy as np
import torch

from ..air import grid_pilots
from ..air.measure import SIGMA_RANGE, measured_power
from ..base.errors import UserError
from ..base.signal import complex_noise32
from . import training
from .grid_training import GridTraining

MINUTES, RATE = 10.0, 3e-4
KEPT_BACK = 0.1  # share of the looks, the last ones, that only the report sees
TILES = 128  # of these
AS_THEY_ARE = 0.25  # share of the items that get no more noise, and are held to other elements alone
MORE_DB = 40.0  # noise that is added, at most, over the looks' own
WORST_SNR_DB = -8.0  # but not beyond this


class SiteTraining(GridTraining):
    """`GridTraining` on looks too. args.looks: list of `Looks`."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        self.seconds = 60 * (args.minutes or MINUTES)
        self.rate = args.rate or RATE
        parts = [looks.halves(KEPT_BACK) for looks in args.looks]
        self.learned, self.kept = ([part[side] for part in parts if len(part[side])] for side in (0, 1))
        grids = sum(map(len, self.learned))
        if not grids:
            raise UserError(f"--from: {sum(map(len, args.looks))} grid of looks; give at least two")
        self.adapted_to = f"adapted to {grids} grids of noisy looks at " + ", ".join(x.source for x in args.looks)
        if self.batch < 2:
            raise UserError(f"--batch is {self.batch}: give 2 or more, half of which are looks")
        self.before = self.now = None if self.resume else self.kept_back()

    def draw(self, rng):
        ours = self.batch // 2
        simulated = self.scheme.batch(rng, self.batch - ours, self.network.prior_share)
        clean, state, sigma, observed, _, part, doubt, counts = self.tensors(simulated)
        site = site_batch(self.learned, rng, ours, self.scheme.shape)
        powers = torch.zeros(self.batch, 0)  # nobody knows those of a site
        both = zip((clean, state, sigma, observed, part, doubt), site, strict=True)
        clean, state, sigma, observed, part, doubt = (torch.cat(pair) for pair in both)
        return clean, state, sigma, observed, powers, part, doubt, torch.cat((counts, torch.ones(ours)))

    def kept_back(self):
        """Error of the averaged network at looks that it does not learn from, dB over the channels' power."""
        rng = np.random.default_rng(4)
        clean, state, sigma, _, part, doubt = site_batch(self.kept, rng, TILES, self.scheme.shape)
        with torch.no_grad():
            mean = self.average(state.to(self.device), sigma.to(self.device))[0].cpu()
        error, power = (
            (training.square_error(x, clean, part) * part - doubt * part).sum() for x in (mean, torch.zeros_like(clean))
        )
        if not power > 0:
            return float("nan")  # the looks kept back hold nothing but noise
        return 10 * math.log10(max(float(error / power), 1e-12))

    def _validate(self, validation, writer):
        self.now = self.kept_back()
        writer.add_scalar("site/kept_back_db", self.now, self.step)
        words = f"{self.now:.2f} dB at looks kept back (at first {self.before:.2f})"
        return f"{words}; simulated: {super()._validate(validation, writer)}"

    def run(self):
        report = super().run()
        return {**report, "kept_back_db": {"before": self.before, "after": self.now}}

    def facts(self):
        return {**super().facts(), "adapted_to": self.adapted_to, "kept_back_before": self.before}

    def _load(self):
        super()._load()
        state = training.load_checkpoint(self.checkpoint)
        self.before, self.now = state.get("kept_back_before", float("nan")), self.kept_back()


def site_batch(looks, rng, n, shape):
    """n items of (1), from sets of looks in proportion to their grids: (t, u, sigma, observed, part, doubt) as
    `GridTraining.draw` gives them."""
    counts = np.array([len(x) for x in looks])
    which = rng.choice(len(looks), n, p=counts / counts.sum())
    tiles = [x.draw(rng, int((which == i).sum()), *shape) for i, x in enumerate(looks) if (which == i).any()]
    y, v = (np.concatenate(part) for part in zip(*tiles, strict=True))
    there = np.isfinite(v)
    v = np.where(there, v, 0)
    seen = shown(rng, there)
    more, added = extra_noise(rng, y, v, there, there & ~seen)
    e = added * complex_noise32(rng, y.shape)
    noise = v + added**2
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(seen & more, v / added**2, 0)
    target = y - share * e
    doubt = v + share * v
    part = there & (more | ~seen)
    power = measured_power(y + e, noise, seen)[:, None, None]
    scale = 1 / np.sqrt(power)
    sigma = np.where(seen, np.sqrt(noise / power), SIGMA_RANGE[1]).clip(*SIGMA_RANGE).astype(np.float32)
    state = np.where(seen, (y + e) * scale, 0)
    return (
        training.planes(target * scale),
        training.planes(state),
        torch.from_numpy(sigma[:, None]),
        torch.from_numpy(seen),
        torch.from_numpy(part.astype(np.float32)),
        torch.from_numpy((doubt / power).astype(np.float32)),
    )


def shown(rng, there):
    """Which looks [n, S, K] the network is shown: those of a pilot pattern; where it has few of them, any at random."""
    patterns, _ = grid_pilots.draw(rng, *there.shape)
    seen = patterns & there
    any_one = rng.random(there.shape)
    for i in np.flatnonzero(seen.sum((1, 2)) < grid_pilots.FEWEST):
        among = np.sort(any_one[i][there[i]])
        count = rng.integers(min(grid_pilots.FEWEST, len(among)), len(among) + 1)
        seen[i] = there[i] & (any_one[i] <= among[count - 1])
    return seen


def extra_noise(rng, y, v, there, others):
    """(which items get more noise [n, 1, 1], its deviation [n, S, K]): at least as much as each look has, or what it is
    held to would hardly be known. Without more noise an item is held to `others` alone, and needs some."""
    count = np.maximum(there.sum((1, 2), keepdims=True), 1)
    level = v.sum((1, 2), keepdims=True) / count
    power = np.maximum((np.abs(y) ** 2 * there).sum((1, 2), keepdims=True) / count - level, level)
    most = np.maximum(power * 10 ** (-WORST_SNR_DB / 10), level)
    wanted = np.minimum(level * 10 ** (rng.uniform(0, MORE_DB, level.shape) / 10), most)
    few = others.sum((1, 2), keepdims=True) < grid_pilots.FEWEST
    more = few | (rng.random(level.shape) >= AS_THEY_ARE)
    return more, np.where(more & there, np.sqrt(np.maximum(wanted, v)), 0).astype(np.float32)
