# SPDX-License-Identifier: GPL-3.0-or-later
"""The classical way of moving pictures: H.264 by x264, a group at a time, over the frames of webp_link.Link.

Each group begins with a key frame and is encoded by itself, slow and well (preset `slow`), as finely as the octets of
the link's mode allow, in the size that comes out best. What is counted: the octets of all coded pictures and two of
length in front of each; parameter sets are not, as a receiver may know them. What arrives are blocks. A coded picture
is there if all its blocks are; the first that is missing and that others refer to ends the group, and whatever is not
there is concealed by the last picture that was shown.
"""

from functools import lru_cache

import numpy as np

from ..base import picture_metrics, video_files
from . import webp_ladder, webp_link

SCALES = (1.0, 0.75, 0.5, 0.35, 0.25)  #: sides of what is coded over those of the frames
FINEST, COARSEST, PER_UNIT = 8, 51, 2  #: x264's constant rate factor, tried in halves
LENGTH_OCTETS = 2  #: in front of a coded picture
PRESET = "slow"


class Coded:
    """A group as coded: octets of each picture in the order of decoding, which frame each is, whether others refer to
    it; and what decodes it."""

    def __init__(self, frames, rate_factor, rate):
        """frames: uint8 [T, H, W, 3] of even sides."""
        from fractions import Fraction

        av = video_files.pyav()
        context = av.CodecContext.create("libx264", "w")
        context.height, context.width = frames.shape[1:3]
        context.pix_fmt, context.time_base = "yuv420p", Fraction(1, 1000)
        context.framerate = Fraction(rate).limit_denominator(1000)
        context.thread_count, context.gop_size = 1, len(frames)
        context.flags |= av.codec.context.Flags.global_header
        context.options = {"preset": PRESET, "crf": str(rate_factor), "x264-params": f"scenecut=0:keyint={len(frames)}"}
        packets = []
        for i, frame in enumerate(frames):
            picture = video_files.to_yuv(frame)
            picture.pts, picture.time_base = i * 40, context.time_base
            packets += context.encode(picture)
        packets += context.encode(None)
        self._head, self._shape = bytes(context.extradata), frames.shape
        self.pictures = [_without_comments(bytes(p)) for p in packets]
        self.frame = [p.pts // 40 for p in packets]
        self.referred = [any(kind == 5 or reference for kind, reference in _units(p)) for p in self.pictures]
        self.octets = sum(len(p) + LENGTH_OCTETS for p in self.pictures)

    def decoded(self, there):
        """Pictures that arrived (bool for each) -> {frame: uint8 [H, W, 3]}."""
        av = video_files.pyav()
        context = av.CodecContext.create("h264", "r")
        context.extradata, context.thread_count = self._head, 1
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


def _units(octets):
    """(kind, whether others refer to it) of each unit of a coded picture in the form of `avc1` or Annex B."""
    return [(unit[0] & 31, bool(unit[0] & 0x60)) for unit in _split(octets)]


def _split(octets):
    """Units of an Annex B stream."""
    parts = octets.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01")
    return [p for p in parts if p]


def _without_comments(octets):
    """A coded picture without x264's own advertisement (units of kind 6)."""
    return b"".join(b"\x00\x00\x01" + unit for unit in _split(octets) if unit[0] & 31 != 6)


class Group:
    """The codings of one group; kept, since every mode wants one."""

    def __init__(self, frames, rate):
        """frames: uint8 [T, H, W, 3]."""
        self.frames, self._rate = frames, rate
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
        return Coded(self._small(scale), step / PER_UNIT, self._rate)

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
        low, high = FINEST * PER_UNIT, COARSEST * PER_UNIT
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
