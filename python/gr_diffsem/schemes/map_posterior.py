# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map from few samples: kriging's answer, corrected by what traced cities have taught.

After RME-DDPM and IRDM, which draw maps given sparse samples and buildings. Here the sites are conditioned on exactly,
by a Gaussian process (`radiomap.kriging`), whose answer over 64 x 64 cells with its own standard deviation is the
measurement y = x0 + n of this prior; one step gives mean and variance. So noise, censored samples, errors of positions
and any number of samples are the process's matter, and the network's is what no stationary process can know: streets,
corners, the shadow behind a block. Where transmitter and buildings are known, the process has their shadows as trend.
"""

from ._maps import MapScheme


class MapPosterior(MapScheme):
    name = "map_posterior"
    title = "a radio map of 64 x 64 cells from few samples, with or without buildings and transmitter"
    reference = (
        "RME-DDPM (diffusion for radio map estimation from sparse samples) and IRDM, in one step behind a Gaussian "
        "process; Gudmundson 1991"
    )


SCHEME = MapPosterior()
