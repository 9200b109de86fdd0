# SPDX-License-Identifier: GPL-3.0-or-later
"""Send photographs over the air: one command, to ZeroMQ, a file or a radio.

Nothing is adapted to a channel: the picture's transform coefficients are the symbols.
"""

import functools
import sys
import time
from fractions import Fraction

import numpy as np

from ..errors import UserError
from . import codec, frames, header, ofdm, photographs, transport

LEAD = 4000  #: idle samples before the first frame and behind the last, so that a receiver gets all of it


def rate_of(text):
    """1/48 or 0.02 -> float; ValueError beyond 0..1."""
    value = float(Fraction(text))
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def add_arguments(parser):
    parser.add_argument("photographs", nargs="+", metavar="PHOTO", help="files, or folders of them")
    parser.add_argument("--to", required=True, metavar="WHERE", help="zmq://HOST:PORT, file:PATH, uhd:ARGS, soapy:ARGS")
    parser.add_argument("--cbr", type=rate_of, default=1 / 12, help="channel uses per value of a picture (1/12)")
    parser.add_argument("--max-side", type=int, default=768, help="longer pictures are reduced to this (768 pixels)")
    parser.add_argument("--repeat", type=int, default=1, help="times that each picture is sent; 0: until interrupted")
    parser.add_argument("--scheme", default="", help="whom the receiver is asked to infer with; its hash goes along")
    parser.add_argument("--rate", type=float, default=1e6, help="samples a second (1e6)")
    parser.add_argument("--freq", type=float, help="carrier of a radio, Hz")
    parser.add_argument("--gain", type=float, default=0.0, help="of a radio, dB (0)")
    parser.add_argument("--papr", type=float, default=8.0, help="largest power over the mean one, dB (8)")
    parser.add_argument("--amplitude", type=float, help="RMS of the samples (1; radios 0.2)")
    parser.add_argument("--gap", type=int, default=200, help="idle samples between frames (200)")


def run(args):
    at = transport.place(args.to, "--to")
    _check(args)
    pictures = [(name, x) for path in args.photographs for name, x in photographs.folder(path, args.max_side).items()]
    scheme = _hash(args.scheme)
    amplitude = args.amplitude or (0.2 if at.kind in ("uhd", "soapy") else 1.0)
    form, cut = ofdm.Layout(), []
    for number, (name, picture) in enumerate(pictures):
        try:
            made = codec.encode(picture, int(picture.size * args.cbr), scheme_hash=scheme)
        except ValueError as e:
            raise UserError(f"{name}: {e}; a higher --cbr gives it more symbols") from None
        cut.append(
            [
                burst(form, f, args.papr, amplitude, args.gap)
                for f in frames.cut(made.digital, made.symbols, number % 16)
            ]
        )
        h, w = picture.shape[:2]
        _say(f"{name}: {w} x {h}, {len(cut[-1])} frames, {sum(map(len, cut[-1])) / args.rate:.2f} s on the air")
    if at.kind in ("uhd", "soapy"):
        return _over_radio(at, args, cut)
    return _over_pipe(at, args, cut, [name for name, _ in pictures])


def _check(args):
    if args.rate <= 0:
        raise UserError(f"--rate {args.rate:g}: give samples a second, above 0")
    if args.repeat < 0 or args.gap < 0:
        raise UserError("--repeat and --gap: 0 or more")
    if args.papr < 0:
        raise UserError(f"--papr {args.papr:g}: give 0 dB or more")
    if args.amplitude is not None and not 0 < args.amplitude < np.inf:
        raise UserError(f"--amplitude {args.amplitude:g}: give the RMS of the samples, above 0")
    if args.max_side < photographs.LEAST:
        raise UserError(f"--max-side {args.max_side}: at least {photographs.LEAST} pixels")
    if args.repeat == 0 and args.to.startswith("file:"):
        raise UserError("--repeat 0 --to file: would fill the disk; give a number of times")


def _hash(scheme):
    if not scheme:
        return 0
    from gnuradio.diffsem.semantic_encoder import scheme_hash

    try:
        return scheme_hash(scheme)
    except ValueError as e:
        raise UserError(f"--scheme {scheme}: {e}") from None


def burst(form, frame, papr_db, amplitude, gap):
    """Samples of a frame, clipped, with its gap behind: what semantic_tx sends."""
    x = form.samples(np.concatenate([header.modulate(frame.header), frame.symbols]))
    peak = 10 ** (papr_db / 20)
    x = x * np.minimum(1, peak / np.maximum(np.abs(x), 1e-12))
    return np.concatenate([amplitude * x, np.zeros(gap)]).astype(np.complex64)


def _over_pipe(at, args, cut, names):
    out = transport.writer(at, args.rate, args.freq, functools.cache(lambda: _say("waiting for a receiver ...")))
    pace = transport.Pace(args.rate if at.kind == "zmq" else np.inf)
    sent = {"photographs": 0, "frames": 0, "samples": 0, "to": args.to}
    begin = time.monotonic()
    rounds = 0

    def put(x):
        out.write(x)
        sent["samples"] += len(x)
        pace.wait(len(x))

    try:
        put(np.zeros(LEAD))
        while rounds < args.repeat or not args.repeat:
            for name, bursts in zip(names, cut, strict=True):
                for i, x in enumerate(bursts):
                    put(x)
                    sent["frames"] += 1
                    _progress(name, i + 1, len(bursts))
                sent["photographs"] += 1
            rounds += 1
        put(np.zeros(2 * LEAD))
    except KeyboardInterrupt:
        out.stopped = True
        _say("\ninterrupted")
    finally:
        out.close()
    sent["seconds"] = round(time.monotonic() - begin, 2)
    return sent


def _over_radio(at, args, cut):
    from gnuradio import blocks, gr

    x = np.concatenate([np.zeros(LEAD, np.complex64), *[b for bursts in cut for b in bursts]])
    x = np.tile(x, max(args.repeat, 1))
    tb = gr.top_block("send")
    source = blocks.vector_source_c(np.append(x, np.zeros(2 * LEAD)).tolist(), args.repeat == 0)
    sink = transport.radio(at, args.rate, args.freq, args.gain, True)
    tb.connect(source, sink)
    tb.start()
    try:
        while args.repeat == 0 or source.nitems_written(0) < x.size + 2 * LEAD:
            time.sleep(0.1)
    except KeyboardInterrupt:
        _say("\ninterrupted")
    tb.stop()
    tb.wait()
    done = source.nitems_written(0)
    return {
        "photographs": len(cut) * (done // max(x.size // max(args.repeat, 1), 1)),
        "samples": int(done),
        "to": args.to,
    }


def _progress(name, done, of):
    if sys.stderr.isatty():
        end = "\n" if done == of else ""
        print(f"\r{name}: frame {done} of {of}", end=end, file=sys.stderr, flush=True)


def _say(text):
    print(text, file=sys.stderr, flush=True)


def table(report):
    what = f"{report['photographs']} photographs, {report['samples']} samples"
    return f"sent {what} to {report['to']}" + (f", {report['frames']} frames" if "frames" in report else "")
