# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive photographs from the air: samples in, PNG files out, each with a line that says how it came.

It is told nothing but the samples: it finds the frames, estimates offset, channel and noise, and infers the picture.
Texts and arrays become .txt and .npy files, moving pictures an .mp4 for each stream of them.
"""

import sys

from ..base.errors import UserError
from ..base.number_options import real, whole
from ..eval import photo_receivers
from ..receivers import recordings
from . import ending, radio, transport, window
from .receive_chain import LISTENING, Chain

__all__ = ["DEFAULT", "LISTENING", "add_arguments", "run", "table"]
DEFAULT = "photo_mmse"  # the best of them wherever it was measured: bench/results.md


def add_arguments(parser):
    parser.add_argument("--from", dest="source", required=True, metavar="WHERE", help="zmq://, file:, uhd: or soapy:")
    text = "of the samples of a file (default: by its name or description, else cf32)"
    parser.add_argument("--format", choices=recordings.FORMATS, help=text)
    parser.add_argument("--out", required=True, metavar="DIR", help="where pictures and their JSON are put")
    parser.add_argument(
        "--scheme",
        default=DEFAULT,
        help=f"one of {', '.join(photo_receivers.names())}, or a package's folder ({DEFAULT})",
    )
    whole(parser, "--steps", most=1000, default=0, help="evaluations of the network; 0: the scheme's own")
    text = "experimental: 0, the posterior mean, to 1, a draw from it (0)"
    real(parser, "--realism", least=0, most=1, default=0.0, help=text)
    text = "also write the standard deviation of each pixel's error, NAME.uncertainty.png: white is 0.2 of the range"
    parser.add_argument("--uncertainty", action="store_true", help=text)
    parser.add_argument("--chanest", default="ofdm_chanest", help="scheme of the channel estimate (ofdm_chanest)")
    whole(parser, "--count", default=0, help="end after so many pictures; 0: when interrupted")
    text = "end after so many seconds without a frame; 0: never"
    real(parser, "--idle", "seconds", least=0, most=1e9, default=0.0, help=text)
    parser.add_argument("--view", action="store_true", help="show pictures in a window as they come; closing it ends")
    text = "every so many seconds write what came so far of a picture to DIR/preview.png; 0: not"
    real(parser, "--preview", "seconds", least=0, most=1e6, default=0.0, metavar="S", help=text)
    whole(parser, "--keep", "pictures", least=1, default=1000, help="pictures that remain in DIR (1000)")
    text = "seconds that pictures at hand may still take when it is terminated (10)"
    real(parser, "--finish", "seconds", least=0, most=1e6, default=10.0, metavar="S", help=text)
    radio.add_arguments(parser, 30.0)
    parser.add_argument("--record", metavar="PATH", help="also keep the samples: air.sigmf-data")


def run(args):
    at = transport.place(args.source, "--from")
    if args.format and at.kind != "file":
        raise UserError(f"--format {args.format}: what comes from {at.kind} is cf32; leave it out")
    if args.format and at.sigmf:
        ending.tell(f"--format {args.format} is taken in place of what the description says", file=sys.stderr)
    from gnuradio import gr

    tb = gr.top_block("receive")
    view = window.Window(f"gr-diffsem receive: {args.source}") if args.view else None
    try:
        chain = Chain(tb, at, args, _tell, view)
    except ValueError as e:
        raise UserError(str(e)) from None
    report = chain.run(args)
    if hint := chain.rx.hint():
        report["hint"] = hint
    return report


def _tell(path, said):
    """A line for a content."""
    snr = said.get("snr_db")
    by = f"{said.get('scheme', '?')} with {said.get('evaluations', 0)} evaluations in {said.get('seconds') or 0:.2f} s"
    what = {
        "text": lambda: repr(path.read_text(encoding="utf-8")),
        "array": lambda: f"{said.get('domain', '')}, {' x '.join(map(str, said['shape']))} values",
        "video": lambda: f"{said['shape'][1]} x {said['shape'][0]}, {said['rate']:.4g} frames a second, {by}",
    }.get(said.get("kind"), lambda: f"{said['shape'][1]} x {said['shape'][0]}, {by}")
    words = [
        f"{path.name}: {what()}",
        "SNR unknown" if snr is None else f"SNR {snr:.1f} dB",
        f"{said.get('frames', 0)} frames, {said.get('frames_lost', said.get('concealed', 0))} lost",
    ]
    if said.get("codec"):
        words.append(f"sent by {said['codec']}")
    if said.get("expected_psnr") is not None:
        words.append(f"{said['expected_psnr']:.1f} dB PSNR expected")
    if said.get("callsign"):
        words.append(f"de {said['callsign']}")
    if said.get("scheme_match") is False:
        words.append("sent for other weights than those here")
    ending.tell(", ".join(words))


def table(report):
    lost = [f"{report[name]} {name}" for name in ("dropped", "undecoded", "overrun", "failed") if report[name]]
    if report["missed"]:
        lost.append(f"{report['missed']} frames missed")
    if report["gaps"]:
        lost.append(f"{report['gaps']} gaps of {report['samples_lost']} samples in all")
    if report["concealed"]:
        lost.append(f"{report['concealed']} frames of moving pictures concealed")
    if report["generated"]:
        lost.append(f"{report['generated']} generated between others")
    end = f" ({', '.join(lost)})" if lost else ""
    hint = f"\nno frames are found, but {report['hint']}" if "hint" in report else ""
    return f"received {report['contents']} contents from {report['frames']} frames{end} in {report['out']}{hint}"
