# SPDX-License-Identifier: GPL-3.0-or-later
"""Send photographs, moving pictures, arrays and texts over the air: one command, to ZeroMQ, a file or a radio.

Nothing is adapted to a channel: the picture's transform coefficients are the symbols.
"""

import functools
import itertools
import secrets
import sys
import threading
import time
from pathlib import Path

import numpy as np

from ..base import picture_files, regular_file, video_files
from ..base.errors import UserError
from ..base.number_options import ratio, real, whole
from ..codec import content, frame_header, frame_layout, frames, learned_code, picture_fit, video_groups, video_sender
from . import ending, radio, send_live, transport

LEAD = 4000  #: idle samples before the first frame and behind the last, so that a receiver gets all of it
SILENCE = 1.0  #: seconds behind the last frame of a radio, more than its buffers hold


def add_arguments(parser):
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help="photographs, folders of them, clips, arrays (.npy); or camera:, camera:2, screen:, screen::1",
    )
    parser.add_argument("--text", action="append", default=[], help="a message, which rides digitally; comes first")
    parser.add_argument("--domain", default="", metavar="NAME", help="what an array's values are, such as csi")
    parser.add_argument("--to", required=True, metavar="WHERE", help="zmq://HOST:PORT, file:PATH, uhd:ARGS, soapy:ARGS")
    ratio(parser, "--cbr", default=1 / 12, help="channel uses per value of a picture or frame (1/12)")
    text = "longer pictures are reduced to this (768 pixels)"
    whole(parser, "--max-side", "pixels", least=picture_files.LEAST, default=768, help=text)
    text = "of a stored clip that are sent together: 4, 8, 16, or 0 for what suits it (8); --latency sets its own"
    whole(parser, "--group", "frames", default=8, metavar="N", help=text)
    send_live.add_arguments(parser, real, whole)
    whole(parser, "--repeat", "times", default=1, help="times that each picture is sent; 0: until interrupted")
    parser.add_argument(
        "--scheme",
        default="",
        help="package of photographs that the receiver is asked to infer with; its hash goes along",
    )
    parser.add_argument(
        "--codec",
        default=learned_code.LINEAR,
        help=f"code of photographs: {learned_code.LINEAR}, or a package with an encoder, such as jscc (linear)",
    )
    parser.add_argument("--callsign", metavar="SIGN", help="goes along with everything, such as N0CALL/P")
    radio.add_arguments(parser, 0.0)
    real(parser, "--papr", "dB", least=0, most=100, default=8.0, help="largest power over the mean one, dB (8)")
    real(parser, "--amplitude", above=0, most=1e6, help="RMS of the samples (1; radios 0.2)")
    whole(parser, "--gap", "samples", most=10**7, default=200, help="idle samples between frames (200)")
    real(parser, "--lead", "seconds", least=0, most=60, default=0.0, help="seconds ahead of the first frame (0)")
    real(parser, "--tail", "seconds", least=0, most=60, default=0.0, help="seconds behind the last one (0)")
    parser.add_argument("--carrier", action="store_true", help="a bare carrier in both, in place of silence")


def run(args):
    at = transport.place(args.to, "--to")
    _check(args)
    radio_end = at.kind in ("uhd", "soapy")
    amplitude = args.amplitude or (0.2 if radio_end else 1.0)
    form = frame_layout.Layout()

    def samples(frame):
        return burst(form, frame, args.papr, amplitude, args.gap)

    live = send_live.wanted(args)
    if live:
        how = _hash(args.scheme), _sign(args), _say
        program = send_live.LiveProgram(live, args, samples, args.gap, args.rate, *how)
        _say(f"{live}: {program.pace.rate:g} frames a second in groups of {program.pace.length}; ends with Ctrl+C")
    else:
        program = _stored(args, samples)
    report = (_over_radio if radio_end else _over_pipe)(at, args, program, amplitude)
    if live:
        program.close()
        if program.failed:
            raise UserError(f"{live}: {program.failed}; --max-side and --cbr say how large it is sent")
    return {**report, **program.report()}


class Stored:
    """Pieces of what is stored, `repeat` times over, 0: without end. contents: [(name, samples of each frame)]."""

    def __init__(self, contents, repeat, skipped):
        self._contents, self._repeat, self._skipped = contents, repeat, skipped

    def __iter__(self):
        rounds = 0
        while rounds < self._repeat or not self._repeat:
            for name, bursts in self._contents:
                for i, x in enumerate(bursts):
                    yield send_live.Piece(x, name, i + 1, len(bursts))
            rounds += 1

    def report(self):
        """What the command's report says of it."""
        return {"skipped": self._skipped}


def _stored(args, samples):
    made, skipped = [], []
    for number, (name, what, data, symbols) in enumerate(_contents(args, skipped.append)):
        try:
            cut = frames.cut(data, symbols, number % 16)
        except ValueError as e:
            raise UserError(f"{name}: {e}") from None
        made.append((name, [samples(f) for f in cut]))
        _say(f"{name}: {what}, {len(cut)} frames, {sum(map(len, made[-1][1])) / args.rate:.2f} s on the air")
    if skipped and not made:
        raise UserError(skipped[0] if len(skipped) == 1 else f"nothing is left to send: {'; '.join(skipped)}")
    for why in skipped:
        _say(f"skipped: {why}")
    return Stored(made, args.repeat, len(skipped))


def _contents(args, skip):
    """(name, what it is, digital octets, symbols) of all that is to be sent; of a picture that cannot be, skip is told
    why."""
    if not (args.files or args.text):
        raise UserError("send what? Give photographs, arrays (.npy) or --text WORDS")
    for path in args.files:
        if not video_files.is_clip(path) and Path(path).suffix != ".npy":
            picture_files.files(path)  # what is not there, or empty, is a mistake: nothing is sent
    scheme, codec = _hash(args.scheme), _codec(args.codec)
    sign = _sign(args)
    for words in args.text:
        try:
            yield "text", f"{len(words)} characters", content.encode_text(words, sign), np.zeros(0, np.complex64)
        except ValueError as e:
            raise UserError(f"--text: {e}") from None
    for path in args.files:
        if Path(path).suffix == ".npy":
            yield _array(Path(path), args.domain, sign)
            continue
        if video_files.is_clip(path):
            yield from _clip(Path(path), args, scheme, sign)
            continue
        for name, picture in picture_files.each(path, args.max_side, _say, skip):
            try:
                made = picture_fit.code(name, picture, args.max_side, args.cbr, scheme, sign, codec)
            except UserError as e:
                skip(str(e))
            else:
                by = f", by {codec.name if made.plan.is_for(codec.hash) else learned_code.LINEAR}" if codec else ""
                yield name, f"{picture.shape[1]} x {picture.shape[0]}{by}", made.digital, made.symbols


def _sign(args):
    """Octets of --callsign."""
    if args.callsign is not None and not args.callsign.strip():
        raise UserError("--callsign is empty: give one, or leave the option out")
    try:
        return content.call_sign(args.callsign or "")
    except ValueError as e:
        raise UserError(f"--{e}") from None


def _clip(path, args, scheme, sign):
    """A clip's groups, one by one, each a content of its own; --repeat sends all of them again."""
    video_groups.check_length(args.group)
    video = video_files.Video(path, args.max_side, _say)
    uses = int(3 * video.shape[0] * video.shape[1] * args.cbr)
    try:
        sender = video_sender.VideoSender(
            uses, video.rate, args.group, secrets.randbelow(256), scheme_hash=scheme, before=sign
        )
        for frame in itertools.islice(video, args.frames or None):
            yield from _groups(path, sender.take(frame))
        yield from _groups(path, sender.flush())
    except ValueError as e:
        raise UserError(f"{path}: {e}; --max-side, --cbr and --group say how large it is sent") from None


def _groups(path, made):
    for encoded in made:
        clip, (h, w) = encoded.plan.clip, encoded.plan.shape
        what = f"{w} x {h}, frames {clip.first} to {clip.first + clip.frames - 1}"
        yield path.stem, what, encoded.digital, encoded.symbols


def _array(path, domain, sign):
    """An array, each value once, whatever --cbr: it has no redundancy to leave out."""
    if not domain:
        raise UserError(f"{path}: an array needs --domain, what its values are, such as csi")
    try:
        if fault := regular_file.fault(path):
            raise ValueError(fault)
        values = np.load(path, allow_pickle=False)
        data, symbols = content.encode_array(values, domain, before=sign)
    except (OSError, ValueError, TypeError, EOFError) as e:
        raise UserError(f"{path}: no array that can be sent ({e}); give numbers, as numpy.save writes them") from None
    return path.stem, f"{domain}, {' x '.join(map(str, values.shape))} values", data, symbols


def _check(args):
    if args.carrier and not (args.lead or args.tail):
        raise UserError("--carrier fills --lead and --tail: give one of them")
    if args.repeat == 0 and args.to.startswith("file:"):
        raise UserError("--repeat 0 --to file: would fill the disk; give a number of times")


def _codec(spec):
    try:
        return learned_code.make(spec)
    except UserError as e:
        raise UserError(f"--{e}" if str(e).startswith("codec") else f"--codec {spec}: {e}") from None


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
    x = form.samples(np.concatenate([frame_header.modulate(frame.header), frame.symbols]))
    peak = 10 ** (papr_db / 20)
    x = x * np.minimum(1, peak / np.maximum(np.abs(x), 1e-12))
    return np.concatenate([amplitude * x, np.zeros(gap)]).astype(np.complex64)


def idle(seconds, args, amplitude):
    """Pieces of what is sent ahead of the frames and behind them: silence, or a carrier."""
    left = int(seconds * args.rate)
    while left > 0:
        n = min(left, 1 << 16)
        yield np.full(n, amplitude if args.carrier else 0, np.complex64)
        left -= n


def _over_pipe(at, args, program, amplitude):
    waiting = functools.cache(lambda: None if out.readers else _say("waiting for a receiver ..."))
    out = transport.writer(at, args.rate, args.freq, waiting, _say)
    live = isinstance(program, send_live.LiveProgram)
    pace = transport.Pace(args.rate if at.kind == "zmq" or live else np.inf)
    sent = {"contents": 0, "frames": 0, "samples": 0, "to": args.to}
    begin = time.monotonic()

    def put(x):
        out.write(x)
        sent["samples"] += len(x)
        pace.wait(len(x))

    try:
        for x in idle(args.lead, args, amplitude):
            put(x)
        put(np.zeros(LEAD))
        for piece in program:
            put(piece.samples)
            if piece.name:
                sent["frames"] += 1
                sent["contents"] += piece.number == piece.of
                _progress(piece)
        put(np.zeros(2 * LEAD))
        for x in idle(args.tail, args, amplitude):
            put(x)
    except KeyboardInterrupt:
        out.stopped = True
    finally:
        out.close()
    sent["seconds"] = round(time.monotonic() - begin, 2)
    return sent


def _over_radio(at, args, program, amplitude):
    from gnuradio import gr

    class Waveform(gr.sync_block):
        """The bursts, over and over, then silence: what a radio still holds when it is stopped is lost."""

        def __init__(self):
            gr.sync_block.__init__(self, "waveform", None, [np.complex64])
            self.frames = self.contents = 0
            self.stopped = False
            self._pieces = self._all()
            self._rest = np.zeros(0, np.complex64)

        def _all(self):
            yield from idle(args.lead, args, amplitude)
            yield np.zeros(LEAD, np.complex64)
            for piece in program:
                if self.stopped:
                    return
                yield piece.samples
                if piece.name:
                    self.frames += 1
                    self.contents += piece.number == piece.of
                    _progress(piece)
            yield np.zeros(LEAD, np.complex64)
            yield from idle(args.tail, args, amplitude)
            yield np.zeros(int(SILENCE * args.rate), np.complex64)

        def work(self, input_items, output_items):
            while not self._rest.size:
                self._rest = next(self._pieces, None)
                if self._rest is None:
                    self._rest = np.zeros(0, np.complex64)
                    return -1
            n = min(len(output_items[0]), self._rest.size)
            output_items[0][:n] = self._rest[:n]
            self._rest = self._rest[n:]
            return n

    tb = gr.top_block("send")
    source, sink = Waveform(), radio.block(at, args, True)
    tb.connect(source, sink)
    begin = time.monotonic()
    tb.start()
    ended = threading.Event()
    threading.Thread(target=lambda: (tb.wait(), ended.set()), daemon=True).start()
    try:
        while not ended.wait(0.1):
            pass
    except KeyboardInterrupt:
        source.stopped = True
        tb.stop()
        ended.wait(2)
    return {
        "contents": source.contents,
        "frames": source.frames,
        "samples": int(source.nitems_written(0)),
        "to": args.to,
        "seconds": round(time.monotonic() - begin, 2),
    }


def _progress(piece):
    if sys.stderr.isatty():
        end = "\n" if piece.number == piece.of else ""
        ending.tell(f"\r{piece.name}: frame {piece.number} of {piece.of}", end=end, file=sys.stderr)


def _say(text):
    ending.tell(text, file=sys.stderr)


def table(report):
    what = f"{report['contents']} contents, {report['samples']} samples"
    frames = f", {report['frames']} frames" if "frames" in report else ""
    skipped = f", {report['skipped']} skipped" if report.get("skipped") else ""
    out = f", {report['left_out']} pictures left out" if report.get("left_out") else ""
    return f"sent {what} to {report['to']}{frames}{skipped}{out}"
