# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a recording with multipath, offset and noise in the place of `uhd.usrp_source`.

$FAKE_USRP_FILE: cf32 samples, repeated. Run before the flowgraph is made; this is no UHD device, but
the compiled flowgraph runs unchanged.
"""

import os

from gnuradio import blocks, channels, gr, uhd


class FakeUsrp(gr.hier_block2):
    """Samples of $FAKE_USRP_FILE over a three-path channel at 20 dB, 400,000 a second."""

    def __init__(self, *_args):
        gr.hier_block2.__init__(self, "fake_usrp", gr.io_signature(0, 0, 0), gr.io_signature(1, 1, 8))
        source = blocks.file_source(8, os.environ["FAKE_USRP_FILE"], True)
        air = channels.channel_model(0.025, 0.2 / 64, 1.0, [0.8, 0.5j, 0, 0, -0.3], 1)
        self.connect(source, blocks.throttle(8, 400e3), air, self)


def nothing(*_args, **_words):
    """Settings of a radio that is not there."""


for name in dir(uhd.usrp_source):
    if name.startswith("set_") and not hasattr(gr.hier_block2, name):
        setattr(FakeUsrp, name, nothing)
uhd.usrp_source = FakeUsrp
