# SPDX-License-Identifier: GPL-3.0-or-later
"""set_nice: one thread of a flowgraph gives way, the others stay as they are."""

import contextlib
import os
import pathlib
import sys

import pytest
from gnuradio import blocks, diffsem, gr
from test_hostile_messages import until


def running():
    """A flowgraph that goes on, with a block in its middle."""
    tb, middle = gr.top_block(), blocks.throttle(8, 1e5)
    tb.connect(blocks.null_source(8), middle, blocks.null_sink(8))
    return tb, middle


def niceness():
    """{thread's name: its niceness} of this process."""
    found = {}
    for task in pathlib.Path("/proc/self/task").iterdir():
        with contextlib.suppress(OSError):  # one of another test's that has just ended
            found[(task / "comm").read_text().strip()] = os.getpriority(os.PRIO_PROCESS, int(task.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_one_thread_gives_way():
    own = os.getpriority(os.PRIO_PROCESS, 0)
    tb, middle = running()
    name = f"{middle.name()}{middle.unique_id()}"
    for nice in (17, 19):  # the second time after a restart
        diffsem.set_nice(middle, nice)
        tb.start()
        try:
            assert until(lambda nice=nice: niceness().get(name) == nice)
            assert [n for n, value in niceness().items() if value != own] == [name]
        finally:
            tb.stop()
            tb.wait()


@pytest.mark.parametrize("nice", [0, -5, 20])
def test_out_of_range(nice):
    with pytest.raises(ValueError, match=rf"nice is {nice}: must lie in 1 .. 19"):
        diffsem.set_nice(blocks.null_sink(8), nice)


def test_too_late():
    tb, middle = running()
    tb.start()
    try:
        with pytest.raises(ValueError, match="'throttle.*' was started before: call this before the first start"):
            diffsem.set_nice(middle)
    finally:
        tb.stop()
        tb.wait()
