# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples that lie together, as one measurement each: a site.

A phone at a traffic light gives a hundred samples of one place; they are one site, whose mean they make surer. A sample
below the receiver's floor says only that the power is not above it: where half of a site's samples say so, the site is
censored, elsewhere they count with what a normal distribution expects of them (an expectation-maximisation step of
Tobit's model, Tobin 1958).
"""

from dataclasses import dataclass

import numpy as np

ROUNDS = 30  # of expectation and maximisation
SPREAD = 4.0  #: dB, the deviation of repeated samples where there are none to measure it by


@dataclass
class Sites:
    """M sites. places: [M, 2] metres; value: [M] dB, a mean, of a censored site its upper bound; count: [M] samples;
    censored: [M] bool; error: [M] metres, standard deviation of the position along each axis, 0 where not stated;
    spread: deviation in dB of samples of one site around its mean."""

    places: np.ndarray
    value: np.ndarray
    count: np.ndarray
    censored: np.ndarray
    error: np.ndarray
    spread: float

    def __len__(self):
        return len(self.value)

    def of(self, which):
        """The sites of an index or mask."""
        parts = (self.places, self.value, self.count, self.censored, self.error)
        return Sites(*(part[which] for part in parts), self.spread)


def gather(places, value, censored, side, error=None):
    """`Sites` of samples at places [N, 2] metres: one for each square of `side` metres that holds any, in the middle of
    its samples. error: [N] metres of each position, NaN where not stated."""
    square = np.floor(places / side).astype(np.int64)
    _, index, count = np.unique(square, axis=0, return_inverse=True, return_counts=True)
    index = index.ravel()

    def mean(x):
        return np.bincount(index, x, len(count)) / count

    middle = np.stack([mean(places[:, axis]) for axis in (0, 1)], 1)
    hidden = mean(censored.astype(float))
    level, spread = mean(value), _spread(value[~censored], index[~censored])
    if censored.any():
        level, spread = _expected(value, censored, index, count, level, spread)
        bound = np.full(len(count), -np.inf)
        np.maximum.at(bound, index[censored], value[censored])
        level = np.where(hidden >= 0.5, bound, level)
    stated = np.zeros(len(value)) if error is None else np.nan_to_num(error)
    # Errors of fixes a second apart are one error: their mean has it too.
    return Sites(middle, level, count, hidden >= 0.5, mean(stated), spread)


def gather_at_most(places, value, censored, side, most, error=None):
    """(`Sites`, their side in metres) of the first of side, 1.5 side, ... that makes `most` sites or fewer: none of the
    samples is left out."""
    while True:
        found = gather(places, value, censored, side, error)
        if len(found) <= most:
            return found, side
        side *= 1.5


def _spread(value, index):
    """Deviation within sites, of those with more than one sample."""
    count = np.bincount(index)
    total = np.bincount(index, value)
    within = np.sum(value**2) - np.sum(total[count > 0] ** 2 / count[count > 0])
    free = len(value) - np.count_nonzero(count)
    return float(np.sqrt(max(within, 0) / free)) if free >= 10 else SPREAD


def _expected(value, censored, index, count, level, spread):
    """(means, spread) of sites whose censored samples are normal and known not to be above `value`."""
    from scipy.stats import norm

    free = max(len(value) - len(count), 1)
    for _ in range(ROUNDS):
        at = (value - level[index]) / spread
        ratio = np.exp(norm.logpdf(at) - norm.logcdf(at))
        taken = np.where(censored, level[index] - spread * ratio, value)
        hidden = np.where(censored, spread**2 * (1 - ratio * (at + ratio)), 0)  # variance that is not seen
        level = np.bincount(index, taken, len(count)) / count
        if free >= 10:
            spread = max(float(np.sqrt(np.sum((taken - level[index]) ** 2 + hidden) / free)), 0.5)
    return level, spread
