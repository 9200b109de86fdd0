# SPDX-License-Identifier: GPL-3.0-or-later
"""y = f(x) + w, f a network: here any function with its vector-Jacobian product."""

import numpy as np


class Network:
    """forward(x [B, N]) -> [B, M]; vjp(x, v [B, M]) -> J(x)^H v [B, N], by real and imaginary part. descent: steps of
    gradient descent in the classical answer."""

    def __init__(self, size, forward=None, vjp=None, descent=3):
        if forward is None or vjp is None:
            raise ValueError("the operator 'network' is a function and its derivative: give both")
        self.size, self.descent = size, descent
        self.apply, self.vjp = forward, vjp

    def adjoint(self, y):
        """The operator is not linear: the classical answer."""
        return np.concatenate([self._descend(row[None]) for row in np.asarray(y)])

    def residual(self, y, x, noise):
        """Squared distance of y from f(x) where the noise is finite [B]."""
        miss = np.where(np.isfinite(noise), y - self.apply(x), 0)
        return np.sum(np.abs(miss) ** 2, axis=1)

    def _descend(self, y):
        """Steepest descent of |y - f(x)|^2 from 0, each step as far as the line f(x) + t J g comes nearest to y, halved
        while that is no nearer (Nocedal and Wright 2006, eq. 3.26)."""
        dtype = complex if np.iscomplexobj(y) else float
        x = np.zeros((1, self.size), dtype)
        left = y - self.apply(x)
        for _ in range(self.descent):
            g = self.vjp(x, left)
            slope = np.linalg.norm(g)
            if not slope > 0:
                break
            h = 1e-2 * np.sqrt(g.size * (2 if dtype is complex else 1)) / slope
            along = (self.apply(x + h * g) - self.apply(x)) / h
            reach = np.real(np.vdot(along, left)) / np.linalg.norm(along) ** 2
            for t in reach * 0.5 ** np.arange(5):
                next_left = y - self.apply(x + t * g)
                if np.linalg.norm(next_left) < np.linalg.norm(left):
                    x, left = x + t * g, next_left
                    break
            else:
                break
        return x
