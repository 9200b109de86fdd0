# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from files, as content for a semantic encoder."""

import logging

import numpy as np
import pmt
from gnuradio import gr

from .own_thread import OwnThread

log = logging.getLogger("gr_diffsem.image_source")


class image_source(OwnThread, gr.basic_block):
    """PDUs of content out (port ``content``): a dictionary (``id``, ``name``, ``shape`` H, W) and H x W x 3 octets RGB.

    path: a picture, or a folder of pictures, taken in the order of their names. max_side: longer ones are reduced to
    this many pixels, 0: as they are. rate: pictures a second, 0: all at once. repeat: begin again behind the last.

    Pictures are turned as EXIF says, and converted to sRGB where they carry a colour profile; transparency lies on
    white; of more than 8 bits the upper 8 of those in use are kept; of an animation the first frame is sent. At
    construction pictures are read up to the first that can be; one that cannot is counted and skipped when its turn
    comes, and the log says why.

    Port ``stats``: ``out``, ``dropped``. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, path, max_side=512, rate=1.0, repeat=False):
        gr.basic_block.__init__(self, name="image_source", in_sig=None, out_sig=None)
        from gr_diffsem.base import picture_files
        from gr_diffsem.base.errors import UserError

        if max_side and max_side < picture_files.LEAST:
            raise ValueError(f"max_side is {max_side}: give {picture_files.LEAST} pixels or more, or 0")
        if not 0 <= rate < float("inf"):
            raise ValueError(f"rate is {rate}: give pictures a second, or 0 for all at once")
        if repeat and not rate:
            raise ValueError("rate is 0 with repeat: that would never pause; give pictures a second")
        self._load, self._error, self._max_side = picture_files.load, UserError, int(max_side) or None
        try:
            self._files = picture_files.files(path)
            picture_files.folder(path, self._max_side, 1, skip=lambda text: None)
        except UserError as e:
            raise ValueError(f"path: {e}") from None
        self._rate, self._repeat = rate, repeat
        self._out = self._dropped = 0
        self.own(self._send_all)
        self.message_port_register_out(pmt.intern("content"))
        self.message_port_register_out(pmt.intern("stats"))

    def counts(self):
        """What the port ``stats`` says."""
        return {"out": self._out, "dropped": self._dropped}

    def _send_all(self):
        number = 0
        while True:
            for file in self._files:
                if number and self._rate and self._stopped.wait(1 / self._rate):
                    return
                if self._stopped.is_set():
                    return
                self._send(file, number)
                number += 1
            if not self._repeat:
                return

    def _send(self, file, number):
        try:
            picture = self._load(file, self._max_side, log.info)
        except self._error as e:
            self._dropped += 1
            log.warning("%s", e)
        else:
            self._out += 1
            self.message_port_pub(pmt.intern("content"), to_content(picture, number % 16, file.stem))
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))


def to_content(picture, number, name):
    """uint8 [H, W, 3] -> PDU of content."""
    octets = np.ascontiguousarray(picture, np.uint8).tobytes()
    shape = tuple(int(n) for n in picture.shape[:2])
    said = pmt.to_pmt({"id": number, "name": name, "kind": "photograph", "shape": shape})
    return pmt.cons(said, pmt.init_u8vector(len(octets), list(octets)))
