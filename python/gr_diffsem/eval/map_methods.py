# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods that draw a radio map from sites, by name: closed forms, and schemes of maps that are found.

A method is made of `Sites`; predict(places) gives (mean, standard deviation) of the field in dB, and noise_of(sites) the
variance that a measured site has around it.
"""

from ..base.errors import unknown
from ..radiomap.kriging import Kriging
from ..radiomap.simple_maps import InverseDistance, LogDistance

CLOSED = {"kriging": Kriging, "idw": InverseDistance, "log_distance": LogDistance}


def names():
    """All methods."""
    return list(CLOSED)


def chosen(words):
    """{name: maker} of a list "A,B"; None: of all. Raises UserError for a name that is none."""
    wanted = names() if words is None else [word.strip() for word in words.split(",") if word.strip()]
    for name in wanted:
        if name not in CLOSED:
            raise unknown("method", name, names())
    return {name: CLOSED[name] for name in wanted}
