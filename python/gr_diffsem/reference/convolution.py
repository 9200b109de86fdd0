# SPDX-License-Identifier: GPL-3.0-or-later
"""y = a * x + w: intersymbol interference with known taps."""

import numpy as np


class Convolution:
    """taps: a [L], complex. boundary: `circular` (y [B, N]) or `linear` (y [B, N + L - 1])."""

    def __init__(self, size, taps, boundary="circular"):
        self.size, self.taps = size, np.asarray(taps, complex)
        self.rows = size if boundary == "circular" else size + self.taps.size - 1

    def apply(self, x):
        """Through the discrete Fourier transform of as many points as y has."""
        return np.fft.ifft(np.fft.fft(x, self.rows) * np.fft.fft(self.taps, self.rows))

    def adjoint(self, y):
        return np.fft.ifft(np.fft.fft(y) * np.fft.fft(self.taps, self.rows).conj())[:, : self.size]

    @property
    def matrix(self):
        """A [M, N], column by column."""
        return self.apply(np.eye(self.size)).T

    def prox(self, z, weight, y, noise):
        """The normal equations, solved: noise broadcasts to y."""
        a, precision = self.matrix, 1 / np.broadcast_to(np.asarray(noise, float), y.shape)
        weight = np.broadcast_to(np.asarray(weight, float), (len(z), 1))
        return np.stack(
            [
                np.linalg.solve((a.conj().T * p) @ a + np.eye(self.size) / w, a.conj().T @ (p * at) + of / w)
                for at, of, p, (w,) in zip(y, z, precision, weight, strict=True)
            ]
        )
