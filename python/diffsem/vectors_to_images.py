# SPDX-License-Identifier: GPL-3.0-or-later
"""Float vectors as grey pictures for an image_view: several inputs, always of the same item."""

import math
import time

import numpy as np
import pmt
from gnuradio import gr

from .image_source import to_content

INPUTS = 8  # as many as an image_view has panels


class vectors_to_images(gr.sync_block):
    """Float vectors in, one input for each of ``shapes`` (rows, columns); PDUs of content out (ports ``content0``,
    ``content1``, ...), grey pictures for the panels of an image_view. Inputs go on together, so panels side by side
    are always of the same item, however late one of them comes.

    black, white: the values that are drawn so, a number or one for each input; values beyond are limited, NaN is black.
    rate: at most so many pictures a second and input, the others are skipped; 0: all of them.

    Port ``stats``, with each picture: ``in`` = ``out`` + ``skipped``, in items. Raises ValueError naming the parameter,
    its value and the remedy.
    """

    def __init__(self, shapes=((28, 28),), black=0.0, white=1.0, rate=10.0):
        self._shapes = _shapes(shapes)
        count = len(self._shapes)
        self._black, self._white = _values("black", black, count), _values("white", white, count)
        for low, high in zip(self._black, self._white, strict=True):
            if low == high:
                raise ValueError(f"white is {high:g}, as black: give two values that differ")
        if not 0 <= rate < math.inf:
            raise ValueError(f"rate is {rate}: give pictures a second, or 0 for all of them")
        self._pause, self._due = (1 / rate if rate else 0.0), -math.inf
        self._counts = dict.fromkeys(("in", "out", "skipped"), 0)
        sizes = [(np.float32, rows * columns) for rows, columns in self._shapes]
        gr.sync_block.__init__(self, name="vectors_to_images", in_sig=sizes, out_sig=None)
        self._ports = [pmt.intern(f"content{k}") for k in range(count)]
        for port in (*self._ports, pmt.intern("stats")):
            self.message_port_register_out(port)

    def counts(self):
        """What the port ``stats`` says."""
        return dict(self._counts)

    def work(self, input_items, output_items):
        items = len(input_items[0])
        for item in range(items):
            now = time.monotonic()
            shown = now >= self._due
            self._counts["in"] += 1
            self._counts["out" if shown else "skipped"] += 1
            if shown:
                self._due = now + self._pause
                self._publish([vectors[item] for vectors in input_items])
        return items

    def _publish(self, vectors):
        drawn = zip(self._ports, vectors, self._shapes, self._black, self._white, strict=True)
        for port, vector, shape, black, white in drawn:
            picture = grey(vector, shape, black, white)
            self.message_port_pub(port, to_content(picture, self._counts["out"] % 16, "vector"))
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))


def grey(vector, shape, black, white):
    """Values as uint8 [rows, columns, 3]."""
    level = np.nan_to_num((vector.astype(float) - black) / (white - black), nan=0.0, posinf=1.0, neginf=0.0)
    pixels = np.rint(255 * np.clip(level, 0, 1)).astype(np.uint8).reshape(shape)
    return np.repeat(pixels[:, :, None], 3, 2)


def _shapes(shapes):
    try:
        found = [(int(rows), int(columns)) for rows, columns in shapes]
    except (TypeError, ValueError):
        found = []
    if not 1 <= len(found) <= INPUTS or any(n < 1 for shape in found for n in shape):
        raise ValueError(f"shapes is {shapes}: give 1 to {INPUTS} pairs (rows, columns), one for each input")
    return found


def _values(name, given, count):
    try:
        values = [float(given)] * count if np.ndim(given) == 0 else [float(v) for v in given]
    except (TypeError, ValueError):
        values = []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise ValueError(f"{name} is {given}: give a number, or one for each of {count} inputs")
    return values
