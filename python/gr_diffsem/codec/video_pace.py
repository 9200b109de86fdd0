# SPDX-License-Identifier: GPL-3.0-or-later
"""How a live stream of groups keeps its latency: group length by the latency asked for, channel uses by the buffer.

A frame waits for its group to be whole (T / f at most), then for the air: what is encoded and not yet sent, and its own
group. So that none is shown later than the latency L, a group of T frames may take

    min(T / f, L - T / f - PROCESSING - buffer)

seconds of air, the first term so that the buffer does not grow. Where the air is slower than that, the rate falls, and
where the rate can fall no further, frames are left out until the buffer is empty enough (rate control by buffer
occupancy, as in MPEG-2's Test Model 5, ISO/IEC JTC1/SC29/WG11 N0400, with channel uses in place of bits).
"""

from dataclasses import dataclass

from ..base.errors import UserError
from .video_groups import LENGTHS

PROCESSING = 0.2  #: seconds for both ends beyond the group's own length
LEAST_SHARE = 0.05  #: of the channel uses asked for, below which frames are left out instead


@dataclass(frozen=True)
class VideoPace:
    """latency: seconds from a frame to its being shown. rate: frames a second. most: channel uses of a frame. per_use:
    seconds of air that a channel use takes, everything counted."""

    latency: float
    rate: float
    most: int
    per_use: float

    def __post_init__(self):
        if self.latency < self.shortest:
            raise UserError(
                f"latency: {self.latency:g} s, groups of {LENGTHS[0]} frames at {self.rate:g} a second take "
                f"{self.shortest:.2g} s; give that, or more frames a second"
            )

    @property
    def shortest(self):
        """Seconds that the shortest groups take."""
        return 2 * LENGTHS[0] / self.rate + PROCESSING

    @property
    def length(self):
        """Frames of a group: the longest that the latency has room for."""
        return max(n for n in LENGTHS if n == LENGTHS[0] or 2 * n / self.rate + PROCESSING <= self.latency)

    def uses(self, buffer):
        """Channel uses of a frame of the next group, where `buffer` seconds of air wait to be sent; 0: leave it out."""
        group = self.length / self.rate
        seconds = min(group, self.latency - group - PROCESSING - buffer)
        uses = min(self.most, int(seconds / self.per_use / self.length))
        return uses if uses >= LEAST_SHARE * self.most else 0
