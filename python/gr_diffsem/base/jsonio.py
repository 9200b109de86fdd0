# SPDX-License-Identifier: GPL-3.0-or-later
"""Strict JSON: NaN and infinities become null, NumPy becomes plain Python; and files of one object."""

import json
import math
import os
from pathlib import Path

from .errors import UserError


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


def read_object(path, limit, kind, owner, remedy, what="an object"):
    """The object that a JSON file holds, as a dict. Raises UserError where there is none.

    kind: what a file of at most `limit` bytes is ("a manifest"); owner: what it belongs to; remedy: what mends it;
    what: the object that is wanted."""
    path = Path(path)
    try:
        if path.stat().st_size > limit:
            raise UserError(f"{path} is larger than {limit} bytes: not {kind}")
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read {path} ({error.strerror}): is this {owner}?") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON ({error}): {remedy}") from None
    if not isinstance(value, dict):
        raise UserError(f"{path} is JSON, but not {what}: {remedy}")
    return value
