# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of the command line that take a number: each says its range once, and what lies outside is a sentence.

None of them takes nan or an infinity: what is computed from those is found wrong only much later, in a file.
"""

import math
from dataclasses import dataclass

from .errors import UserError

MOST_WHOLE = (1 << 31) - 1  #: of whole numbers, unless said otherwise: what C++ and seeds take


@dataclass(frozen=True)
class Number:
    """The `type` of an argparse option. least, above: the smallest value, itself in the range or not; most, below: the
    largest. ratio: fractions such as 1/48 are taken too. unit: what is counted, for the sentence. keep: the text is
    handed on, checked."""

    option: str
    whole: bool = False
    least: float = None
    above: float = None
    most: float = None
    below: float = None
    unit: str = ""
    ratio: bool = False
    keep: bool = False

    def __call__(self, text):
        """The number a text stands for; UserError."""
        try:
            value = self._read(text)
        except (ValueError, ZeroDivisionError, OverflowError):
            value = math.nan
        if not self.holds(value):
            shown = "".join(c if c.isprintable() else "?" for c in str(text)[:40])
            raise UserError(f"{self.option} {shown}: give {self.range()}{self.unit and ' ' + self.unit}")
        return text if self.keep else value

    def _read(self, text):
        if self.whole:
            return int(text)
        if self.ratio and isinstance(text, str):
            upper, _, lower = text.partition("/")
            return float(upper) / float(lower or 1)
        return float(text)

    def holds(self, value):
        """Whether a value lies in the range."""
        return (
            (self.whole or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )

    def range(self):
        """The range in words."""
        kind = "a whole number" if self.whole else "a ratio like 1/48 or 0.02" if self.ratio else "a number"
        most = None if self.whole and self.most == MOST_WHOLE else self.most
        if self.least is not None and most is not None:
            return f"{kind + ', ' if self.ratio else ''}{_short(self.least)} to {_short(most)}"
        low = None if self.least is None else f"{_short(self.least)} or more"
        low = low if self.above is None else f"more than {_short(self.above)}"
        high = None if most is None else f"at most {_short(most)}"
        high = high if self.below is None else f"less than {_short(self.below)}"
        words = " and ".join(w for w in (low, high) if w)
        return words and not (self.ratio or self.whole) and words or f"{kind}{words and ', ' + words}"


def _short(value):
    """A number as people type it: 1e12, not 1e+12."""
    return f"{value:g}".replace("e+0", "e").replace("e+", "e")


def real(parser, option, unit="", least=None, above=None, most=None, below=None, **more):
    """Add an option that takes a finite number of a range; more: as add_argument takes it."""
    parser.add_argument(option, type=Number(option, False, least, above, most, below, unit), **more)


def whole(parser, option, unit="", least=0, most=MOST_WHOLE, **more):
    """Add an option that takes a whole number."""
    parser.add_argument(option, type=Number(option, True, least, None, most, None, unit), **more)


def ratio(parser, option, above=0, most=1, keep=False, **more):
    """Add an option that takes a fraction or a number, above 0 and at most 1."""
    parser.add_argument(option, type=Number(option, above=above, most=most, ratio=True, keep=keep), **more)
