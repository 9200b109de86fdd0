# SPDX-License-Identifier: GPL-3.0-or-later
"""What a count of operations is per, where a graph leaves sizes open: pictures of any size, sequences of any length.

A count that is linear in each open size is given per element of their product; what does not grow with all of them
(a network that looks at the noise level, say) is left out of it, as is usual for convolutions. Any other growth is
not given per anything: then the count stands for stated sizes.
"""

import itertools
import math
import re

BASES = (64, 8)  # sizes tried: deep U-Nets halve theirs six times, and an embedding may end early
MOST = 3  # open sizes
_MULTIPLE = re.compile(r"(\d{1,6})\*(.+)")


def split(dimension):
    """An open dimension's text as (multiple, name): `8*rows` is (8, "rows")."""
    match = _MULTIPLE.fullmatch(dimension)
    return (int(match[1]), match[2]) if match else (1, dimension)


def per_element(count, multiples):
    """{"macs", "per"} of count({name: size}) -> int or None. multiples: {name: multiple} of the open sizes."""
    names = list(multiples)
    if not 1 <= len(names) <= MOST:
        return {"macs": None, "per": None}
    for base in BASES:
        slope = _slope(count, names, base)
        if slope:
            macs = slope / math.prod(multiples.values())
            return {"macs": round(macs) if macs >= 1 else macs, "per": " x ".join(names)}
        here = count(dict.fromkeys(names, base))
        if here is not None:
            sizes = ", ".join(f"{name} = {multiples[name] * base}" for name in names)
            return {"macs": here, "per": f"item of {sizes}"}
    return {"macs": None, "per": None}


def _slope(count, names, base):
    """What the count grows by with the product of all sizes; None where it grows in another way."""

    def mixed(of):
        total = 0
        for steps in itertools.product((0, 1), repeat=len(names)):
            value = count({name: of * (1 + step) for name, step in zip(names, steps, strict=True)})
            if value is None:
                raise ValueError
            total += (-1) ** (len(names) - sum(steps)) * value
        return total / of ** len(names)

    try:
        slope = mixed(base)
        straight = all(_straight(count, dict.fromkeys(names, size), n) for size in (base, 2 * base) for n in names)
    except ValueError:
        return None
    return slope if slope > 0 and straight and math.isclose(slope, mixed(2 * base), rel_tol=1e-9) else None


def _straight(count, sizes, name):
    """Whether three sizes in a row lie on a line."""
    values = [count({**sizes, name: factor * sizes[name]}) for factor in (1, 2, 3)]
    return None not in values and values[2] - values[1] == values[1] - values[0]
