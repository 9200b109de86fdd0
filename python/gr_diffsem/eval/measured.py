# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes that measure themselves (`Scheme.measure`): several unknowns have more than one error. Ratios of sums over
realisations with bootstrapped intervals, and the claims, which are of the first quantity or of the rate they name."""

import numpy as np

from ..base import console, model_packages
from ..base.errors import UserError
from ..schemes.base import RateClaim, published_on
from . import scheme_runner, scores
from .costs import Costs


def report(scheme, package, args, members):
    """The report of one scheme; `members` of its package, at the SNRs asked for and those of its claims."""
    for option, given in (("--snr-error", args.snr_error), ("--evaluations", args.evaluations)):
        if given is not None:
            raise UserError(f"{option} is for schemes of one unknown: leave it out")
    if args.chain != "core":
        raise UserError(f"--chain {args.chain}: scheme '{scheme.name}' is measured in the core alone: leave it out")
    claims = list(scheme.claims())
    wanted = [float(v) for v in (args.snr or scheme.snr_db)]
    claimed = () if args.snr else (float(claim.snr_db) for claim in claims if claim.snr_db is not None)
    levels = sorted({*wanted, *claimed})

    costs = Costs(package)

    def estimate(member, y, noise_var):
        def work():
            return scheme_runner.estimate_jointly(f"{package}/{member}", y, noise_var)

        return costs.timed(member.partition(":")[0], len(y), work, lambda answer: np.max(answer[2]["steps"]))

    columns = scheme.measure(estimate, members, args.realisations, args.seed, levels)
    return {
        "scheme": scheme.name,
        "snr_definition": scheme.snr_definition,
        "realisations": args.realisations,
        "seed": args.seed,
        "chain": args.chain,
        "package": str(package),
        "content_hash": model_packages.content_hash(package),
        "snr_db": levels,
        "measured": {
            quantity: {
                method: [_entry(quantity, e, p) for e, p in zip(*both, strict=True)] for method, both in rows.items()
            }
            for quantity, rows in columns.items()
        },
        "costs": {name: costs.of(name) for name in costs.calls},
        "claims": [
            {**_claim(claim, columns, levels), **costs.of(getattr(claim, "runs", None) or claim.member)}
            for claim in claims
        ],
    }


def _statistic(quantity):
    """dB where the quantity says so, else the ratio itself."""
    return scores.nmse_db if quantity.endswith("dB") else lambda error, power: float(np.sum(error) / np.sum(power))


def _entry(quantity, error, power):
    statistic = _statistic(quantity)
    return {"value": statistic(error, power), "ci95": scores.bootstrap(statistic, (error, power))}


def reached(rate, levels, error, power):
    """The SNR at which the sum of errors [S, R] over that of powers falls to a rate, by straight lines in its logarithm
    between the levels; NaN where it is never above, or never below. No error at all counts as half of one."""
    logs = np.log(np.maximum(np.sum(error, 1), 0.5) / np.sum(power, 1))
    above = np.flatnonzero(logs > np.log(rate))
    if not len(above) or above[-1] + 1 == len(logs):
        return np.nan
    k = above[-1]
    return float(np.interp(-np.log(rate), -logs[k : k + 2], np.asarray(levels)[k : k + 2]))


def _rate_statistic(claim, levels):
    """The value of a RateClaim, of (errors [R, S], powers [R, S]) of one method, or with `against` of two."""

    def value(error, power):
        if claim.reached is not None:
            return reached(claim.reached, levels, error.T, power.T)
        k = levels.index(claim.snr_db)
        return float(np.sum(error[:, k]) / np.sum(power[:, k]))

    if not claim.against:
        return value
    join = np.subtract if claim.reached is not None else np.divide
    return lambda e, p, other, others: float(join(value(e, p), value(other, others)))


def _rate_claim(claim, columns, levels):
    """What a RateClaim comes to, without its verdict: {} where its methods or SNR were not measured."""
    rows, names = columns.get(claim.quantity, {}), [claim.member] + ([claim.against] if claim.against else [])
    if any(name not in rows for name in names) or (claim.reached is None and claim.snr_db not in levels):
        return {"quantity": claim.quantity}
    both = [np.transpose(part) for name in names for part in rows[name]]
    statistic = _rate_statistic(claim, levels)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ci95 = statistic(*both), scores.bootstrap(statistic, both)
    ours = value if np.isfinite(value) else None
    return {"quantity": claim.quantity, "ours": ours, "ci95": ci95 if np.all(np.isfinite(ci95)) else None}


def _claim(claim, columns, levels):
    """One entry of "claims"."""
    rows = next(iter(columns.values()))
    entry = {"name": claim.name, "published": claim.published, "gate": claim.gate, "ours": None, "snr_db": claim.snr_db}
    entry.update(published_on=published_on(vars(claim)), against=claim.against, ci95=None, holds=None)
    if isinstance(claim, RateClaim):
        entry.update(_rate_claim(claim, columns, levels))
        if None not in (claim.gate, entry["ours"]):
            entry["holds"] = bool(entry["ours"] <= claim.gate)
        return entry
    names = [claim.member] + ([claim.against] if claim.against else [])
    if claim.snr_db not in levels or any(name not in rows for name in names):
        return entry
    k = levels.index(claim.snr_db)
    ours, power = (column[k] for column in rows[claim.member])
    columns = (ours, rows[claim.against][0][k]) if claim.against else (ours, power)
    statistic = scores.difference_db if claim.against else scores.nmse_db
    with np.errstate(divide="ignore"):
        value = statistic(*columns)
        entry.update(ours=value, ci95=scores.bootstrap(statistic, columns))
    entry["holds"] = None if claim.gate is None else bool(value <= claim.gate)
    return entry


def table(result, claims_table):
    """The report for people: each quantity with the half width of its interval where that can be seen."""
    lines = [f"{result['scheme']}: {result['realisations']} realisations, 95 % intervals in brackets"]
    lines += [f"SNR: {result['snr_definition']}", f"package: {result['package']}"]
    for quantity, rows in result["measured"].items():
        cells = [[method, *map(_cell, entries)] for method, entries in rows.items()]
        lines += ["", quantity, *console.table(["SNR, dB", *(f"{v:g}" for v in result["snr_db"])], cells)]
    kinds = "dB or rates" if any(claim.get("quantity") for claim in result["claims"]) else "dB"
    return "\n".join([*lines, "", f"claims ({kinds}; lower is better)", *claims_table(result["claims"])])


def _cell(entry):
    form = "{:.2f}" if abs(entry["value"]) >= 1 or entry["value"] < 0 else "{:.2g}"
    low, high = entry["ci95"]
    return f"{form.format(entry['value'])} [{form.format(low)}, {form.format(high)}]"
