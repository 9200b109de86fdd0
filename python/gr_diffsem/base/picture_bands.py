# SPDX-License-Identifier: GPL-3.0-or-later
"""What steers a network of photographs: variances in frequency bands of luma and of colour.

Pixels are x = SCALE (image - 1/2), image in 0..1; variances are in units of x squared, [3, H, W].
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

EDGES = (1 / 16, 1 / 8, 1 / 4, 1 / 2)  # of five rings of frequencies, in units of the Nyquist frequency
FINE_EDGES = tuple(2 ** (k / 2) for k in range(-8, 0))  # of nine, whose edges hold those of the five
SECTORS = 3  # of each of the nine: frequencies of the columns, of both, of the rows
SCALE = 4.0
MULTIPLE = 8  # a network's rows and columns come in multiples of this
LOG_VARIANCE = (-16.0, 8.0)  # what a network says of its error is held within these
WINDOW = 9  # coefficients a side over which `completed` takes the error to be what a network was told
LEAST_SHARE = 0.1  # of the way to what the structure says, that a network is taken to have gone
MOST_FURTHER = 3.0  # times the error of its like that a coefficient's counts when it goes further
MOST_RISE = 4.0  # times the error that it was told, from which on a network is trusted less; from twice it not at all
TINY = 1e-20


@dataclass(frozen=True)
class Bands:
    """Rings of frequencies, each cut into sectors by its angle: bands of luma, then of both other colours."""

    edges: tuple = EDGES
    sectors: int = 1

    @property
    def each(self):
        """Bands of one colour."""
        return (len(self.edges) + 1) * self.sectors

    @property
    def count(self):
        """Bands of luma and of both other colours."""
        return 2 * self.each

    def index(self, h, w):
        """Band of every coefficient: uint8 [H, W]."""
        return _index(self, h, w)

    def means(self, power):
        """Mean over each band of [3, H, W]: float32 [count]. A sector without coefficients says what its ring says."""
        index = self.index(*power.shape[1:]).ravel()
        number = np.bincount(index, minlength=self.each)
        sums = np.array([np.bincount(index, p.ravel(), self.each) for p in power])
        sums = np.stack((sums[0], (sums[1] + sums[2]) / 2))
        ring = sums.reshape(2, -1, self.sectors).sum(2) / np.maximum(number.reshape(-1, self.sectors).sum(1), 1)
        found = np.where(number > 0, sums / np.maximum(number, 1), np.repeat(ring, self.sectors, 1))
        return found.ravel().astype(np.float32)

    def per_coefficient(self, values, h, w):
        """Values of the bands [count] at every coefficient: [3, H, W]."""
        index = self.index(h, w)
        luma, chroma = values[: self.each][index], values[self.each :][index]
        return np.stack((luma, chroma, chroma))

    def levels(self, error, spectrum):
        """A net's second input, float32 [2 count], from variances per coefficient [3, H, W]."""
        return np.sqrt(np.concatenate((self.means(error), self.means(spectrum))))


@lru_cache(maxsize=64)
def _index(bands, h, w):
    rows, columns = np.arange(h)[:, None] / h, np.arange(w) / w
    ring = np.searchsorted(bands.edges, np.hypot(rows, columns), side="right")
    angle = np.arctan2(rows, np.broadcast_to(columns, (h, w))) * (2 / np.pi)
    sector = np.minimum((bands.sectors * angle).astype(int), bands.sectors - 1)
    return (ring * bands.sectors + sector).astype(np.uint8)


OCTAVES = Bands()
FINE = Bands(FINE_EDGES, SECTORS)
band_index, band_means, per_coefficient, levels = OCTAVES.index, OCTAVES.means, OCTAVES.per_coefficient, OCTAVES.levels


def padded(image, multiple=MULTIPLE):
    """[H, W, 3] -> float32 [1, 3, H', W'], continued by its last row and column."""
    h, w, _ = image.shape
    wide = np.pad(image, ((0, -h % multiple), (0, -w % multiple), (0, 0)), mode="edge")
    return np.ascontiguousarray(wide.transpose(2, 0, 1)[None], np.float32)


def proximal(mean, variance, z, v):
    """Gaussian posterior (mean, variance) of coefficients with that prior and z = x + noise of variance
    v; inf: not observed."""
    seen = np.isfinite(v)
    total = np.asarray(variance + v)
    weight = np.divide(variance, total, out=np.zeros_like(total), where=total > 0)  # both 0: nothing is left to weigh
    return mean + weight * np.where(seen, z - mean, 0), np.where(seen, weight * np.where(seen, v, 0), variance)


def around(x, window=WINDOW):
    """Means of planes [3, H, W], none negative, over windows of an odd number of coefficients a side; past an edge they
    are mirrored."""
    for axis in (1, 2):
        n = x.shape[axis]
        reach = min(window // 2, n)
        wide = np.pad(x, [(reach, reach) if a == axis else (0, 0) for a in range(3)], mode="symmetric")
        sums = np.cumsum(wide.astype(np.float64), axis)
        sums = np.concatenate((np.zeros_like(sums.take([0], axis)), sums), axis)
        ends = np.arange(n)
        x = (sums.take(ends + 2 * reach + 1, axis) - sums.take(ends, axis)).clip(0) / (2 * reach + 1)
    return x


def completed(m, e, mean, variance, bands, window=WINDOW):
    """(mean, variance) of coefficients [3, H, W] from a net's answer to (m, e): its mean, and its variance in each of
    the `bands` [count].

    The net was told the mean of e over a band and sees it in its picture about as the mean over coefficients of like
    frequency, E = `around`(e). So it went the share a = 1 - variance / E of the way from m to what the picture's
    structure says, which is right for a coefficient of error E. The structure's own variance is then s = E (1 - a) / a,
    and a coefficient of error e should have gone e / (e + s): further where less was known, hardly where more was, and
    not at all where it is exact. Where the net says that it knows much less than it was told it is out of its depth,
    and nothing is taken from it.
    """
    h, w = e.shape[1:]
    told = bands.means(e)
    rise = np.divide(variance, told, out=np.full_like(told, 2 * MOST_RISE), where=told > TINY)
    share = bands.per_coefficient((1 - rise).clip(LEAST_SHARE, 1), h, w)
    trust = bands.per_coefficient((2 - rise / MOST_RISE).clip(0, 1), h, w)
    alike = around(e, window)
    other = (1 - share) * alike
    further = np.minimum(e, MOST_FURTHER * alike)
    total = share * further + other
    far = np.divide(further, total, out=np.zeros_like(total), where=total > TINY)
    left = e + trust * (np.divide(e * other, share * e + other, out=np.zeros_like(total), where=total > TINY) - e)
    return (m + trust * far * (mean - m)).astype(np.float32), left.astype(np.float32)
