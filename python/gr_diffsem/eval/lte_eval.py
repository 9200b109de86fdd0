# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators on a recording of an LTE downlink (FDD or TDD, 1.4 to 20 MHz, 1, 2 or 4 ports).

Finds the cell, reads its master information, and estimates the channel from half of the reference signals under added
noise: scored at the other half, and by how often the broadcast channel is decoded.
"""

import sys

from ..base import console
from ..base.errors import Failed, UserError
from ..base.number_options import real, whole
from ..receivers.lte import lte_receiver, lte_search
from ..receivers.lte.lte_capture import DEFAULT_RATE, LEAST_RATE, Capture
from ..receivers.recordings import FORMATS
from . import lte_scores, plots, recording_looks

#: Rates, samples a second, that a recording without a cell is tried at, for a hint.
USUAL_RATES = (1.92e6, 2.4e6, 3.84e6, 7.68e6, 10e6, 15.36e6, 19.2e6, 20e6, 23.04e6, 30.72e6)
MOST_FRAMES = 64
SURE = 0.4  # score of a cell that is hinted at
GLANCE = 0.012  # seconds that are looked at for a hint: synchronisation signals come twice in them


def add_arguments(parser):
    """Arguments of ``gr-diffsem eval lte``."""
    parser.add_argument("capture", metavar="CAPTURE", help="a recording with the downlink's carrier at its centre")
    text = f"rate of a raw recording (default: {DEFAULT_RATE / 1e6:g}e6; SigMF says its own)"
    real(parser, "--fs", "samples a second", least=LEAST_RATE, most=1e9, metavar="HZ", help=text)
    text = "sample format (default: by file extension; .bin is sc8, .dat sc16)"
    parser.add_argument("--format", choices=FORMATS, help=text)
    text = "the recording's spectrum is mirrored: I and Q swapped, or a mixer on the other side"
    parser.add_argument("--inverted", action="store_true", help=text)
    text = f"added noise: a reference tone's power over it, per carrier (default: {_words(lte_scores.SNR_DB)})"
    default = list(lte_scores.SNR_DB)
    real(parser, "--snr", "dB", least=-60, most=60, nargs="+", default=default, metavar="DB", help=text)
    text = f"schemes as block `estimate` takes them, or any of {' '.join(lte_scores.METHODS)} (default: all)"
    parser.add_argument("--methods", nargs="+", default=list(lte_scores.METHODS), metavar="METHOD", help=text)
    text = "frames of 10 ms that are used (default: 8)"
    whole(parser, "--frames", "frames", least=1, most=MOST_FRAMES, default=8, metavar="N", help=text)
    text = "draws of noise on each frame's broadcast channel (default: 5)"
    whole(parser, "--draws", "draws", least=1, most=1000, default=5, metavar="N", help=text)
    whole(parser, "--seed", default=0, help="of the added noise (default: 0)")
    text = "write the reference signals of all ports as looks, for `gr-diffsem train ofdm_grid --from`, and stop"
    parser.add_argument("--looks", metavar="NPZ", help=text)
    text = "write the broadcast channel's constellation and the errors as a picture"
    parser.add_argument("--picture", metavar="PNG", help=text)


def _words(values):
    return " ".join(f"{v:g}" for v in values)


def run(args):
    """The evaluation: `lte_scores.evaluate`'s report, with `pci`, `ports`, `mib` and what else is known of the cell."""
    if args.picture is not None:
        plots.check("--picture", args.picture)
    if args.looks is not None:
        recording_looks.check(args.looks, ("--picture", args.picture))
    capture = Capture(args.capture, args.format, args.fs, args.inverted)
    methods = lte_scores.make_methods(dict.fromkeys(args.methods))
    try:
        got = lte_receiver.receive(capture, lte_scores.make_methods(["wiener"])["wiener"], args.frames)
    except Failed as error:
        raise Failed(f"{error}{hint(args, capture)}") from None
    for note in capture.notes:
        print(note, file=sys.stderr)
    if args.looks:
        return recording_looks.write(args.looks, recording_looks.of_reception(got, f"LTE cell {got.cell.identity}"))
    cell = got.cell
    bar = console.progress(None, "tile", "evaluating")
    try:
        report = lte_scores.evaluate(
            got, methods, args.snr, args.draws, args.seed, bar.update if bar is not None else None
        )
    finally:
        if bar is not None:
            bar.close()
    about = {
        "pci": cell.identity,
        "ports": got.ports,
        "mib": {
            "resource_blocks": got.mib.resource_blocks,
            "phich_duration": got.mib.phich_duration,
            "phich_resource": got.mib.phich_resource,
            "frame": got.mib.frame,
        },
        "prefix": cell.prefix.name,
        "time_division": cell.time_division,
        "offset_hz": cell.offset,
        "clock_ppm": 1e6 * cell.clock,
        "blocks_read": got.blocks,
    }
    report = {**about, **report}
    if args.picture:
        from .lte_plot import picture

        picture(args.picture, got, methods, report, args.seed)
        print(f"picture: {args.picture}", file=sys.stderr)
    return report


def hint(args, capture):
    """The end of a sentence: with which other options there is a cell, or ""."""
    if capture.seconds < lte_receiver.LEAST_SECONDS:
        return ""
    ways = [(capture.rate, not args.inverted), *((rate, args.inverted) for rate in USUAL_RATES)]
    for rate, inverted in ways:
        if (rate, inverted) == (capture.rate, args.inverted):
            continue
        try:
            other = Capture(args.capture, args.format, rate, inverted)
        except UserError:
            continue
        x = other.samples(lte_search.SEARCH_RATE, 0, int(GLANCE * lte_search.SEARCH_RATE))
        found = lte_search.search(x - x.mean()) if x.size else []
        if found and found[0].score > SURE:
            turn = "--inverted" if inverted else "no --inverted"
            option = turn if inverted != args.inverted else f"--fs {rate / 1e6:g}e6"
            return f"; there is cell {found[0].identity} if it is read otherwise: give {option}"
    return ""


def table(report):
    """The report for people."""
    if "looks" in report:
        return recording_looks.table(report)
    mib = report["mib"]
    lines = [
        f"cell {report['pci']}, {report['ports']} ports, {mib['resource_blocks']} resource blocks "
        f"({report['blocks_read']} read), {report['prefix']} prefix, {'TDD' if report['time_division'] else 'FDD'}, "
        f"frame {mib['frame']}",
        f"carrier {report['offset_hz']:+.0f} Hz, clock {report['clock_ppm']:+.1f} ppm; the recording's own noise is at "
        f"{report['own_noise_db']:.1f} dB of a reference tone",
    ]
    if not report["methods"]:
        return "\n".join(lines)
    snr = next(iter(report["methods"].values()))["snr_db"]

    def block(title, key, show):
        cells = [[name, *map(show, m[key])] for name, m in report["methods"].items()]
        lines.extend(["", title, *console.table(["SNR, dB", *(f"{s:g}" for s in snr)], cells)])

    block(f"NMSE at {report['tones']} tones held out, dB", "heldout_nmse_db", lambda v: f"{v:.2f}")
    block(f"master information decoded, of {report['mib_of']}", "mib_ok", str)
    cells = [[name, *_compared(a)] for name, a in report["against"].items()]
    if cells:
        titles = [f"{lte_scores.OURS} less", *(f"{s:g}" for s in snr), "decodes earlier, dB"]
        lines += ["", "NMSE, dB, with intervals of 95 %", *console.table(titles, cells)]
    return "\n".join(lines)


def _compared(against):
    pairs = zip(against["nmse_db"], against["interval"], strict=True)
    cells = [f"{d:+.2f} ({low:+.2f} .. {high:+.2f})" for d, (low, high) in pairs]
    low, high = against["mib_interval"]
    return [*cells, f"{against['mib_db']:.1f} ({low:.1f} .. {high:.1f})"]
