# SPDX-License-Identifier: GPL-3.0-or-later
"""What a sampling clock error costs: error of the received symbols at 15 dB, frames of the default length."""

import numpy as np
import pytest
from gr_diffsem.air import sample_channel
from gr_diffsem.codec import frame_header, frame_layout, frames

pytest.importorskip("gnuradio.diffsem")


def test_forty_ppm_cost_nothing():
    from gr_diffsem.eval import sample_chain

    rng = np.random.default_rng(1)
    symbols = (rng.standard_normal((60 * 2400, 2)) @ [1, 1j] * np.sqrt(0.5)).astype(np.complex64)
    cut = frames.cut(rng.bytes(60), symbols, 3)
    full = {f.header.index: f for f in cut if f.symbols.size == cut[0].symbols.size}
    form = frame_layout.Layout()
    sent = [form.samples(np.concatenate([frame_header.modulate(f.header), f.symbols])) for f in full.values()]
    snr = {}
    for ppm in (0, 2, 5, 10, 20, 40):
        air = sample_channel.send_frames(np.array(sent), "awgn", 15.0, np.random.default_rng(2), clock_ppm=ppm)
        got = [f for f in sample_chain.receive(air.noisy) if f.header.index in full]
        assert len(got) == len(full)
        errors = [np.mean(np.abs(f.symbols - full[f.header.index].symbols) ** 2) for f in got]
        snr[ppm] = -10 * np.log10(np.mean(errors))
        print(f"{ppm} ppm: {snr[ppm]:.2f} dB in {len(got)} frames")
    # 40 ppm turn the outer carriers by 0.4 rad within a frame: not followed, they would cost 2 dB
    assert min(snr.values()) > snr[0] - 0.15
