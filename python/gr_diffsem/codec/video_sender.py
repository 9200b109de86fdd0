# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames of one stream -> groups ready for the link, at a mean number of channel uses a frame.

A group that a scene cut leaves so short that headers and side information would take more than their share gets the
uses that it needs; the groups behind it pay them back.
"""

from dataclasses import dataclass, field

from . import frames, picture_codec, video_codec, video_groups
from .picture_plan import MAX_PIXELS, ContentError
from .video_plan import Clip
from .zones import BLOCKS, RATIOS


@dataclass
class VideoSender:
    """sender = VideoSender(uses, rate); for encoded in sender.take(frame): ...; sender.flush() at the end.

    uses: channel uses of a frame, everything counted. rate: frames a second. length: of groups, video_groups.LENGTHS,
    or 0: as the content wants it. stream: its number. The others as video_codec.encode.
    """

    uses: int
    rate: float
    length: int = 8
    stream: int = 0
    design_snr_db: float = 5.0
    scheme_hash: int = 0
    carriers: int = frames.CARRIERS
    frame_symbols: int = frames.FRAME_SYMBOLS
    before: bytes = b""
    _next: int = field(default=0, init=False)
    _debt: int = field(default=0, init=False)
    _last: object = field(default=None, init=False)

    def __post_init__(self):
        Clip(1, rate=self.rate)
        self._groups = video_groups.Groups(self.length, self.uses)
        self._shape = None

    def take(self, frame):
        """uint8 [H, W, 3] -> list of picture_codec.Encoded, whose plans have a `clip`; mostly none. ContentError where
        the frame is of another size than those before, or a group of such frames could not be sent."""
        if self._shape is None:
            self._check(frame)
        if frame.shape != self._shape:
            raise ContentError(f"frames: {frame.shape[:2]}, those before had {self._shape[:2]}: begin another stream")
        return [self._encode(*group) for group in self._groups.take(frame)]

    def flush(self):
        """What waits, as `take` gives it."""
        return [self._encode(*group) for group in self._groups.flush()]

    @property
    def number(self):
        """Of the frame that begins the next group."""
        return self._next

    @property
    def empty(self):
        """Whether no frame waits for its group to be whole."""
        return self._groups.empty

    def leave_out(self):
        """Count a frame that is not sent, where none waits: those behind it keep their time."""
        self._next += 1

    def _check(self, frame):
        most = MAX_PIXELS // (self.length or video_groups.LENGTHS[-1])
        if frame.shape[0] * frame.shape[1] > most:
            raise ContentError(
                f"frames: {frame.shape[1]} x {frame.shape[0]} pixels, groups hold {most}: send it smaller"
            )
        self._shape = frame.shape

    def _encode(self, group, cut):
        clip = Clip(len(group), self._next, self.rate, self.stream, cut, video_groups.alignment(group, self.uses))
        how = self.design_snr_db, self.scheme_hash, self.carriers, self.frame_symbols, self.before
        due = self.uses * len(group)
        uses = max(due - self._debt, 1)
        try:
            made = video_codec.encode(group, uses, clip, *how, self._near(cut))
        except picture_codec.TooFewUses as error:
            made = video_codec.encode(group, error.needed, clip, *how)
        self._debt += self._spent(made) - due
        self._next += len(group)
        self._last = made.plan
        return made

    def _near(self, cut):
        """Spectrum models like that of the group before, which is all that is tried while a scene lasts."""
        if self._last is None or cut:
            return None
        model, block = self._last.model, BLOCKS.index(self._last.block)
        return [(m, block) for m in (model - 1, model, model + 1) if 0 <= m < len(RATIOS)]

    def _spent(self, made):
        return sum(
            f.symbols.size + frames.HEADER_USES
            for f in frames.cut(made.digital, made.symbols, 0, self.carriers, self.frame_symbols)
        )
