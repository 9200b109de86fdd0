# SPDX-License-Identifier: GPL-3.0-or-later
"""Training data drawn ahead of the net that learns from it, on the CPU."""

import queue
import threading

import numpy as np


class Drawn:
    """Items of training data by number: what number i is, the seed alone says."""

    def __init__(self, draw, seed):
        self.draw, self.seed = draw, seed

    def __getitem__(self, i):
        return self.draw(np.random.default_rng([self.seed, i]))


class Data:
    """Items drawn ahead, in order, from number `first` on: by a thread, or by `workers` processes."""

    def __init__(self, draw, seed, first, workers=0, pin=False):
        from torch.utils.data import DataLoader

        drawn, options = Drawn(draw, seed), {}
        if workers:
            drawn[first]  # what it loads, all processes then share
            options = {"multiprocessing_context": "fork", "prefetch_factor": 4}
        numbers = range(first, 1 << 62)
        self.items = iter(
            DataLoader(drawn, batch_size=None, sampler=numbers, num_workers=workers, pin_memory=pin, **options)
        )
        self.queue = queue.Queue(4)
        self.stop = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._fetch, daemon=True)
        self.thread.start()

    def _fetch(self):
        try:
            for item in self.items:
                while not self.stop.is_set():
                    try:
                        self.queue.put(item, timeout=0.5)
                        break
                    except queue.Full:
                        continue
                if self.stop.is_set():
                    return
        except Exception as error:
            self.failure = error

    def close(self):
        """Draw no more."""
        self.stop.set()
        self.thread.join()
        self.items = None  # ends the processes

    def ready(self):
        """Whether next() need not wait."""
        return not self.queue.empty()

    def next(self):
        """The next item; raises what stopped the drawing."""
        while True:
            if self.failure:
                raise self.failure
            try:
                return self.queue.get(timeout=1)
            except queue.Empty:
                continue
