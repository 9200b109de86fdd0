# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map from less than 1 % of the cells and buildings: candidates for the transmitter, one of which is elected.

After WiFi-Diffusion, whose candidates are drawn maps, of which a propagation model elects one. Here the candidates are
transmitters (`radiomap.shadows.elected`): the samples vote by their likelihood under each one's distance and shadows;
the likeliest are mapped as `map_posterior` maps a known one, and averaged by their shares of the vote. Its network has
learned from elected transmitters, right and wrong ones.
"""

from ._maps import MapScheme


class MapElect(MapScheme):
    name = "map_elect"
    title = "a radio map of 64 x 64 cells from very few samples and buildings, the transmitter elected"
    reference = "WiFi-Diffusion (2025): candidates and a propagation model's election; ITU-R P.526-15"
    kind = {"shares": (0.002, 0.02), "shadowed": 0.0, "placed": 0.0, "elects": 1.0, "blind": 0.0}
    pairs, minutes = 400, 4


SCHEME = MapElect()
