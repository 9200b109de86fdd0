#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""DVB-T in motion and among echoes: transport packets that arrive, of gr-dtv's receiver, of ours, and of one that
knows the channel, on the same samples from gr-dtv's transmitter.

SNR: of a carrier in use, mean over the fading. TU6: six paths, Clarke's spectrum. A run is 0.82 s; of QPSK 1/2, 2k,
guard 1/8, 2,640 packets are the most that a receiver can give which begins with a superframe.

    build/env/radio/bin/python bench/dvbt.py doppler|still|echo|threshold|modes|schemes|speed
        [--draws 3] [--receivers stock ours genie]
"""

import argparse
import itertools
import time

import numpy as np
from gr_diffsem.air import moving_paths
from gr_diffsem.eval import dvbt_link
from gr_diffsem.eval.dvbt_link import Mode
from gr_diffsem.receivers.dvbt.dvbt_layout import RATE

SECONDS, SHORT = 0.82, 0.25
DELAYS, POWERS = np.array(moving_paths.TU6[0]) * RATE, moving_paths.TU6[1]
RECEIVERS = {
    "stock": ("stock", "stock"),
    "stock + ours": ("stock", "ours"),
    "ours": ("ours", "ours"),
    "genie": None,
}


def tu6(doppler, seed):
    """One draw; doppler in Hz."""
    return moving_paths.draw(np.random.default_rng([seed, round(doppler)]), DELAYS, POWERS, doppler / RATE)


def packets(sent, paths, snr_db, receivers, seed=0, **options):
    """{receiver: packets that are right}, all on the same samples."""
    y = dvbt_link.faded(sent, paths, snr_db, np.random.default_rng([seed, round(10 * snr_db)]))
    out = {}
    for name in receivers:
        parts = RECEIVERS[name]
        if parts is None:
            got = dvbt_link.genie(y, sent.mode, paths)
        else:
            got = dvbt_link.receive(y, sent.mode, *parts, snr_db=snr_db, **(options if "ours" in parts else {}))
        out[name] = dvbt_link.right(got, sent)
    return out


def table(heads, receivers):
    print("| " + " | ".join((*heads, *receivers)) + " |")
    print("|---" * (len(heads) + len(receivers)) + "|", flush=True)


def row(heads, got):
    print("| " + " | ".join(map(str, (*heads, *got.values()))) + " |", flush=True)


def doppler(args):
    """The table of facts: Doppler by SNR."""
    sent = dvbt_link.broadcast(SECONDS)
    table(("Doppler, Hz", "SNR, dB", "draw"), args.receivers)
    for hz, snr, draw in itertools.product((10, 50, 100), (6, 10, 15, 20, 30), range(args.draws)):
        row((hz, snr, draw), packets(sent, tu6(hz, draw), snr, args.receivers, draw))


def still(args):
    """Twenty draws of TU6 standing still, 15 dB."""
    sent = dvbt_link.broadcast(SECONDS)
    table(("draw", "power, dB"), args.receivers)
    for draw in range(20):
        paths = tu6(0, draw)
        power = 10 * np.log10(np.sum(np.abs(paths.gains([0])) ** 2))
        row((draw, f"{power:+.1f}"), packets(sent, paths, 15, args.receivers, draw))


def echo(args):
    """Two equal paths, 15 dB; the guard interval has 256 samples."""
    sent = dvbt_link.broadcast(SECONDS)
    table(("delay, samples",), args.receivers)
    for delay in (1, 20, 43, 85, 128, 171, 213, 240, 250, 254):
        paths = moving_paths.still([0.0, delay], np.array([1, 1j]) / np.sqrt(2))
        row((delay,), packets(sent, paths, 15, args.receivers, delay))


def threshold(args):
    """SNR from which on at most 1 % of the packets are lost, of the draws together."""
    table(("mode", "Doppler, Hz"), args.receivers)
    for constellation, hz in itertools.product(("qpsk", "16qam"), (10, 50)):
        sent = dvbt_link.broadcast(SECONDS, Mode(constellation=constellation))
        most = dvbt_link.right(dvbt_link.genie(sent.samples, sent.mode, moving_paths.still([0.0], [1.0])), sent)
        snrs = np.arange(10, 31, 2.0) + (4 if constellation == "16qam" else 0)
        lost = {name: [] for name in args.receivers}
        for snr in snrs:
            got = [packets(sent, tu6(hz, d), snr, args.receivers, d) for d in range(args.draws)]
            for name, values in lost.items():
                values.append(1 - sum(g[name] for g in got) / most / args.draws)
            print("#", constellation, hz, snr, {n: round(v[-1], 4) for n, v in lost.items()}, flush=True)
            if all(v[-1] <= 0.003 for n, v in lost.items() if n != "stock"):
                break
        row((constellation, hz), {n: crossing(snrs, v) for n, v in lost.items()})


def crossing(snrs, lost, share=0.01):
    """Where the share of lost packets falls to this, along a line in its logarithm."""
    level = np.log(np.maximum(lost, 1e-5))
    above = np.flatnonzero(level > np.log(share))
    if not above.size:
        return f"< {snrs[0]:.1f}"
    i = above[-1]
    if i + 1 == len(level):
        return f"> {snrs[i]:.1f}"
    return f"{snrs[i] + (snrs[i + 1] - snrs[i]) * (level[i] - np.log(share)) / (level[i] - level[i + 1]):.1f}"


def modes(args):
    """Other modes, flat and TU6 at 25 Hz, 25 dB."""
    table(("mode", "channel"), args.receivers)
    for mode in (
        Mode("2k", "1/32", "qpsk", "2/3"),
        Mode("2k", "1/4", "16qam", "1/2"),
        Mode("8k", "1/32", "qpsk", "1/2"),
        Mode("8k", "1/8", "16qam", "2/3"),
        Mode("8k", "1/4", "64qam", "1/2"),
    ):
        sent = dvbt_link.broadcast(SECONDS * (2 if mode.mode == "8k" else 1), mode)
        for name, paths in (("flat", moving_paths.still([0.0], [1.0])), ("TU6 25 Hz", tu6(25, 1))):
            said = f"{mode.mode} {mode.guard} {mode.constellation} {mode.rate}"
            row((said, name), packets(sent, paths, 25, args.receivers))


def schemes(args):
    """Our estimate by other means, TU6 at 50 Hz, 15 dB; and what each takes. A quarter of a second: some are slow."""
    sent = dvbt_link.broadcast(SHORT)
    paths = tu6(50, 0)
    table(("scheme", "packets", "CPU seconds"), ())
    for scheme in ("", "ofdm_grid/robust", "ofdm_grid/fast"):
        begun = time.process_time()
        got = packets(sent, paths, 15, ("ours",), scheme=scheme)
        row((scheme or "none", got["ours"], f"{time.process_time() - begun:.1f}"), {})


def speed(args):
    """MS/s on one core: CPU time of the blocks, and of whole receivers, the source's taken off; the best of five."""
    from gnuradio import blocks, diffsem, dtv, fft, gr
    from gnuradio.fft import window

    sent = dvbt_link.broadcast(SECONDS)
    mode, here = sent.mode, sent.mode.layout
    y = dvbt_link.faded(sent, tu6(50, 0), 15, np.random.default_rng(0))

    def chain(parts):
        """Seconds of CPU, least of five, and what the last vector sink has."""
        least = np.inf
        for _ in range(5):
            tb, made = gr.top_block(), parts()
            tb.connect(*made)
            begun = time.process_time()
            tb.run()
            least = min(least, time.process_time() - begun)
        return least, made[-1]

    def front(lib):
        transform = fft.fft_vcc(here.fft_len, True, window.rectangular(here.fft_len), True, 1)
        return [lib.dvbt_ofdm_sym_acquisition(1, here.fft_len, here.carriers, here.guard_len, 15.0), transform]

    def source():
        return [blocks.vector_source_c(y, False)]

    def rows():
        return blocks.vector_source_c(spectra, False, here.fft_len)

    def demod(lib):
        return lib.dvbt_demod_reference_signals(8, here.fft_len, here.data_len, *mode.reference_signals())

    spectra = np.array(chain(lambda: [*source(), *front(diffsem), blocks.vector_sink_c(here.fft_len)])[1].data())
    idle = chain(lambda: [*source(), blocks.null_sink(8)])[0]
    idle_rows = chain(lambda: [rows(), blocks.null_sink(8 * here.fft_len)])[0]
    parts = {
        "acquisition": (lambda lib: [*source(), front(lib)[0], blocks.null_sink(8 * here.fft_len)], idle),
        "reference signals": (lambda lib: [rows(), demod(lib), blocks.null_sink(8 * here.data_len)], idle_rows),
        "whole receiver": (
            lambda lib: [*source(), *front(lib), demod(lib), *dvbt_link.decoder(mode), blocks.null_sink(1)],
            idle,
        ),
    }
    table(("MS/s", "stock", "ours"), ())
    for name, (make, off) in parts.items():
        seconds = [chain(lambda make=make, lib=lib: make(lib))[0] - off for lib in (dtv, diffsem)]
        row((name, *(f"{len(y) / s / 1e6:.1f}" for s in seconds)), {})


def main():
    parts = {f.__name__: f for f in (doppler, still, echo, threshold, modes, schemes, speed)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--receivers", nargs="+", choices=RECEIVERS, default=["stock", "ours", "genie"])
    args = parser.parse_args()
    dvbt_link.quiet()
    parts[args.part](args)


if __name__ == "__main__":
    main()
