#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that arrive over a channel that moves inside the frame: gr-digital's OFDM receiver, and ours in its place.

Frames of 480 octets, QPSK, uncoded, by `digital.ofdm_tx` (3,520 samples, 80 of silence between them), each through a
channel of its own: paths one sample apart, powers exp(-d/2), each the sum of 16 waves from all sides (Clarke). Doppler:
cycles a frame of 3,600 samples; carrier offset 0.1 of the spacing. Every receiver has the same samples.

    build/env/radio/bin/python bench/moving_channel.py [--packets 400] [--paths 4] [--snr 35] [--clock 0] [...]

gr-digital's tagged streams need buffers that hold a frame, of either receiver: for one of more than about 100 symbols,
`GR_CONF_DEFAULT_BUFFER_SIZE=4194304` in the environment.
"""

import argparse
import json

import numpy as np
from gnuradio import blocks, diffsem, digital, gr
from gr_diffsem.air.impairments import slow_clock
from gr_diffsem.eval.flowgraph import run_limited

DOPPLERS = (0.0, 0.005, 0.01, 0.02, 0.036, 0.05, 0.1)
FRAME, WAVES, OFFSET = 3600, 16, 0.1
TAG = "packet_length"
MODES = {"qpsk": 2, "bpsk": 1, "8psk": 3}


def send(payload, octets, **settings):
    """Samples [packets, frame] of `digital.ofdm_tx` with these settings; payload: octets [packets, n]."""
    tb = gr.top_block()
    source = blocks.vector_source_b(payload.ravel().tolist(), False)
    tags = blocks.stream_to_tagged_stream(1, 1, octets, TAG)
    sender = digital.ofdm_tx(**settings)
    sink = blocks.vector_sink_c()
    tb.connect(source, tags, sender, sink)
    run_limited(tb)
    frames = np.array(sink.data()).reshape(len(payload), -1)
    return np.pad(frames, ((0, 0), (0, 80)))


def fade(frames, paths, doppler, snr_db, rng, clock_ppm=0.0):
    """The frames, one behind the other, through channels that move, with carrier offset and noise: complex64.

    clock_ppm: the receiver's sampling clock is slow by this much."""
    n, size = frames.shape
    t = np.arange(size) / FRAME
    power = np.exp(-np.arange(paths) / 2.0)
    power /= power.sum()
    y = np.zeros((n, size), complex)
    for d in range(paths):
        angle, phase = 2 * np.pi * rng.random((2, n, WAVES, 1))
        gain = np.zeros((n, size), complex)
        for w in range(WAVES):
            gain += np.exp(1j * (2 * np.pi * doppler * np.cos(angle[:, w]) * t + phase[:, w]))
        y[:, d:] += np.sqrt(power[d] / WAVES) * gain[:, d:] * frames[:, : size - d]
    y = y.ravel() * np.exp(2j * np.pi * OFFSET / 64 * np.arange(y.size))
    y = np.concatenate([np.zeros(400), y, np.zeros(4000)])
    if clock_ppm:
        y = slow_clock(y, clock_ppm)
    # the power of a carrier in use behind the FFT over that of the noise there
    noise_var = np.mean(np.abs(frames[:, :-80]) ** 2) * 64 / 52 * 10 ** (-snr_db / 10)
    noise = rng.standard_normal(y.size) + 1j * rng.standard_normal(y.size)
    return (y + np.sqrt(noise_var / 2) * noise).astype(np.complex64)


def receive(samples, payload, receiver):
    """bool [packets]: which of them came out, whole."""
    tb = gr.top_block()
    source, sink = blocks.vector_source_c(samples.tolist()), blocks.vector_sink_b()
    tb.connect(source, receiver, sink)
    run_limited(tb)
    got = np.array(sink.data(), np.uint8).reshape(-1, payload.shape[1])
    number = got[:, 0].astype(int) * 256 + got[:, 1]
    good = np.zeros(len(payload), bool)
    for i, packet in zip(number, got, strict=True):
        if i < len(payload) and (payload[i] == packet).all():
            good[i] = True
    return good


def interval(share, n):
    """Half the width of the 95 % interval (Wald)."""
    return 1.96 * np.sqrt(share * (1 - share) / n)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packets", type=int, default=400)
    parser.add_argument("--paths", type=int, default=4)
    parser.add_argument("--snr", type=float, default=35.0)
    parser.add_argument("--octets", type=int, default=480)
    parser.add_argument("--mode", choices=MODES, default="qpsk")
    parser.add_argument("--doppler", type=float, nargs="+", default=DOPPLERS)
    parser.add_argument("--scheme", default="ofdm_chanest")
    parser.add_argument("--clock", type=float, default=0.0, help="error of the receiver's sampling clock, ppm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write which packets arrived to this file")
    args = parser.parse_args()
    settings = {"bps_payload": MODES[args.mode], "scramble_bits": True}
    kinds = {
        "stock": lambda: digital.ofdm_rx(**settings),
        "ours": lambda: diffsem.ofdm_rx(**settings, scheme=args.scheme),
    }
    print("cycles a frame", *(f"{name:>14}" for name in kinds), "  ours less stock, 95 %")
    arrived = []
    for doppler in args.doppler:
        rng = np.random.default_rng([args.seed, int(1e6 * doppler)])
        payload = rng.integers(0, 256, (args.packets, args.octets), dtype=np.uint8)
        payload[:, 0], payload[:, 1] = np.divmod(np.arange(args.packets), 256)
        sent = send(payload, args.octets, **settings)
        samples = fade(sent, args.paths, doppler, args.snr, rng, args.clock)
        good = {name: receive(samples, payload, make()) for name, make in kinds.items()}
        arrived.append({"doppler": doppler, "symbols": sent.shape[1] // 80 - 1})
        arrived[-1] |= {name: g.tolist() for name, g in good.items()}
        n = args.packets
        cells = [f"{100 * g.mean():6.1f} +- {100 * interval(g.mean(), n):3.1f}" for g in good.values()]
        gain = good["ours"].astype(float) - good["stock"]
        print(
            f"{doppler:14.3f}",
            *(f"{cell:>14}" for cell in cells),
            f"{100 * gain.mean():8.1f} +- {196 * gain.std() / np.sqrt(n):.1f} %",
            flush=True,
        )
    if args.json:
        with open(args.json, "w") as f:
            json.dump(arrived, f)


if __name__ == "__main__":
    main()
