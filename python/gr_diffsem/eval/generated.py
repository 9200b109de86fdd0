# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes that generate (`Scheme.generated`): how far their draws lie from real samples, beside other generators.

Every quantity has one value for each repetition, with samples of its own; intervals are bootstrapped over those.
"""

from functools import partial

import numpy as np

from ..base import console, model_packages
from ..base.errors import UserError
from ..schemes.base import published_on
from . import scheme_runner, scores
from .costs import Costs

MOST_AT_ONCE = 20_000  # draws of one call, so that memory has a bound


def generates(scheme):
    """Whether a scheme is measured by its draws."""
    return hasattr(scheme, "generated")


def drawer(package, costs=None):
    """draw(member, n, seed, condition={}, options="") -> [n, *shape] of members of a package, through the core. costs:
    Costs that are told of every call."""

    def draw(member, n, seed, condition=None, options=""):
        work = partial(drawn, f"{package}/{member}" + (f":{options}" if options else ""), n, seed, condition)
        if costs is None or options:  # other options have other costs
            return work()[0]
        return costs.timed(member, n, work, lambda answer: answer[1])[0]

    return draw


def drawn(spec, n, seed, condition=None):
    """(draws [n, *shape] of a scheme that begins in noise, evaluations of each). condition: {name: array [n, ...]}."""
    said = scheme_runner.info(spec)
    shape = tuple(said["shape"])
    kind = np.float32 if said["domain"] == "real" else np.complex64
    parts = []
    for first in range(0, n, MOST_AT_ONCE):
        rows = slice(first, min(first + MOST_AT_ONCE, n))
        y = np.zeros((rows.stop - first, int(np.prod(shape))), kind)
        told = {name: np.asarray(values)[rows] for name, values in (condition or {}).items()}
        mean, _, evaluations, _ = scheme_runner.estimate(spec, y, np.inf, seed=seed + 7919 * first, condition=told)
        parts.append(mean)
    return np.concatenate(parts).reshape(n, *shape).astype(kind), evaluations


def report(scheme, package, args, members):
    """The report of one scheme; `members` of its package are drawn from."""
    for option in ("snr_error", "evaluations", "snr"):
        if getattr(args, option, None) is not None:
            raise UserError(f"--{option.replace('_', '-')} is for schemes that estimate: leave it out of a generator's")
    if args.chain != "core":
        raise UserError(f"--chain {args.chain}: scheme '{scheme.name}' is measured in the core alone: leave it out")
    costs = Costs(package)
    measured = measure(scheme, drawer(package, costs), list(members), args.realisations, args.seed)
    for claim, said in zip(measured["claims"], scheme.claims(), strict=True):
        claim.update(costs.of(said.member))
    return {
        "scheme": scheme.name,
        "realisations": args.realisations,
        "snr_definition": None,
        "seed": args.seed,
        "chain": args.chain,
        "package": str(package),
        "content_hash": model_packages.content_hash(package),
        "costs": {name: costs.of(name) for name in costs.calls},
        **measured,
    }


def measure(scheme, draw, members, count, seed):
    """{"generated", "claims"}: what `scheme.generated` measured of `members`, and the claims it is held to."""
    rows = scheme.generated(draw, members, count, seed)
    claims = [_claim(claim, rows) for claim in scheme.claims()]
    return {"generated": [_entry(row) for row in rows], "claims": claims}


def _mean_interval(values):
    return scores.bootstrap(lambda v: float(np.mean(v)), [values]) if len(values) > 1 else None


def _entry(row):
    mean = float(np.mean(row.values))
    entry = {"part": row.part, "quantity": row.quantity, "method": row.method, "value": mean}
    return {**entry, "ci95": _mean_interval(row.values), "repetitions": len(row.values)}


def _claim(claim, rows):
    """One entry of "claims"; with `against` repetitions are resampled in pairs where there are as many of both."""
    entry = {"name": f"{claim.name}, {claim.part}" if claim.part else claim.name, "published": claim.published}
    entry.update(gate=claim.gate, ours=None, ci95=None, holds=None, published_on=published_on(vars(claim)))
    found = {row.method: row.values for row in rows if (row.part, row.quantity) == (claim.part, claim.quantity)}
    if any(name not in found for name in (claim.member, *filter(None, [claim.against]))):
        return entry
    ours = np.asarray(found[claim.member], float)
    if claim.against is None:
        columns, statistic = [ours], np.mean
    else:
        columns = [ours, np.asarray(found[claim.against], float)]
        statistic = _ratio if claim.relation == "ratio" else _difference
    value = float(statistic(*columns))
    if len(ours) > 1 and len({len(c) for c in columns}) == 1:
        entry["ci95"] = scores.bootstrap(lambda *c: float(statistic(*c)), columns)
    holds = value >= claim.gate if claim.least else value <= claim.gate
    entry.update(ours=value, holds=None if claim.gate is None else bool(holds))
    return entry


def _ratio(ours, theirs):
    return np.mean(ours) / np.mean(theirs)


def _difference(ours, theirs):
    return np.mean(ours) - np.mean(theirs)


def table(result, claims_table):
    """The report for people."""
    lines = [f"{result['scheme']}: draws against real samples, {result['realisations']} a set, 95 % intervals"]
    lines.append(f"package: {result['package']}")
    rows = result["generated"]
    for part, quantity in dict.fromkeys((row["part"], row["quantity"]) for row in rows):
        here = [row for row in rows if (row["part"], row["quantity"]) == (part, quantity)]
        cells = [[row["method"], f"{row['value']:.4g}", _interval(row), str(row["repetitions"])] for row in here]
        lines += ["", f"{part}: {quantity}" if part else quantity]
        lines += console.table(["method", "mean", "interval", "repetitions"], cells)
    return "\n".join([*lines, "", "claims", *claims_table(result["claims"])])


def _interval(row):
    return "-" if row["ci95"] is None else "{:.4g} .. {:.4g}".format(*row["ci95"])
