# SPDX-License-Identifier: GPL-3.0-or-later
"""What the companion can say of a scheme before it is loaded: whether its package is made for this many carriers.

Its asserts call these at every keystroke. What cannot be read is not refused here; the block says why when it is made.
"""

import contextlib
from pathlib import Path

from . import model_packages
from .errors import UserError


def shape_of(scheme):
    """Shape of one item, a list; None where it is open or cannot be read. scheme: a string, or a `diffsem.scheme`."""
    spec = getattr(scheme, "spec", scheme)
    if not isinstance(spec, str) or spec.split(":")[0] == "ls":
        return None
    with contextlib.suppress(UserError, OSError, ValueError):
        path, _ = model_packages.locate(spec)
        shape = model_packages.read_manifest(path).get("signal", {}).get("shape") if Path(path).is_dir() else None
        if isinstance(shape, list) and all(isinstance(n, int) for n in shape):
            return shape
    return None


def takes_carriers(scheme, count):
    """Whether `ofdm_chanest_vcvc` can use it with so many: a vector of that length, or tiles of symbols x carriers."""
    shape = shape_of(scheme)
    return shape is None or len(shape) == 2 or shape == [count]


def takes_grids(scheme):
    """Whether `ofdm_grid_chanest` can use it: tiles of symbols x carriers."""
    shape = shape_of(scheme)
    return shape is None or len(shape) == 2
