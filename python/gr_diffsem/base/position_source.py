# SPDX-License-Identifier: GPL-3.0-or-later
"""Where positions come from while samples do: gpsd, a serial receiver's NMEA, a log of either, a SigMF description."""

import contextlib
import json
import math
import os
import select
import socket
import threading
import time

from . import positions, regular_file

GPSD_PORT = 2947
WATCH = b'?WATCH={"enable":true,"json":true}\n'
AGAIN = 2.0  # seconds until a connection that was lost is tried anew
KINDS = "gpsd://HOST:PORT, nmea:/dev/ttyUSB0, nmea:LOG.nmea or sigmf:FILE.sigmf-meta"


def open_source(text, rate):
    """The source that a text names: "" (none: positions come as messages), or one of KINDS; rate: samples a second, by
    which a log follows the stream. Raises ValueError with the remedy."""
    kind, _, rest = text.partition(":")
    if not text:
        return Told()
    if kind == "gpsd":
        host, _, port = rest.lstrip("/").partition(":")
        if port and not port.isdigit():
            raise ValueError(f"gps is {text}: the port is no number")
        return Live(lambda: _gpsd(host or "localhost", int(port or GPSD_PORT)), positions.of_gpsd)
    if kind not in ("nmea", "sigmf") or not rest:
        raise ValueError(f"gps is {text}: give {KINDS}")
    why = regular_file.fault(rest)
    if why == "is a device" and kind == "nmea":
        return Live(lambda: os.open(rest, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK), positions.of_nmea)
    if why:
        raise ValueError(f"gps is {text}: {rest} {why}")
    try:
        with open(rest, encoding="utf-8", errors="replace") as file:
            sigmf = kind == "sigmf"
            track = positions.track_of_sigmf(json.load(file), rate) if sigmf else positions.track_of_nmea(file)
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"gps is {text}: {rest} is no SigMF description ({str(error)[:60]})") from None
    if not track.times:
        raise ValueError(f"gps is {text}: {rest} holds no position")
    return Logged(track)


class Told:
    """Positions that are given by tell()."""

    def __init__(self):
        self._fix, self._since = positions.NONE, -math.inf

    def tell(self, fix):
        """A new `Fix`."""
        self._fix, self._since = fix, time.monotonic()

    def at(self, seconds):
        """(the newest `Fix`, its age in seconds); where the stream is, does not matter."""
        return self._fix, time.monotonic() - self._since

    def close(self):
        """Nothing is to be closed."""


class Logged:
    """Positions of a track, by where the stream is."""

    def __init__(self, track):
        self._track = track

    def tell(self, fix):
        """A log takes no other positions."""

    def at(self, seconds):
        """(the `Fix` that held `seconds` after the first sample, its age)."""
        return self._track.at(seconds)

    def close(self):
        """Nothing is to be closed."""


class Live(Told):
    """Positions that a thread of its own reads, line by line. connect() -> file descriptor or socket; parse: a line's
    text -> `Fix` or None. What fails is tried again."""

    def __init__(self, connect, parse):
        super().__init__()
        self._connect, self._parse, self._end = connect, parse, threading.Event()
        self._thread = threading.Thread(target=self._run, name="positions", daemon=True)
        self._thread.start()

    def close(self):
        """End the thread."""
        self._end.set()
        self._thread.join(5)

    def _run(self):
        while not self._end.is_set():
            with contextlib.suppress(OSError):
                self._read(self._connect())
            self._end.wait(AGAIN)

    def _read(self, where):
        left = b""
        try:
            while not self._end.is_set():
                if not select.select([where], [], [], 0.2)[0]:
                    continue
                got = where.recv(4096) if isinstance(where, socket.socket) else os.read(where, 4096)
                if not got:
                    return
                *lines, left = (left + got).split(b"\n")
                left = left[-4096:]
                for line in lines:
                    fix = self._parse(line.decode("utf-8", "replace"))
                    if fix is not None:
                        self.tell(fix)
        finally:
            where.close() if isinstance(where, socket.socket) else os.close(where)


def _gpsd(host, port):
    connection = socket.create_connection((host, port), timeout=5)
    connection.sendall(WATCH)
    return connection
