# SPDX-License-Identifier: GPL-3.0-or-later
"""The example flowgraphs can be read: no block lies on another one.

How large the companion draws a block is estimated from its texts, rather too large (it needs a screen to tell): a
title and a line for each parameter that is shown, letters of the companion's font, margins as in
gnuradio/grc/gui/Constants.py.
"""

import pathlib

import pytest

pytest.importorskip("yaml")
pytest.importorskip("gnuradio.grc.core.platform")

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
BOLD, PLAIN, LINE, TITLE, PADDING, PORT = 6.9, 6.3, 15, 16, 14, 32  # pixels
LONGEST = 27  #: letters of a value; the companion cuts the rest


def size(block):
    """(width, height) of a block."""
    lines = [
        len(f"{p.name}: {str(p.options.get(p.get_value(), p.get_value()))[:LONGEST]}")
        for p in block.params.values()
        if p.hide not in ("all", "part")
    ]
    width = max(BOLD * len(block.label), *(PLAIN * n for n in [*lines, 0])) + PADDING
    ports = max(len(block.sinks), len(block.sources))
    return width, max(TITLE + LINE * len(lines) + PADDING, PORT * ports)


def overlaps(graph):
    """Pairs of names."""
    boxes = [(b.name, *b.states["coordinate"], *size(b)) for b in graph.blocks]
    pairs = []
    for i, (a, x, y, w, h) in enumerate(boxes):
        for b, x2, y2, w2, h2 in boxes[i + 1 :]:
            if x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h:
                pairs.append((a, b))
    return pairs


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_no_block_lies_on_another(platform, path):
    graph = platform.make_flow_graph(str(path))
    graph.rewrite()
    assert len(graph.blocks) > 5
    assert not overlaps(graph)


def test_an_overlap_is_seen(platform):
    graph = platform.make_flow_graph(str(EXAMPLES[0]))
    graph.rewrite()
    first, second = graph.blocks[:2]
    x, y = first.states["coordinate"]
    second.states["coordinate"] = (x + 20, y + 20)
    assert (first.name, second.name) in overlaps(graph)
