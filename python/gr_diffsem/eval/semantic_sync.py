# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures the semantic link's synchronisation: `gr-diffsem eval semantic_sync`.

Frames of random symbols, each with its own channel, carrier offset (+-2 carriers) and gap, go through
`sample_channel.send_frames`. Counted are frames found with their header right. Beside it stand gr-digital's detector
and header, on frames with its own sync words through the same channels and noise, but with offsets of +-0.4 carriers.
`sequence` says what the headers count: "picture" sends pictures of 40 frames once, so that each must be joined anew;
"carousel" repeats one.
"""

import math

import numpy as np

from ..air import sample_channel, symbol_channel
from ..air.fading import SEMANTIC_LINK
from ..air.impairments import noise
from ..base.errors import UserError
from ..base.number_options import real, whole
from ..codec import frame_header, frame_layout

FRAMES_PER_PICTURE = 40
#: OFDM symbols of the payloads here: short ones, because it is the preamble and header that are measured.
PAYLOAD = 10
STOCK_THRESHOLDS = (0.9, 0.5)


def add_arguments(parser):
    """argparse arguments of `gr-diffsem eval semantic_sync`."""
    whole(parser, "--frames", least=10, most=100000, default=500, help="frames for each channel and SNR")
    real(parser, "--snr", "dB", least=-100, most=100, nargs="+", default=[-5.0, 0.0, 5.0], metavar="DB")
    parser.add_argument("--channel", nargs="+", default=list(SEMANTIC_LINK), metavar="NAME")
    text = "million samples of noise alone"
    real(parser, "--noise", "million samples", least=0, most=1e5, default=1.0, metavar="M", help=text)
    whole(parser, "--seed", default=1)


def run(args):
    """{"snr_definition", "results": [...], "noise": {...}}; shares with the frames they are of."""
    for kind in args.channel:
        if kind not in SEMANTIC_LINK:
            raise UserError(f"--channel {kind}: give one of {', '.join(SEMANTIC_LINK)}")
    results = []
    for kind in args.channel:
        for snr_db in args.snr:
            entry = {"channel": kind, "snr_db": snr_db, "frames": args.frames}
            entry.update(ideal(kind, snr_db, args.seed))
            for sequence in ("carousel", "picture"):
                entry[sequence] = ours(kind, snr_db, args.frames, sequence, args.seed)
            for threshold in STOCK_THRESHOLDS:
                entry[f"stock_{threshold}"] = stock(kind, snr_db, min(args.frames, 500), threshold, args.seed)
            results.append(entry)
    return {
        "snr_definition": "Es/N0 per carrier behind the FFT, averaged over the fading",
        "results": results,
        "noise": on_noise(args.noise, args.seed),
    }


def table(report):
    """The report for people."""
    out = ["channel  snr_db  frames  carousel  picture  recognised  stock 0.9  stock 0.5  capacity 40 bits, 10 bits"]
    for e in report["results"]:
        out.append(
            f"{e['channel']:8s} {e['snr_db']:5.1f} {e['frames']:7d}  {e['carousel']['right']:8.4f} "
            f"{e['picture']['right']:8.4f}  {e['carousel']['recognised']:10.3f}  {e['stock_0.9']:9.3f}  "
            f"{e['stock_0.5']:9.3f}  {e['capacity_40_bits']:8.4f} {e['capacity_10_bits']:8.4f}"
        )
    n = report["noise"]
    out.append(
        f"noise alone, {n['samples'] / 1e6:.1f} million samples: {n['preambles']} preambles, "
        f"{n['frames']} frames; with a picture known: {n['frames_known']} frames"
    )
    return "\n".join(out)


def frames_of(n, sequence, rng, form):
    """Headers and samples of n frames: (list of Header, complex64 [n, S])."""
    headers, sent = [], []
    for i in range(n):
        picture = i // FRAMES_PER_PICTURE if sequence == "picture" else 0
        h = frame_header.Header(picture % 16, FRAMES_PER_PICTURE * form.frame_symbols, i % FRAMES_PER_PICTURE, 7)
        payload = noise(rng, 48 * form.frame_symbols, 1.0)
        headers.append(h)
        sent.append(form.samples(np.concatenate([frame_header.modulate(h), payload])))
    return headers, np.array(sent)


def synchronise(form, x):
    """(block, tags of each frame as a dict) of frame_sync_cvc on samples."""
    import pmt
    from gnuradio import blocks, diffsem, gr

    from .flowgraph import run_limited

    tb = gr.top_block("semantic_sync")
    block = diffsem.frame_sync_cvc(diffsem.frame_format_of(form))
    sink = blocks.vector_sink_c(form.fft_len)
    tb.connect(blocks.vector_source_c(np.asarray(x, np.complex64).tolist(), False), block, sink)
    run_limited(tb, 600)
    tags = {}
    for t in sink.tags():
        tags.setdefault(t.offset, {})[pmt.symbol_to_string(t.key)] = pmt.to_python(t.value)
    return block, [tags[k] for k in sorted(tags)]


def ours(kind, snr_db, n, sequence, seed):
    """{"right": share found with the header right, "wrong": frames that are none, "recognised": share of
    those out, "offset_rms": carrier spacings}."""
    form = frame_layout.Layout(frame_symbols=PAYLOAD)
    right, wrong, recognised, out, errors = 0, 0, 0, 0, []
    done = 0
    while done < n:  # in pieces, for the memory; a piece is joined anew
        count = min(n - done, 2000)
        rng = np.random.default_rng([seed, done, 1])
        headers, sent = frames_of(count, sequence, rng, form)
        r = sample_channel.send_frames(sent, kind, snr_db, rng)
        block, tags = synchronise(form, r.noisy)
        found = np.zeros(count, bool)
        for t in tags:
            i = int(np.argmin(np.abs(r.start - t["diffsem_start"])))
            early = r.start[i] - t["diffsem_start"]
            if -form.cp_len <= early <= form.cp_len and frame_header.Header(**t["diffsem_frame"]) == headers[i]:
                found[i] = True
                errors.append(t["diffsem_carrier_offset"] - r.offset[i])
            else:
                wrong += 1
        right += int(found.sum())
        recognised += block.frames_recognised()
        out += block.frames_out()
        done += count
    return {
        "right": right / n,
        "wrong": wrong,
        "recognised": recognised / max(out, 1),
        "offset_rms": float(np.sqrt(np.mean(np.square(errors)))) if errors else math.nan,
    }


def ideal(kind, snr_db, seed, n=4000):
    """Shares of channels whose 96 header symbols have a capacity of 40 bits (a header decoded by itself, by an ideal
    code with the channel known), and of 10 bits (one of 512 expected headers recognised)."""
    h = symbol_channel.draw(kind, np.random.default_rng([seed, 2]), n)
    capacity = frame_header.SYMBOLS * np.log2(1 + 10 ** (snr_db / 10) * np.abs(h) ** 2).mean(1)
    return {"capacity_40_bits": float(np.mean(capacity >= 40)), "capacity_10_bits": float(np.mean(capacity >= 10))}


def stock(kind, snr_db, n, threshold, seed):
    """Share of frames that gr-digital finds and whose header it reads: ofdm_sync_sc_cfb, least squares on the second
    sync word, 48 uncoded BPSK bits, of which the first 32 must be right (packet_header_ofdm)."""
    from ..phy import packet_frame
    from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
    from . import link_sync

    rng = np.random.default_rng([seed, 3])
    form = frame_layout.Layout(frame_symbols=PAYLOAD)
    words = np.stack(packet_frame.sync_words())
    bits = 1 - 2 * rng.integers(0, 2, (n, 48))
    sent = []
    for i in range(n):
        payload = (1 - 2 * rng.integers(0, 2, (48 * PAYLOAD, 2))) @ [1, 1j] * np.sqrt(0.5)
        spectra = form.frame_spectra(np.concatenate([bits[i], payload]))
        spectra[:2] = words
        sent.append(form.to_samples(spectra))
    r = sample_channel.send_frames(np.array(sent), kind, snr_db, rng, max_offset=0.4)
    found = link_sync.schmidl_cox(r, threshold)
    windows = found.windows(found.noisy, 3)
    y = windows[:, 2, LAYOUT.data_bins] * windows[:, 1, LAYOUT.data_bins].conj() * words[1, LAYOUT.data_bins]
    right = set()
    for packet, timing, values in zip(found.packet, found.timing, y, strict=True):
        if (
            packet >= 0
            and -LAYOUT.cp_len <= timing <= LAYOUT.cp_len
            and (np.sign(values.real)[:32] == bits[packet][:32]).all()
        ):
            right.add(int(packet))
    return len(right) / n


def on_noise(millions, seed):
    """Preambles and frames that noise alone is taken for, before and after a picture became known."""
    form = frame_layout.Layout(frame_symbols=PAYLOAD)
    rng = np.random.default_rng([seed, 4])
    n = int(1e6 * millions)
    x = (rng.standard_normal(n, np.float32) + 1j * rng.standard_normal(n, np.float32)).astype(np.complex64)
    block, _ = synchronise(form, x)
    _, sent = frames_of(2, "carousel", rng, form)
    known, _ = synchronise(form, np.concatenate([sent.ravel().astype(np.complex64), x]))
    return {
        "samples": n,
        "preambles": block.frames_found(),
        "frames": block.frames_out(),
        "frames_known": known.frames_out() - 2,
    }
