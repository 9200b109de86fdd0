# SPDX-License-Identifier: GPL-3.0-or-later
"""Started, stopped, locked, rebuilt, shared, interrupted and destroyed: the blocks that run networks stay right."""

import gc
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import flow
import lifecycle
import numpy as np
import pytest
from gnuradio import diffsem, gr

SCRIPT = pathlib.Path(lifecycle.__file__)
pytestmark = [pytest.mark.timeout(60), pytest.mark.timing]


@pytest.fixture(scope="module", params=lifecycle.KINDS)
def kind(request):
    made = lifecycle.Kind(request.param)
    made.truth = made.expected()
    assert len(made.truth) == lifecycle.ITEMS and np.isfinite(made.truth).all()
    return made


def counts(block):
    if hasattr(block, "frames_in"):
        return block.frames_in(), block.frames_out()
    return block.items_in(), block.items_out()


def check(kind, rows, begins=None, jumps=0):
    """Every row is one of the truth, in their order but for so many jumps; the first is row `begins`."""
    assert len(rows) > 0
    distance = np.abs(rows[:, None, :8] - kind.truth[None, :, :8]).max(2)
    which = distance.argmin(1)
    np.testing.assert_allclose(rows, kind.truth[which], atol=1e-4 * np.abs(kind.truth).max())
    assert begins is None or which[0] == begins
    assert np.sum(np.diff(which) % lifecycle.ITEMS != kind.step) <= jumps


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not go on"
        time.sleep(0.005)


def wait_for_more(sink):
    before = len(sink.data())
    wait_for(lambda: len(sink.data()) > before)


def run_a_while(tb, sink):
    """Start, until something has come; then stop."""
    tb.start()
    wait_for_more(sink)
    tb.stop()
    tb.wait()


def test_a_flowgraph_runs_again(kind):
    tb = gr.top_block()
    source, block, sink = kind.chain(tb)
    for i in range(3):
        source.rewind()
        sink.reset()
        flow.run(tb)
        check(kind, kind.rows(sink), 0)
        assert counts(block) == (lifecycle.ITEMS // kind.step * (i + 1),) * 2


def test_stopped_in_the_middle_it_begins_anew(kind):
    tb = gr.top_block()
    source, block, sink = kind.chain(tb, 0)
    for _ in range(5):
        source.rewind()
        sink.reset()
        run_a_while(tb, sink)
        check(kind, kind.rows(sink), 0)
        assert counts(block)[0] == counts(block)[1]


def test_locked_and_reconfigured_while_it_runs(kind):
    """GNU Radio drops what its buffers hold at each unlock(), with any block; ours keeps its place and its account."""
    tb = gr.top_block()
    source, block, sink = kind.chain(tb, 0)
    tb.start()
    other = kind.sink()
    for i in range(6):
        wait_for_more(sink)
        tb.lock()
        if i % 2 == 0:
            tb.connect((block, kind.port), other)
        else:
            tb.disconnect((block, kind.port), other)
        tb.unlock()
    tb.stop()
    tb.wait()
    check(kind, kind.rows(sink), 0, jumps=6)
    check(kind, kind.rows(other), jumps=6)
    assert counts(block)[0] == counts(block)[1] >= len(kind.rows(sink))


def test_taken_out_and_replaced_while_it_runs(kind):
    tb, scheme = gr.top_block(), diffsem.scheme("ofdm_chanest")
    source, block, sink = kind.chain(tb, 0, scheme)
    tb.start()
    for _ in range(4):
        wait_for_more(sink)
        new = kind.make(scheme)
        tb.lock()
        tb.disconnect_all()
        kind.connect(tb, source, new, sink)
        tb.unlock()
        block = new
    wait_for(lambda: counts(block)[1] > 0)
    tb.stop()
    tb.wait()
    check(kind, kind.rows(sink), 0, jumps=4)


@pytest.mark.parametrize("count", [2, 5, 8])
def test_instances_in_one_flowgraph_are_each_right(kind, count):
    tb, scheme = gr.top_block(), diffsem.scheme("ofdm_chanest")
    source = kind.source(3)
    made = [(kind.make(scheme), kind.sink()) for _ in range(count)]
    for block, sink in made:
        kind.connect(tb, source, block, sink)
    flow.run(tb)
    for block, sink in made:
        check(kind, kind.rows(sink), 0)
        assert counts(block) == (3 * lifecycle.ITEMS // kind.step,) * 2


def test_flowgraphs_at_once_share_a_handle_that_none_has_loaded(kind):
    scheme, graphs, failed = diffsem.scheme("ofdm_chanest"), [], []

    def work():
        try:
            tb = gr.top_block()
            graphs.append((tb, *kind.chain(tb, 20, scheme)))
            flow.run(tb)
        except Exception as e:
            failed.append(e)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(40)
    assert not failed and len(graphs) == 2
    for _, _, block, sink in graphs:
        check(kind, kind.rows(sink), 0)
        assert counts(block) == (20 * lifecycle.ITEMS // kind.step,) * 2


def test_one_flowgraph_ends_while_another_uses_the_handle(kind):
    scheme = diffsem.scheme("ofdm_chanest")
    stays, goes = gr.top_block(), gr.top_block()
    _, _, sink = kind.chain(stays, 0, scheme)
    parts = kind.chain(goes, 0, scheme)
    del scheme
    stays.start()
    run_a_while(goes, parts[2])
    del goes, parts
    gc.collect()
    wait_for_more(sink)
    stays.stop()
    stays.wait()
    check(kind, kind.rows(sink), 0)


# --- in a process of its own: what goes wrong here would end the tests -------------------------------------------

DESTROY = """
import gc, sys, time, pmt
sys.path.insert(0, {folder!r})
import lifecycle
from gnuradio import blocks, diffsem, gr
scheme = diffsem.scheme("ofdm_chanest")
for how in ("never started", "running", "stopped"):
    for _ in range(3):
        tb = gr.top_block()
        source, block, sink = lifecycle.Kind({name!r}).chain(tb, 0, scheme)
        stats = blocks.message_debug()
        tb.msg_connect((block, "stats"), (stats, "store"))
        ports = [p for p in pmt.to_python(block.message_ports_in()) if p != "system"]
        if how != "never started":
            tb.start()
            while block.nitems_written(0) == 0:
                time.sleep(0.002)
        if how == "stopped":
            tb.stop()
            tb.wait()
        for _ in range(10):
            for value in (pmt.intern("ofdm_chanest/lmmse"), pmt.intern("no such"), pmt.PMT_NIL, pmt.make_dict()):
                for port in ports:
                    block._post(pmt.intern(port), value)
            # GNU Radio's own port; with anything but a pair on it a block's thread ends.
            block._post(pmt.intern("system"), pmt.cons(pmt.PMT_T, pmt.PMT_T))
        if how == "running":
            tb.stop()
            tb.wait()
        del tb, source, block, sink, stats
        gc.collect()
print("done")
"""


def process(*words):
    return subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.parametrize("name", lifecycle.KINDS)
def test_destroyed_while_messages_wait(name):
    made = process("-c", DESTROY.format(folder=str(SCRIPT.parent), name=name))
    try:
        out, err = made.communicate(timeout=40)
    finally:
        made.kill()
    assert made.returncode == 0 and out.endswith("done\n"), err


@pytest.mark.parametrize(
    ("name", "scheme"),
    [(name, "ofdm_chanest") for name in lifecycle.KINDS]
    + [(name, "ofdm_chanest:sampler=ddim,steps=20") for name in lifecycle.KINDS[:2]],
)
def test_an_interrupt_ends_a_script_within_a_second(name, scheme):
    made = process(str(SCRIPT), name, scheme)
    try:
        assert any(line == "running\n" for line in made.stdout), made.stderr.read()
        time.sleep(0.1)
        begin = time.monotonic()
        made.send_signal(signal.SIGINT)
        out, err = made.communicate(timeout=20)
        assert time.monotonic() - begin < 1.0
        assert made.returncode == 0 and out.endswith("ended\n") and "Traceback" not in err
    finally:
        made.kill()


# --- memory --------------------------------------------------------------------------------------------------


def resident():
    """MB of this process."""
    gc.collect()
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_memory_is_flat_over_200_starts():
    """All three blocks in one flowgraph, each start with items to work on."""
    tb = gr.top_block()
    chains = [lifecycle.Kind(name).chain(tb) for name in lifecycle.KINDS]
    sizes = []
    for i in range(200):
        for source, _, sink in chains:
            source.rewind()
            sink.reset()
        flow.run(tb)
        if i % 50 == 49:
            sizes.append(resident())
    assert all(counts(block)[1] >= 200 * lifecycle.ITEMS // 2 for _, block, _ in chains)
    assert sizes[-1] - sizes[0] < 1.0, sizes


def test_memory_is_flat_over_blocks_that_come_and_go():
    def once():
        tb, scheme = gr.top_block(), diffsem.scheme("ofdm_chanest")
        for name in lifecycle.KINDS:
            lifecycle.Kind(name).chain(tb, 1, scheme)
        flow.run(tb)

    sizes = []
    for _ in range(3):
        for _ in range(5):
            once()
        sizes.append(resident())
    assert sizes[-1] - sizes[0] < 1.0, sizes
