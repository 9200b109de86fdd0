# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical way of moving pictures: H.264, H.265 or AV1, a group at a time, over the frames of webp_link.Link.

Each group begins with a key frame and is encoded by itself, slow and well, as finely as the octets of the link's mode
allow, in the size that comes out best. What is counted: the octets of all coded pictures and two of length in front of
each; parameter sets are not, as a receiver may know them. What arrives are blocks. A coded picture is there if all its
blocks are; the first that is missing and that others refer to ends the group, and whatever is not there is concealed by
the last picture that was shown.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from ..base import picture_metrics, video_files
from . import webp_ladder, webp_link

SCALES = (1.0, 0.75, 0.5, 0.35, 0.25)  #: sides of what is coded over those of the frames
PER_UNIT = 2  #: a constant rate factor is tried in halves
LENGTH_OCTETS = 2  #: in front of a coded picture


@dataclass(frozen=True)
class Codec:
    """encoder, decoder: FFmpeg's names. options: {count} stands for the frames of a group. finest, coarsest: constant
    rate factors. units: packets of an Annex B stream are told apart by the kinds of their units: (which say more of
    the encoder than of the picture, whether no other picture refers to one of (kind, first octet)); None: by nothing,
    and all are referred to."""

    encoder: str
    decoder: str
    options: dict
    finest: int
    coarsest: int
    units: tuple | None = None

    def stripped(self, octets):
        """A coded picture without what the encoder says of itself."""
        if not self.units:
            return octets
        kind, comments, _ = self.units
        return b"".join(b"\x00\x00\x01" + unit for unit in _split(octets) if kind(unit) not in comments)

    def referred(self, octets):
        """Whether other pictures need this one."""
        if not self.units:
            return True
        kind, _, alone = self.units
        return any(not alone(kind(unit), unit[0]) for unit in _split(octets))


def _kind_264(unit):
    return unit[0] & 31


def _kind_265(unit):
    return unit[0] >> 1 & 63


CODECS = {
    "x264": Codec(
        "libx264",
        "h264",
        {"preset": "slow", "x264-params": "scenecut=0:keyint={count}"},
        8,
        51,
        (_kind_264, (6,), lambda kind, first: kind != 5 and not first & 0x60),
    ),
    "x265": Codec(
        "libx265",
        "hevc",
        {"preset": "slow", "x265-params": "scenecut=0:keyint={count}:log-level=none:pools=none:frame-threads=1"},
        8,
        51,
        (_kind_265, (39, 40), lambda kind, first: kind < 16 and not kind % 2),
    ),
    "svtav1": Codec("libsvtav1", "libdav1d", {"preset": "5", "svtav1-params": "keyint={count}:lp=1"}, 10, 63),
}


class Coded:
    """A group as coded: octets of each picture in the order of decoding, which frame each is, whether others refer to
    it; and what decodes it."""

    def __init__(self, frames, rate_factor, rate, codec=CODECS["x264"]):
        """frames: uint8 [T, H, W, 3] of even sides."""
        av = video_files.pyav()
        context = av.CodecContext.create(codec.encoder, "w")
        context.height, context.width = frames.shape[1:3]
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 1000)
        context.framerate = Fraction(rate).limit_denominator(1000)
        context.thread_count, context.gop_size = 1, len(frames)
        context.flags |= av.codec.context.Flags.global_header
        said = {name: value.format(count=len(frames)) for name, value in codec.options.items()}
        context.options = {"crf": str(rate_factor), **said}
        packets = []
        for i, frame in enumerate(frames):
            picture = video_files.to_yuv(frame)
            picture.pts, picture.time_base = i * 40, context.time_base
            packets += context.encode(picture)
        packets = [p for p in packets + context.encode(None) if p.size]
        self._head, self._decoder = bytes(context.extradata or b""), codec.decoder
        self.pictures = [codec.stripped(bytes(p)) for p in packets]
        self.frame = [p.pts // 40 for p in packets]
        self.referred = [codec.referred(p) for p in self.pictures]
        self.octets = sum(len(p) + LENGTH_OCTETS for p in self.pictures)

    def decoded(self, there):
        """Pictures that arrived (bool for each) -> {frame: uint8 [H, W, 3]}."""
        av = video_files.pyav()
        context = av.CodecContext.create(self._decoder, "r")
        if self._head:
            context.extradata = self._head
        context.thread_count = 1
        out = {}

        def take(frames):
            for f in frames:
                out[f.pts] = video_files.to_rgb(f)

        for picture, frame, referred, came in zip(self.pictures, self.frame, self.referred, there, strict=True):
            if not came:
                if referred:
                    break
                continue
            packet = av.Packet(picture)
            packet.pts = packet.dts = frame
            take(context.decode(packet))
        take(context.decode(None))
        return out


def _split(octets):
    """Units of an Annex B stream."""
    parts = octets.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [p for p in parts if p]


class Group:
    """The codings of one group; kept, since every mode wants one."""

    def __init__(self, frames, rate, codec="x264"):
        """frames: uint8 [T, H, W, 3]. codec: a name in CODECS."""
        self.frames, self._rate, self._codec = frames, rate, CODECS[codec]
        self._coded = lru_cache(maxsize=None)(self._code)
        self._small = lru_cache(maxsize=None)(self._reduced)
        self._quality = lru_cache(maxsize=None)(self._score)
        self.best = lru_cache(maxsize=None)(self._best)

    def _reduced(self, scale):
        """The frames in this size, of even sides."""
        from PIL import Image

        h, w = self.frames.shape[1:3]
        size = max(2 * round(w * scale / 2), 16), max(2 * round(h * scale / 2), 16)
        if size == (w, h):
            return self.frames
        return np.array([np.asarray(Image.fromarray(f).resize(size, Image.LANCZOS)) for f in self.frames])

    def _code(self, scale, step):
        return Coded(self._small(scale), step / PER_UNIT, self._rate, self._codec)

    def shown(self, coded, there):
        """{frame: uint8 [H, W, 3]} in the size of the frames."""
        from PIL import Image

        h, w = self.frames.shape[1:3]
        return {
            t: picture if picture.shape[:2] == (h, w) else np.asarray(Image.fromarray(picture).resize((w, h)))
            for t, picture in coded.decoded(there).items()
        }

    def _score(self, scale, step):
        coded = self._coded(scale, step)
        shown = self.shown(coded, [True] * len(coded.pictures))
        if len(shown) < len(self.frames):
            return -np.inf
        return np.mean([picture_metrics.psnr(f, shown[t]) for t, f in enumerate(self.frames)])

    def _finest(self, scale, octets):
        """The finest step whose coding fits, or None."""
        low, high = self._codec.finest * PER_UNIT, self._codec.coarsest * PER_UNIT
        if self._coded(scale, high).octets > octets:
            return None
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self._coded(scale, middle).octets <= octets else (middle + 1, high)
        return high

    def _best(self, octets):
        """The Coded of smallest error within so many octets, or None."""
        best = None
        for scale in SCALES:
            step = self._finest(scale, octets)
            if step is None:
                continue
            quality = self._quality(scale, step)
            if best and quality < best[0]:
                break
            best = quality, scale, step
        return self._coded(*best[1:]) if best else None


def stream(coded):
    """(octets, border of each picture in them)."""
    parts = [len(p).to_bytes(LENGTH_OCTETS, "little") + p for p in coded.pictures]
    return b"".join(parts), np.cumsum([0, *map(len, parts)])


def there(link, borders, came):
    """Which pictures arrived, of blocks that did (bool for each)."""
    ends = np.cumsum([b[0] for b in link.blocks])
    first = np.searchsorted(ends, borders[:-1], side="right")
    last = np.searchsorted(ends, borders[1:] - 1, side="right")
    return [bool(np.all(came[a : b + 1])) for a, b in zip(first, last, strict=True)]


def blank(frames):
    """What is shown before anything came: the clip's first frame's mean colour."""
    return webp_ladder.mean_colour(frames[0])


def modes(code, channel, loss):
    """Modes that are tried: where every frame of the air is alike, interleaving over them has no use."""
    spans = ("frame",) if channel == "awgn" and not loss else ("frame", "picture")
    return webp_link.modes(code, spans)
