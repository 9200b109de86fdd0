# SPDX-License-Identifier: GPL-3.0-or-later
"""`publish_stats`: the port `stats` of blocks on one ZMQ socket, as `gr-diffsem top` hears it."""

import json
import subprocess
import sys
import time

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr, zeromq
from gr_diffsem.base import pmt_flat

pytestmark = pytest.mark.timing

ANY = "tcp://127.0.0.1:*"
zmq = pytest.importorskip("zmq")


class Graph(gr.top_block):
    """Two blocks as attributes, as in a flowgraph of the companion, and one that has no port `stats`."""

    def __init__(self, rate=64_000):
        gr.top_block.__init__(self, "two")
        data = np.ones((100, 8), np.complex64)
        source = blocks.vector_source_c(data.ravel().tolist(), True, 8)
        self.throttle = blocks.throttle(8 * gr.sizeof_gr_complex, rate)
        self.ls = diffsem.estimate("ls", item_size=8)
        self.again = diffsem.estimate("ls", item_size=8)
        self.sink = blocks.null_sink(8 * gr.sizeof_gr_complex)
        self.connect(source, self.throttle, self.ls, self.again, self.sink)


class Running:
    def __init__(self, tb):
        self.tb = tb

    def __enter__(self):
        self.tb.start()

    def __exit__(self, *_):
        self.tb.stop()
        self.tb.wait()


def heard(address, seconds):
    """{alias: last dictionary} of the messages of so many seconds."""
    socket = zmq.Context.instance().socket(zmq.SUB)
    socket.linger, socket.rcvtimeo, found = 0, 100, {}
    socket.subscribe(b"")
    socket.connect(address)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            said = pmt_flat.read(socket.recv())
        except zmq.Again:
            continue
        found[said.get("block")] = said
    socket.close()
    return found


def test_every_block_of_a_flowgraph_is_heard_again_after_a_restart():
    tb = Graph()
    sink = diffsem.publish_stats(tb, address=ANY)
    for _ in range(2):
        with Running(tb):
            said = heard(sink.last_endpoint(), 1.5)
        assert set(said) == {tb.ls.alias(), tb.again.alias()}
        assert all(s["in"] == s["out"] + s["dropped"] > 0 for s in said.values())


def test_top_shows_a_live_flowgraph_and_what_happens_to_it():
    tb = Graph(rate=5_000)
    sink = diffsem.publish_stats(tb, address=ANY)
    with Running(tb):
        command = [sys.executable, "-m", "gr_diffsem", "top", sink.last_endpoint(), "--json"]
        with subprocess.Popen([*command, "--seconds", "3"], stdout=subprocess.PIPE, text=True) as top:
            first = json.loads(top.stdout.readline())  # it listens
            tb.ls._post(pmt.intern("scheme"), pmt.intern("nonsense"))
            reports = [first, *map(json.loads, top.stdout)]
    assert top.returncode == 0 and reports[-1]["refused"] == 0
    rows = {row["block"]: row for row in reports[-1]["blocks"]}
    assert set(rows) == {tb.ls.alias(), tb.again.alias()}
    for row in rows.values():
        assert 3_000 < row["rate"] < 7_000 and 0 < row["age_p50"] <= row["age_p99"] < 1
        assert row["steps"] == 0 and row["queue"] >= 0 and row["faults"] == 0 and row["disabled"] is False
        assert (row["scheme"], row["overload"], row["deadline"]) == ("ls", "wait", 0)
    events = [event for report in reports for event in report["events"]]
    assert [(e["block"], e["event"]) for e in events] == [(tb.ls.alias(), "swap_failed")]
    assert "nonsense" in events[0]["reason"]


def test_blocks_are_chosen_and_a_hier_block_stands_for_its_parts():
    tb = Graph()
    rx = diffsem.semantic_rx("ls")
    parts = {block.alias() for block in (rx.sync, rx.chanest, rx.output)}
    silence = blocks.throttle(gr.sizeof_gr_complex, 200_000.0)  # as long as anybody listens
    tb.connect(blocks.null_source(gr.sizeof_gr_complex), silence, rx)
    sink = diffsem.publish_stats(tb, [tb.again, rx], ANY)
    with Running(tb):
        said = heard(sink.last_endpoint(), 2.5)
    assert tb.again.alias() in said and tb.ls.alias() not in said
    assert rx.sync.alias() in said and set(said) <= {tb.again.alias()} | parts


def test_the_stock_sink_of_the_companion_does_as_well():
    tb = Graph()
    tb.pub = zeromq.pub_msg_sink(ANY, 100, True)
    tb.msg_connect((tb.ls, "stats"), (tb.pub, "in"))
    with Running(tb):
        assert set(heard(tb.pub.last_endpoint(), 1.5)) == {tb.ls.alias()}


def test_parameters_are_named():
    tb = Graph()
    taken = diffsem.publish_stats(tb, address=ANY)
    for call, words in [
        (lambda: diffsem.publish_stats(tb, [tb.sink]), "blocks holds .*no message port 'stats'"),
        (lambda: diffsem.publish_stats(tb, []), "blocks is empty: give the blocks"),
        (lambda: diffsem.publish_stats(gr.top_block()), "blocks is None.* no attribute of tb .*message port"),
        (lambda: diffsem.publish_stats(tb, [tb.ls], taken.last_endpoint()), "address is .*in use.*give a free one"),
        (lambda: diffsem.publish_stats(tb, [tb.ls], "nowhere"), "address is 'nowhere'.*cannot be bound"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    flow.run(short(tb))


def short(tb):
    """Refused calls must have left the flowgraph whole: it runs to the end of a few items."""
    tb.head = blocks.head(8 * gr.sizeof_gr_complex, 50)
    tb.disconnect(tb.again, tb.sink)
    tb.connect(tb.again, tb.head, tb.sink)
    return tb
