# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of moving pictures as PDUs of content, and back."""

import numpy as np
import pmt

from .content_pdu import plain, shape_of


def to_content(frame, rate, stream, number, last=False, **more):
    """uint8 [H, W, 3] -> PDU of a frame."""
    octets = np.ascontiguousarray(frame, np.uint8).tobytes()
    said = {"kind": "video", "rate": float(rate), "stream": int(stream), "number": int(number), "last": last, **more}
    said = pmt.dict_add(pmt.to_pmt(said), pmt.intern("shape"), pmt.to_pmt(tuple(int(n) for n in frame.shape[:2])))
    return pmt.cons(said, pmt.init_u8vector(len(octets), list(octets)))


def from_content(message):
    """PDU of a frame -> (uint8 [H, W, 3], dictionary of plain values with ``rate``, ``stream``, ``number``); ValueError
    where it is none."""
    if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) and pmt.is_u8vector(pmt.cdr(message))):
        raise ValueError("the message is no pair of a dictionary and a u8vector")
    said = plain(pmt.car(message))
    if said.get("kind") != "video":
        raise ValueError(f"kind is '{said.get('kind')}', no frame of moving pictures")
    shape = shape_of(said, 0)
    octets = np.array(pmt.u8vector_elements(pmt.cdr(message)), np.uint8)
    if len(shape) not in (2, 3) or not octets.size or octets.size != 3 * shape[0] * shape[1]:
        raise ValueError(f"shape is {shape} with {octets.size} octets: a frame has (H, W) and 3 H W octets")
    told = {}
    for name, kind, low, high in (("rate", float, 1 / 256, 255), ("stream", int, 0, 255), ("number", int, 0, 1 << 62)):
        value = said.get(name, low)
        if type(value) not in (int, float) or not low <= value <= high:
            raise ValueError(f"{name} is {value}: must lie in {low:g} .. {high:g}")
        told[name] = kind(value)
    return octets.reshape(*shape[:2], 3), {**said, **told, "last": said.get("last") is True}
