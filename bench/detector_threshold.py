#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets that arrive over the threshold of gr-digital's detector, `ofdm_sync_sc_cfb`, with its estimator and ours.

Two ways of sending: back to back and uncoded, by `digital.ofdm_tx` and `digital.ofdm_rx`, each packet through another
channel; and coded, with noise between the packets (`gr-diffsem eval ofdm_link` has the link). Channels: one path that
does not fade, one Rayleigh path, and four paths (back to back) or a TDL (with gaps).

    build/env/radio/bin/python bench/detector_threshold.py [--packets 300]
"""

import argparse
import contextlib
from unittest import mock

import numpy as np
from gnuradio import blocks, diffsem, digital, gr
from gnuradio.digital import ofdm_txrx
from gr_diffsem.air import sample_channel
from gr_diffsem.eval import link_sync
from gr_diffsem.eval.flowgraph import run_limited
from gr_diffsem.eval.link_demux import receive_demux
from gr_diffsem.eval.link_receiver import Method
from gr_diffsem.eval.link_transmitter import transmit
from gr_diffsem.phy import packet_frame

THRESHOLDS, SNRS_DB = (0.5, 0.6, 0.7, 0.8, 0.9), (10, 15, 20, 25, 30)
PAYLOAD, OFFSET = 96, 0.1  # octets; carrier offset in carrier spacings
LENGTH_TAG = "length"


def gains(rng, kind, n, paths):
    """Complex gains [n, paths], of unit mean power together."""
    if kind == "static":
        return np.ones((n, 1))
    power = np.exp(-np.arange(paths if kind == "paths" else 1) / 2.0)
    drawn = rng.standard_normal((n, power.size)) + 1j * rng.standard_normal((n, power.size))
    return drawn * np.sqrt(power / power.sum() / 2)


def back_to_back(count, rng):
    """Samples of `count` packets of `digital.ofdm_tx`, one behind the other."""
    tb = gr.top_block()
    octets = rng.integers(0, 256, count * PAYLOAD).tolist()
    source = blocks.vector_source_b(octets, False)
    tags = blocks.stream_to_tagged_stream(1, 1, PAYLOAD, LENGTH_TAG)
    sender = digital.ofdm_tx(packet_length_tag_key=LENGTH_TAG, bps_payload=2, scramble_bits=True)
    sink = blocks.vector_sink_c()
    tb.connect(source, tags, sender, sink)
    run_limited(tb)
    return np.array(sink.data())


def through(sent, count, kind, snr_db, rng):
    """Each packet through a channel of its own; carrier offset and noise."""
    length = sent.size // count
    h = gains(rng, kind, count, 4)
    y = np.zeros(sent.size, complex)
    for delay in range(h.shape[1]):
        y[delay:] += (sent * np.repeat(h[:, delay], length))[: sent.size - delay]
    y *= np.exp(2j * np.pi * OFFSET * np.arange(y.size) / 64)
    # Es/N0 of a carrier in use: 52 of 64.
    sigma = np.sqrt(np.mean(np.abs(sent) ** 2) * 64 / 52 / 10 ** (snr_db / 10) / 2)
    return y + sigma * (rng.standard_normal(y.size) + 1j * rng.standard_normal(y.size))


def receive(samples, count, threshold, ours):
    """Share of the packets that come out of `digital.ofdm_rx`, with its detector at that threshold."""
    kept = []
    detector = digital.ofdm_sync_sc_cfb

    def equaliser(fft_len, constellation, occupied, pilots, values, symbols_skipped=0, **more):
        kept.append(diffsem.ofdm_equalizer_diffsem(fft_len, occupied, pilots, values, symbols_skipped))
        return kept[-1]

    swaps = {"ofdm_sync_sc_cfb": lambda n, cp: detector(n, cp, False, threshold)}
    if ours:
        swaps["ofdm_chanest_vcvc"] = lambda *words: diffsem.ofdm_chanest_vcvc("ofdm_chanest", *words)
        swaps["ofdm_equalizer_simpledfe"] = equaliser
    with contextlib.ExitStack() as stack:
        for name, block in swaps.items():
            stack.enter_context(mock.patch.object(ofdm_txrx.digital, name, block))
        receiver = digital.ofdm_rx(packet_length_tag_key=LENGTH_TAG, bps_payload=2, scramble_bits=True)
    tb = gr.top_block()
    source = blocks.vector_source_c(np.concatenate([samples, np.zeros(40000)]).tolist(), False)
    sink = blocks.vector_sink_b()
    tb.connect(source, receiver, sink)
    run_limited(tb)
    return len(sink.data()) / PAYLOAD / count


def with_gaps(count, kind, snr_db, seed):
    """[thresholds, (stock, ours)] of coded packets with noise between them."""
    fmt = packet_frame.FORMATS["qpsk"]
    payloads = packet_frame.payloads(fmt, count, seed)

    def paths(_, rng, n):
        return rng.random((n, 1)), gains(rng, kind, n, 1)

    drawn = mock.patch.object(sample_channel, "paths", paths) if kind != "paths" else contextlib.nullcontext()
    with drawn:
        air = sample_channel.send_packets(transmit(fmt, payloads), "long", float(snr_db), seed)
    shares = []
    for threshold in THRESHOLDS:
        synced = link_sync.schmidl_cox(air, threshold)
        found = synced.packet >= 0
        shares.append([0.0, 0.0])
        for k, method in enumerate((Method("stock", "simpledfe", "stock"), Method("ofdm_chanest"))):
            if found.any():
                sent = payloads[np.maximum(synced.packet, 0)]
                got = receive_demux(synced, fmt, sent, method, np.full(len(sent), 0.1))
                shares[-1][k] = len(set(synced.packet[got.payload_ok & found])) / count
    return shares


def print_row(sending, kind, snr_db, shares):
    """One line: stock / ours at each threshold, in per cent."""
    cells = [f"{100 * stock:.0f} / {100 * ours:.0f}" for stock, ours in shares]
    print(f"| {sending}, {kind} | {snr_db} | " + " | ".join(cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--packets", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    gr.logging().set_default_level(gr.log_levels.warn)  # at low SNR a rejected header is no news
    print("| packets | SNR, dB | " + " | ".join(f"{t:g}" for t in THRESHOLDS) + " |")
    print("|---|---|" + "---|" * len(THRESHOLDS))
    rng = np.random.default_rng(args.seed)
    sent = back_to_back(args.packets, rng)
    for kind in ("static", "flat", "paths"):
        for snr_db in SNRS_DB:
            y = through(sent, args.packets, kind, snr_db, rng)
            shares = [[receive(y, args.packets, t, ours) for ours in (False, True)] for t in THRESHOLDS]
            print_row("back to back", kind, snr_db, shares)
    for kind in ("static", "flat", "paths"):
        for snr_db in SNRS_DB:
            print_row("with gaps", kind, snr_db, with_gaps(args.packets, kind, snr_db, args.seed))


if __name__ == "__main__":
    main()
