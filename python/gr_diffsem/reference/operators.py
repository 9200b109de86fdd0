# SPDX-License-Identifier: GPL-3.0-or-later
"""How x became the measurement: y = A x + w, w of known variance per complex element of y.

Each operator offers apply(x) -> y, adjoint(y) -> x, and the closed-form proximal step

    prox(z, weight, y, noise) = argmin_x  sum |y - A x|^2 / noise + sum |x - z|^2 / weight

(Parikh and Boyd 2014, section 6.1.1). x, z: [B, N]; y: [B, M]; noise and weight are variances.
"""

import numpy as np

from ..base.picture_transform import forward, inverse
from .convolution import Convolution
from .network import Network
from .quantiser import Quantiser


class Identity:
    """y = x + w. noise and weight may be given per element."""

    def apply(self, x):
        return x

    def adjoint(self, y):
        return y

    def prox(self, z, weight, y, noise):
        return fuse(z, weight, y, noise)[0]


class Mask:
    """y_i = x_i + w_i where observed, else nothing (y has N elements; unobserved ones are ignored)."""

    def __init__(self, observed):
        self.observed = np.asarray(observed, dtype=bool)

    def apply(self, x):
        return np.where(self.observed, x, 0)

    adjoint = apply

    def noise_map(self, noise, shape):
        """Noise variance per element, infinite where unobserved."""
        return np.where(self.observed, np.broadcast_to(noise, shape), np.inf)

    def prox(self, z, weight, y, noise):
        return fuse(z, weight, self.apply(y), self.noise_map(noise, z.shape))[0]


class Matrix:
    """y = A x + w with a dense A = U diag(s) V^H, white w: everything through its SVD."""

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix)
        self.size = self.matrix.shape[1]
        self.u, self.s, self.vh = np.linalg.svd(self.matrix, full_matrices=False)

    def apply(self, x):
        return x @ self.matrix.T

    def adjoint(self, y):
        return y @ self.matrix.conj()

    def prox(self, z, weight, y, noise):
        """Equal weight and noise for all elements of an item ([B, 1] or scalars).

        The minimiser differs from z in the row space only: there, coordinate by coordinate,
        (s y'/noise + z'/weight) / (s^2/noise + 1/weight).
        """
        rows = z @ self.vh.T  # V^H z
        seen = y @ self.u.conj()  # U^H y
        gain = weight * self.s / (weight * self.s**2 + noise)
        return z + (gain * (seen - self.s * rows)) @ self.vh.conj()


class Transform:
    """y = g T x + w of pictures [B, 3, H, W]: colour transform and DCT (`forward`), a gain for each
    coefficient [3, H, W], 0 where nothing is measured. noise, and weight of the coefficients of x - z: numbers or one
    for each coefficient."""

    def __init__(self, gains):
        self.gains = np.asarray(gains, float)

    def apply(self, x):
        return self.gains * np.stack([forward(item.transpose(1, 2, 0)) for item in x])

    def adjoint(self, y):
        return np.stack([inverse(self.gains * item).transpose(2, 0, 1) for item in y])

    def prox(self, z, weight, y, noise):
        """Without noise it keeps what was measured, and the null space is z's."""
        c = np.stack([forward(item.transpose(1, 2, 0)) for item in z])
        seen = (self.gains != 0) & np.isfinite(noise)
        total = np.where(seen, weight * self.gains**2 + np.where(seen, noise, 0), 1)
        c = c + np.where(seen, weight * self.gains / total * (np.where(seen, y, 0) - self.gains * c), 0)
        return np.stack([inverse(item).transpose(2, 0, 1) for item in c])


def fuse(a, a_variance, b, b_variance):
    """Two independent measurements of the same x -> (mean, variance), weighted by precision.

    Infinite variances carry no information; a variance of 0 decides alone.
    """
    shape = np.broadcast_shapes(np.shape(a), np.shape(b))
    va = np.broadcast_to(np.asarray(a_variance, float), shape)
    vb = np.broadcast_to(np.asarray(b_variance, float), shape)
    # weight of a = vb / (va + vb), written so that infinities and zeros come out right
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = np.where(np.isinf(vb), 1.0, np.where(np.isinf(va), 0.0, vb / (va + vb)))
        weight = np.where((va == 0) & (vb == 0), 0.5, weight)
        joint = 1.0 / (1.0 / va + 1.0 / vb)
    b = np.where(weight == 1.0, 0, b)
    a = np.where(weight == 0.0, 0, a)
    return weight * a + (1.0 - weight) * b, joint


#: {name: f(size, observed, matrix, **keys)}, as the core's table; keys as in a manifest.
OPERATORS = {
    "identity": lambda size, observed=None, matrix=None: Identity(),
    "mask": lambda size, observed=None, matrix=None: Identity() if observed is None else Mask(observed),
    "matrix": lambda size, observed=None, matrix=None: Matrix(matrix),
    "convolution": lambda size, observed=None, matrix=None, **keys: Convolution(size, **keys),
    "quantiser": lambda size, observed=None, matrix=None, **keys: Quantiser(size, **keys),
    "network": lambda size, observed=None, matrix=None, **keys: Network(size, **keys),
    "transform": lambda size, observed=None, matrix=None, gains=None: Transform(gains),
}
