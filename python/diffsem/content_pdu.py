# SPDX-License-Identifier: GPL-3.0-or-later
"""What a content's PDU says, as values of Python."""

import numpy as np
import pmt


def plain(dictionary):
    """A PMT dictionary as Python's. (pmt.to_python knows no u64vector.)"""
    out = {}
    items = pmt.dict_items(dictionary)
    while pmt.is_pair(items):
        key, value = pmt.car(pmt.car(items)), pmt.cdr(pmt.car(items))
        if pmt.is_u64vector(value):
            out[str(key)] = list(pmt.u64vector_elements(value))
        else:
            out[str(key)] = pmt.to_python(value)
        items = pmt.cdr(items)
    return out


def shape_of(said, fallback):
    """The ``shape`` in a content's dictionary as a tuple of ints; ValueError where it holds anything else."""
    given = said.get("shape", fallback)
    shape = np.atleast_1d(given)
    if shape.ndim != 1 or shape.dtype.kind not in "iuf" or not np.all(np.isfinite(shape) & (shape == np.floor(shape))):
        raise ValueError(f"shape is {given}: give whole numbers, one for each axis")
    return tuple(int(n) for n in shape)
