# SPDX-License-Identifier: GPL-3.0-or-later
"""A map of path gain that no sample has told of: distance and shadows alone, and what both leave open.

The coefficients are the means of what least squares finds over the heard outdoor cells of maps traced in Paris
(Etoile) and Munich; DEVIATION is what is left over all their outdoor cells, the floor's among them.
"""

import numpy as np

from . import shadows

COEFFICIENTS = (-77.8, *(mean for mean, _ in shadows.PRIOR[1:]))  #: dB of path gain at 2 GHz, 100 m, in sight
DEVIATION = 11.0  #: dB


def expected(transmitter):
    """(mean, deviation) [rows, columns] dB of path gain over the raster of a `shadows.Shadowed`."""
    raster = transmitter.raster
    mean = transmitter.columns(raster.centres().reshape(-1, 2)) @ np.array(COEFFICIENTS)
    return mean.reshape(raster.rows, raster.columns), np.full((raster.rows, raster.columns), DEVIATION)
