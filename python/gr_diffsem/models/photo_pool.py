# SPDX-License-Identifier: GPL-3.0-or-later
"""Crops of photographs between those who draw them, slowly, and a net that takes them fast."""

import numpy as np
import torch

ROOM = 64  # batches that the pool holds
FIRST = 4  # batches' worth of crops before the first step
MOST_USES = 32  # times that a crop is used on average, at most; then a step waits for new ones


class Pool:
    """A ring of crops on the training's device; batches are random crops of it, each flipped and turned at random,
    which is what another use of one differs by. What is drawn enters in its order; how far that has come when a step is
    made, the speed of both decides."""

    def __init__(self, training, data):
        self.training, self.data = training, data
        self.rng = np.random.default_rng([training.seed, training.step, 1])
        self.parts, self.came, self.used = None, 0, 0

    def close(self):
        """Draw no more."""
        self.data.close()

    def next(self):
        """The next batch: (truth, input [B, 3, S, S], level [B, L])."""
        batch = self.training.batch
        while self.came < FIRST * batch or self.used + batch > MOST_USES * self.came:
            self._enter(self.data.next())
        last = self.came + batch
        while self.came < last and self.data.ready():
            self._enter(self.data.next())
        self.used += batch
        rows = torch.from_numpy(self.rng.integers(min(self.came, len(self.parts[0])), size=batch))
        truth, x, level = (part[rows.to(part.device)] for part in self.parts)
        return turned(truth), turned(x), turned_levels(level, self.training.net.bands.sectors)

    def _enter(self, item):
        crops = self.training.take(self.rng, item)
        room = ROOM * self.training.batch
        if self.parts is None:
            self.parts = [torch.empty((room, *c.shape[1:]), device=self.training.device) for c in crops]
        rows = torch.arange(self.came, self.came + len(crops[0])) % room
        for part, new in zip(self.parts, crops, strict=True):
            part[rows.to(part.device)] = new.to(part.device)
        self.came += len(rows)


def turned(x):
    """Eighths of a batch of squares [B, 3, S, S], each in another of a square's eight positions."""
    eighths = []
    for i, part in enumerate(x.chunk(8)):
        part = part.flip([axis for bit, axis in ((1, 2), (2, 3)) if i & bit])
        eighths.append(part.transpose(2, 3) if i & 4 else part)
    return torch.cat(eighths)


def turned_levels(level, sectors):
    """Levels [B, L] of what `turned` makes: where rows and columns change places, so do a ring's sectors."""
    eighths = []
    for i, part in enumerate(level.chunk(8)):
        eighths.append(part.unflatten(1, (-1, sectors)).flip(2).flatten(1) if i & 4 else part)
    return torch.cat(eighths)
