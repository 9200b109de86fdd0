# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: which noise levels are visited, from the start's own level down to 0.

`geometric` and `karras` span start .. sigma_min with all their steps; `linear_vp` and `cosine` are
grids fixed by training, of which the levels below the start are used, thinned to the steps.
"""

import numpy as np

from ..base.signal import alpha_bar_to_sigma

#: Plans whose levels are known beforehand, and those that measure them (photo.py).
PLANS, MEASURED = ("geometric", "karras", "linear_vp", "cosine"), ("proximal",)
DEFAULT_STEPS = 10
DEFAULT_SIGMA_MIN = 0.01
DEFAULT_SIGMA_MAX = 100.0


def geometric(start, sigma_min, steps):
    """`steps` levels in equal ratios."""
    return np.geomspace(start, sigma_min, steps)


def karras(start, sigma_min, steps, rho=7.0):
    """Equal distances in sigma^(1/rho) (Karras et al. 2022, eq. 5)."""
    return np.linspace(start ** (1 / rho), sigma_min ** (1 / rho), steps) ** rho


def linear_vp_grid(steps_train=100, beta_min=1e-4, beta_max=0.1):
    """Levels of a VP net with linearly growing beta (Ho et al. 2020, section 4), descending."""
    alpha_bar = np.cumprod(1.0 - np.linspace(beta_min, beta_max, steps_train))
    return alpha_bar_to_sigma(alpha_bar)[::-1]


def cosine_grid(steps_train=1000, offset=0.008):
    """Levels of the cosine schedule, betas at most 0.999 (Nichol and Dhariwal 2021, eq. 17)."""
    t = np.arange(steps_train + 1) / steps_train
    ideal = np.cos((t + offset) / (1.0 + offset) * np.pi / 2.0) ** 2
    betas = np.minimum(1.0 - ideal[1:] / ideal[:-1], 0.999)
    return alpha_bar_to_sigma(np.cumprod(1.0 - betas))[::-1]


def thin(levels, count):
    """At most `count` of the levels, evenly, the last (smallest) always kept."""
    count = min(count, len(levels))
    kept = -(-np.arange(1, count + 1) * len(levels) // max(count, 1)) - 1
    return levels[kept]


class Plan:
    """A plan by the manifest's keys: type, steps, sigma_min, sigma_max, rho, steps_train, beta_*."""

    def __init__(self, description=None):
        keys = dict(description or {})
        self.type = keys.get("type", "geometric")
        self.sigma_min = float(keys.get("sigma_min") or DEFAULT_SIGMA_MIN)
        self.rho = float(keys.get("rho") or 7.0)
        top, steps = keys.get("sigma_max") or 0.0, int(keys.get("steps") or 0)
        self.grid = None
        if self.type in ("linear_vp", "cosine"):
            if self.type == "linear_vp":
                named = ("steps_train", "beta_min", "beta_max")
                grid = linear_vp_grid(**{k: keys[k] for k in named if keys.get(k)})
            else:
                grid = cosine_grid(int(keys.get("steps_train") or 1000))
            self.grid = grid[(grid >= self.sigma_min) & (grid <= (top or np.inf))]
            self.sigma_max = self.grid[0]
            self.steps = min(steps or len(self.grid), len(self.grid))
        else:
            self.sigma_max = float(top or DEFAULT_SIGMA_MAX)
            self.steps = steps or DEFAULT_STEPS

    def levels(self, start):
        """Descending levels of one item: `start`, ..., then 0. One evaluation for each but the last."""
        if self.grid is not None:
            rest = thin(self.grid[self.grid < start], self.steps - 1)
            return np.r_[start, rest, 0.0]
        if start <= self.sigma_min or self.steps == 1:
            return np.array([start, 0.0])
        if self.type == "karras":
            return np.r_[start, karras(start, self.sigma_min, self.steps, self.rho)[1:], 0.0]
        if self.type == "geometric":
            return np.r_[geometric(start, self.sigma_min, self.steps), 0.0]
        raise ValueError(f"plan '{self.type}' is not one of geometric, karras, linear_vp, cosine")

    def element_levels(self, start):
        """Levels of every element at every step: list of [N] arrays for one item with levels [N].

        At step 0 where each starts, then the smaller of that and the plan's level, so that an element
        joins once the plan has come down to it.
        """
        start = np.asarray(start, dtype=float)
        finite = start[np.isfinite(start)]
        top = finite.max() if finite.size and finite.max() > 0 else self.sigma_max
        path = self.levels(top)
        return [start, *(np.minimum(start, level) for level in path[1:])]
