# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a network's correction of a map is to be trusted: what it was worth at the user's own samples.

The sites are dealt into blocks, each third of which is foretold from the rest, by kriging, by the network on top of it,
and by inverse distance. The answer is then

    kriging + w1 (network - kriging) + w2 (inverse distance - kriging),   w1, w2 >= 0,   w1 + w2 <= 1

with the weights of least squares over what was held out (stacking: Wolpert 1992, Breiman 1996), drawn to what is
believed without samples (BELIEVED of the network where buildings are known, nothing where they are not) by as much
as STRENGTH blocks that say so clearly. Where the network knows nothing of a place it is worth nothing there, and
kriging stays.

The same held-out samples say how wide the stated deviation ought to be: its factor is that of the errors' 90 % quantile
over a normal distribution's, drawn to 1 by as much as SURE samples that say so.
"""

import numpy as np

FOLDS = 3
BLOCKS = 24  # that the sites' box is cut into, about
FEWEST = 12  #: sites from which there is anything to hold out
STRENGTH = 4.0
BELIEVED = 1.0
SURE, WIDEST = 30, 2.0  # samples; the most that the deviation is widened, and the inverse the least
Z90 = 1.6448536269514722


def blocks_of(places):
    """[M] block of each of places [M, 2]."""
    low, size = places.min(0), np.maximum(np.ptp(places, axis=0), 1.0)
    side = max(np.sqrt(size[0] * size[1] / BLOCKS), size.max() / BLOCKS)
    return np.unique(np.floor((places - low) / side).astype(int), axis=0, return_inverse=True)[1].ravel()


def judged(sites, foretell, known, seed=1):
    """((w1, w2), factor of the deviation) for `Sites`. foretell(given, held) -> (kriging [H], its variance, variance of
    the samples' noise, log of the network's deviation over kriging's, network [H], inverse distance [H]) in dB at the
    places of `held` from the sites `given`, indices both. known: whether buildings are."""
    start = np.array([BELIEVED if known else 0.0, 0.0])
    if len(sites) < FEWEST:
        return start, 1.0
    block = blocks_of(sites.places)
    count = block.max() + 1
    if count < FOLDS:
        return start, 1.0
    fold = (np.random.default_rng(seed).permutation(count) % FOLDS)[block]
    rows, scales, spreads = [], [], []
    for k in range(FOLDS):
        held = np.flatnonzero((fold == k) & ~sites.censored)  # of a bound there is no error
        given = np.flatnonzero(fold != k)
        if len(held) and len(given) >= 3 and not sites.censored[given].all():
            base, variance, noise, factor, *others = foretell(given, held)
            share = 1 / np.bincount(block[held])[block[held]]  # a block's sites are one opinion
            rows.append(np.column_stack((*(other - base for other in others), sites.value[held] - base)))
            scales.append(np.sqrt(share / (variance + noise)))
            spreads.append(np.column_stack((variance, noise, factor)))
    if not rows:
        return start, 1.0
    rows = np.vstack(rows)
    found = _solved(rows * np.concatenate(scales)[:, None], start)
    return found, _width(rows[:, -1] - rows[:, :-1] @ found, *np.vstack(spreads).T, found[0])


def _width(error, variance, noise, factor, network):
    """The factor of the deviation, of held-out errors [N] in dB whose field has the variance and log factor [N]."""
    deviation = np.sqrt(variance * np.exp(2 * network * factor) + noise)
    seen = np.quantile(np.abs(error) / deviation, 0.9) / Z90
    width = np.sqrt((SURE + len(error) * seen**2) / (SURE + len(error)))
    return float(np.clip(width, 1 / WIDEST, WIDEST))


def _solved(rows, start):
    """Least squares of the last column on the others, drawn to `start`, not negative, of sum 1 at most."""
    from scipy.optimize import nnls

    own = np.sqrt(STRENGTH) * np.eye(len(start))
    found, _ = nnls(np.vstack((rows[:, :-1], own)), np.append(rows[:, -1], own @ start))
    return found / max(found.sum(), 1.0)
