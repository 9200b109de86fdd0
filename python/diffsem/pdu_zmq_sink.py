# SPDX-License-Identifier: GPL-3.0-or-later
"""PDUs to another flowgraph."""

import logging
import secrets
import threading
import time

import pmt
from gnuradio import gr

log = logging.getLogger("gr_diffsem.pdu_zmq_sink")
BEAT_SECONDS = 0.2


class pdu_zmq_sink(gr.basic_block):
    """Messages in (port ``in``), published over ZMQ with sequence number, checksum and format version.

    Any number of ``pdu_zmq_source`` blocks listen and count what they missed. Nobody is waited for: a subscriber that
    is slow, away or not there yet loses messages, and knows how many, since a beat every 0.2 s says how many were sent.

    address: ZMQ endpoint that is bound, ``tcp://127.0.0.1:5556``, ``tcp://127.0.0.1:*`` (see ``address()``) or
    ``ipc:///tmp/name``. Nothing is authenticated: bind addresses that only friends can reach. queue: messages kept for
    each subscriber (its high-water mark). max_bytes: of one message; longer ones are dropped and counted.

    Port ``stats``: ``in``, ``out``, ``dropped`` (in = out + dropped). Raises ValueError naming the parameter, its value
    and the remedy.
    """

    def __init__(self, address="tcp://127.0.0.1:5556", queue=1000, max_bytes=1 << 24):
        gr.basic_block.__init__(self, name="pdu_zmq_sink", in_sig=None, out_sig=None)
        from gr_diffsem.base import pdu_wire

        self._wire = pdu_wire
        if not 1 <= queue <= 1_000_000:
            raise ValueError(f"queue is {queue}: must lie in 1 .. 1000000 messages")
        if not 1 <= max_bytes <= 1 << 30:
            raise ValueError(f"max_bytes is {max_bytes}: must lie in 1 .. {1 << 30}")
        self._address, self._queue, self._max = address, int(queue), int(max_bytes)
        self._session, self._sequence = secrets.randbits(64), 0
        self._counts = dict.fromkeys(("in", "out", "dropped"), 0)
        self._lock = threading.Lock()
        self._socket = self._thread = None
        self._open()
        self._address = self.address()  # a port drawn once is kept when the flowgraph starts again
        self.message_port_register_in(pmt.intern("in"))
        self.message_port_register_out(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("in"), self._handle)

    def _open(self, patience=0.0):
        import zmq

        socket = zmq.Context.instance().socket(zmq.PUB)
        socket.sndhwm, socket.linger = self._queue, 0
        end = time.monotonic() + patience
        try:
            while True:
                try:
                    socket.bind(self._address)
                    break
                except zmq.ZMQError as e:
                    if e.errno != zmq.EADDRINUSE or time.monotonic() >= end:
                        raise
                    time.sleep(0.02)
        except (zmq.ZMQError, TypeError) as e:
            socket.close()
            raise ValueError(
                f"address is {self._address!r}: cannot be bound ({e}); give an address of this machine that is free, "
                "such as tcp://127.0.0.1:5556"
            ) from None
        self._socket = socket

    def address(self):
        """The endpoint that is bound, with its port."""
        return self._socket.last_endpoint.decode().rstrip("\0") if self._socket else self._address

    def counts(self):
        """The numbers of the port ``stats``."""
        with self._lock:
            return dict(self._counts)

    def start(self):
        if self._socket is None:
            self._open(patience=1.0)  # ZMQ gives the port of a closed socket back a little later
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()
        return True

    def stop(self):
        if self._thread:
            self._halt.set()
            self._thread.join()
            self._thread = None
        with self._lock:
            if self._socket:
                self._socket.close(linger=200)  # what was sent may leave
                self._socket = None
        return True

    def _beat(self):
        said, due = None, 0.0
        while not self._halt.wait(BEAT_SECONDS):
            with self._lock:
                if self._socket:
                    self._socket.send(self._wire.pack(self._wire.BEAT, self._session, self._sequence))
            counts = self.counts()
            if counts != said and time.monotonic() >= due:
                said, due = counts, time.monotonic() + 1.0
                self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**counts, "block": self.alias()}))

    def _handle(self, message):
        try:
            data = pmt.serialize_str(message)
            problem = f"{len(data)} octets are more than max_bytes, {self._max}" if len(data) > self._max else ""
        except Exception as e:  # a kind of PMT without a serial form
            problem = f"cannot be serialised ({e})"
        with self._lock:
            self._counts["in"] += 1
            if problem or self._socket is None:
                self._counts["dropped"] += 1
            else:
                self._socket.send(self._wire.pack(self._wire.PDU, self._session, self._sequence, data))
                self._sequence += 1
                self._counts["out"] += 1
        if problem:
            log.warning("message dropped: %.200s", problem)
