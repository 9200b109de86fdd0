# SPDX-License-Identifier: GPL-3.0-or-later
"""What a transmitter's power is expected to be behind buildings, and which transmitter the samples elect.

Along the straight line from a transmitter to a receiver the roof that stands highest above the line counts as the only
one, a knife edge (ITU-R P.526-15, 4.1):

    nu = h sqrt(2 (d1 + d2) / (lambda d1 d2)),   J(nu) = 6.9 + 20 log10(sqrt((nu - 0.1)^2 + 1) + nu - 0.1) dB

The trend of a map is then b0 + b1 log10(d / 100 m) - b2 J / 10. It knows shadows; what is reflected into one it leaves
to the process that is added to it, and to a network. b1 and b2 have Gaussian priors, which are what traced cities show
(`PRIOR`), so that ten samples are enough.
"""

from dataclasses import dataclass

import numpy as np

from .local_plane import Raster

WAVELENGTH = 0.15  #: metres, of 2 GHz; J changes by 3 dB where it is four times as long
RECEIVER = 1.5  #: metres above the ground
NEAREST = 10.0  #: metres from the transmitter, within which log-distance is constant
MAST = 9.5  #: metres that a base station stands above the roofs around it, where its height is not known
LOWEST, ROOFS = 25.0, 20.0  # metres of a base station at the least; metres around it whose roofs count
ALONG = 96  # points of a line
PRIOR = ((0.0, np.inf), (-20.0, 8.0), (-2.6, 1.5))  #: (mean, deviation) of b0, b1, -b2
#: Of an election: candidates along a side of the box around the sites, how far beyond it (of its longer side), sites
#: that vote, refinements, and what the process beside the trend is taken for: dB, metres, dB of noise.
GRID, BEYOND, VOTERS, ROUNDS = 20, 0.3, 120, 2
FIELD = (7.0, 40.0, 3.0)
BELOW, DOUBT = 4.0, 6.0  # dB that a censored site is taken to lie below its bound, and the noise of that


@dataclass(frozen=True)
class Shadowed:
    """A transmitter among buildings: what `kriging` takes as a trend. place: [2] metres; heights: [rows, columns]
    metres of buildings on `raster`; above: metres of the transmitter above the ground, None: as base stations stand."""

    place: np.ndarray
    heights: np.ndarray
    raster: Raster
    above: float | None = None

    @property
    def metres_above(self):
        """Metres of the transmitter above the ground."""
        return mast(self.place, self.heights, self.raster) if self.above is None else self.above

    def columns(self, places):
        """[N, 3] of the trend at places [N, 2]."""
        loss = blocked(self.heights, self.raster, self.place, self.metres_above, places)
        return np.stack((np.ones(len(places)), decades(self.place, places), loss / 10), 1)

    def prior(self):
        """(mean [3], precision [3]) of the trend's coefficients."""
        mean, deviation = np.array(PRIOR).T
        return mean, 1 / deviation**2


def decades(place, places):
    """[N] log10 of metres / 100 from place [2] to places [N, 2]."""
    return np.log10(np.maximum(np.hypot(*(places - np.asarray(place)).T), NEAREST) / 100)


def mast(place, heights, raster):
    """Metres above the ground of a base station at place [2]: MAST above the roofs within ROOFS metres."""
    near = np.hypot(*(raster.centres() - place).reshape(-1, 2).T) <= ROOFS
    roofs = heights.ravel()[near].max(initial=0.0)
    return max(min(roofs, 30.0) + MAST, LOWEST)


def edge_loss(nu):
    """J(nu) in dB, 0 below nu = -0.78."""
    seen = np.maximum(nu, -0.78) - 0.1
    return np.where(nu > -0.78, 6.9 + 20 * np.log10(np.sqrt(seen**2 + 1) + seen), 0)


def blocked(heights, raster, place, above, places, chunk=8192):
    """Loss J [N] in dB at places [N, 2] metres, from place [2], `above` metres above the ground, over the buildings
    heights [rows, columns] on `raster`. Beyond the raster there are none; a place's own cell does not count."""
    padded = np.pad(np.asarray(heights, np.float32), 1)
    share = ((np.arange(ALONG) + 0.5) / ALONG).astype(np.float32)
    loss = np.empty(len(places))
    for start in range(0, len(places), chunk):
        part = places[start : start + chunk]
        line = part - place
        metres = np.maximum(np.hypot(*line.T), 1.0)
        column = (place[0] + line[:, :1] * share - raster.west) / raster.step
        row = raster.rows - (place[1] + line[:, 1:] * share - raster.south) / raster.step
        column = (np.floor(column).astype(int) + 1).clip(0, raster.columns + 1)
        row = (np.floor(row).astype(int) + 1).clip(0, raster.rows + 1)
        over = padded[row, column] - (above + (RECEIVER - above) * share)
        over[(1 - share) * metres[:, None] < 0.71 * raster.step] = -above  # the place's own cell
        flat = metres[:, None] * share * (1 - share)
        nu = (over * np.sqrt(2 / (WAVELENGTH * np.maximum(flat, 0.1)))).max(1)
        loss[start : start + chunk] = edge_loss(nu)
    return loss


def elected(sites, heights, raster, count=1, rng=None):
    """[(`Shadowed`, weight)] of the `count` likeliest transmitters of `Sites` among buildings, the first the likeliest;
    the weights are their shares of the likelihood. Candidates stand on a grid, finer around the best; each is judged by
    the marginal likelihood of the sites under its own trend (Rasmussen and Williams 2006, 2.42)."""
    rng = rng or np.random.default_rng(1)
    few = sites if len(sites) <= VOTERS else sites.of(rng.permutation(len(sites))[:VOTERS])
    low, high = sites.places.min(0), sites.places.max(0)
    side = max(float((high - low).max()), 100.0)
    axes = [np.linspace(low[i] - BEYOND * side, high[i] + BEYOND * side, GRID) for i in (0, 1)]
    step = apart = (1 + 2 * BEYOND) * side / GRID
    places = np.stack(np.meshgrid(*axes), -1).reshape(-1, 2)
    score = _votes(few, places, heights, raster)
    for _ in range(ROUNDS):
        step /= 3
        best = places[np.argsort(-score)[:3]]
        near = np.stack(np.meshgrid(*[step * np.arange(-1, 2)] * 2), -1).reshape(-1, 2)
        more = np.unique((best[:, None] + near).reshape(-1, 2).round(3), axis=0)
        places, score = np.vstack((places, more)), np.append(score, _votes(few, more, heights, raster))
    chosen = []
    for i in np.argsort(-score):
        if all(np.hypot(*(places[i] - places[j])) > 0.6 * apart for j in chosen):
            chosen.append(i)
        if len(chosen) == count:
            break
    weight = np.exp(score[chosen] - score[chosen[0]])
    return [
        (Shadowed(places[i], heights, raster), float(w)) for i, w in zip(chosen, weight / weight.sum(), strict=True)
    ]


def _votes(sites, candidates, heights, raster):
    """[C] log likelihood of the sites for transmitters at candidates [C, 2], but for what all have in common."""
    from scipy.linalg import solve_triangular

    amplitude, length, noise = FIELD
    metres = np.hypot(*(sites.places[:, None] - sites.places).transpose(2, 0, 1))
    matrix = amplitude**2 * np.exp(-metres / length)
    matrix[np.diag_indices(len(sites))] += noise**2 + np.where(sites.censored, DOUBT**2, 0)
    factor = np.linalg.cholesky(matrix)
    mean, deviation = np.array(PRIOR).T
    precision = np.diag(1 / deviation**2 + [1e-6, 0, 0])
    value, score = sites.value - BELOW * sites.censored, np.empty(len(candidates))
    for i, place in enumerate(candidates):
        columns = Shadowed(place, heights, raster).columns(sites.places)
        white = solve_triangular(factor, np.column_stack((value - columns @ mean, columns)), lower=True)
        y, t = white[:, 0], white[:, 1:]
        gram, side = t.T @ t + precision, t.T @ white[:, 0]
        score[i] = -0.5 * (y @ y - side @ np.linalg.solve(gram, side)) - 0.5 * np.linalg.slogdet(gram)[1]
    return score
