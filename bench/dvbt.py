#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""DVB-T in motion and among echoes: transport packets that arrive, of gr-dtv's receiver, of ours, and of one that
knows the channel, on the same samples from gr-dtv's transmitter.

SNR: of a carrier in use, mean over the fading. TU6: six paths, Clarke's spectrum. A run is 0.82 s; of QPSK 1/2, 2k,
guard 1/8, 2,640 packets are the most that a receiver can give which begins with a superframe.

    build/env/radio/bin/python bench/dvbt.py doppler|still|echo|threshold|picture|modes|schemes|speed
        [--draws 3] [--receivers stock ours genie ...] [--to dvbt_mobile.png]
"""

import argparse
import functools
import itertools
import time

import numpy as np
from gr_diffsem.air import moving_paths
from gr_diffsem.air.impairments import noise
from gr_diffsem.eval import dvbt_link
from gr_diffsem.eval.dvbt_link import Mode
from gr_diffsem.receivers.dvbt.dvbt_layout import RATE

SECONDS, HALF, SHORT = 0.82, 0.5, 0.25
DELAYS, POWERS = np.array(moving_paths.TU6[0]) * RATE, moving_paths.TU6[1]
RECEIVERS = {  # whose acquisition, whose reference signals, soft decisions?
    "stock": ("stock", "stock", False),
    "stock + ours": ("stock", "ours", False),
    "ours": ("ours", "ours", False),
    "ours, soft": ("ours", "ours", True),
    "genie": ("genie", "genie", False),
    "genie, soft": ("genie", "genie", True),
}


def tu6(doppler, seed):
    """One draw; doppler in Hz."""
    return moving_paths.draw(np.random.default_rng([seed, round(doppler)]), DELAYS, POWERS, doppler / RATE)


def packets(sent, paths, snr_db, receivers, seed=0, **options):
    """{receiver: packets that are right}, all on the same samples."""
    y = dvbt_link.faded(sent, paths, snr_db, np.random.default_rng([seed, round(10 * snr_db)]))
    return {name: arrived(name, y, sent, paths, snr_db, **options) for name in receivers}


def arrived(name, y, sent, paths, snr_db, **options):
    """Packets that are right by this receiver."""
    parts = RECEIVERS[name]
    if "genie" in parts:
        got = dvbt_link.genie(y, sent.mode, paths, parts[2], sent.noise_var(snr_db))
    else:
        got = dvbt_link.receive(y, sent.mode, *parts, snr_db=snr_db, **(options if "ours" in parts else {}))
    return dvbt_link.right(got, sent)


def most_of(sent):
    """Packets that a receiver can give."""
    return dvbt_link.right(dvbt_link.genie(sent.samples, sent.mode, moving_paths.still([0.0], [1.0])), sent)


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
    """SNR from which on at most 1 % of the packets are lost, of each draw of half a second, whose noise is the same at
    any SNR but for its size; then what lies between receivers, of each draw by itself."""
    names = args.receivers
    table(("mode", "Doppler, Hz", "draw"), names)
    for constellation, hz in itertools.product(("qpsk", "16qam"), (10, 50)):
        sent = dvbt_link.broadcast(HALF, Mode(constellation=constellation))
        most, found = most_of(sent), {name: [] for name in names}
        for draw in range(args.draws):
            paths = tu6(hz, draw)
            faded = sent.over(paths)
            rough = noise(np.random.default_rng([draw, hz]), len(faded), 1.0)
            for name in names:
                lost = functools.partial(share_lost, name, sent, paths, faded, rough, most)
                start = (14 if constellation == "qpsk" else 20) - (3 if "soft" in name else 0)
                found[name].append(crossing(lost, start))
            row((constellation, hz, draw), {name: f"{found[name][-1]:.2f}" for name in names})
        for one, other in (("ours", "genie"), ("ours", "ours, soft"), ("ours, soft", "genie, soft")):
            if one in names and other in names:
                apart = np.subtract(found[one], found[other])
                least, largest = apart.min(), apart.max()
                print(f"# {one} - {other}: {apart.mean():+.2f} dB, {least:+.2f} .. {largest:+.2f}", flush=True)


def share_lost(name, sent, paths, faded, rough, most, snr):
    """Of the packets, by a receiver of these samples with noise rough, of unit power, at this SNR."""
    y = (faded + np.sqrt(sent.noise_var(snr)) * rough).astype(np.complex64)
    return 1 - arrived(name, y, sent, paths, snr) / most


def crossing(lost, snr, share=0.01, step=2.0, fine=0.5, most=40.0):
    """The SNR where lost(snr) falls to this share, along a line in its logarithm between points `fine` apart."""
    below = above = None
    while (below is None or above is None) and snr <= most:
        part = lost(snr)
        if part > share:
            above, snr = (snr, part), snr + step
        else:
            below, snr = (snr, part), snr - step
    if below is None:
        return np.inf
    while below[0] - above[0] > fine:
        snr = (below[0] + above[0]) / 2
        part = lost(snr)
        below, above = (below, (snr, part)) if part > share else ((snr, part), above)
    level = [np.log(max(part, 1e-4)) for _, part in (above, below)]
    return above[0] + (below[0] - above[0]) * (level[0] - np.log(share)) / (level[0] - level[1])


def picture(args):
    """What arrives over SNR at 50 Hz, and payload of the same symbols by stock and by ours."""
    from gr_diffsem.eval import plots

    plots.check("--to", args.to)
    sent = dvbt_link.broadcast(SECONDS)
    most, snrs = most_of(sent), (5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 18, 20, 25, 30)
    shares = {name: [] for name in SHOWN}
    table(("SNR, dB",), SHOWN)
    for snr in snrs:
        got = [packets(sent, tu6(50, draw), snr, SHOWN, draw) for draw in range(args.draws)]
        for name, values in shares.items():
            values.append(100 * sum(g[name] for g in got) / most / args.draws)
        row((snr,), {name: f"{values[-1]:.1f} %" for name, values in shares.items()})
    draw_picture(plots, sent, snrs, shares, args.to)


SHOWN = {  # receiver: words and mark of the picture
    "genie": ("the true channel, hard", "k--"),
    "ours, soft": ("ours, soft", "C2o-"),
    "ours": ("ours, hard", "C0o-"),
    "stock": ("gr-dtv", "C3o-"),
}


def draw_picture(plots, sent, snrs, shares, path, points_at=30):
    """shares: {receiver: % of the packets at each of snrs}. points_at: dB, of the payload that is shown."""
    figure, axes = plots.panels(3)
    for name, (words, mark) in SHOWN.items():
        axes[0].plot(snrs, shares[name], mark, ms=4, label=words)
    axes[0].set(xlabel="SNR, dB", ylabel="transport packets that arrive, %", title="DVB-T, TU6, 50 Hz of Doppler")
    axes[0].grid(alpha=0.3)
    axes[0].legend()
    y = dvbt_link.faded(sent, tu6(50, 0), points_at, np.random.default_rng(0))
    for axis, name, words in zip(axes[1:], ("stock", "ours"), ("gr-dtv", "ours"), strict=True):
        points = dvbt_link.payload(y, sent.mode, *RECEIVERS[name][:2])[::100].ravel()[:8000]
        axis.plot(points.real, points.imag, ".", ms=1.5, alpha=0.5)
        axis.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal", title=f"payload by {words}, {points_at} dB")
    figure.savefig(path, dpi=110)


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
            soft = [part for part in made if isinstance(part, diffsem.dvbt_soft_decoder)]
            if soft:
                tb.connect((made[made.index(soft[0]) - 1], 1), (soft[0], 1))
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

    def demod(lib, **options):
        return lib.dvbt_demod_reference_signals(8, here.fft_len, here.data_len, *mode.reference_signals(), **options)

    def soft_part():
        return [demod(diffsem, soft=True), dvbt_link.soft_decoder(mode), *dvbt_link.outer_decoder()]

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
    seconds = chain(lambda: [*source(), *front(diffsem), *soft_part(), blocks.null_sink(1)])[0] - idle
    row(("whole receiver, soft", "", f"{len(y) / seconds / 1e6:.1f}"), {})


def main():
    parts = {f.__name__: f for f in (doppler, still, echo, threshold, picture, modes, schemes, speed)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=parts)
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--receivers", nargs="+", choices=RECEIVERS)
    parser.add_argument("--to", default="dvbt_mobile.png", help="where the picture is written")
    args = parser.parse_args()
    soft = ["ours", "ours, soft", "genie"]
    args.receivers = args.receivers or (soft if args.part == "threshold" else ["stock", "ours", "genie"])
    dvbt_link.quiet()
    parts[args.part](args)


if __name__ == "__main__":
    main()
