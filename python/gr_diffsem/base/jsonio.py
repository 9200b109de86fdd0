# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict JSON: what is not a number (NaN, infinities) becomes null, NumPy becomes plain Python."""

import json
import math
import os
from pathlib import Path


def plain(value):
    """`value` with NumPy scalars and arrays, paths, sets and non-finite floats made plain."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, (Path, os.PathLike)):
        return str(value)
    if hasattr(value, "tolist"):  # NumPy array or scalar
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def dumps(value, indent=2):
    """JSON text that every parser accepts."""
    return json.dumps(plain(value), indent=indent, allow_nan=False, ensure_ascii=False)
