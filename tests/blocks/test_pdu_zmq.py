# SPDX-License-Identifier: GPL-3.0-or-later
"""The PDU link over ZMQ: a peer that is killed, slow, damaged or of another version costs PDUs, never the link."""

import os
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pmt
import pytest
import zmq
from gnuradio import blocks, diffsem, gr
from gr_diffsem.base import pdu_wire

pytestmark = pytest.mark.timing

SENDER = """
import sys, time, pmt
from gnuradio import diffsem
block = diffsem.pdu_zmq_sink(sys.argv[1])
block.start()
print(block.address(), flush=True)
for i in range(10**6):
    block._handle(pmt.cons(pmt.to_pmt({"n": i}), pmt.init_u8vector(4, [1, 2, 3, 4])))
    time.sleep(0.005)
"""


def wait_for(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


class Receiver:
    """A flowgraph with a source and a store of its messages."""

    def __init__(self, address, **said):
        self.tb, self.store = gr.top_block(), blocks.message_debug()
        self.source, self.stats = diffsem.pdu_zmq_source(address, **said), blocks.message_debug()
        self.tb.msg_connect((self.source, "out"), (self.store, "store"))
        self.tb.msg_connect((self.source, "stats"), (self.stats, "store"))

    def __enter__(self):
        self.tb.start()
        return self

    def __exit__(self, *_):
        self.tb.stop()
        self.tb.wait()

    def dictionaries(self):
        return [pmt.to_python(pmt.car(self.store.get_message(i))) for i in range(self.store.num_messages())]

    def balanced(self):
        c = self.source.counts()
        return c["in"] == c["out"] + c["lost"]


def sender(address):
    process = subprocess.Popen(
        [sys.executable, "-c", SENDER, address], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    return process, process.stdout.readline().strip()


def raw_publisher():
    socket = zmq.Context.instance().socket(zmq.PUB)
    socket.linger = 0
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    return socket, f"tcp://127.0.0.1:{port}"


def pdu(n):
    return pmt.serialize_str(pmt.cons(pmt.to_pmt({"n": n}), pmt.init_u8vector(1, [n % 256])))


def greet(socket, receiver, session=7):
    """Beats until the subscriber is there."""

    def heard():
        socket.send(pdu_wire.pack(pdu_wire.BEAT, session, 0))
        return receiver.source.counts()["sessions"] == 1

    assert wait_for(heard)


def test_a_killed_sender_costs_less_than_a_second_and_all_is_counted():
    process, address = sender("tcp://127.0.0.1:*")
    with Receiver(address) as receiver:
        try:
            assert wait_for(lambda: receiver.source.counts()["out"] >= 20)
            process.send_signal(signal.SIGKILL)
            process.wait()
            before = receiver.source.counts()["out"]
            process, same = sender(address)  # the line it prints: it is bound and sends
            begin = time.monotonic()
            assert same == address
            assert wait_for(lambda: receiver.source.counts()["out"] > before + 1)
            assert time.monotonic() - begin < 1.0
            assert receiver.source.counts()["sessions"] == 2 and receiver.balanced()
            assert wait_for(lambda: receiver.stats.num_messages() > 0)
            said = receiver.dictionaries()
            # Whatever the second one sent before it was heard is on the account, and on the PDU behind the gap.
            steps = [(said[i - 1]["n"], said[i]["n"], said[i].get("diffsem_lost", 0)) for i in range(1, len(said))]
            restart = next(i for i, (last, n, lost) in enumerate(steps, 1) if n != last + 1 + lost)
            assert said[restart].get("diffsem_lost", 0) == said[restart]["n"]
        finally:
            process.kill()
            process.wait()


def test_damage_and_other_versions_are_refused_and_counted():
    socket, address = raw_publisher()
    with Receiver(address) as receiver:
        greet(socket, receiver)
        whole = [pdu_wire.pack(pdu_wire.PDU, 7, n, pdu(n)) for n in range(6)]
        flipped = bytearray(whole[1])
        flipped[-1] ^= 4
        newer = bytearray(whole[3])
        newer[4] = 2
        for data in (whole[0], bytes(flipped), whole[2], bytes(newer), b"hello", whole[4][:10], whole[5], whole[2]):
            socket.send(data)
        assert wait_for(lambda: receiver.source.counts()["repeated"] == 1)
        assert wait_for(lambda: receiver.store.num_messages() == 3)
        c = receiver.source.counts()
        assert (c["in"], c["out"], c["lost"]) == (6, 3, 3)
        assert (c["corrupt"], c["version"], c["sessions"]) == (3, 1, 1)
        assert [d.get("diffsem_lost", 0) for d in receiver.dictionaries()] == [0, 1, 2]
        # Whole on the way but no PMT inside: not delivered, and the next one is.
        socket.send(pdu_wire.pack(pdu_wire.PDU, 7, 6, b"\xff\xff"))
        socket.send(pdu_wire.pack(pdu_wire.PDU, 7, 7, pdu(7)))
        assert wait_for(lambda: receiver.source.counts()["in"] == 8 and receiver.balanced())
        assert receiver.source.counts()["bad"] == 1
    socket.close()


def test_what_was_lost_last_is_learnt_from_the_beat():
    socket, address = raw_publisher()
    with Receiver(address) as receiver:
        greet(socket, receiver)
        socket.send(pdu_wire.pack(pdu_wire.PDU, 7, 0, pdu(0)))
        socket.send(pdu_wire.pack(pdu_wire.BEAT, 7, 5))
        assert wait_for(lambda: receiver.source.counts()["lost"] == 4)
        assert wait_for(lambda: receiver.source.counts()["in"] == 5 and receiver.balanced())
    socket.close()


def test_a_slow_subscriber_loses_counts_and_goes_on():
    sink = diffsem.pdu_zmq_sink("tcp://127.0.0.1:*", queue=1)
    source = diffsem.pdu_zmq_source(sink.address(), queue=1)
    heavy = pmt.cons(pmt.make_dict(), pmt.init_u8vector(1 << 18, [0] * (1 << 18)))
    sink.start()
    source.start()
    assert wait_for(lambda: source.counts()["sessions"] == 1)
    take, source._receive = source._receive, lambda data: (time.sleep(0.05), take(data))
    for _ in range(200):
        sink._handle(heavy)
    source._receive = take
    assert wait_for(lambda: source.counts()["in"] == 200)
    c = source.counts()
    assert c["lost"] > 0 and c["out"] > 0 and c["out"] + c["lost"] == 200
    sink._handle(heavy)
    assert wait_for(lambda: source.counts()["in"] == 201, 1.0)
    assert sink.counts() == {"in": 201, "out": 201, "dropped": 0}
    source.stop()
    sink.stop()


def test_a_message_too_long_is_dropped_at_the_sender():
    sink = diffsem.pdu_zmq_sink("tcp://127.0.0.1:*", max_bytes=100)
    sink._handle(pmt.init_u8vector(200, [0] * 200))
    assert sink.counts() == {"in": 1, "out": 0, "dropped": 1}
    sink.stop()


def test_both_ends_start_again():
    sink = diffsem.pdu_zmq_sink("tcp://127.0.0.1:*")
    address = sink.address()
    source = diffsem.pdu_zmq_source(address)
    for _ in range(2):
        sink.start()
        source.start()
        assert sink.address() == address
        assert wait_for(lambda: source.counts()["sessions"] == 1)
        sent = source.counts()["in"] + 1

        def heard(sent=sent):
            sink._handle(pmt.intern("hello"))
            return source.counts()["out"] >= sent

        assert wait_for(heard)
        source.stop()
        sink.stop()


def test_parameters_are_named():
    taken = diffsem.pdu_zmq_sink("tcp://127.0.0.1:*")
    for make, words in [
        (lambda: diffsem.pdu_zmq_sink(taken.address()), "address is .*cannot be bound"),
        (lambda: diffsem.pdu_zmq_source("nowhere"), "address is .*no endpoint"),
        (lambda: diffsem.pdu_zmq_sink("tcp://127.0.0.1:*", queue=0), "queue is 0"),
        (lambda: diffsem.pdu_zmq_source(taken.address(), max_bytes=0), "max_bytes is 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            make()
    taken.stop()


def test_no_mutated_message_passes_the_checksum():
    rng = np.random.default_rng(1)
    good = pdu_wire.pack(pdu_wire.PDU, 1, 2, pdu(3))
    ledger = pdu_wire.Ledger()
    for _ in range(10_000):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        if rng.random() < 0.2:
            data = data[: rng.integers(len(data))]
        if bytes(data) == good:
            continue
        try:
            pdu_wire.unpack(bytes(data))
        except pdu_wire.WireError as e:
            ledger.refuse(e.kind)
        else:
            raise AssertionError(f"accepted {bytes(data).hex()}")
    assert ledger.counts["corrupt"] > 0 and ledger.counts["version"] > 0
    with pytest.raises(pdu_wire.WireError, match="checksum"):
        pdu_wire.unpack(good[:4] + struct.pack("<BB", 1, 9) + good[6:])
