# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the samples of a semantic link go and come from: zmq://HOST:PORT, file:PATH, uhd:ARGS, soapy:ARGS.

ZeroMQ carries raw complex64 as GNU Radio's own PUSH and PULL blocks do. Who sends binds and waits for a receiver; who
receives connects, in any order and again after a restart. A file is raw cf32, or a SigMF recording by its ending.
"""

import datetime
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from ..receivers import recordings

KINDS = ("zmq", "file", "uhd", "soapy")
WAITING = 200  #: messages that ZeroMQ may hold


@dataclass(frozen=True)
class Place:
    """kind: one of KINDS. rest: HOST:PORT, path, or device arguments."""

    kind: str
    rest: str

    @property
    def sigmf(self):
        return self.kind == "file" and ".sigmf" in Path(self.rest).suffix


def place(text, option):
    """`zmq://host:port` and the like -> Place; UserError names the option."""
    kind, colon, rest = str(text).partition(":")
    example = "zmq://127.0.0.1:5555, file:air.sigmf-data, uhd:type=b200 or soapy:driver=hackrf"
    if not colon or kind not in KINDS:
        raise UserError(f"{option} {text}: give {example}")
    if kind == "zmq":
        rest = rest.removeprefix("//")
        host, _, port = rest.rpartition(":")
        if not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise UserError(f"{option} {text}: give a host and a port, as in zmq://127.0.0.1:5555")
    if kind == "file" and not rest:
        raise UserError(f"{option} {text}: give a path, as in file:air.sigmf-data")
    return Place(kind, rest)


def sigmf_names(path):
    """(data, meta) paths of a recording named by either."""
    stem = Path(path).with_suffix("")
    return stem.with_suffix(".sigmf-data"), stem.with_suffix(".sigmf-meta")


def check_ending(path, option):
    """UserError where a name says another format than the one that is written."""
    if recordings.said_by_name(path) not in (None, "cf32", "sigmf"):
        raise UserError(f"{option} {path}: cf32 is written; end its name in .cf32, or .sigmf-data")


class ZmqWriter:
    """Sends complex64 arrays; waits while no one listens, and calls waiting() ten times a second then."""

    def __init__(self, at, waiting=None):
        import zmq

        self._zmq, self._waiting, self.stopped = zmq, waiting, False
        self._socket = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.sndhwm = WAITING
        self._socket.sndtimeo = 100
        try:
            self._socket.bind("tcp://" + at.rest.replace("localhost", "127.0.0.1"))  # it binds numbers only
        except zmq.ZMQError as e:
            raise UserError(f"--to zmq://{at.rest}: cannot be bound ({e}); choose an address of this machine") from None

    def write(self, x):
        """False when stopped before it was taken."""
        data = np.ascontiguousarray(x, np.complex64).tobytes()
        while not self.stopped:
            try:
                self._socket.send(data)
                return True
            except self._zmq.Again:
                if self._waiting:
                    self._waiting()
        return False

    def close(self):
        """What was sent may take two seconds to leave; nothing is waited for when stopped."""
        self._socket.close(linger=0 if self.stopped else 2000)


class ZmqReader:
    """Receives complex64 arrays from who sends."""

    def __init__(self, at):
        import zmq

        self._zmq = zmq
        self._socket = zmq.Context.instance().socket(zmq.PULL)
        self._socket.rcvhwm = WAITING
        self._socket.rcvtimeo = 100
        self._socket.connect(f"tcp://{at.rest}")
        self._rest = b""

    def read(self):
        """complex64 [n]; n = 0 when nothing came within a tenth of a second."""
        try:
            data = self._rest + self._socket.recv()
        except self._zmq.Again:
            return np.zeros(0, np.complex64)
        whole = len(data) // 8 * 8
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], np.complex64)

    def close(self):
        self._socket.close(linger=0)


class FileWriter:
    """Raw cf32, with a SigMF description beside it where the name asks for one."""

    def __init__(self, at, rate, frequency=None):
        self.stopped = False
        self._meta, path = None, Path(at.rest)
        check_ending(path, "--to")
        if at.sigmf:
            path, self._meta = sigmf_names(path)
        self._rate, self._frequency = rate, frequency
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
        except OSError as e:
            raise UserError(f"--to file:{path}: cannot be written ({e.strerror})") from None

    def write(self, x):
        self._file.write(np.ascontiguousarray(x, np.complex64).tobytes())
        return True

    def close(self):
        self._file.close()
        if self._meta:
            describe(self._meta, self._rate, self._frequency)


def describe(meta, rate, frequency=None):
    """Write the SigMF description of a recording of complex64 samples."""
    capture = {"core:sample_start": 0, "core:datetime": datetime.datetime.now(datetime.timezone.utc).isoformat()}
    if frequency is not None:
        capture["core:frequency"] = frequency
    about = {
        "core:datatype": "cf32_le",
        "core:sample_rate": rate,
        "core:version": "1.0.0",
        "core:description": "a semantic link of gr-diffsem",
    }
    said = {"global": about, "captures": [capture], "annotations": []}
    Path(meta).write_text(json.dumps(said, indent=2) + "\n")


def writer(at, rate, frequency=None, waiting=None):
    """ZmqWriter or FileWriter of a Place; radios are flowgraphs (send.py)."""
    return ZmqWriter(at, waiting) if at.kind == "zmq" else FileWriter(at, rate, frequency)


def file_source(at, form=None):
    """GNU Radio source of a recording, in the format that is given, else that its name or its description says, else
    cf32; notes go to stderr."""
    from gnuradio import blocks, gr

    try:
        recording = recordings.opened(at.rest, form or recordings.said_by_name(at.rest) or "cf32", form is not None)
    except UserError as e:
        raise UserError(f"--from file:{e}") from None
    for note in recording.notes:
        print(f"--from file:{at.rest}: {note}", file=sys.stderr, flush=True)
    if recording.format in ("cf32", "cf32_le") and recording.offset % 8 == 0:
        extent = recording.offset // 8, recording.n_samples
        return blocks.file_source(gr.sizeof_gr_complex, recording.path, False, *extent)
    return _converted(recording)


def _converted(recording):
    """A source of the samples of a recording that need converting; to be kept, as every block written in Python."""
    from gnuradio import gr

    class RecordingSource(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, "recording_source", None, [np.complex64])
            self.set_min_output_buffer(1 << 16)  # few and long calls of Python
            self._at = 0

        def work(self, input_items, output_items):
            samples = recording.read(self._at, self._at + len(output_items[0]))
            output_items[0][: len(samples)] = samples
            self._at += len(samples)
            return len(samples) or -1  # WORK_DONE

    return RecordingSource()


class Pace:
    """Holds a sender to a rate: `wait(n)` after n samples."""

    def __init__(self, rate):
        self._rate, self._next = rate, time.monotonic()

    def wait(self, n):
        self._next = max(self._next, time.monotonic() - 1) + n / self._rate
        delay = self._next - time.monotonic()
        if delay > 0:
            time.sleep(min(delay, 1.0))
