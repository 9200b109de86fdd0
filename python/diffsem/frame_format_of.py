# SPDX-License-Identifier: GPL-3.0-or-later
"""From the layout that both ends of a semantic link agree on to the blocks' own object."""

from .diffsem_python import frame_format


def frame_format_of(layout):
    """A gr_diffsem.codec.frame_layout.Layout as a `frame_format`. ValueError where it cannot be one."""
    return frame_format(
        [list(layout.data)],
        [list(layout.pilots)],
        [list(s) for s in layout.pilot_symbols],
        layout.sync_words.tolist(),
        layout.fft_len,
        layout.cp_len,
        layout.frame_symbols,
    )
