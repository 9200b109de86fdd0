# SPDX-License-Identifier: GPL-3.0-or-later
"""What the digital part of a group of pictures says beside a picture's plan (picture_plan.py): which frames they are."""

from dataclasses import dataclass

MOST_FRAMES = 16  #: of a group
LEAST_RATE, MOST_RATE = 1 / 256, 255.0  #: frames a second
_RATE_UNIT = 256  #: the rate is told in parts of a frame a second
FIRST_BITS = 20  #: the number of the first frame goes round behind 2**20 frames, 9.7 hours at 30 a second


@dataclass(frozen=True)
class Clip:
    """frames: 1 to MOST_FRAMES. first: number of the first of them in its stream, mod 2**FIRST_BITS. rate: frames a
    second, in 1/256. stream: 0 .. 255, which stream of this sender it is. cut: whether the first frame shows another
    scene than the frame before it."""

    frames: int
    first: int = 0
    rate: float = 10.0
    stream: int = 0
    cut: bool = False

    def __post_init__(self):
        if not 1 <= self.frames <= MOST_FRAMES:
            raise ValueError(f"frames: {self.frames}, a group has 1 to {MOST_FRAMES}")
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise ValueError(f"rate: {self.rate} frames a second, must lie in {LEAST_RATE:g} .. {MOST_RATE:g}")

    @classmethod
    def code(cls, coder, clip=None):
        """Through an Encoder, or out of a Decoder (clip None)."""
        frames = coder.bits(clip.frames - 1 if clip else 0, 4) + 1
        first = coder.bits(clip.first % (1 << FIRST_BITS) if clip else 0, FIRST_BITS)
        rate = coder.bits(round(clip.rate * _RATE_UNIT) if clip else 0, 16) / _RATE_UNIT
        stream = coder.bits(clip.stream % 256 if clip else 0, 8)
        cut = bool(coder.bits(int(clip.cut) if clip else 0, 1))
        return cls(frames, first, rate, stream, cut)
