# SPDX-License-Identifier: GPL-3.0-or-later
"""A block's own thread, which runs as long as its flowgraph does."""

import threading


class OwnThread:
    """Beside gr.basic_block: start() and stop() of a thread that runs `task` until `_stopped` is set."""

    def own(self, task):
        """At construction: what the thread does. It has to look at `self._stopped`, a threading.Event."""
        self._task, self._stopped, self._thread = task, threading.Event(), None

    def start(self):
        self._stopped.clear()
        self._thread = threading.Thread(target=self._task, daemon=True)
        self._thread.start()
        return True

    def stop(self):
        self._stopped.set()
        if self._thread:
            self._thread.join()
            self._thread = None
        return True
