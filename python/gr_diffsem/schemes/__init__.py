# SPDX-License-Identifier: GPL-3.0-or-later
"""The schemes: every module here that defines `SCHEME` is one, found by being here.

A module whose scheme comes in several sizes, a package each, defines a tuple `SCHEMES` instead.

Importing needs only NumPy; torch and sionna are imported by what trains.
"""

import importlib
import pkgutil

from ..base.errors import unknown


def _modules():
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _of(module):
    loaded = importlib.import_module(f"{__name__}.{module}")
    one = getattr(loaded, "SCHEME", None)
    return getattr(loaded, "SCHEMES", () if one is None else (one,))


def all_schemes():
    """{name: Scheme}, in order of name."""
    found = {scheme.name: scheme for module in _modules() for scheme in _of(module)}
    return dict(sorted(found.items()))


def sizes(name):
    """Names of the schemes that a name stands for: its own, or all of the module so called."""
    return [scheme.name for scheme in _of(name)] if name in _modules() else [name]


def names():
    """Names of all schemes."""
    return list(all_schemes())


def get(name):
    """The scheme of that name; an unknown one is refused with the nearest known."""
    schemes = all_schemes()
    if name not in schemes:
        raise unknown("scheme", name, schemes)
    return schemes[name]
