#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast channels over a grid are estimated, and symbols equalised behind it, on one core.

Grid elements a second of `ofdm_grid_chanest`:

LTE's pilots on 72 and 300 carriers, DVB-T's on 1705; windows of 16 symbols, half of which each answers; all symbols
wait from the start, so that narrow windows share batches. An element is a carrier of the grid in a symbol. CPU time of
the whole flowgraph, the least of three turns.

With --frames, symbols a second at 64 carriers: frames of a known symbol and 13 with 4 pilots, a tile for each, of
which the estimator (core, 16 tiles a batch) gives the channel of the first symbol, from where the equaliser follows it
through the others. CPU time of both alone, against 20 MS/s (250,000 symbols a second) on two cores.

    build/env/radio/bin/python bench/grid_throughput.py [--members full fast robust] [--frames]
"""

import argparse
import os
import time

import numpy as np
from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import grid_channel
from gr_diffsem.eval.flowgraph import run_limited

SNR_DB, TURNS = 15.0, 3
FRAMES, SYMBOLS, BATCH = 320, 14, 16
REAL_TIME = 125_000  # symbols a second of one of two cores
TILE = (16, 64)
OCCUPIED = [k for k in (*range(-26, 0), *range(1, 27)) if k not in (-21, -7, 7, 21)]
PILOTS = np.array([-21, -7, 7, 21])
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


def frames(points, snr_db, seed=1):
    """(received [FRAMES, SYMBOLS, 64], what is known of what was sent, 0 elsewhere, [SYMBOLS, 64], data)."""
    rng = np.random.default_rng(seed)
    used, pilots, data = np.r_[6:32, 33:59], PILOTS + 32, np.array(OCCUPIED) + 32
    known = np.zeros((SYMBOLS, 64), complex)
    known[:, pilots] = 1
    known[0, used] = rng.choice([-1, 1], used.size)
    sent = np.repeat(known[None], FRAMES, 0)
    sent[:, 1:, data] = rng.choice(points, (FRAMES, SYMBOLS - 1, data.size))
    h = grid_channel.draw(rng, FRAMES, SYMBOLS, 64, doppler=(0.001, 0.01)).response
    noise = (rng.standard_normal((2, *sent.shape)).T @ [1, 1j]).T
    return (sent * h + np.sqrt(10 ** (-snr_db / 10) / 2) * noise).astype(np.complex64), known, sent


def least_seconds(work):
    """CPU seconds that a call of work takes, the least of the turns, and what it gives."""
    seconds = []
    for _ in range(TURNS + 1):
        begin = time.process_time()
        result = work()
        seconds.append(time.process_time() - begin)
    return min(seconds[1:]), result


def frame_rate(member, name, snr_db):
    """Row of the table for a member and a constellation."""
    constellation = diffsem.core.constellation_points(name)
    y, known, sent = frames(constellation, snr_db)
    noise_var = 10 ** (-snr_db / 10)
    tiles = np.zeros((FRAMES, *TILE), np.complex64)
    noise = np.full((FRAMES, *TILE), np.inf, np.float32)
    seen = known != 0
    tiles[:, 1 : 1 + SYMBOLS][:, seen] = y[:, seen] / known[seen]
    noise[:, 1 : 1 + SYMBOLS][:, seen] = noise_var
    estimator = diffsem.core.Estimator(diffsem.scheme(f"ofdm_grid/{member}"), max_batch=BATCH)
    tiles, noise = tiles.reshape(FRAMES, -1), noise.reshape(FRAMES, -1)
    estimating, (mean, variance, info) = least_seconds(lambda: estimator.run(tiles, noise, first=0))
    taps = mean.reshape(FRAMES, *TILE)[:, 1]
    error_var = float(np.mean(variance.reshape(FRAMES, *TILE)[:, 1]))
    equaliser = diffsem.ofdm_equalizer_diffsem(
        64, [OCCUPIED], [PILOTS.tolist()], [[1, 1, 1, 1]], 1, True, constellation=name
    )
    given = [(frame[1:], list(h)) for frame, h in zip(y, taps, strict=True)]
    equalising, out = least_seconds(lambda: [equaliser.equalize_frame(*f, noise_var, error_var)[0] for f in given])
    data = np.array(OCCUPIED) + 32
    decided = np.abs(np.array(out)[..., data, None] - np.array(constellation)).argmin(-1)
    wrong = np.mean(np.array(constellation)[decided] != sent[:, 1:, data].astype(np.complex64))
    both = FRAMES * SYMBOLS / (estimating + equalising)
    guarded = np.mean(info["guarded"])
    return (
        f"| `{member}` | {name}, {snr_db:g} dB | {1e6 * estimating / FRAMES:.0f} | {100 * guarded:.1f} | "
        f"{1e6 * equalising / FRAMES / (SYMBOLS - 1):.1f} | {100 * wrong:.2f} | {both:,.0f} | {both / REAL_TIME:.2f} |"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", nargs="+", default=["full", "fast", "robust"])
    parser.add_argument("--frames", action="store_true", help="symbols a second of estimator and equaliser")
    args = parser.parse_args()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # the blocks' threads inherit it
    if args.frames:
        print(
            "| member | data | estimator, us a frame | guarded, % | equaliser, us a symbol | symbols wrong, % |", end=""
        )
        print(" symbols/s | of real time |", "|---" * 8 + "|", sep="\n")
        for member in args.members:
            for name, snr_db in (("qpsk", 15.0), ("16qam", 22.0)):
                print(frame_rate(member, name, snr_db), flush=True)
        return
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
