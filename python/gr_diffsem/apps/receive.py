# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive photographs from the air: samples in, PNG files out, each with a line that says how it came.

It is told nothing but the samples: it finds the frames, estimates offset, channel and noise, and infers the picture.
Texts and arrays become .txt and .npy files.
"""

import os
import signal
import sys
import threading
import time

from ..base import jsonio
from ..base.errors import UserError
from ..base.number_options import real, whole
from ..eval import photo_receivers
from ..receivers import recordings
from . import radio, transport, window

LISTENING = "receiving from "  # said once the flowgraph runs: what comes from then on is not missed
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
    whole(parser, "--steps", most=10000, default=0, help="evaluations of the network; 0: the scheme's own")
    text = "experimental: 0, the posterior mean, to 1, a draw from it (0)"
    real(parser, "--realism", least=0, most=1, default=0.0, help=text)
    parser.add_argument("--chanest", default="ofdm_chanest", help="scheme of the channel estimate (ofdm_chanest)")
    whole(parser, "--count", default=0, help="end after so many pictures; 0: when interrupted")
    text = "end after so many seconds without a frame; 0: never"
    real(parser, "--idle", "seconds", least=0, most=1e9, default=0.0, help=text)
    parser.add_argument("--view", action="store_true", help="show pictures in a window as they come; closing it ends")
    whole(parser, "--keep", "pictures", least=1, default=1000, help="pictures that remain in DIR (1000)")
    radio.add_arguments(parser, 30.0)
    parser.add_argument("--record", metavar="PATH", help="also keep the samples: air.sigmf-data")


def run(args):
    at = transport.place(args.source, "--from")
    from gnuradio import gr

    tb = gr.top_block("receive")
    view = window.Window(f"gr-diffsem receive: {args.source}") if args.view else None
    try:
        chain = Chain(tb, at, args, view)
    except ValueError as e:
        raise UserError(str(e)) from None
    return chain.run(args)


class Chain:
    """source -> semantic_rx -> semantic_decoder -> image_sink, in the top block given."""

    def __init__(self, tb, at, args, view=None):
        import pmt
        from gnuradio import blocks, diffsem, gr, zeromq

        self._tb, self._at, self._window = tb, at, view
        if at.kind == "zmq":
            self.source = zeromq.pull_source(gr.sizeof_gr_complex, 1, f"tcp://{at.rest}", 100, False, transport.WAITING)
        elif at.kind == "file":
            self.source = transport.file_source(at, args.format)
        else:
            self.source = radio.block(at, args, False)
        self.rx = diffsem.semantic_rx(args.chanest)
        self.sink = sink = diffsem.image_sink(args.out, args.keep, _tell)

        class Decoder(diffsem.semantic_decoder):
            """Hands pictures on itself: the last one comes when the flowgraph, and a sink's thread, have ended."""

            def message_port_pub(self, port, message):
                if pmt.symbol_to_string(port) == "content":
                    sink.take(message)
                    if view:
                        view.take(message)
                    if args.count and sink.counts()["out"] >= args.count:
                        self.abandon()  # --count 1 is one picture, whatever else came meanwhile

        preview = window.PREVIEW if view else 0.0
        self.decoder = Decoder(args.scheme, args.steps, queue_size=16, realism=args.realism, preview=preview)
        tb.connect(self.source, self.rx)
        tb.msg_connect((self.rx, "pdus"), (self.decoder, "frames"))
        self._meta = None
        if args.record:
            path = transport.place(f"file:{args.record}", "--record")
            transport.check_ending(path.rest, "--record")
            data, meta = transport.sigmf_names(path.rest) if path.sigmf else (path.rest, None)
            self._meta, self._file = meta, blocks.file_sink(gr.sizeof_gr_complex, str(data))
            tb.connect(self.source, self._file)

    def run(self, args):
        """Until the file ends, enough pictures are there, nothing comes, or an interrupt; the counts."""
        stop = threading.Event()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
        begin = changed = time.monotonic()
        seen, interrupted = 0, False
        self._tb.start()
        print(f"{LISTENING}{args.source}", file=sys.stderr, flush=True)
        ended = threading.Event()
        if self._at.kind == "file":
            threading.Thread(target=lambda: (self._tb.wait(), ended.set()), daemon=True).start()
        try:
            while not (ended.is_set() or self._wait(stop)) and (self._window is None or self._window.open):
                now, frames = time.monotonic(), self.rx.frames_out()
                if frames != seen:
                    seen, changed = frames, now
                    _progress(frames)
                if args.count and self.sink.counts()["out"] >= args.count:
                    break
                if args.idle and now - changed > args.idle:
                    break
        except KeyboardInterrupt:
            print("\ninterrupted", file=sys.stderr)
            interrupted = True
        self._end(ended, 0.7 if interrupted else None)
        if self._meta:
            transport.describe(self._meta, args.rate, args.freq)
        if self._window and not interrupted:
            self._window.stay(stop)
        counts = {
            "contents": self.sink.counts()["out"],
            "frames": self.rx.frames_out(),
            "found": self.rx.frames_found(),
        }
        decoder = self.decoder.counts()
        counts.update({name: decoder[name] for name in ("dropped", "undecoded", "overrun", "failed")})
        counts.update(seconds=round(time.monotonic() - begin, 2), out=str(args.out))
        if interrupted and not ended.is_set():  # an inference takes seconds, and cannot be broken off
            print(jsonio.dumps(counts) if args.json else table(counts), flush=True)
            os._exit(130)
        return counts

    def _end(self, ended, patience):
        """Stop the flowgraph; the pictures that wait are inferred, but for longer than patience (seconds)."""

        def stop():
            self._tb.stop()
            self._tb.wait()
            ended.set()

        if not ended.is_set():
            threading.Thread(target=stop, daemon=True).start()
        until = None if patience is None else time.monotonic() + patience
        while not self._wait(ended) and (until is None or time.monotonic() < until):
            pass

    def _wait(self, event):
        """Whether the event is set within a moment; the window goes on meanwhile."""
        if self._window:
            self._window.process()
        return event.wait(0.02 if self._window else 0.05)


def _tell(path, said):
    """A line for a content."""
    snr = said.get("snr_db")
    by = f"{said.get('scheme', '?')} with {said.get('evaluations', 0)} evaluations in {said.get('seconds') or 0:.2f} s"
    what = {
        "text": lambda: repr(path.read_text(encoding="utf-8")),
        "array": lambda: f"{said.get('domain', '')}, {' x '.join(map(str, said['shape']))} values",
    }.get(said.get("kind"), lambda: f"{said['shape'][1]} x {said['shape'][0]}, {by}")
    words = [
        f"{path.name}: {what()}",
        "SNR unknown" if snr is None else f"SNR {snr:.1f} dB",
        f"{said.get('frames', 0)} frames, {said.get('frames_lost', 0)} lost",
    ]
    if said.get("scheme_match") is False:
        words.append("sent for other weights than those here")
    print(", ".join(words), flush=True)


def _progress(frames):
    if sys.stderr.isatty():
        print(f"\r{frames} frames", end="\r", file=sys.stderr, flush=True)


def table(report):
    lost = ", ".join(f"{report[name]} {name}" for name in ("dropped", "undecoded", "overrun", "failed") if report[name])
    end = f" ({lost})" if lost else ""
    return f"received {report['contents']} contents from {report['frames']} frames{end} in {report['out']}"
