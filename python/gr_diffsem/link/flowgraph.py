# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a flowgraph under a time limit: a block whose thread has died leaves `wait()` hanging."""

import threading


def run_limited(tb, seconds=120.0):
    """Start `tb`, wait until it ends by itself; RuntimeError naming it when that takes too long."""
    tb.start()
    waiter = threading.Thread(target=tb.wait, daemon=True)
    waiter.start()
    waiter.join(seconds)
    if waiter.is_alive():
        tb.stop()
        raise RuntimeError(
            f"flowgraph '{tb.name()}' did not end within {seconds:.0f} s; "
            "a block's error message stands above, if one failed"
        )
