# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans: which noise levels are visited, from the start's own level down to 0.

`geometric` and `karras` span start .. sigma_min with all their steps; the others are grids, of a schedule or a list, of
which the levels below the start are used, thinned to the steps or as the spacing has chosen them.
"""

import numpy as np

from ..base.signal import alpha_bar_to_sigma

#: Plans whose levels are known beforehand; those that are given them; and those that measure them (photo.py).
PLANS, GIVEN = ("geometric", "karras", "linear_vp", "scaled_linear", "cosine"), ("list", "schedule", "alphas_cumprod")
MEASURED = ("proximal",)
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


def schedule(keys, beta_max=0.02):
    """Levels of the steps 0 .. T-1 of {"type": linear_vp | scaled_linear | cosine | alphas_cumprod, ...}, rising."""
    steps, low = int(keys.get("steps") or 1000), keys.get("beta_min") or 1e-4
    high = keys.get("beta_max") or beta_max
    if keys["type"] == "linear_vp":
        return linear_vp_grid(steps, low, high)[::-1]
    if keys["type"] == "scaled_linear":  # the root of beta grows linearly (Rombach et al. 2022)
        betas = np.linspace(np.sqrt(low), np.sqrt(high), steps) ** 2
        return alpha_bar_to_sigma(np.cumprod(1.0 - betas))
    if keys["type"] == "cosine":
        return cosine_grid(steps)[::-1]
    return alpha_bar_to_sigma(np.asarray(keys["alphas_cumprod"], float))


def spaced(spacing, steps_train, count, offset=0, drop_last=False):
    """Steps that `count` evaluations visit, falling (Lin et al. 2024, table 2; as diffusers rounds them)."""
    extra = int(drop_last)
    count = min(count, steps_train - extra)
    if spacing == "leading":
        rising = np.arange(count + extra) * (steps_train // (count + extra)) + offset
    elif spacing == "linspace":
        rising = np.linspace(0, steps_train - 1, count + extra).round()
    else:
        rising = np.round(steps_train - np.arange(count) * (steps_train / count))[::-1] - 1
    return rising[extra if spacing != "trailing" else 0 :][::-1].astype(int)


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
    """A plan by the manifest's keys (docs/model_contract.md). schedule: that of the prior's file, whose levels
    divided by `unit` are ours."""

    def __init__(self, description=None, schedule=None, unit=1.0):
        keys = dict(description or {})
        self.type = keys.get("type", "geometric")
        self.sigma_min = float(keys.get("sigma_min") or DEFAULT_SIGMA_MIN)
        self.rho = float(keys.get("rho") or 7.0)
        self.end = float(keys.get("end") or 0.0)
        top, steps = keys.get("sigma_max") or 0.0, int(keys.get("steps") or 0)
        self.grid = None
        if self.type in ("geometric", "karras"):
            self.sigma_max = float(top or DEFAULT_SIGMA_MAX)
            self.steps = steps or DEFAULT_STEPS
            return
        grid, own = _grid(self.type, keys, schedule, unit)
        least = 0.0 if own and not keys.get("sigma_min") else self.sigma_min
        self.grid = grid[(grid >= least) & (grid <= (top or np.inf))]
        self.sigma_max = self.grid[0]
        self.steps = min(steps or len(self.grid), len(self.grid))

    def levels(self, start):
        """Descending levels of one item: `start`, ..., then the end. One evaluation for each but the last."""
        end = min(self.end, start)
        if self.grid is not None:
            rest = thin(self.grid[self.grid < start], self.steps - 1)
            return np.r_[start, rest, end]
        if start <= self.sigma_min or self.steps == 1:
            return np.array([start, end])
        if self.type == "karras":
            return np.r_[start, karras(start, self.sigma_min, self.steps, self.rho)[1:], end]
        if self.type == "geometric":
            return np.r_[geometric(start, self.sigma_min, self.steps), end]
        raise ValueError(f"plan '{self.type}' is not one of {', '.join(PLANS)}")

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


def _grid(kind, keys, of_file, unit):
    """(levels of a grid, descending; whether they are its own or the prior's, so that sigma_min cuts only if said)."""
    if kind == "list" and keys.get("sigmas"):
        return np.asarray(keys["sigmas"], float), True
    own = kind in ("list", "schedule")
    said = {k: keys[k] for k in ("beta_min", "beta_max", "alphas_cumprod") if keys.get(k)}
    if keys.get("steps_train"):
        said["steps"] = keys["steps_train"]
    inherited = bool(of_file) and (own or of_file["type"] == kind)
    if inherited:
        rising = schedule({**of_file, **({} if own else said)}) / unit
    elif kind == "linear_vp":  # of priors that were trained on none
        rising = schedule({"type": kind, "steps": 100, **said}, beta_max=0.1)
    else:
        rising = schedule({"type": kind, **said})
    if kind == "list":
        visited = np.asarray(keys["timesteps"], float)
    elif keys.get("spacing", "even") == "even":
        visited = np.arange(len(rising))[::-1]
    else:
        count = int(keys.get("steps") or len(rising))
        visited = spaced(keys["spacing"], len(rising), count, keys.get("steps_offset", 0), keys.get("drop_last", False))
    levels = np.exp(np.interp(visited, np.arange(len(rising)), np.log(rising)))
    return levels, inherited or kind == "list"
