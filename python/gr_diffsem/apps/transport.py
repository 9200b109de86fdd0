# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the samples of a semantic link go and come from: zmq://HOST:PORT, file:PATH, uhd:ARGS, soapy:ARGS.

ZeroMQ carries raw complex64 as GNU Radio's own PUB and SUB blocks do, so that everyone who listens hears all of it. Who
sends binds, waits for a first receiver, and for one that is slower than it; who receives connects, in any order and
again after a restart. A file is raw cf32, or a SigMF recording by its ending.
"""

import datetime
import json
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import Failed, UserError
from ..receivers import recordings

KINDS = ("zmq", "file", "uhd", "soapy")
OTHERS = (".wav", ".npy", ".npz", ".cf64", ".f64", ".f32", ".csv", ".mat", ".h5", ".hdf5", ".zip", ".gz")
WAITING = 200  #: messages that ZeroMQ may hold for each receiver
SETTLE = 0.5  #: seconds from the first receiver to the first sample: others that wait to connect are there by then
STALL = 2.0  #: seconds that all wait for one receiver among several, until it loses samples instead


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
        if option == "--from":
            known(host, f"{option} {text}")
    if kind == "file" and not rest:
        raise UserError(f"{option} {text}: give a path, as in file:air.sigmf-data")
    return Place(kind, rest)


def known(host, words):
    """UserError unless there is such a host; ZeroMQ would look for it for ever, without a word."""
    try:
        socket.getaddrinfo(host, None)
    except (OSError, UnicodeError) as e:
        raise UserError(f"{words}: host '{host}' is not known ({e.args[-1]}); give its address") from None


def sigmf_names(path):
    """(data, meta) paths of a recording named by either."""
    stem = Path(path).with_suffix("")
    return stem.with_suffix(".sigmf-data"), stem.with_suffix(".sigmf-meta")


def check_ending(path, option):
    """UserError where a name says another format than the one that is written."""
    other = Path(path).suffix.lower() in OTHERS
    if other or recordings.said_by_name(path) not in (None, "cf32", "sigmf"):
        raise UserError(f"{option} {path}: cf32 is written; end its name in .cf32, or .sigmf-data")


class ZmqWriter:
    """Sends complex64 arrays to all who listen; waits while no one does, and calls waiting() ten times a second then.

    Nothing is lost while all keep up with the air. Where one of several stops taking samples, the others go on after
    STALL seconds and that one loses what it has no room for; say() is told. A single one is waited for.
    """

    def __init__(self, at, waiting=None, say=None):
        import zmq

        self._zmq, self._waiting, self._say, self.stopped = zmq, waiting, say, False
        self.readers = 0
        self._ready = self._lossy = False
        self._socket = zmq.Context.instance().socket(zmq.XPUB)
        self._socket.setsockopt(zmq.XPUB_NODROP, 1)  # or whom it is too fast for would lose samples, without a word
        self._socket.setsockopt(zmq.XPUB_VERBOSER, 1)  # tells of each receiver that comes or goes
        self._socket.sndhwm = WAITING
        self._socket.sndtimeo = 100
        try:
            self._socket.bind("tcp://" + at.rest.replace("localhost", "127.0.0.1"))  # it binds numbers only
        except zmq.ZMQError as e:
            raise UserError(f"--to zmq://{at.rest}: cannot be bound ({e}); choose an address of this machine") from None

    def _count(self):
        """Who listens now; waits a tenth of a second where no one does."""
        wait = 0 if self.readers else 100
        while self._socket.poll(wait):
            self.readers += 1 if self._socket.recv()[:1] == b"\1" else -1
            wait = 0
            self._drop(False)

    def _drop(self, lossy):
        if lossy != self._lossy:
            self._socket.setsockopt(self._zmq.XPUB_NODROP, 0 if lossy else 1)
            self._lossy = lossy

    def _wait(self):
        if self._waiting:
            self._waiting()

    def _begin(self):
        """The first receiver is there; others that were started with it may need a moment longer."""
        until = time.monotonic() + SETTLE
        while time.monotonic() < until and not self.stopped:
            self._wait()
            time.sleep(0.05)
        self._ready = True

    def write(self, x):
        """False when stopped before it was taken."""
        data = np.ascontiguousarray(x, np.complex64).tobytes()
        begin = time.monotonic()
        while not self.stopped:
            self._count()
            if not self.readers:
                self._wait()
                begin = time.monotonic()
                continue
            if not self._ready:
                self._begin()
                continue
            try:
                self._socket.send(data)
                return True
            except self._zmq.Again:
                self._wait()
                if self.readers > 1 and time.monotonic() - begin > STALL:
                    self._drop(True)
                    if self._say:
                        self._say(f"one of {self.readers} receivers takes no samples: it loses them from here on")
        return False

    def close(self):
        """What was sent may take two seconds to leave; nothing is waited for when stopped."""
        self._socket.close(linger=0 if self.stopped else 2000)


class ZmqReader:
    """Receives complex64 arrays from who sends."""

    def __init__(self, at):
        import zmq

        self._zmq = zmq
        self._socket = zmq.Context.instance().socket(zmq.SUB)
        self._socket.rcvhwm = WAITING
        self._socket.subscribe(b"")
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
        self.stopped, self.readers = False, 1
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
        self._path = path

    def write(self, x):
        """True; Failed where the disk is full."""
        try:
            self._file.write(np.ascontiguousarray(x, np.complex64).tobytes())
        except OSError as e:
            raise self._failed(e) from None
        return True

    def close(self):
        """What is written is all there, or Failed."""
        try:
            self._file.close()
            if self._meta:
                describe(self._meta, self._rate, self._frequency)
        except OSError as e:
            raise self._failed(e) from None

    def _failed(self, error):
        return Failed(f"--to file:{self._path}: {error.strerror}; what it holds is not all of it")


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


def writer(at, rate, frequency=None, waiting=None, say=None):
    """ZmqWriter or FileWriter of a Place; radios are flowgraphs (send.py)."""
    return ZmqWriter(at, waiting, say) if at.kind == "zmq" else FileWriter(at, rate, frequency)


def zmq_source(at):
    """GNU Radio source of what is sent at an address."""
    from gnuradio import gr, zeromq

    return zeromq.sub_source(gr.sizeof_gr_complex, 1, f"tcp://{at.rest}", 100, False, WAITING)


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
