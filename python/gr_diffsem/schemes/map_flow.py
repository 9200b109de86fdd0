# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map in one step of a flow that leads from kriging's draws to maps.

After RadioFlow (flow matching for radio maps) and rectified flow (Liu et al. 2023). The flow goes straight from a draw
z of kriging's to the truth x0, x_s = x0 + s (z - x0), s from 1 to 0; the network gives E[x0 | x_s, s], so that
dx/ds = (x - E[x0 | x_s]) / s and one step from s = 1 is the posterior mean. More steps draw a map, `map_posterior` at
the same conditions being the answer that does not move. sigma is s times kriging's deviation, cell by cell.
"""

import numpy as np

from ._maps import CELLS, MapScheme


def net():
    from ..models.map_net import FlowNet

    return FlowNet()


class MapFlow(MapScheme):
    name = "map_flow"
    title = "a radio map of 64 x 64 cells in one step of a flow from kriging's draws"
    reference = "RadioFlow (2025): flow matching in one step; Liu, Gong and Liu 2023: rectified flow"
    condition = (
        *MapScheme.condition,
        {"name": "kriged", "type": "float32", "shape": CELLS, "null": 0.0},
        {"name": "doubt", "type": "float32", "shape": CELLS, "null": 0.0},
    )
    build, minutes = staticmethod(net), 12
    kind = {"name": "map_posterior"}  # the same pairs

    def made(self, pairs, rng, n):
        from ..models import map_training

        return map_training.flow_of(super().made(pairs, np.random.default_rng(rng.integers(1 << 62)), n), rng)


SCHEME = MapFlow()
