# SPDX-License-Identifier: GPL-3.0-or-later
"""y = Q(x + w): a converter of few bits, uniform thresholds around 0."""

import numpy as np


class Quantiser:
    """bits, step (distance of two thresholds) of each real component; y is the middle of the cell."""

    def __init__(self, size, bits=1, step=1.0):
        self.size, self.cells, self.step = size, 2**bits, step

    def apply(self, x):
        return _parts(lambda part: (self._cell(part) - self.cells // 2 + 0.5) * self.step, x)

    def adjoint(self, y):
        """The operator is not linear; y itself is the coarse answer."""
        return y

    def prox(self, z, weight, y, noise):
        """E[x] for x around z with variance `weight`, given that x + w lies in y's cell: by quadrature."""
        share = 2 if np.iscomplexobj(y) else 1
        return _parts(lambda z_, y_: self._mean(z_, weight / share, y_, noise / share), z, y)

    def _cell(self, value):
        return np.clip(np.floor(value / self.step) + self.cells // 2, 0, self.cells - 1)

    def _mean(self, z, weight, y, noise):
        cell = self._cell(y)
        low = np.where(cell == 0, -np.inf, (cell - self.cells // 2) * self.step)
        high = np.where(cell == self.cells - 1, np.inf, (cell + 1 - self.cells // 2) * self.step)
        total = np.sqrt(weight + noise)
        nodes, share = np.polynomial.legendre.leggauss(200)
        reach = 9 * total  # beyond it nothing is left
        a, b = np.maximum(low, z - reach), np.minimum(high, z + reach)
        u = 0.5 * (a + b)[..., None] + 0.5 * (b - a)[..., None] * nodes
        p = share * np.exp(-0.5 * ((u - z[..., None]) / total[..., None]) ** 2)
        mean = (p * u).sum(-1) / p.sum(-1)
        return z + weight / (weight + noise) * (mean - z)


def _parts(f, *arrays):
    """f of real and imaginary parts apart, where there are any."""
    if not any(np.iscomplexobj(a) for a in arrays):
        return f(*arrays)
    return f(*(np.real(a) for a in arrays)) + 1j * f(*(np.imag(a) for a in arrays))
