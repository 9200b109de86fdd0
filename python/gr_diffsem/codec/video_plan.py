# SPDX-License-Identifier: GPL-3.0-or-later
"""What the digital part of a group of pictures says beside a picture's plan (picture_plan.py): which frames they are,
and how they are laid over each other before they are transformed."""

from dataclasses import dataclass

from .range_coder import Context, signed

MOST_FRAMES = 16  #: of a group
LEAST_RATE, MOST_RATE = 1 / 256, 255.0  #: frames a second
_RATE_UNIT = 256  #: the rate is told in parts of a frame a second
FIRST_BITS = 20  #: the number of the first frame goes round behind 2**20 frames, 9.7 hours at 30 a second


@dataclass(frozen=True)
class Clip:
    """frames: 1 to MOST_FRAMES. first: number of the first of them in its stream, mod 2**FIRST_BITS. rate: frames a
    second, in 1/256. stream: 0 .. 255, which stream of this sender it is. cut: whether the first frame shows another
    scene than the frame before it. shifts: rows and columns by which each frame was moved, past the edge and round,
    before the transform, ((0, 0), ...); (): by none."""

    frames: int
    first: int = 0
    rate: float = 10.0
    stream: int = 0
    cut: bool = False
    shifts: tuple = ()

    def __post_init__(self):
        if not 1 <= self.frames <= MOST_FRAMES:
            raise ValueError(f"frames: {self.frames}, a group has 1 to {MOST_FRAMES}")
        if not LEAST_RATE <= self.rate <= MOST_RATE:
            raise ValueError(f"rate: {self.rate} frames a second, must lie in {LEAST_RATE:g} .. {MOST_RATE:g}")
        if self.shifts and len(self.shifts) != self.frames:
            raise ValueError(f"shifts: {len(self.shifts)} for {self.frames} frames: give one for each, or none")

    @classmethod
    def code(cls, coder, clip=None):
        """Through an Encoder, or out of a Decoder (clip None)."""
        frames = coder.bits(clip.frames - 1 if clip else 0, 4) + 1
        first = coder.bits(clip.first % (1 << FIRST_BITS) if clip else 0, FIRST_BITS)
        rate = coder.bits(round(clip.rate * _RATE_UNIT) if clip else 0, 16) / _RATE_UNIT
        stream = coder.bits(clip.stream % 256 if clip else 0, 8)
        cut = bool(coder.bits(int(clip.cut) if clip else 0, 1))
        shifts = ()
        if coder.bits(int(bool(clip.shifts)) if clip else 0, 1):
            contexts = [[Context() for _ in range(12)] for _ in range(2)]
            shifts = [(0, 0)]
            for t in range(1, frames):
                step = [clip.shifts[t][axis] - clip.shifts[t - 1][axis] if clip else 0 for axis in (0, 1)]
                step = [signed(coder, d, c) for d, c in zip(step, contexts, strict=True)]
                shifts.append((shifts[-1][0] + step[0], shifts[-1][1] + step[1]))
        return cls(frames, first, rate, stream, cut, tuple(shifts))
