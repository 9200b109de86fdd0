# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people: plain text, and drawn by rich (https://rich.readthedocs.io) where a terminal shows them; bars."""

import importlib.util
import os
import sys


def on_terminal():
    """Whether standard output is a terminal that rich can draw on."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and importlib.util.find_spec("rich") is not None


def printable(text):
    """The text without what a terminal obeys."""
    return "".join(c if c.isprintable() else "?" for c in str(text))


def table(titles, rows, left=(0,)):
    """The lines of a table. Columns whose number is in `left` are flush left, the others flush right.

    Nothing that a terminal obeys gets through: names and titles of models may be anybody's.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    return _drawn(titles, rows, left) if on_terminal() else plain(titles, rows, left)


def plain(titles, rows, left=(0,)):
    """The same without any escape code, whoever reads it; cells are strings."""
    lines = [titles, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    sides = ["<" if i in left else ">" for i in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(line, sides, widths, strict=True)).rstrip()
        for line in lines
    ]


def _drawn(titles, rows, left):
    """As wide as the terminal: words break, numbers are never cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold")
    least = 0
    for i, column in enumerate(zip(titles, *rows, strict=True)):
        words, width = i in left, max(map(len, column))
        whole = i == 0 or not words  # a name that is broken cannot be copied
        drawn.add_column(Text(titles[i]), justify="left" if words else "right", no_wrap=whole, overflow="fold")
        least += 3 + (width if whole else min(20, width))
    for row in rows:
        drawn.add_row(*map(Text, row))  # as Text, a cell is never taken for markup
    console = Console()
    console.width = max(console.width, least)
    with console.capture() as got:
        console.print(drawn)
    return [line.rstrip() for line in got.get().splitlines()]


def progress(total, unit, text):
    """A bar of tqdm on stderr, with update() and close(); None where tqdm is not installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(total=total, unit=unit, desc=text, file=sys.stderr, leave=False, unit_scale=True)
