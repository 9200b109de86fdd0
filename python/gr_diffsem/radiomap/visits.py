# SPDX-License-Identifier: GPL-3.0-or-later
"""How wrong positions are, where nobody says so: from places that were visited again.

Samples of one square in consecutive rows are one visit, whose fixes have nearly the same error; the next visit's has
another. So the means of visits differ by what the field changes over the two errors e1 and e2, besides what repeated
samples differ by anyway:

    E (m1 - m2)^2 / 2 - s^2 / n = a^2 (1 - E exp(-|e1 - e2| / l))

which is solved for the deviation of e along each axis under the covariance that the sites tell. What fades slowly
between visits is in it as well, so that it is an upper bound.
"""

import numpy as np

from .kriging import Kriging

SQUARE = 5.0  #: metres
FEWEST = 10  #: squares visited twice or more
MOST = 50.0  #: metres


def differences(places, value, censored):
    """(variance in dB^2 between the means of visits to one place beyond what their samples differ by, number of places)
    of samples in the order of their rows: places [N, 2] metres, value [N] dB."""
    square = np.unique(np.floor(places / SQUARE).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    visit = np.cumsum(np.r_[0, square[1:] != square[:-1]])
    square, visit, value = square[~censored], visit[~censored], value[~censored]
    _, index, count = np.unique(visit, return_inverse=True, return_counts=True)
    level = np.bincount(index, value) / count
    of = square[np.unique(index, return_index=True)[1]]  # the square of each visit
    within = np.sum((value - level[index]) ** 2) / max(len(value) - len(level), 1)
    places_again, between = 0, []
    for at in np.flatnonzero(np.bincount(of) > 1):
        visits = of == at
        places_again += 1
        between.append(np.var(level[visits], ddof=1) - within * np.mean(1 / count[visits]))
    return (float(np.mean(between)) if between else 0.0), places_again


def position_error(places, value, censored, gathered):
    """Metres of deviation along each axis, an upper bound; None where FEWEST places were not visited again. gathered:
    the `Sites`, which the covariance is fitted to."""
    between, count = differences(places, value, censored)
    if count < FEWEST:
        return None
    covariance = Kriging(gathered, None).covariance
    low, high = 0.0, MOST
    for _ in range(40):  # misplaced() is of |e|; e1 - e2 is sqrt(2) times as long, and its half is asked
        middle = 0.5 * (low + high)
        low, high = (middle, high) if 0.5 * covariance.misplaced(np.sqrt(2) * middle) < between else (low, middle)
    return float(low)
