# SPDX-License-Identifier: GPL-3.0-or-later
"""A scheme of maps against kriging and the simple methods, drawn from 1, 5 and 10 % of the outdoor cells of a map.

Where maps traced in the held-out city are found (`air.traced_maps`), they are the truth; else streets simulated by
distance, one knife edge and correlated shadowing, which are the very trend that the schemes are told: these show that
a package works, and not what it is worth in a city. The same samples, with 1 dB of noise, go to all methods.
"""

import sys
from functools import partial

import numpy as np

from ..air import traced_maps
from ..base import model_packages
from ..base.errors import UserError
from ..radiomap import expected_maps, map_units
from ..radiomap.city_samples import cut, raster, sampled
from ..radiomap.shadows import Shadowed
from . import map_methods
from .costs import Costs

SHARES = (0.01, 0.05, 0.10)  #: of the outdoor cells that are sampled
NOISE = 1.0  #: dB
Z90 = 1.6448536269514722
GATE = 0.8  #: of kriging's error
STREETS = 8  # simulated maps, each of one transmitter
SHADOWING, LENGTH = 5.0, 3.0  # dB, and the deviation in cells of the filter that correlates it
TRACED, SIMULATED = "maps traced in Florence, which no training saw", "streets simulated by distance and one knife edge"


def one(arrays, index, share, seed):
    """(truth, outdoor, sampled cells, Sites, heights, Raster, transmitter [2] metres) of a traced map."""
    rng = np.random.default_rng([seed, index, round(1000 * share)])
    at = rng.integers(0, traced_maps.CELLS - map_units.SIDE + 1, 2)
    gain, height, step = cut(arrays, index, *at)
    row, column, _ = arrays["transmitter"][index]
    sender = np.array([(column - at[1] + 0.5) * step, (map_units.SIDE - (row - at[0]) - 0.5) * step])
    return _sampled(rng, gain, height, step, share, sender)


def _sampled(rng, gain, height, step, share, sender):
    sites = sampled(rng, gain, height, step, share, noise=NOISE)
    where, seen = raster(step), np.zeros(gain.shape, bool)
    seen[where.cell_of(sites.places)] = True
    return gain, height < traced_maps.GROUND, seen, sites, height, where, sender


def streets(index, share, seed):
    """The same of simulated streets: blocks of 24 m, 16 m apart."""
    from scipy.ndimage import gaussian_filter

    rng, step, side = np.random.default_rng([seed, index]), 4.0, map_units.SIDE
    height = np.zeros((side, side))
    for row in range(0, side - 5, 10):
        for column in range(0, side - 5, 10):
            height[row : row + 6, column : column + 6] = rng.choice([0.0, 12.0, 18.0, 24.0])
    sender = rng.uniform(0.15, 0.85, 2) * side * step
    gain, _ = expected_maps.expected(Shadowed(sender, height, raster(step)))
    field = gaussian_filter(rng.standard_normal(gain.shape), LENGTH)
    gain = np.maximum(gain + SHADOWING * field / field.std(), traced_maps.FLOOR)
    return _sampled(np.random.default_rng([seed, index, round(1000 * share)]), gain, height, step, share, sender)


def told_of(name, sender, height):
    """(transmitter, heights) that a scheme is told: all that it takes."""
    if name == "map_elect":
        return None, height
    return (sender, height) if name in map_methods.SCHEMES else (None, None)


def interval(parts, base, seed=1, rounds=2000):
    """95 % of the ratio of RMSE to that of `base`, by the bootstrap over maps; both lists of tuples whose first is the
    squared errors of a map."""
    rng = np.random.default_rng(seed)
    sums = np.array([[np.sum(p[0]), np.sum(b[0])] for p, b in zip(parts, base, strict=True)])
    drawn = sums[rng.integers(len(sums), size=(rounds, len(sums)))].sum(1)
    return [float(v) for v in np.percentile(np.sqrt(drawn[:, 0] / drawn[:, 1]), (2.5, 97.5))]


def report(scheme, package, args):
    """The report of `gr-diffsem eval SCHEME`. Raises UserError for options that say nothing here."""
    for option in ("snr", "snr_error", "evaluations", "members"):
        if getattr(args, option, None) is not None:
            raise UserError(f"--{option.replace('_', '-')}: a map's error is its own, for any level: leave it out")
    if args.chain != "core":
        raise UserError(f"--chain {args.chain}: maps are measured in the core alone: leave it out")
    arrays = traced_maps.load(traced_maps.HELD_OUT) if traced_maps.file_of(traced_maps.HELD_OUT).is_file() else None
    count = min(args.realisations, STREETS if arrays is None else len(arrays["step"]))
    names = [map_methods.KRIGING, map_methods.IDW, map_methods.LOG_DISTANCE, scheme.name]
    costs, maps = Costs(package), {}
    for share in SHARES:
        maps[f"{100 * share:g} %"] = _measured(arrays, share, count, args.seed, names, package, costs)
    return {
        "scheme": scheme.name,
        "data": SIMULATED if arrays is None else TRACED,
        "snr_definition": f"none: samples have {NOISE:g} dB of noise",
        "realisations": count,
        "seed": args.seed,
        "chain": args.chain,
        "package": str(package),
        "content_hash": model_packages.content_hash(package),
        "maps": maps,
        "costs": {name: costs.of(name) for name in names},
        "claims": [
            {
                "name": f"RMSE over kriging's, {share} of the cells sampled",
                "published": None,
                "published_on": None,
                "gate": None if arrays is None else GATE,  # which is of a city that was traced
                "ours": found[scheme.name]["ratio"],
                "ci95": found[scheme.name]["ratio95"],
                "holds": None if arrays is None else found[scheme.name]["ratio"] <= GATE,
                **costs.of(scheme.name),
            }
            for share, found in maps.items()
        ],
    }


def _predict(name, package, sites, sender, height, where):
    """(mean, deviation) of the map by one method."""
    kind = map_methods.KINDS.get(name)
    told = told_of(name, sender, height)
    made = kind(str(package), sites, *told, where) if kind else map_methods.make(name, sites)
    return made.predict_raster(where)


def _measured(arrays, share, count, seed, names, package, costs):
    """{method: {"rmse_db", "ratio", "ratio95", "coverage90"}} over `count` maps."""
    results = {name: [] for name in names}
    for index in range(count):
        case = streets(index, share, seed) if arrays is None else one(arrays, index, share, seed)
        truth, outdoor, seen, sites, height, where, sender = case
        asked = outdoor & ~seen
        for name in names:
            mean, deviation = costs.timed(name, 1, partial(_predict, name, package, sites, sender, height, where))
            error = (np.maximum(mean, traced_maps.FLOOR) - truth)[asked]
            results[name].append((error**2, np.abs(error) <= Z90 * deviation[asked]))
        print(f"\r{100 * share:g} %: {index + 1} of {count} maps", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    base, found = results[names[0]], {}
    for name, parts in results.items():
        square, inside = (np.concatenate([part[i] for part in parts]) for i in range(2))
        ratio = np.sqrt(square.mean() / np.concatenate([part[0] for part in base]).mean())
        found[name] = {"rmse_db": float(np.sqrt(square.mean())), "ratio": float(ratio)}
        found[name] |= {"ratio95": interval(parts, base), "coverage90": float(inside.mean())}
    return found


def table(said):
    """The report for people."""
    lines = [f"{said['scheme']}: {said['realisations']} maps; {said['data']}", f"package: {said['package']}"]
    for share, found in said["maps"].items():
        lines += [
            "",
            f"{share} of the outdoor cells sampled",
            f"{'method':<16} {'RMSE':>8}  of kriging's        in 90 %",
        ]
        for name, row in found.items():
            low, high = row["ratio95"]
            lines.append(
                f"{name:<16} {row['rmse_db']:>5.2f} dB  {row['ratio']:.2f} ({low:.2f} .. {high:.2f})  "
                f"{100 * row['coverage90']:5.1f} %"
            )
    lines += ["", f"claims (gate {GATE:g} of kriging's error, in a city that was traced)"]
    verdict = {True: "holds", False: "FAILS", None: "not judged on simulated streets"}
    lines += [f"{c['name']}: {c['ours']:.2f}, {verdict[c['holds']]}" for c in said["claims"]]
    return "\n".join(lines)
