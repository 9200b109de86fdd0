# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods that draw a radio map from sites, by name: closed forms, and the schemes of maps whose package is found.

A method is made of `Sites`. predict(places) gives (mean, standard deviation) of the field in dB, predict_raster(raster)
the same over a raster, noise_of(sites) the variance that a measured site has around it, words() what was fitted; those
that state how the field hangs together have draws(raster, count, rng).
"""

from functools import partial

from ..base import model_packages
from ..base.errors import UserError, unknown
from ..radiomap.kriging import Kriging
from ..radiomap.shadows import Shadowed
from ..radiomap.simple_maps import InverseDistance, LogDistance
from . import map_scheme
from .map_scheme import KINDS

KRIGING, IDW, LOG_DISTANCE = "kriging", "idw", "log_distance"
SCHEMES = tuple(KINDS)  #: packages over maps of 64 x 64 cells
WITHOUT_DRAWS = (IDW, LOG_DISTANCE)


def names():
    """All methods that can run here."""
    return [KRIGING, IDW, LOG_DISTANCE, *(name for name in SCHEMES if name in model_packages.find_packages())]


def make(name, sites, transmitter=None, heights=None, raster=None):
    """The method `name` of `Sites`. transmitter: [2] metres, None: searched for; heights: [rows, columns] metres of
    buildings on `raster`, None: unknown. Closed forms know nothing of buildings."""
    if name == KRIGING:
        return Kriging(sites, "search" if transmitter is None else transmitter)
    if name == IDW:
        return InverseDistance(sites)
    if name == LOG_DISTANCE:
        return LogDistance(sites, transmitter)
    return KINDS[name](name, sites, transmitter, heights, raster)


def generated(name, transmitter, heights, raster):
    """(mean, deviation) [rows, columns] dB of path gain that the scheme `name` expects of a transmitter at [2] metres
    among buildings, without a sample."""
    return map_scheme.generated(name, Shadowed(transmitter, heights, raster))


def chosen(words):
    """{name: maker} of a list "A,B"; None: of all. Raises UserError for a name that is none."""
    wanted = names() if words is None else [word.strip() for word in words.split(",") if word.strip()]
    if not wanted:
        raise UserError(f"--methods names none: choose of {', '.join(names())}")
    for name in wanted:
        checked(name)
    return {name: partial(make, name) for name in wanted}


def checked(name, draws=0):
    """The name, if it is a method and can give `draws`. Raises UserError."""
    if name not in names():
        raise unknown("method", name, names())
    if draws and name in WITHOUT_DRAWS:
        raise UserError(f"--draws {draws}: {name} does not say how errors hang together; take --method {KRIGING}")
    return name
