# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a serialised PMT dictionary of scalars by itself: what comes out of a socket may be hostile.

`pmt.deserialize_str` recurses for each nested pair and allocates what the head of a vector claims: 20 kB of pairs end
the process, and nine octets ask for gigabytes (GNU Radio 3.10.5). Here nothing nests, and nothing is larger than what
came.
"""

import struct

_TRUE, _FALSE, _SYMBOL, _NULL, _PAIR, _DICT = 0x00, 0x01, 0x02, 0x06, 0x07, 0x09
_NUMBERS = {
    0x03: struct.Struct(">i"),
    0x04: struct.Struct(">d"),
    0x0B: struct.Struct(">Q"),
    0x0D: struct.Struct(">q"),
}
_CONSTANTS = {_TRUE: True, _FALSE: False, _NULL: None}


class NotFlat(ValueError):
    """What came is no dictionary from symbols to scalars; the message says what it is instead."""


def read(data):
    """bytes -> {str: bool, int, float, str or None}; NotFlat for anything else.

    A symbol that is not UTF-8 keeps what can be read of it.
    """
    found, at = {}, 0
    while data[at : at + 1] == bytes([_DICT]):  # a cell: (key . value), then the rest
        if data[at + 1 : at + 3] != bytes([_PAIR, _SYMBOL]):
            raise NotFlat(f"octet {at + 1} begins no pair with a symbol as its key")
        key, at = _scalar(data, at + 2)
        value, at = _scalar(data, at)
        found[key] = value
    if data[at:] != bytes([_NULL]):
        raise NotFlat(f"octet {at} is no end of a dictionary" if found else "it is no dictionary")
    return found


def _scalar(data, at):
    """(value, where the next one begins)."""
    if at >= len(data):
        raise NotFlat("it breaks off")
    kind, at = data[at], at + 1
    if kind in _CONSTANTS:
        return _CONSTANTS[kind], at
    try:
        if kind in _NUMBERS:
            form = _NUMBERS[kind]
            return form.unpack_from(data, at)[0], at + form.size
        if kind == _SYMBOL:
            (length,) = struct.unpack_from(">H", data, at)
            text = data[at + 2 : at + 2 + length]
            if len(text) == length:
                return text.decode(errors="replace"), at + 2 + length
    except struct.error:
        pass
    else:
        if kind != _SYMBOL:
            raise NotFlat(f"octet {at - 1} begins a value that is no scalar")
    raise NotFlat("it breaks off")
