# SPDX-License-Identifier: GPL-3.0-or-later
"""How many evaluations of a network a picture can have before its deadline.

core::Deadline answers another question: of a backlog of equal items, how many are taken now, with which part of the
plan, while upstream is held back. Pictures come one by one, each of its own size, and what a picture costs beside the
network (transform, octets) counts as much. Both learn by core::CostModel.
"""

import time

OVERLOADS = ("wait", "fewer_steps", "bypass")
RETRY = 16  #: pictures without an evaluation before one is tried


class EvaluationBudget:
    """Cuts evaluations so that a picture is ready in time.

    seconds: from a picture's arrival (its last frame) to its coming out, 0: no deadline. overload: `wait` (nothing is
    cut), `fewer_steps`, `bypass` (all evaluations or none). evaluation, rest: core.CostModels, of an evaluation and of
    all else, for one pixel.
    """

    def __init__(self, seconds, overload, evaluation, rest):
        if not 0 <= seconds < float("inf"):
            raise ValueError(f"deadline is {1000 * seconds:g}: give milliseconds, or 0 for none")
        if overload not in OVERLOADS:
            raise ValueError(
                f"overload is '{overload}': give {', '.join(OVERLOADS)} (a picture that cannot be inferred in "
                "time comes out as the linear one)"
            )
        self.seconds, self.overload, self._given_up = seconds, overload, 0
        self.evaluation, self.rest = evaluation, rest

    @property
    def cuts(self):
        """Whether evaluations are ever cut."""
        return bool(self.seconds) and self.overload != "wait"

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
        left = self.seconds - (time.monotonic() - arrived) - self.rest.seconds() * pixels
        cost = self.evaluation.seconds() * pixels
        if cost * planned <= left:
            return planned
        affordable = int(left / cost) if cost and left > 0 and self.overload == "fewer_steps" else 0
        self._given_up = 0 if affordable else self._given_up + 1
        if self._given_up == RETRY and left > 0:
            self._given_up, affordable = 0, 1
            self.evaluation.clear()
        return affordable

    def missed(self, latency):
        return bool(self.seconds) and latency > self.seconds
