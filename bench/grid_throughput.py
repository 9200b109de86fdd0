#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Grid elements a second of `ofdm_grid_chanest` on one core.

LTE's pilots on 72 and 300 carriers, DVB-T's on 1705; windows of 16 symbols, half of which each answers; all symbols
wait from the start, so that narrow windows share batches. An element is a carrier of the grid in a symbol. CPU time of
the whole flowgraph, the least of three turns.

    build/env/radio/bin/python bench/grid_throughput.py [--members full fast robust]
"""

import argparse
import os
import time

import numpy as np
from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import grid_channel
from gr_diffsem.eval.flowgraph import run_limited

SNR_DB, TURNS = 15.0, 3
PATTERNS = {
    "LTE, 72 carriers": (diffsem.pilots("lte_crs", resource_blocks=6), 280),
    "LTE, 300 carriers": (diffsem.pilots("lte_crs", resource_blocks=25), 140),
    "DVB-T 2k": (diffsem.pilots("dvbt"), 32),
}


def reception(pattern, symbols, seed=1):
    """Symbols [symbols, fft_len] through one channel that moves slowly, with noise."""
    rng = np.random.default_rng(seed)
    n, used = pattern.fft_len, np.array(pattern.occupied_carriers) + pattern.fft_len // 2
    sent = np.zeros((symbols, n), complex)
    sent[:, used] = (rng.choice([-1, 1], (2, symbols, len(used))).T @ [1, 1j]).T / np.sqrt(2)
    for i, symbol in enumerate(sent):
        carriers, values = pattern[i % len(pattern)]
        symbol[np.array(carriers, int) + n // 2] = values
    h = grid_channel.draw(rng, 1, symbols, n, doppler=(0.005, 0.02)).response[0]
    noise = rng.standard_normal((2, symbols, n)).T @ [1, 1j]
    return (sent * h + np.sqrt(10 ** (-SNR_DB / 10) / 2) * noise.T).astype(np.complex64)


def rate(block, pattern, y):
    """Grid elements a second of CPU time."""
    source = blocks.vector_source_c(y.ravel().tolist(), False, pattern.fft_len)
    tb = gr.top_block()
    vector = gr.sizeof_gr_complex * pattern.fft_len
    tb.connect(source, block, blocks.null_sink(vector))
    tb.connect((block, 1), blocks.null_sink(vector))
    before, begin = block.items_out(), time.process_time()
    run_limited(tb, 600)
    seconds = time.process_time() - begin
    if block.items_out() - before != len(y):
        raise RuntimeError(f"{block.items_out() - before} of {len(y)} symbols came out")
    used = pattern.occupied_carriers
    return (used[-1] - used[0] + 1) * len(y) / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", nargs="+", default=["full", "fast", "robust"])
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the blocks' threads inherit it
    print("| pilots | member | M elements/s | guarded, % |", "|---" * 4 + "|", sep="\n")
    for name, (pattern, symbols) in PATTERNS.items():
        y = reception(pattern, symbols)
        for member in args.members:
            block = diffsem.ofdm_grid_chanest(
                pattern.fft_len,
                pattern.occupied_carriers,
                pattern,
                f"ofdm_grid/{member}",
                noise_var=10 ** (-SNR_DB / 10),
            )
            best = max(rate(block, pattern, y) for _ in range(TURNS)) / 1e6
            guarded = 100 * block.items_guarded() / block.items_out()
            print(f"| {name} | `{member}` | {best:.2f} | {guarded:.0f} |", flush=True)


if __name__ == "__main__":
    main()
