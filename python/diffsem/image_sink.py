# SPDX-License-Identifier: GPL-3.0-or-later
"""Received photographs to a folder, and what else a semantic link brings."""

import collections
import contextlib
import logging
import pathlib

import numpy as np
import pmt
from gnuradio import gr

from .content_pdu import plain, shape_of

log = logging.getLogger("gr_diffsem.image_sink")
#: What is kept of a content's dictionary, where it is of this type.
FIELDS = {
    **{"id": int, "kind": str, "scheme": str, "scheme_match": bool, "snr_db": float, "frames": int},
    **{"frames_lost": int, "evaluations": int, "seconds": float, "diffsem_planned": int, "diffsem_bypassed": str},
    **{"diffsem_age": float, "diffsem_model": str, "partial": bool, "domain": str, "mean_variance": float},
    **{"callsign": str, "codec": str, "expected_psnr": float},
}


class image_sink(gr.basic_block):
    """PDUs of content in (port ``content``), two files for each: NUMBER_ID.png and NUMBER_ID.json.

    The JSON says ``snr_db``, ``frames``, ``frames_lost``, ``evaluations``, ``scheme``, ``seconds``, ..., as the
    decoder did. Where the decoder gives a map of its uncertainty, it is written as NUMBER_ID.uncertainty.png, grey,
    the brighter the less is known. A text is written as NUMBER_ID.txt, an array as NUMBER_ID.npy. Previews
    (``partial``) are not written.

    folder: made if it is not there; what lies there already is not touched. keep: that many contents of its own remain,
    older ones are removed. written: called with (path of the file, dictionary) for each; failed: with the OSError where
    one cannot be written (a full disk); nothing of it remains.

    Port ``stats``: ``in`` = ``out`` + ``partial`` (previews) + ``dropped`` (no content, or not written). Raises
    ValueError naming the parameter, its value and the remedy.
    """

    def __init__(self, folder, keep=1000, written=None, failed=None):
        gr.basic_block.__init__(self, name="image_sink", in_sig=None, out_sig=None)
        if keep < 1:
            raise ValueError(f"keep is {keep}: at least one picture must remain")
        self._folder = pathlib.Path(folder)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise ValueError(f"folder is {folder}: cannot be made ({e.strerror})") from None
        self._keep, self._written, self._failed = int(keep), written, failed
        self._ours = collections.deque()
        numbers = [p.name.split("_")[0] for p in self._folder.glob("*_*.*")]
        self._next = max((int(n) for n in numbers if n.isdigit()), default=-1) + 1
        self._counts = dict.fromkeys(("in", "out", "partial", "dropped"), 0)
        self.last = None  #: (uint8 [H, W, 3], dictionary) of the newest picture
        self.message_port_register_in(pmt.intern("content"))
        self.message_port_register_out(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("content"), self.take)

    def counts(self):
        """What the port ``stats`` says."""
        return dict(self._counts)

    def take(self, message):
        """Write a PDU of content, as if it had come in at the port."""
        self._counts["in"] += 1
        try:
            value, said = from_content(message) if _is_picture(message) else _other_content(message)
            if said.get("partial"):
                self._counts["partial"] += 1
            else:
                path = self._write(value, said, deviation_of(message))
                self._counts["out"] += 1
                if isinstance(value, np.ndarray) and value.dtype == np.uint8:
                    self.last = (value, said)
                if self._written:
                    self._written(path, said)
        except Exception as e:  # whatever it is, the block lives on
            self._counts["dropped"] += 1
            log.warning("content dropped: %.200s", e)
            if isinstance(e, OSError) and self._failed:
                self._failed(e)
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt({**self.counts(), "block": self.alias()}))

    def _write(self, value, said, deviation=None):
        from gr_diffsem.base import jsonio
        from gr_diffsem.base.picture_files import UNCERTAINTY

        text = jsonio.dumps(said) + "\n"  # before anything is written
        stem = f"{self._next:04d}_{said.get('id', 0)}"
        ending = ".txt" if isinstance(value, str) else ".png" if value.dtype == np.uint8 else ".npy"
        path = self._folder / f"{stem}{ending}"
        try:
            if isinstance(value, str):
                path.write_text(value, encoding="utf-8")
            elif ending == ".png":
                from PIL import Image

                Image.fromarray(value).save(path)
                if deviation is not None:
                    Image.fromarray(deviation).save(path.with_suffix(UNCERTAINTY))
            else:
                np.save(path, value)
            path.with_suffix(".json").write_text(text)
        except OSError:
            for part in (path, path.with_suffix(".json"), path.with_suffix(UNCERTAINTY)):
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
            raise
        self._next += 1
        self._ours.append(path)
        while len(self._ours) > self._keep:
            old = self._ours.popleft()
            for part in (old, old.with_suffix(".json"), old.with_suffix(UNCERTAINTY)):
                part.unlink(missing_ok=True)
        return path


def _kind(dictionary):
    """The kind of content that a PDU names; "" where that is no symbol."""
    kind = pmt.dict_ref(dictionary, pmt.intern("kind"), pmt.intern("photograph"))
    return pmt.symbol_to_string(kind) if pmt.is_symbol(kind) else ""


def _is_picture(message):
    pdu = pmt.is_pair(message) and pmt.is_dict(pmt.car(message))
    return not (pdu and _kind(pmt.car(message)) in ("text", "array"))


def _other_content(message):
    """PDU of a text or an array -> (str or array, dictionary of plain values)."""
    said, vector = plain(pmt.car(message)), pmt.cdr(message)
    kept = _kept(said)
    if _kind(pmt.car(message)) == "text":
        if not pmt.is_u8vector(vector):
            raise ValueError("a text has octets of UTF-8")
        return bytes(pmt.u8vector_elements(vector)).decode("utf-8", errors="replace"), kept
    if not (pmt.is_f32vector(vector) or pmt.is_c32vector(vector)):
        raise ValueError("an array has floats or complex values")
    values = np.array(pmt.to_python(vector))
    shape = list(shape_of(said, values.size))
    return values.reshape(shape), {**kept, "shape": shape}


def from_content(message, kinds=("photograph",)):
    """PDU of content -> (uint8 [H, W, 3], dictionary of plain values); ValueError when it is none of `kinds`."""
    if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) and pmt.is_u8vector(pmt.cdr(message))):
        raise ValueError("the message is no pair of a dictionary and a u8vector")
    said = plain(pmt.car(message))
    octets = np.array(pmt.u8vector_elements(pmt.cdr(message)), np.uint8)
    shape = list(shape_of(said, 0))[:2]
    kind = _kind(pmt.car(message))
    if kind not in kinds or len(shape) != 2 or octets.size != 3 * shape[0] * shape[1]:
        raise ValueError(f"shape {shape} with {octets.size} octets of kind '{kind}' is no photograph")
    if octets.size == 0:
        raise ValueError("the picture has no pixels")
    return octets.reshape(*shape, 3), {**_kept(said), "shape": shape}


def deviation_of(message):
    """uint8 [H, W], the map of a PDU of content whose decoder gives one (semantic_decoder.DEVIATION_WHITE); None where
    there is none, or one of another size."""
    if not pmt.dict_has_key(pmt.car(message), pmt.intern("deviation")):
        return None
    given = pmt.dict_ref(pmt.car(message), pmt.intern("deviation"), pmt.PMT_NIL)
    if not pmt.is_u8vector(given):
        return None
    shape = list(shape_of(plain(pmt.car(message)), 0))[:2]
    octets = np.array(pmt.u8vector_elements(given), np.uint8)
    return octets.reshape(shape) if len(shape) == 2 and octets.size == shape[0] * shape[1] else None


def _kept(said):
    kept = {name: _plain(said[name], kind) for name, kind in FIELDS.items() if name in said}
    return {name: value for name, value in kept.items() if value is not ...}


def _plain(value, kind):
    """A value for strict JSON: what is not finite is None, what is of another type `...`."""
    value = value.item() if isinstance(value, np.generic) else value
    if kind is float and type(value) is int:
        return value
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        return ...
    return None if kind is float and not np.isfinite(value) else value
