# SPDX-License-Identifier: GPL-3.0-or-later
"""A scheme of tiles as an estimator over grids [n, S, K] of one largest size, as those of `models.grid_bank` are."""

import numpy as np


class TiledGrid:
    """`spec`, a scheme as block `estimate` takes it, through the core's `TiledEstimator`, for grids of `largest` (S, K)
    and smaller. ValueError for what cannot be loaded, ImportError without GNU Radio."""

    def __init__(self, spec, largest):
        from gnuradio import diffsem

        self.largest = largest
        self.run = diffsem.core.TiledEstimator(spec, largest).run

    def __call__(self, y, observed, noise_var):
        """y complex [n, S, K], observed bool [S, K], noise_var one number or [n, 1, 1] -> the channel [n, S, K]."""
        return self.told(y, observed, noise_var)[0]

    def told(self, y, observed, noise_var):
        """(channel, its error variance [n, S, K], what happened to each grid, as `core.TiledEstimator.run` says it)."""
        rest = [(0, whole - part) for whole, part in zip(self.largest, observed.shape, strict=True)]
        noise = np.where(observed, noise_var, np.inf)
        beside = [(0, 0)] * (noise.ndim - 2) + rest
        noise = np.pad(noise, beside, constant_values=np.inf).astype(np.float32)
        *answers, info = self.run(np.pad(y, [(0, 0), *rest]).astype(np.complex64), noise)
        return *(a[:, : observed.shape[0], : observed.shape[1]] for a in answers), info
