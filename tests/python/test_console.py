# SPDX-License-Identifier: GPL-3.0-or-later
"""Tables for people: plain in a pipe, drawn on a terminal, and the same cells in both."""

import os
import pty
import re
import subprocess
import sys

import pytest
from gr_diffsem.base import console

TITLES, ROWS = ("", "0 dB", "10 dB"), [("ls", 1.5, -10), ("[red]gmm[/red] \x1b[2J", 20.25, 3)]


def listing(**said):
    words = [sys.executable, "-m", "gr_diffsem", "list"]
    return subprocess.Popen(words, env={**os.environ, "TERM": "xterm", "COLUMNS": "400"}, **said)


def test_a_table_is_as_wide_as_its_cells_and_has_no_escape_codes():
    assert console.table(("", "a", "what"), [("ls", 1.5, "x"), ("lmmse", -10, "yz")], left=(0, 2)) == [
        "         a  what",
        "ls     1.5  x",
        "lmmse  -10  yz",
    ]
    assert console.plain(("a", "b"), []) == ["a  b"]


def test_a_pipe_gets_plain_text_and_a_terminal_the_same_words():
    piped = listing(stdout=subprocess.PIPE).communicate(timeout=60)[0].decode()
    assert "\x1b" not in piped and "ofdm_chanest/lmmse" in piped
    above, below = pty.openpty()
    process = listing(stdout=below)
    os.close(below)
    shown = b""
    with os.fdopen(above, "rb", buffering=0) as terminal:
        while True:
            try:
                shown += terminal.read(65536)
            except OSError:  # the other end is closed
                break
    assert process.wait(timeout=60) == 0
    assert b"\x1b[1m" in shown
    without = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode())
    assert set(piped.split()) <= set(without.split())


def test_cells_are_no_markup_and_nothing_that_a_terminal_obeys(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    text = "\n".join(console.table(TITLES, ROWS))
    assert "[red]gmm[/red]" in text and "20.25" in text and "\x1b[2J" not in text


def test_a_narrow_terminal_breaks_words_and_no_numbers(monkeypatch):
    pytest.importorskip("rich")
    monkeypatch.setattr(console, "on_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    numbers = [f"{n}.{n}" for n in range(10, 30)]
    lines = console.table(["name", "title", *numbers], [["a", "long words " * 20, *numbers]], left=(0, 1))
    assert len(lines) > 5 and all(number in lines[2].split() for number in numbers)
    lines = console.table(["name", "title"], [["a", "long words " * 20]], left=(0, 1))
    assert max(map(len, lines)) <= 40 and " ".join(" ".join(lines).split()).count("long words") == 20


def test_rich_is_imported_for_a_terminal_alone():
    program = "import sys\nfrom gr_diffsem.apps import cli\ncli.main(['list'])\nsys.exit('rich' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "ofdm_chanest" in done.stdout
