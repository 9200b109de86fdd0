# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators on real 802.11a/g recordings at 20 MS/s.

Receives the packets, adds noise to their samples, estimates the channel from the two long training
symbols with every method, and decodes each with its estimate.
"""

import importlib.util
import math
import os
import sys
from functools import partial

from ..base import console
from ..base.errors import UserError, unknown
from ..receivers.wifi.wifi_capture import FORMAT_NAMES, Capture
from ..receivers.wifi.wifi_truth import MAX_PACKETS, from_receiver, from_truth_file, load_truth
from . import wifi_scores as evaluation

#: Methods in the order of the report, and the scheme of each for the block `estimate`.
METHODS = {
    "ls": "ls",
    "window": "ofdm_chanest/window",
    "lmmse": "ofdm_chanest/lmmse",
    "gmm": "ofdm_chanest/gmm",
    "mmse_net": "ofdm_chanest/mmse_net",
    "diffusion": "ofdm_chanest/diffusion",
}


def add_arguments(parser):
    """Arguments of ``gr-diffsem eval wifi``."""
    parser.add_argument("captures", nargs="+", metavar="CAPTURE", help="recordings at 20 MS/s")
    parser.add_argument(
        "--snr",
        nargs="+",
        type=float,
        default=list(evaluation.SNR_DB),
        metavar="DB",
        help="packet power over added noise power in 20 MHz (default: 0 5 10 15 20)",
    )
    parser.add_argument("--truth", help="JSON with the packets of each recording")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="sample format (default: by file extension)")
    parser.add_argument(
        "--sample-rate",
        type=float,
        metavar="HZ",
        help="rate of the recording (default: 20e6; SigMF says its own)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the added noise (default: 0)")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(METHODS),
        metavar="METHOD",
        help=f"any of {' '.join(METHODS)} (default: all)",
    )
    parser.add_argument(
        "--max-packets",
        type=int,
        default=MAX_PACKETS,
        metavar="N",
        help=f"keep at most so many packets per recording (default: {MAX_PACKETS})",
    )
    parser.add_argument("--plot", metavar="PNG", help="write constellations and NMSE as a picture")
    parser.add_argument("--json", action="store_true", help="print the report as strict JSON")


def _check(args):
    for snr in args.snr:
        if not math.isfinite(snr) or abs(snr) > 100:
            raise UserError(f"--snr {snr}: give dB between -100 and 100")
    for name in args.methods:
        if name not in METHODS:
            raise unknown("method", name, METHODS)
    if args.seed < 0:
        raise UserError(f"--seed {args.seed}: give 0 or more")
    if args.max_packets < 1:
        raise UserError(f"--max-packets {args.max_packets}: give 1 or more")
    if args.plot:
        if importlib.util.find_spec("matplotlib") is None:
            raise UserError("--plot: needs matplotlib; install it, or leave --plot out")
        folder = os.path.dirname(os.path.abspath(args.plot))
        if not os.path.isdir(folder):
            raise UserError(f"--plot {args.plot}: there is no folder {folder}")


def make_estimators(names):
    """dict name -> estimator, each through the block in a flowgraph.

    `wifi_scores.evaluate` says what they are called with. Only "ls", which is its own input, can do without GNU
    Radio. UserError for a scheme that cannot be loaded.
    """
    try:
        from gnuradio import diffsem

        handles = {name: diffsem.scheme(METHODS[name]) for name in names}
        return {name: partial(_through_block, handle) for name, handle in handles.items()}
    except ValueError as error:
        raise UserError(str(error)) from None
    except ImportError as e:
        if set(names) == {"ls"}:
            return {"ls": evaluation.least_squares}
        raise UserError(
            f"--methods: all but ls run in a flowgraph, and GNU Radio with diffsem cannot be "
            f"imported ({e}); run `make`, or give --methods ls"
        ) from None


def _through_block(handle, y, noise_var, mask):
    """Y complex64 [n, 64] (carriers -32..31), noise_var [n] per element, mask bool [64] -> (H [n, 64], error variance
    [n, 64])."""
    from .flowgraph import through_block

    # The two symbols' difference, less the rotation between them.
    return through_block(handle, y, noise_var, mask, noise_freedom=mask.sum() - 0.5)[:2]


def _progress(total, unit, text):
    """tqdm bar on stderr, or a stand-in where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit=unit, desc=text, file=sys.stderr, leave=False, unit_scale=True)


def load_packets(args, say):
    """Known packets of all recordings (`args` as parsed; say: callable for one line of text)."""
    truth = load_truth(args.truth) if args.truth else None
    packets = []
    captures = [Capture(path, args.format, args.sample_rate) for path in args.captures]
    total = {}
    for c in captures:
        notes = []
        bar = _progress(len(c), "S", f"receiving {os.path.basename(c.path)}")
        try:
            received, counts = from_receiver(c, notes, args.max_packets, bar.update if bar is not None else None)
        finally:
            if bar is not None:
                bar.close()
        for key, n in counts.items():
            total[key] = total.get(key, 0) + n
        packets += received if truth is None else from_truth_file(c, truth, notes)
        for note in c.notes + notes:
            say(f"{os.path.basename(c.path)}: {note}")
    say(
        "own synchroniser: {found} packets with a valid header, {fcs_ok} with a good FCS "
        "({ht} are 802.11n, {cut} cut by the end)".format(**total)
    )
    if not packets:
        raise UserError(
            "no legacy 802.11a/g packet with a good FCS in "
            + ", ".join(args.captures)
            + ": check --format and --sample-rate (20 MS/s, channel at the centre)"
        )
    return packets


def run(args):
    """The evaluation; returns the report of `wifi_scores.evaluate`."""
    _check(args)

    def say(text):
        print(text, file=sys.stderr)

    packets = load_packets(args, say)
    estimators = make_estimators([m for m in METHODS if m in args.methods])
    floor = 10 * math.log10(sum(p.floor for p in packets) / len(packets))
    say(f"{len(packets)} packets; the reference channel's own error is {floor:.1f} dB")
    steps = len(packets) * (1 + len(args.snr) * (1 + len(estimators)))
    bar = _progress(steps, "packet", "evaluating")
    try:
        report = evaluation.evaluate(packets, estimators, args.snr, args.seed, bar.update if bar is not None else None)
    finally:
        if bar is not None:
            bar.close()
    if args.plot:
        from .wifi_plot import picture

        picture(args.plot, packets, estimators, report, args.seed)
        say(f"picture: {args.plot}")
    return report


def table(report):
    """The report for people."""
    snr = report["snr_db"]
    n = report["packets"]
    lines = [f"{n} packets, {report['fcs_ok_clean']} decoded without added noise (ls)"]

    def block(title, key, fmt, extra=None):
        rows = {name: m[key] for name, m in report["methods"].items()} | (extra or {})
        cells = [[name, *(f"{v:{fmt}}" for v in values)] for name, values in rows.items()]
        lines.extend(["", title, *console.table(["SNR, dB", *(f"{s:g}" for s in snr)], cells)])

    known = {"(reference)": report["reference"]["evm_db"]}
    block("NMSE of the channel, dB", "nmse_db", ".2f")
    block("EVM, dB, median over packets", "evm_db", ".2f", known)
    block(f"packets with a good FCS, of {n}", "fcs_ok", "d")
    return "\n".join(lines)
