#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The throughput of channel_model_cc over that of channels.selective_fading_model, samples a second of processor time.

The same four paths and 16 taps; pairs of runs one after the other, the median ratio and all of them. Drawing counts.

    build/env/radio/bin/python bench/channel_model.py [--runs 7]
"""

import argparse
import time

import numpy as np
from gnuradio import blocks, channels, diffsem, gr

DELAYS, MAGS, TAPS = [0, 1.3, 2.7, 4.1], [1, 0.7, 0.5, 0.3], 16
DOPPLER = 0.05  # cycles between two instants of the generator


def rate(block, samples):
    """Samples a second of this process's time."""
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(4096) + 1j * rng.standard_normal(4096)).astype(np.complex64)
    tb = gr.top_block()
    source, head = blocks.vector_source_c(x.tolist(), True), blocks.head(8, samples)
    sink = blocks.null_sink(8)
    tb.connect(source, head, block, sink)
    begin = time.process_time()
    tb.run()
    return samples / (time.process_time() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    args = parser.parse_args()
    for interval, samples in ((500, 3_000_000), (50, 600_000)):
        ratios, own = [], []
        for _ in range(args.runs):
            fading = channels.selective_fading_model(8, DOPPLER / interval, False, 4.0, 1, DELAYS, MAGS, TAPS)
            drawn = diffsem.channel_model_cc("tap_generator_clarke", interval, DELAYS, MAGS, TAPS)
            theirs = rate(fading, samples)
            own.append(rate(drawn, samples))
            ratios.append(own[-1] / theirs)
        words = " ".join(f"{r:.2f}" for r in sorted(ratios))
        print(f"tap interval {interval}: {np.median(own) / 1e6:.2f} MS/s, ratio {np.median(ratios):.2f} ({words})")


if __name__ == "__main__":
    main()
