# SPDX-License-Identifier: GPL-3.0-or-later
"""PDUs from another flowgraph."""

import logging
import threading
import time

import pmt
from gnuradio import gr

log = logging.getLogger("gr_diffsem.pdu_zmq_source")


class pdu_zmq_source(gr.basic_block):
    """Messages of a ``pdu_zmq_sink`` out (port ``out``), in order, none twice; what is missing is counted.

    The sender may start later, end, be killed and start again: this block goes on within a second of its return. A PDU
    behind a gap carries ``diffsem_lost`` (long), how many are missing before it.

    address: ZMQ endpoint of the sender, ``tcp://127.0.0.1:5556`` or ``ipc:///tmp/name``. queue: messages that may wait
    here (the high-water mark). max_bytes: of one message; a peer that sends longer ones is cut off and connected anew.

    Port ``stats``, when it changes, at most twice a second: ``in`` = ``out`` + ``lost``, ``corrupt``, ``version``,
    ``repeated``, ``bad``, ``sessions`` (gr_diffsem.base.pdu_wire.Ledger). What a sender that is
    killed had not sent yet, nobody can count. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, address="tcp://127.0.0.1:5556", queue=1000, max_bytes=1 << 24):
        gr.basic_block.__init__(self, name="pdu_zmq_source", in_sig=None, out_sig=None)
        from gr_diffsem.base import pdu_wire

        self._wire, self._ledger = pdu_wire, pdu_wire.Ledger()
        if not 1 <= queue <= 1_000_000:
            raise ValueError(f"queue is {queue}: must lie in 1 .. 1000000 messages")
        if not 1 <= max_bytes <= 1 << 30:
            raise ValueError(f"max_bytes is {max_bytes}: must lie in 1 .. {1 << 30}")
        self._address, self._queue, self._max = address, int(queue), int(max_bytes)
        self._lock = threading.Lock()
        self._socket = self._thread = None
        self._warned = 0.0
        self._open()
        self.message_port_register_out(pmt.intern("out"))
        self.message_port_register_out(pmt.intern("stats"))

    def _open(self):
        import zmq

        socket = zmq.Context.instance().socket(zmq.SUB)
        socket.rcvhwm, socket.linger, socket.rcvtimeo = self._queue, 0, 100
        socket.maxmsgsize = self._max + self._wire.OVERHEAD
        socket.reconnect_ivl, socket.reconnect_ivl_max = 50, 200
        socket.subscribe(b"")
        try:
            socket.connect(self._address)
        except (zmq.ZMQError, TypeError) as e:
            socket.close()
            raise ValueError(
                f"address is {self._address!r}: is no endpoint ({e}); give for example tcp://127.0.0.1:5556"
            ) from None
        self._zmq, self._socket = zmq, socket

    def counts(self):
        """The numbers of the port ``stats``."""
        with self._lock:
            return dict(self._ledger.counts)

    def start(self):
        if self._socket is None:
            self._open()
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._receive_all, daemon=True)
        self._thread.start()
        return True

    def stop(self):
        if self._thread:
            self._halt.set()
            self._thread.join()
            self._thread = None
        if self._socket:
            self._socket.close()
            self._socket = None
        return True

    def _receive_all(self):
        said, due = self.counts(), 0.0
        while not self._halt.is_set():
            try:
                data = self._socket.recv()
            except self._zmq.Again:
                data = None
            if data is not None:
                self._receive(data)
            now = time.monotonic()
            if now >= due and (counts := self.counts()) != said:
                said, due = counts, now + 0.5
                self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**counts, "block": self.alias()}))

    def _receive(self, data):
        try:
            kind, session, sequence, payload = self._wire.unpack(data)
        except self._wire.WireError as e:
            with self._lock:
                self._ledger.refuse(e.kind)
            self._warn(e)
            return
        with self._lock:
            deliver, lost = self._ledger.take(kind, session, sequence)
        if not deliver:
            return
        try:
            self._wire.check_pmt(payload)
            message = pmt.deserialize_str(payload)
        except Exception as e:  # whatever it is, the link goes on
            with self._lock:
                self._ledger.undo()
            self._warn(e)
            return
        if lost and pmt.is_pair(message) and pmt.is_dict(pmt.car(message)):
            told = pmt.dict_add(pmt.car(message), pmt.intern("diffsem_lost"), pmt.from_long(lost))
            message = pmt.cons(told, pmt.cdr(message))
        self.message_port_pub(pmt.intern("out"), message)

    def _warn(self, problem):
        if time.monotonic() - self._warned > 5:
            self._warned = time.monotonic()
            log.warning("message from %s refused: %s", self._address, problem)
