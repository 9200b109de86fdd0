# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemes that measure themselves (`Scheme.measure`): several unknowns have more than one error. Ratios of sums over
realisations with bootstrapped intervals, and the claims, which are of the first quantity."""

import numpy as np

from ..base import console, model_packages
from ..base.errors import UserError
from ..schemes.base import published_on
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
    levels = sorted({*wanted, *(() if args.snr else (float(c.snr_db) for c in claims))})

    costs = Costs(package)

    def estimate(member, y, noise_var):
        def work():
            return scheme_runner.estimate_jointly(f"{package}/{member}", y, noise_var)

        return costs.timed(member.partition(":")[0], len(y), work, lambda answer: np.max(answer[2]["steps"]))

    columns = scheme.measure(estimate, members, args.realisations, args.seed, levels)
    first = next(iter(columns.values()))
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
        "claims": [{**_claim(claim, first, levels), **costs.of(claim.member)} for claim in claims],
    }


def _statistic(quantity):
    """dB where the quantity says so, else the ratio itself."""
    return scores.nmse_db if quantity.endswith("dB") else lambda error, power: float(np.sum(error) / np.sum(power))


def _entry(quantity, error, power):
    statistic = _statistic(quantity)
    return {"value": statistic(error, power), "ci95": scores.bootstrap(statistic, (error, power))}


def _claim(claim, rows, levels):
    entry = {"name": claim.name, "published": claim.published, "gate": claim.gate, "ours": None, "snr_db": claim.snr_db}
    entry.update(published_on=published_on(vars(claim)), against=claim.against, ci95=None, holds=None)
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
    return "\n".join([*lines, "", "claims (dB; lower is better)", *claims_table(result["claims"])])


def _cell(entry):
    form = "{:.2f}" if abs(entry["value"]) >= 1 or entry["value"] < 0 else "{:.2g}"
    low, high = entry["ci95"]
    return f"{form.format(entry['value'])} [{form.format(low)}, {form.format(high)}]"
