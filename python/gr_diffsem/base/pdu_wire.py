# SPDX-License-Identifier: GPL-3.0-or-later
"""The envelope of a PDU on its way between two flowgraphs, and the account of what was lost on it.

    4 magic "DSPL" | 1 version | 1 kind | 2 zero | 8 session | 8 sequence | 4 length | 4 CRC-32 | payload

Little endian. The session is drawn when a sender begins, the sequence counts its PDUs from 0. A beat has no payload
and the sequence that comes next: by it a receiver learns of what was lost last. The CRC is over all the rest; it
finds damage, not malice.
"""

import struct
import zlib
from collections import OrderedDict

MAGIC, VERSION = b"DSPL", 1
PDU, BEAT = 0, 1
_HEAD = struct.Struct("<4sBBHQQI")
OVERHEAD = _HEAD.size + 4
_SESSIONS = 8  # senders whose place in the sequence is remembered


class WireError(ValueError):
    """What came is no message of this version; `kind` is "corrupt" or "version"."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


def pack(kind, session, sequence, payload=b""):
    """One message as bytes."""
    head = _HEAD.pack(MAGIC, VERSION, kind, 0, session, sequence, len(payload))
    return head + struct.pack("<I", zlib.crc32(payload, zlib.crc32(head))) + payload


def unpack(data):
    """bytes -> (kind, session, sequence, payload); WireError for anything else."""
    if len(data) < OVERHEAD or data[:4] != MAGIC:
        raise WireError("corrupt", f"{len(data)} octets that are no message of a pdu_zmq_sink")
    head, payload = data[: _HEAD.size], data[OVERHEAD:]
    _, version, kind, _, session, sequence, length = _HEAD.unpack(head)
    if version != VERSION:
        raise WireError("version", f"format version {version}, this gr-diffsem reads {VERSION}: update the older end")
    (check,) = struct.unpack_from("<I", data, _HEAD.size)
    if length != len(payload) or kind not in (PDU, BEAT) or check != zlib.crc32(payload, zlib.crc32(head)):
        raise WireError("corrupt", "the checksum does not hold")
    return kind, session, sequence, payload


#: Of one serialised PMT: GNU Radio takes a stack frame for each level of one, and for each pair of a list.
MAX_NODES, MAX_DEPTH = 10_000, 100
_PLAIN = {0: 0, 1: 0, 3: 4, 4: 8, 5: 16, 6: 0, 0x0B: 8, 0x0D: 8}  # type: octets (booleans, numbers, nil)
_SYMBOL, _PAIRS, _VECTORS, _UNIFORM = 2, (7, 9), (8, 0x0C), 0x0A
_WIDTHS = (1, 1, 2, 2, 4, 4, 8, 8, 4, 8, 8, 16)


def check_pmt(data):
    """ValueError unless the octets are one whole serialised PMT of bounded size.

    pmt.deserialize_str believes every length in them: ten octets may ask for gigabytes, a million for a stack that
    is not there.
    """
    at, nodes, open_nodes = 0, 0, [1]  # nodes that each level still waits for
    try:
        while open_nodes:
            open_nodes[-1] -= 1
            if not open_nodes[-1]:
                open_nodes.pop()  # before what is below is counted: the rest of a list is no deeper than its head
            nodes += 1
            kind, at = data[at], at + 1
            if kind in _PLAIN:
                at += _PLAIN[kind]
            elif kind == _SYMBOL:
                at += 2 + int.from_bytes(data[at : at + 2], "big")
            elif kind in _PAIRS:
                open_nodes.append(2)
            elif kind in _VECTORS:
                count, at = int.from_bytes(data[at : at + 4], "big"), at + 4
                if count > MAX_NODES:
                    raise ValueError("a PMT of too many parts")
                if count:
                    open_nodes.append(count)
            elif kind == _UNIFORM:
                width, count = _WIDTHS[data[at] & 0x7F], int.from_bytes(data[at + 1 : at + 5], "big")
                at += 6 + data[at + 5] + width * count
            else:
                raise ValueError(f"a PMT of type {kind}")
            if nodes > MAX_NODES or len(open_nodes) > MAX_DEPTH:
                raise ValueError("a PMT of too many parts")
            if at > len(data):
                raise ValueError("a PMT that ends too early")
    except IndexError:
        raise ValueError("a PMT that ends too early") from None
    if at != len(data):
        raise ValueError("more than one PMT")


class Ledger:
    """What became of every PDU of the senders heard: ``in`` = ``out`` + ``lost``, at any time.

    Counted from the first message of the first sender, and from the very first PDU of one that follows it. lost: gaps
    in a sequence, whatever made them. corrupt, version: messages refused (a refused PDU is a gap too). repeated:
    PDUs that had come already, not delivered. bad: whole, but without a PDU in them (part of lost). sessions: senders.
    """

    def __init__(self):
        self.counts = dict.fromkeys(("in", "out", "lost", "corrupt", "version", "repeated", "bad", "sessions"), 0)
        self._next = OrderedDict()

    def refuse(self, kind):
        """A message that unpack() refused."""
        self.counts[kind] += 1

    def take(self, kind, session, sequence):
        """(deliver, lost before it) of a message; a PDU to deliver is counted as ``out``."""
        c = self.counts
        if session not in self._next:
            c["sessions"] += 1
            self._next[session] = sequence if c["sessions"] == 1 else 0
            while len(self._next) > _SESSIONS:
                self._next.popitem(last=False)
        expected = self._next[session]
        if sequence < expected:
            c["repeated"] += kind == PDU
            return False, 0
        lost = sequence - expected
        c["lost"] += lost
        c["in"] += lost + (kind == PDU)
        c["out"] += kind == PDU
        self._next[session] = sequence + (kind == PDU)
        return kind == PDU, lost

    def undo(self):
        """The PDU just taken turned out to hold none."""
        self.counts["out"] -= 1
        self.counts["lost"] += 1
        self.counts["bad"] += 1
