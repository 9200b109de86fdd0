#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs that arrive at low SNR under fading, each sent once: `send`'s samples, the air of `gr-diffsem channel`
(tdl, an offset of 0.2 carriers), the receiver's blocks and its passes; no inference, which loses none.

A photograph has arrived where its digital part came, octet by octet.

    build/env/radio/bin/python bench/no_cliff.py --images DIR [--count N] [--cbr 1/48] [--snr -2 0] [--seeds 1 2 3]
"""

import argparse

import numpy as np
from gr_diffsem.air.burst_channel import BurstChannel
from gr_diffsem.apps import send
from gr_diffsem.base import picture_files
from gr_diffsem.base.number_options import ratio
from gr_diffsem.codec import content, frame_layout, frames, passes, picture_fit
from gr_diffsem.eval import sample_chain

SIDE, PAPR_DB, GAP, OFFSET, IDLE = 768, 8.0, 200, 0.2, 4000  # of `send`, but for the offset


def photographs(folder, count, cbr):
    """[Encoded] of the first photographs of a folder."""
    made = []
    for name, picture in picture_files.each(folder, SIDE, print, print):
        made.append(picture_fit.code(name, picture, SIDE, cbr, 0, b""))
        if len(made) == count:
            break
    return made


def stream(made):
    """(samples complex64, frames sent) of all of them."""
    form, pieces, sent = frame_layout.Layout(), [np.zeros(IDLE, np.complex64)], 0
    for number, one in enumerate(made):
        cut = frames.cut(one.digital, one.symbols, number % 16)
        sent += len(cut)
        pieces += [send.burst(form, frame, PAPR_DB, 1.0, GAP) for frame in cut]
    return np.concatenate([*pieces, np.zeros(2 * IDLE, np.complex64)]), sent


def through_air(x, snr_db, seed):
    air = BurstChannel(snr_db, "tdl", OFFSET, 0.0, seed)
    return np.concatenate([air(piece) for piece in np.array_split(x, max(1, x.size // 65536))])


def arrived(heard):
    """Digital octets of the contents that came."""
    form, came = frame_layout.Layout(), set()
    collected = passes.Passes(
        (len(form.data), form.frame_symbols),
        lambda known: came.add(known.data),
        lambda name, by: None,
    )
    for frame in heard:
        collected.take(frame, 0.0)
    collected.close()
    return came


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="a folder of photographs")
    parser.add_argument("--count", type=int, default=100)
    ratio(parser, "--cbr", default=1 / 48, help="channel uses per value of a picture (1/48)")
    parser.add_argument("--snr", type=float, nargs="+", default=[-2.0, 0.0], help="dB, a data carrier's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = parser.parse_args()
    made = photographs(args.images, args.count, args.cbr)
    wanted = {content.opened(one.digital)[1] for one in made}
    x, sent = stream(made)
    mean = np.mean([one.symbols.size for one in made])
    print(f"{len(made)} photographs, {sent} frames, {mean:.0f} analogue symbols each in the mean")
    print("| SNR, dB | seed | arrived | frames heard |\n|---|---|---|---|")
    for snr_db in args.snr:
        for seed in args.seeds:
            heard = sample_chain.receive(through_air(x, snr_db, seed))
            came = len(wanted & arrived(heard))
            print(f"| {snr_db:g} | {seed} | {came} of {len(wanted)} | {len(heard)} of {sent} |", flush=True)


if __name__ == "__main__":
    main()
