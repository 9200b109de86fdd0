# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map of no samples at all: buildings and a transmitter are what is known.

After RadioDiff, RMDM and RM-Gen, which generate a map from buildings and transmitter. What is corrected here is the map
of distance and one knife edge (`radiomap.expected_maps`), in one step of a network that gives mean and variance, in
cells themselves and no latent. Samples, if there are any, shift the map and are kriged around it.

RMDM's guidance by the residual of Helmholtz's equation is not in it: a map of power over cells of 4 m, 27 wavelengths
at 2 GHz, holds no phase, and where the field is a sum of many paths the amplitude alone does not solve that equation
(docs/radiomap.md).
"""

from ._maps import MapScheme


class MapConditional(MapScheme):
    name = "map_conditional"
    title = "a radio map of 64 x 64 cells from buildings and transmitter, without samples"
    reference = "RadioDiff (2024), RMDM (Helmholtz-informed, 2025), RM-Gen: conditional maps; ITU-R P.526-15"
    kind = {"shares": None}
    pairs, minutes = 400, 4


SCHEME = MapConditional()
