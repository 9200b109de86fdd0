# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators on real 802.11a/g recordings at 20 MS/s.

Receives the packets, adds noise to their samples, estimates the channel from the two long training
symbols with every method, and decodes each with its estimate.
"""

import math
import os
import sys
from functools import partial

import numpy as np

from ..base import console
from ..base.errors import UserError, unknown
from ..base.number_options import real, whole
from ..receivers.wifi.wifi_capture import FORMAT_NAMES, WIDTHS, Capture, hertz
from ..receivers.wifi.wifi_tables import N_FFT
from ..receivers.wifi.wifi_truth import MAX_PACKETS, from_receiver, from_truth_file, load_truth
from . import plots, recording_looks
from . import wifi_scores as evaluation
from .tiled_grid import TiledGrid

#: Samples of a recording without packets that are looked at again, read in other ways.
LOOK = 4 << 20
#: Methods in the order of the report, and the scheme of each for the block `estimate`.
METHODS = {
    "ls": "ls",
    "window": "ofdm_chanest/window",
    "lmmse": "ofdm_chanest/lmmse",
    "gmm": "ofdm_chanest/gmm",
    "mmse_net": "ofdm_chanest/mmse_net",
    "diffusion": "ofdm_chanest/diffusion",
    "reestimated": "ofdm_chanest/diffusion",
}
#: How often a method looks at a packet, where that is more than once: again with the data that it decoded.
PASSES = {"reestimated": 3}


def add_arguments(parser):
    """Arguments of ``gr-diffsem eval wifi``."""
    parser.add_argument("captures", nargs="+", metavar="CAPTURE", help="recordings at 20 MS/s, or faster")
    text = "packet power over added noise power in the channel (default: 0 5 10 15 20)"
    default = list(evaluation.SNR_DB)
    real(parser, "--snr", "dB", least=-100, most=100, nargs="+", default=default, metavar="DB", help=text)
    parser.add_argument("--truth", help="JSON with the packets of each recording")
    parser.add_argument("--format", choices=FORMAT_NAMES, help="sample format (default: by file extension)")
    text = "rate of the recording (default: the channel's width; SigMF says its own)"
    real(parser, "--sample-rate", "samples a second", above=0, most=1e12, metavar="HZ", help=text)
    text = "20e6 (the default), 10e6 as in 802.11p, or 5e6: the same signal with a slower clock"
    real(parser, "--channel-width", "Hz", least=5e6, most=20e6, default=WIDTHS[0], metavar="HZ", help=text)
    text = "the recording's spectrum is mirrored: I and Q swapped, or a mixer on the other side"
    parser.add_argument("--inverted", action="store_true", help=text)
    whole(parser, "--seed", default=0, help="of the added noise (default: 0)")
    parser.add_argument(
        "--methods",
        nargs="+",
        default=list(METHODS),
        metavar="METHOD",
        help=f"any of {' '.join(METHODS)} (default: all), or PACKAGE/MEMBER of your own",
    )
    text = f"keep at most so many packets per recording (default: {MAX_PACKETS})"
    whole(parser, "--max-packets", "packets", least=1, default=MAX_PACKETS, metavar="N", help=text)
    text = "write the packets' looks at their channels, for `gr-diffsem train ofdm_grid --from`, and evaluate no method"
    parser.add_argument("--looks", metavar="NPZ", help=text)
    parser.add_argument("--plot", metavar="PNG", help="write constellations and NMSE as a picture")
    parser.add_argument("--json", action="store_true", help="print the report as strict JSON")


def _check(args):
    for name in args.methods:
        if name not in METHODS and "/" not in name:
            raise unknown("method", name, METHODS)
    if args.plot is not None:
        plots.check("--plot", args.plot)
    if args.looks is not None:
        recording_looks.check(args.looks, ("--plot", args.plot))


def make_estimators(names):
    """dict name -> estimator, each through the block in a flowgraph.

    `wifi_scores.evaluate` says what they are called with. Only "ls", which is its own input, can do without GNU
    Radio. UserError for a scheme that cannot be loaded.
    """
    try:
        from gnuradio import diffsem

        handles = {name: diffsem.scheme(METHODS.get(name, name)) for name in names}
        estimators = {}
        for name, handle in handles.items():
            info = handle.info()
            over_grid = len(info["shape"]) == 2
            fits = info["operator"] == "mask" and info["domain"] == "complex"
            if not fits or not (over_grid or info["shape"] in ((), (N_FFT,))):
                shape = " x ".join(map(str, info["shape"]))
                raise UserError(
                    f"--methods {name}: its signals are {info['domain']}, {shape}, measured by '{info['operator']}'; "
                    f"give a prior over {N_FFT} carriers, or over symbols and carriers"
                )
            ask, of = (_one_symbol, TiledGrid(handle, (1, N_FFT))) if over_grid else (_through_block, handle)
            estimators[name] = partial(ask, of)
            estimators[name].passes = PASSES.get(name, 1)
        return estimators
    except ValueError as error:
        raise UserError(f"--methods: {error}") from None
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

    # The two symbols' difference, less the rotation between them; who measures what the guard of a scheme alone reads.
    freedom = mask.sum() - 0.5 if handle.info()["guard"] else 0
    return through_block(handle, y, noise_var, mask, noise_freedom=freedom)[:2]


def _one_symbol(grid, y, noise_var, mask):
    """The same through a prior over symbols and carriers, of which a packet's training field is one symbol."""
    h, variance, _ = grid.told(y[:, None], mask[None], np.reshape(noise_var, (-1, 1, 1)))
    return h[:, 0], variance[:, 0]


def load_packets(args, say):
    """Known packets of all recordings (`args` as parsed; say: callable for one line of text)."""
    truth = load_truth(args.truth) if args.truth else None
    packets = []
    how = (args.format, args.sample_rate, args.channel_width, args.inverted)
    captures = [Capture(path, *how) for path in args.captures]
    total = {}
    for c in captures:
        notes = []
        bar = console.progress(len(c), "S", f"receiving {os.path.basename(c.path)}")
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
            + (hint(args) or ": check --format and --sample-rate (20 MS/s, channel at the centre)")
        )
    return packets


def hint(args):
    """The end of a sentence: with which other options there are packets at the beginning of the first recording; or
    ""."""
    ways = [(w, i) for i in (args.inverted, not args.inverted) for w in (args.channel_width, *WIDTHS)]
    for width, inverted in dict.fromkeys(ways):
        if (width, inverted) == (args.channel_width, args.inverted):
            continue
        try:
            capture = Capture(args.captures[0], args.format, args.sample_rate or _rate(args), width, inverted)
        except UserError:
            continue  # too slow a recording for this width
        capture.n_samples = min(capture.n_samples, LOOK)
        found = from_receiver(capture, [])[1]["fcs_ok"]
        if found:
            options = [f"--channel-width {hertz(width)}"] * (width != args.channel_width)
            words = f"give {' '.join(options)}" if options else ""
            if inverted != args.inverted:
                turn = "--inverted" if inverted else "no --inverted"
                words = f"{words} and {turn}" if words else f"give {turn}"
                words += ": the spectrum is mirrored" if inverted else ": the spectrum is not mirrored"
            return f"; there are {found} at its beginning if it is read otherwise: {words}"
    return ""


def _rate(args):
    """Rate of the first recording as it is read now."""
    return Capture(args.captures[0], args.format, args.sample_rate, args.channel_width).rate


def run(args):
    """The evaluation; returns the report of `wifi_scores.evaluate`."""
    _check(args)

    def say(text):
        print(text, file=sys.stderr)

    estimators = {} if args.looks else make_estimators(list(dict.fromkeys(args.methods)))
    packets = load_packets(args, say)
    if args.looks:
        return recording_looks.write(args.looks, [recording_looks.of_packets(packets, "802.11 packets")])
    floor = 10 * math.log10(sum(p.floor for p in packets) / len(packets))
    say(f"{len(packets)} packets; the reference channel's own error is {floor:.1f} dB")
    steps = len(packets) * (1 + len(args.snr) * (1 + len(estimators)))
    bar = console.progress(steps, "packet", "evaluating")
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
    if "looks" in report:
        return recording_looks.table(report)
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
    known = {"(reference)": report["reference"]["fcs_ok"]}
    block(f"packets with a good FCS, of {n}", "fcs_ok", "d", known)
    return "\n".join(lines)
