# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws from packages in the environment `radio`: run_package.py SPEC.json OUT.npz, for tests that make them in `lab`.

SPEC.json: {"draws": [{"spec", "items", "elements", "seed"}, ...]}; each draw is an array [items, elements] of OUT.npz.
"""

import json
import sys

import numpy as np
from gnuradio import diffsem


def draw(spec, items, elements, seed):
    """Of a real scheme, from noise: nothing was measured."""
    y, nothing = np.zeros((items, elements), np.float32), np.full((items, elements), np.inf, np.float32)
    mean, _, info = diffsem.scheme(spec).estimate(y, nothing, seed=seed)
    if np.any(info["bypassed"]):
        raise SystemExit(f"{spec}: bypassed, {info['reason']}")
    return np.real(mean)


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        draws = json.load(file)["draws"]
    np.savez(sys.argv[2], *(draw(**one) for one in draws))
