# SPDX-License-Identifier: GPL-3.0-or-later
"""A coded OFDM link over simulated channels: what each channel estimate is worth."""

import math
import sys

from ..base import console
from ..base.errors import UserError, unknown
from ..base.number_options import real, whole


def add_arguments(parser):
    """argparse arguments of `gr-diffsem eval ofdm_link`."""
    whole(parser, "--packets", least=1, most=4096, help="packets per SNR (default 300; 60 with --quick)")
    parser.add_argument("--quick", action="store_true", help="QPSK, ideal timing, every second SNR")
    parser.add_argument("--config", nargs="+", metavar="NAME", help="only these configurations")
    parser.add_argument("--method", nargs="+", metavar="NAME", help="only these methods")
    real(parser, "--snr", "dB", least=-100, most=100, nargs="+", metavar="dB", help="SNRs instead of the default")
    whole(parser, "--seed", default=1, help="of payloads, channels and noise")


def run(args):
    """The report: {"snr_definition", "configs": [...], "gates": [...]}."""
    from tqdm import tqdm

    from . import link_scores

    everything = link_scores.configurations()
    names = args.config or [n for n in everything if not args.quick or n.startswith("qpsk")]
    if args.quick and not args.config:
        names = [n for n in names if n.endswith("_ideal")]
    for name in names:
        if name not in everything:
            raise unknown("configuration", name, everything)
    for name in args.method or []:
        if name not in link_scores.METHODS:
            raise unknown("method", name, link_scores.METHODS)
    packets = args.packets if args.packets is not None else (60 if args.quick else 300)

    configs = [everything[name] for name in names]
    usable, missing = link_scores.available(args.method or link_scores.METHODS)
    for name, why in missing.items():
        if args.method:
            raise UserError(f"method {name}: {why}")
        print(f"left out: {name}: {why}", file=sys.stderr)
    chosen = {c.name: [m for m in link_scores.methods_of(c) if m in usable] for c in configs}
    configs = [c for c in configs if chosen[c.name]]
    total = sum(map(len, chosen.values()))
    entries = []
    with tqdm(total=total, unit="run", disable=None) as bar:

        def done(text):
            bar.set_postfix_str(text)
            bar.update()

        for config in configs:
            snr_db = args.snr
            if snr_db is None and args.quick:
                snr_db = link_scores.SNR_DB[config.modulation][::2]
            outcome = link_scores.run_config(config, packets, snr_db, chosen[config.name], args.seed, done)
            entries.append(link_scores.score(outcome))
    return {
        "snr_definition": link_scores.SNR_DEFINITION,
        "sinr_definition": link_scores.SINR_DEFINITION,
        "configs": entries,
        "gates": link_scores.gates(entries),
    }


def table(report):
    """The report for people."""
    lines = [f"SNR: {report['snr_definition']}", f"SINR loss: {report['sinr_definition']}"]
    for config in report["configs"]:
        lines += ["", f"{config['name']}: {config['channel']}, {config['packets']} packets per SNR"]
        snr_db = config["snr_db"]
        shown = sorted({min(range(len(snr_db)), key=lambda i: abs(snr_db[i] - x)) for x in (0, 10, 20)})
        titles = ["method", "SNR at 10 % PER", "below ls"]
        titles += [f"{title} @{snr_db[i]:g}" for title in ("NMSE", "SINR loss") for i in shown]
        rows = []
        for name, scores in config["methods"].items():
            low, high = scores["ci95"]
            at = _db(scores["snr_at_per_10"]) + f" [{_db(low)}, {_db(high)}]"
            rows.append([name, at, _db(scores["gain_over_ls_db"])])
            rows[-1] += [_db(scores["nmse_db"][i]) for i in shown] + [_db(scores["sinr_loss_db"][i], 2) for i in shown]
        lines += console.table(titles, rows)
    if report["gates"]:
        rows = [
            (g["config"], g["name"], f"{g['ours']:.2f}", g["gate"], "holds" if g["passed"] else "MISSED")
            for g in report["gates"]
        ]
        lines += ["", "all in dB", *console.table(("channel", "claim", "ours", "gate", ""), rows, left=(0, 1, 4))]
    return "\n".join(lines)


def _db(value, digits=1):
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.{digits}f}"
