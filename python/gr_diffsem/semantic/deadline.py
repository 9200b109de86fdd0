# SPDX-License-Identifier: GPL-3.0-or-later
"""How many evaluations of a network a picture can have before its deadline."""

import collections
import time

OVERLOADS = ("wait", "fewer_steps", "bypass")
SHARE = 0.9  #: of recent costs that lie at or below the one that is reckoned with
RECENT = 32
RETRY = 16


class Cost:
    """Running quantile of what a unit of work took, seconds; as core::CostModel."""

    def __init__(self):
        self._recent = collections.deque(maxlen=RECENT)

    def add(self, seconds, units):
        """`units` took this long together."""
        self._recent.append(seconds / units)

    def clear(self):
        self._recent.clear()

    def per_unit(self):
        """The smallest cost that SHARE of the recent ones do not exceed; 0: nothing known."""
        ordered = sorted(self._recent)
        return ordered[-(-round(100 * SHARE) * len(ordered) // 100) - 1] if ordered else 0.0


class Deadline:
    """Cuts evaluations so that a picture is ready in time.

    seconds: from a picture's arrival (its last frame) to its coming out, 0: no deadline. overload: `wait` (nothing is
    cut), `fewer_steps`, `bypass` (all evaluations or none). Costs are per pixel: of an evaluation, and of all else.
    """

    def __init__(self, seconds, overload):
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"deadline is {1000 * seconds:g}: give milliseconds, or 0 for none")
        if overload not in OVERLOADS:
            raise ValueError(
                f"overload is '{overload}': give {', '.join(OVERLOADS)} (a picture that cannot be inferred in "
                "time comes out as the linear one)"
            )
        self._seconds, self._overload, self._given_up = seconds, overload, 0
        self.evaluation, self.rest = Cost(), Cost()  # of a pixel

    @property
    def cuts(self):
        """Whether evaluations are ever cut."""
        return bool(self._seconds) and self._overload != "wait"

    def learn(self, pixels, evaluations, seconds, net_seconds):
        """What a picture took: evaluations of the net in net_seconds, everything in `seconds`."""
        self.rest.add(seconds - net_seconds, pixels)
        if evaluations:
            self.evaluation.add(net_seconds, evaluations * pixels)

    def evaluations(self, planned, pixels, arrived):
        """How many of the planned evaluations a picture that arrived at that time (time.monotonic) can have now.

        Where the cost alone forbids any, each RETRY-th picture has one nevertheless: the cost may have fallen.
        """
        if not self.cuts or not planned:
            return planned
        left = self._seconds - (time.monotonic() - arrived) - self.rest.per_unit() * pixels
        cost = self.evaluation.per_unit() * pixels
        if cost * planned <= left:
            return planned
        affordable = int(left / cost) if cost and left > 0 and self._overload == "fewer_steps" else 0
        self._given_up = 0 if affordable else self._given_up + 1
        if self._given_up == RETRY and left > 0:
            self._given_up, affordable = 0, 1
            self.evaluation.clear()
        return affordable

    def missed(self, latency):
        return bool(self._seconds) and latency > self._seconds
