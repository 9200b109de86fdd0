# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures every scheme that has a model package, and prints one table of all their claims.

Each claim stands with what was measured, its interval, its gate, the published number, and with what one item cost:
evaluations of the network, multiply-adds, milliseconds. Schemes that `gr-diffsem eval SCHEME` does not measure are
named with the reason.
"""

import argparse
import sys
import time

from .. import schemes
from ..base.errors import UserError, unknown
from ..base.number_options import whole
from . import plots, scheme_eval, scheme_plot
from .scheme_table import claims_table


def add_arguments(parser):
    """Arguments of `gr-diffsem eval all`."""
    parser.add_argument("--schemes", nargs="+", metavar="NAME", help="only these; default: all (gr-diffsem list)")
    whole(parser, "--realisations", least=2, metavar="N", help="of every scheme; default: each scheme's own")
    whole(parser, "--seed", default=1, help="of test data, noise and what samplers draw")
    parser.add_argument("--plot", metavar="PNG", help="a picture of each scheme: PNG's name with _SCHEME at its end")


def run(args):
    """{"schemes": [{"scheme", "claims", "realisations", "seed", "seconds"}]}; what was not measured has no claims and
    a "reason". Raises UserError for a name that is no scheme."""
    known = schemes.all_schemes()
    for name in args.schemes or ():
        if name not in known:
            raise unknown("scheme", name, known)
    if args.plot is not None:
        plots.check("--plot", args.plot)
    asked = {"package": None, "snr": None, "members": None, "chain": "core", "evaluations": None, "snr_error": None}
    asked = argparse.Namespace(**asked, realisations=args.realisations, seed=args.seed)
    return {"schemes": [_one(known[name], asked, args.plot) for name in args.schemes or known]}


def _one(scheme, asked, plot):
    """The entry of one scheme; how far it has come goes to stderr."""
    print(f"{scheme.name} ...", file=sys.stderr, flush=True)
    begin = time.perf_counter()
    try:
        report = scheme_eval.run_one(scheme, asked)
    except UserError as error:
        return {"scheme": scheme.name, "claims": [], "reason": str(error)}
    seconds = time.perf_counter() - begin
    print(f"{scheme.name}: {seconds:.0f} s", file=sys.stderr)
    if plot is not None:
        scheme_plot.picture(scheme, report, plot, asked.seed, named=True)
    kept = {key: report[key] for key in ("scheme", "realisations", "seed", "snr_definition", "claims", "costs")}
    return {**kept, "seconds": seconds}


def table(report):
    """The report for people."""
    lines = []
    for entry in report["schemes"]:
        if entry["claims"]:
            said = f"{entry['scheme']}: {entry['realisations']} realisations, {entry['seconds']:.0f} s"
            lines += [said, *claims_table(entry["claims"], costs=True), ""]
    rows = [(e["scheme"], e.get("reason", "it makes no claim")) for e in report["schemes"] if not e["claims"]]
    if rows:
        lines += ["without a row above", *(f"  {name}: {reason}" for name, reason in rows), ""]
    verdicts = [c["holds"] for entry in report["schemes"] for c in entry["claims"]]
    counts = [(verdicts.count(True), "hold"), (verdicts.count(False), "fail"), (verdicts.count(None), "have no gate")]
    return "\n".join([*lines, f"{len(verdicts)} claims: " + ", ".join(f"{n} {word}" for n, word in counts)])
