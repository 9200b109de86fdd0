# SPDX-License-Identifier: GPL-3.0-or-later
"""The flowgraph of `gr-diffsem receive`, and how it ends: at the end of a file, when enough has come, when nothing
comes any more, when it is asked to, or when what came cannot be written.
"""

import contextlib
import itertools
import sys
import threading
import time
from pathlib import Path

import numpy as np

from ..base.errors import Failed
from ..codec import frame_clock
from . import ending, radio, transport, window

LISTENING = "receiving from "  # said once the flowgraph runs: what comes from then on is not missed
LEAVE = 0.7  #: seconds that an inference may still take when nobody waits for it
BEHIND = 64  #: frames of a file that may wait for the decoder


class Chain:
    """source -> semantic_rx -> semantic_decoder -> image_sink, in the top block given; written(path, dictionary) is
    called for each content."""

    def __init__(self, tb, at, args, written, view=None):
        import pmt
        from gnuradio import blocks, diffsem, gr

        self._tb, self._at, self._window = tb, at, view
        if at.kind == "zmq":
            self.source = transport.zmq_source(at)
        elif at.kind == "file":
            self.source = transport.file_source(at, args.format)
        else:
            self.source = radio.block(at, args, False)
        self.rx = diffsem.semantic_rx(args.chanest)
        self.sink = sink = diffsem.image_sink(args.out, args.keep, written, failed=_not_written(args.out))

        self.clips = clips = diffsem.video_sink(args.out, written, failed=_not_written(args.out))

        clock = self._clock = frame_clock.FrameClock(self.rx.layout)
        preview = _Preview(args.out) if args.preview else None
        self.player = player = _player(diffsem, view) if view else None

        class Decoder(diffsem.semantic_decoder):
            """Hands pictures on itself: the last one comes when the flowgraph, and a sink's thread, have ended."""

            def _from_pdu(self, message):
                frame, snr_db = super()._from_pdu(message)
                start = pmt.dict_ref(pmt.car(message), pmt.intern("start"), pmt.PMT_NIL)
                clock.take(frame.header, pmt.to_uint64(start))
                return frame, snr_db

            def message_port_pub(self, port, message):
                if pmt.symbol_to_string(port) == "content" and clips.shows(message):
                    clips.take(message)
                    if player:
                        player.take(message)
                elif pmt.symbol_to_string(port) == "content":
                    sink.take(message)
                    if view:
                        view.take(message)
                    if preview:
                        preview.take(message)
                    if args.count and sink.counts()["out"] >= args.count:
                        self.abandon()  # --count 1 is one picture, whatever else came meanwhile

        every = args.preview or (window.PREVIEW if view else 0.0)
        full = "wait" if at.kind == "file" else "drop"  # a file has time, the air has not
        self.decoder = Decoder(
            args.scheme,
            args.steps,
            queue_size=16,
            realism=args.realism,
            preview=every,
            on_full=full,
            uncertainty=args.uncertainty,
        )
        if at.kind == "file":
            self._gate = _gate(gr, self._behind)
            tb.connect(self.source, self._gate, self.rx)
        else:
            tb.connect(self.source, self.rx)
        self._times = None
        if at.kind in ("uhd", "soapy"):
            self._times = blocks.tag_debug(gr.sizeof_gr_complex, "times", "rx_time")
            self._times.set_display(False)
            self._times.set_save_all(True)
            tb.connect(self.source, self._times)
        tb.msg_connect((self.rx, "pdus"), (self.decoder, "frames"))
        self._meta = None
        if args.record:
            path = transport.place(f"file:{args.record}", "--record")
            transport.check_ending(path.rest, "--record")
            data, self._meta = transport.sigmf_names(path.rest) if path.sigmf else (path.rest, None)
            self._recorder = _recorder(gr, data)
            self.source.set_min_output_buffer(1 << 18)  # a disk may pause
            tb.connect(self.source, self._recorder)

    def _behind(self):
        """Whether a file should wait: messages have no back pressure of their own."""
        return self.rx.frames_out() - self.decoder.counts()["in"] > BEHIND and not ending.asked()

    def run(self, args):
        """The counts, when it has ended."""
        ending.grant(args.finish + ending.PATIENCE)
        stop = threading.Event()
        begin = changed = time.monotonic()
        seen, quiet = 0, False
        ended = threading.Event()
        try:
            self._tb.start()
            if self.player:
                self.player.start()
            ending.tell(f"{LISTENING}{args.source}", file=sys.stderr)
            if self._at.kind == "file":
                threading.Thread(target=lambda: (self._tb.wait(), ended.set()), daemon=True).start()
            while not (ended.is_set() or self._wait(stop)) and (self._window is None or self._window.open):
                if ending.asked():  # an import of GNU Radio's may have swallowed the exception
                    raise KeyboardInterrupt
                now, frames = time.monotonic(), self.rx.frames_out()
                if frames != seen:
                    seen, changed = frames, now
                    _progress(frames)
                if args.count and self.sink.counts()["out"] >= args.count:
                    break
                quiet = args.idle and now - changed > args.idle
                if quiet:
                    break
            self._end(ended, None)
        except KeyboardInterrupt:
            stop.set()
            if ending.asked() == 130:
                ending.tell("\ninterrupted", file=sys.stderr)
            self._end(ended, args.finish if ending.asked() == 143 else LEAVE)
        self.clips.close()
        if self.player:
            self.player.stop()
        if self._meta:
            transport.describe(self._meta, args.rate, args.freq)
        if self._window and not stop.is_set():
            self._window.stay(stop)
        if quiet and not self.source.nitems_written(0):
            raise Failed(f"--from {args.source}: no samples came in {args.idle:g} s; is anything sent there?")
        return self._counts(args, time.monotonic() - begin)

    def _counts(self, args, seconds):
        counts = {
            "contents": self.sink.counts()["out"] + self.clips.counts()["files"],
            "frames": self.rx.frames_out(),
            "found": self.rx.frames_found(),
        }
        decoder = self.decoder.counts()
        counts.update({name: decoder[name] for name in ("dropped", "undecoded", "overrun", "failed")})
        counts.update({name: self.clips.counts()[name] for name in ("concealed", "generated")})
        counts.update(self._clock.counts())
        if self._times:
            counts.update(lost_by_time(self._times.current_tags(), args.rate))
        counts.update(seconds=round(seconds, 2), out=str(args.out))
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


def lost_by_time(tags, rate):
    """{"gaps", "samples_lost"} by the tags `rx_time` that a radio's source sets where it goes on after an overflow; {}
    where it set fewer than two."""
    import pmt

    at = []
    for tag in tags:
        with contextlib.suppress(Exception):  # a tag of another form
            whole, part = pmt.tuple_ref(tag.value, 0), pmt.tuple_ref(tag.value, 1)
            at.append((tag.offset, pmt.to_uint64(whole), pmt.to_double(part)))
    at.sort()
    lost = [
        round((after[1] - before[1] + after[2] - before[2]) * rate) - (after[0] - before[0])
        for before, after in itertools.pairwise(at)
    ]
    lost = [n for n in lost if n > 0]
    return {"gaps": len(lost), "samples_lost": sum(lost)} if len(at) > 1 else {}


class _Preview:
    """preview.png in a folder, for as long as a picture is not whole; whoever looks finds a whole file, never half."""

    def __init__(self, folder):
        self._path, self._part = Path(folder) / "preview.png", Path(folder) / ".preview.part"
        self._failed = _not_written(folder)

    def take(self, message):
        """A PDU of content."""
        from gnuradio.diffsem.image_sink import from_content
        from PIL import Image

        try:
            picture, said = from_content(message)
        except ValueError:
            return  # a text or an array
        try:
            if not said.get("partial"):
                self._path.unlink(missing_ok=True)
                return
            Image.fromarray(picture).save(self._part, "PNG")
            self._part.replace(self._path)
        except OSError as e:
            self._failed(e)


def _player(diffsem, view):
    """What shows frames of moving pictures in a window at their own pace; it stands beside the flowgraph."""
    import pmt

    class Player(diffsem.video_player):
        def message_port_pub(self, port, message):
            if pmt.symbol_to_string(port) == "content":
                view.take(message)

    return Player()


def _gate(gr, behind):
    """A block that holds a file's samples back while behind() says so."""

    class Gate(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, "gate", [np.complex64], [np.complex64])

        def work(self, input_items, output_items):
            while behind():
                time.sleep(0.01)
            output_items[0][:] = input_items[0]
            return len(output_items[0])

    return Gate()


def _recorder(gr, path):
    """A sink of samples; where they cannot be written the command ends (GNU Radio's own would hold up all the rest)."""
    try:
        file = Path(path).open("wb", buffering=0)  # noqa: SIM115 - closed when the flowgraph stops
    except OSError as e:
        raise Failed(f"--record {path}: cannot be written ({e.strerror})") from None

    class Recorder(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, "recorder", [np.complex64], None)

        def work(self, input_items, output_items):
            left = memoryview(np.ascontiguousarray(input_items[0])).cast("B")
            try:
                while left and not file.closed:
                    left = left[file.write(left) :]
            except OSError as e:
                ending.ask(ending.FAILED, f"--record {path}: {e.strerror}; what it holds is not all of it")
                file.close()
            return len(input_items[0])

        def stop(self):
            file.close()
            return True

    return Recorder()


def _not_written(folder):
    """What image_sink calls with an OSError."""

    def failed(error):
        ending.ask(ending.FAILED, f"--out {folder}: {error.strerror or error}; no more is received")

    return failed


def _progress(frames):
    if sys.stderr.isatty():
        ending.tell(f"\r{frames} frames", end="\r", file=sys.stderr)
