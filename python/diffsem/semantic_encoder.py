# SPDX-License-Identifier: GPL-3.0-or-later
"""Content -> frames of a semantic link."""

import logging

import numpy as np
import pmt
from gnuradio import gr

from .content_pdu import plain, shape_of
from .video_frames import from_content

log = logging.getLogger("gr_diffsem.semantic_encoder")


class semantic_encoder(gr.basic_block):
    """PDUs of content in (port ``content``), PDUs of channel symbols out (port ``frames``), one for each frame.

    Content is a pair of a dictionary and a vector: a photograph, ``shape`` (u64 vector H, W) and a u8vector of H x
    W x 3 octets RGB; text, ``kind`` "text" and a u8vector of UTF-8; an array, ``kind`` "array", ``domain`` (a name)
    and an f32vector or c32vector, with a ``shape`` unless it has one axis; a frame of moving pictures is what a
    video_source gives, and goes out with its group. ``id`` (long) numbers it; without one
    the block counts. Frames carry ``id``, ``total``, ``index``, ``digital`` (longs) and a c32vector, mean power 1.

    cbr: channel uses per value of the picture (3 H W), everything counted; uses: their number, in place of cbr.
    group: frames of moving pictures that are sent together, 4, 8 or 16, or 0: as the content wants it.
    design_snr_db: at which the powers are best, whole dB. scheme: whom the receiver is asked to infer with; its
    hash goes along, so that a receiver with another one can say so ("" = any). copies: how often each picture is
    sent. carriers, frame_symbols: data carriers of an OFDM symbol, OFDM symbols of a full frame. callsign: of who
    sends, 3 to 10 of A-Z, 0-9 and /, in every pass; "" = none. codec: of photographs, ``linear``, or a package with an
    encoder, such as ``jscc``: each picture then goes out by the better of both, as the sender simulates them, and a
    receiver that has the package takes it.

    Port ``stats``: ``in``, ``out`` (frames), ``dropped`` (content that cannot be sent; the log says why). Encoding
    runs in the block's own thread. Raises ValueError naming the parameter, its value and the remedy.
    """

    def __init__(
        self,
        cbr=1 / 48,
        uses=0,
        design_snr_db=5.0,
        scheme="",
        copies=1,
        carriers=48,
        frame_symbols=50,
        callsign="",
        codec="linear",
        group=8,
    ):
        gr.basic_block.__init__(self, name="semantic_encoder", in_sig=None, out_sig=None)
        from gr_diffsem.codec import content, frames, learned_code, picture_codec, video_groups, video_sender

        self._content, self._frames = content, frames
        if not 0 < cbr <= 4:
            raise ValueError(f"cbr is {cbr}: give channel uses per value, above 0 and up to 4, such as 1/48")
        if uses < 0:
            raise ValueError(f"uses is {uses}: give a number of channel uses, or 0 to go by cbr")
        if not -10 <= design_snr_db <= 21:
            raise ValueError(f"design_snr_db is {design_snr_db}: must lie in -10 .. 21")
        if copies < 1:
            raise ValueError(f"copies is {copies}: send each picture at least once")
        if carriers < 1 or frame_symbols < 1:
            raise ValueError(f"carriers is {carriers}, frame_symbols {frame_symbols}: both are 1 or more")
        self._cbr, self._uses, self._design, self._copies = cbr, int(uses), design_snr_db, int(copies)
        self._carriers, self._frame_symbols = int(carriers), int(frame_symbols)
        self._sign = content.call_sign(callsign)
        self._hash = scheme_hash(scheme)
        try:
            learned = learned_code.make(codec)
        except learned_code.UserError as error:
            raise ValueError(str(error)) from None
        self._picture = (lambda *a, **b: learned.encode(*a, **b).encoded) if learned else picture_codec.encode
        try:
            video_groups.check_length(group)
        except learned_code.UserError as error:
            raise ValueError(str(error)) from None
        self._group, self._sender, self._streams = int(group), video_sender.VideoSender, {}
        self._next = 0
        self._in = self._out = self._dropped = 0
        self.message_port_register_in(pmt.intern("content"))
        self.message_port_register_out(pmt.intern("frames"))
        self.message_port_register_out(pmt.intern("stats"))
        self.set_msg_handler(pmt.intern("content"), self._handle)

    def content_in(self):
        """Contents that arrived and have been dealt with."""
        return self._in

    def frames_out(self):
        """Frames sent."""
        return self._out

    def content_dropped(self):
        """Contents that could not be sent."""
        return self._dropped

    def _handle(self, message):
        try:
            for frame in self._encode(message):
                self.message_port_pub(pmt.intern("frames"), to_pdu(frame))
                self._out += 1
        except Exception as e:  # whatever it is, the block lives on
            self._dropped += 1
            log.warning("content %d dropped: %.200s", self._in + 1, e)
        self._in += 1  # the last: who reads it finds the other counts as they are behind it
        stats = {"in": self._in, "out": self._out, "dropped": self._dropped, "block": self.alias()}
        self.message_port_pub(pmt.intern("stats"), pmt.to_pmt(stats))

    def _encode(self, message):
        if not (pmt.is_pair(message) and pmt.is_dict(pmt.car(message)) and pmt.is_uniform_vector(pmt.cdr(message))):
            raise ValueError("the message is no pair of a dictionary and a vector")
        said = plain(pmt.car(message))
        values = np.array(pmt.to_python(pmt.cdr(message)))
        if said.get("kind") == "video":
            made = self._video(message)
        else:
            self._next = int(said.get("id", self._next))
            made = [self._code(said, values)]
        out = []
        for data, symbols in made:
            number, self._next = self._next, self._next + 1
            out += self._frames.cut(data, symbols, number, self._carriers, self._frame_symbols) * self._copies
        return out

    def _video(self, message):
        """The groups of a stream that a frame completes, [(octets, symbols)]; one of another size or rate ends it."""
        frame, said = from_content(message)
        stream, form = said["stream"], (frame.shape, said["rate"])
        known, made = self._streams.get(stream), []
        if known and known[0] != form:
            made = known[1].flush()
            known = None
        if known is None:
            uses = self._uses or int(frame.size * self._cbr)
            how = self._design, self._hash, self._carriers, self._frame_symbols, self._sign
            known = form, self._sender(uses, said["rate"], self._group, stream, *how)
            self._streams[stream] = known
        made += known[1].take(frame)
        if said["last"]:
            made += known[1].flush()
            del self._streams[stream]
        return [(encoded.digital, encoded.symbols) for encoded in made]

    def _code(self, said, values):
        kind = str(said.get("kind", "photograph"))
        shape = shape_of(said, values.size)
        if kind == "text":
            if values.dtype != np.uint8:
                raise ValueError("a text is a u8vector of UTF-8")
            return self._content.encode_text(bytes(values).decode("utf-8"), self._sign), np.zeros(0, np.complex64)
        if kind == "array":
            if np.prod(shape) != values.size:
                raise ValueError(f"shape is {shape}, the vector has {values.size} values")
            return self._content.encode_array(
                values.reshape(shape),
                said.get("domain", ""),
                self._uses or None,
                self._carriers,
                self._frame_symbols,
                self._sign,
            )
        if kind != "photograph":
            raise ValueError(f"kind is '{kind}': give photograph, video, text or array")
        if len(shape) not in (2, 3) or values.dtype != np.uint8 or values.size != 3 * shape[0] * shape[1]:
            raise ValueError(f"shape is {shape} with {values.size} octets: a photograph has (H, W) and 3 H W octets")
        made = self._picture(
            values.reshape(shape[0], shape[1], 3),
            self._uses or int(values.size * self._cbr),
            self._design,
            self._hash,
            carriers=self._carriers,
            frame_symbols=self._frame_symbols,
            before=self._sign,
        )
        return made.digital, made.symbols


def scheme_hash(scheme):
    """16 bits that stand for a scheme's weights; 0: none in particular. `linear` has no weights, nor has ""."""
    if not scheme:
        return 0
    from .diffsem_python import core

    said = core.scheme_info(scheme)
    if not said["image"]:
        raise ValueError(f"scheme is '{scheme}', which is not of photographs: give one of the domain 'image' or ''")
    return int(said["content_hash"][:4] or "0", 16)


def to_pdu(frame):
    """semantic.frames.Frame -> PDU."""
    header = frame.header
    said = {"id": header.id, "total": header.total, "index": header.index, "digital": header.digital}
    return pmt.cons(pmt.to_pmt(said), pmt.init_c32vector(len(frame.symbols), frame.symbols.tolist()))
