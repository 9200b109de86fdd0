#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each overload policy makes of a channel estimator that is offered more than it can do.

Coded QPSK packets (TDL-A, 10 dB; `gr-diffsem eval ofdm_link` has the link) arrive at 0.5 to 20 times the rate at which
the estimator, thirty steps for each, keeps up. Every policy gets the same samples. Told are the age of the estimates,
their error, and the packets lost: not decoded with the estimate that came, or come later than the deadline. `none` is a
block without a deadline: it falls behind the air, and is counted from there.

Then the same estimator inside gr-digital's whole receiver (`gr_diffsem.eval.link_clock`), whose `header_payload_demux`
hands over one frame and waits: thirty steps asked with the deadline, beside one step without, in turns, at 2 MS/s or at
nine tenths of what the receiver with one step carries.

    build/env/radio/bin/python bench/overload.py [--json FILE] [--picture docs/images/overload.png]
"""

import argparse
import json
import time

import numpy as np
import pmt
from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import sample_channel
from gr_diffsem.eval import link_clock, link_estimates, link_measure, link_sync
from gr_diffsem.eval.flowgraph import run_limited
from gr_diffsem.eval.link_receiver import Method, Taps, receive_cut
from gr_diffsem.eval.link_transmitter import transmit
from gr_diffsem.phy import packet_frame
from gr_diffsem.phy.ofdm_layout import LAYOUT_64 as LAYOUT

STEPS = 30
SCHEME = f"ofdm_chanest:sampler=ddim,steps={STEPS}"
DEADLINE = 20.0  # ms
LOADS = (0.5, 1.0, 2.0, 5.0, 10.0)
HOPELESS = 2.0  # load beyond which a block without a deadline shows nothing new in minutes of waiting
POLICIES = ("none", "fewer_steps", "bypass")
PACKETS, SNR_DB, SECONDS = 300, 10.0, 4.0
RECEIVER_SNR_DB = 20.0  # where the stock detector finds all packets
OFFERED = 2e6  # samples a second, to the receiver
TURNS, TURN_SECONDS = 3, 6.0
RECEIVERS = {  # scheme, deadline in ms, overload
    "1 step": ("ofdm_chanest:sampler=ddim,steps=1", 0.0, "wait"),
    "30 steps, fewer_steps": (SCHEME, DEADLINE, "fewer_steps"),
    "30 steps, no deadline": (SCHEME, 0.0, "wait"),
}


def packets(seed):
    """(windows [PACKETS, 12, 64], payloads, true taps, noise variance of each)."""
    fmt = packet_frame.FORMATS["qpsk"]
    payloads = packet_frame.payloads(fmt, PACKETS, seed)
    air = sample_channel.send_packets(transmit(fmt, payloads), "short", np.full(PACKETS, SNR_DB), seed)
    synced = link_sync.ideal(air)
    truth, noise = link_estimates.perfect(synced).taps, link_estimates.noise_behind_fft(synced, air)
    return synced.windows(synced.noisy), payloads[synced.packet], truth, noise


def stream(windows, policy, rate, count):
    """`count` frames at `rate` a second (0: as fast as it goes) through the block: its tags and the seconds it took."""
    words = packet_frame.sync_words()
    deadline = 0.0 if policy == "none" else DEADLINE
    block = diffsem.ofdm_chanest_vcvc(
        SCHEME,
        words[0].tolist(),
        words[1].tolist(),
        packet_frame.FRAME_SYMBOLS,
        max_carr_offset=0,
        extra_tags="all",
        deadline=deadline,
        overload="wait" if policy == "none" else policy,
    )
    tb = gr.top_block()
    symbols = windows.shape[1]
    size = gr.sizeof_gr_complex * LAYOUT.fft_len
    source = blocks.vector_source_c(windows.ravel().tolist(), True, LAYOUT.fft_len)
    head = blocks.head(size, count * symbols)
    sink = blocks.vector_sink_c(LAYOUT.fft_len, count * packet_frame.FRAME_SYMBOLS)
    tb.connect(source, head)
    last = head
    if rate:
        last = blocks.throttle(size, rate * symbols)
        last.set_max_noutput_items(symbols * max(1, round(rate * 5e-4)))  # frame by frame, as from the air
        tb.connect(head, last)
    tb.connect(last, block, sink)
    start = time.monotonic()
    run_limited(tb, 300.0)
    seconds = time.monotonic() - start
    assert block.items_in() == block.items_out() == count
    behind = seconds - count / rate if rate else 0.0
    tags = {}
    for t in sink.tags():
        tags.setdefault(pmt.symbol_to_string(t.key), []).append((t.offset, t.value))
    return tags, seconds, behind


def values(tags, key, convert=pmt.to_python):
    """One key's values in order of frames."""
    return np.array([convert(v) for _, v in sorted(tags.get(key, []), key=lambda tag: tag[0])])


def one(windows, payloads, truth, noise, policy, load, capacity):
    """A line of the table."""
    rate = load * capacity
    count = max(PACKETS, round(rate * SECONDS) // PACKETS * PACKETS)
    tags, seconds, behind = stream(windows, policy, rate, count)
    steps = values(tags, "diffsem_steps")
    if policy == "none":  # behind the air: served evenly, so that frame k comes at k / count of the whole time
        ages = np.maximum((np.arange(count) + 1) * (seconds / count - 1 / rate), values(tags, "diffsem_age"))
    else:
        ages = values(tags, "diffsem_age")
    late = ages > 1e-3 * DEADLINE * 1.05
    taps = values(tags, "ofdm_sync_chan_taps", pmt.c32vector_elements).astype(np.complex64)
    error = values(tags, "diffsem_error_var", pmt.f32vector_elements).astype(np.float32)
    which = np.arange(count) % PACKETS
    nmse = link_measure.nmse_db(taps, truth[which])
    last = np.arange(count)[-PACKETS:]  # one pass over all packets, in order
    decoded = receive_cut(
        windows,
        packet_frame.FORMATS["qpsk"],
        payloads,
        Method(None),
        noise,
        Taps(taps[last], np.maximum(error[last], 0)),
    )
    lost = ~(decoded.header_ok & decoded.payload_ok) | late[last]
    return {
        "policy": policy,
        "load": load,
        "frames": count,
        "age_ms": {q: round(1e3 * float(np.quantile(ages, p)), 2) for q, p in (("p50", 0.5), ("p99", 0.99))},
        "behind_ms": round(1e3 * behind, 1),
        "steps": round(float(steps.mean()), 2),
        "bypassed": round(float((steps == 0).mean()), 4),
        "late": round(float(late.mean()), 4),
        "nmse_db": round(float(nmse), 2),
        "per": round(float(lost.mean()), 4),
    }


def receivers(seed):
    """Lines of the second table: medians over the turns, and shares of the first receiver in the same turn."""
    fmt = packet_frame.FORMATS["qpsk"]
    sent = transmit(fmt, packet_frame.payloads(fmt, PACKETS, seed))
    samples = sample_channel.send_packets(sent, "short", RECEIVER_SNR_DB, seed).noisy.tolist()

    def run(name, rate):
        scheme, *live = RECEIVERS[name]
        return link_clock.run(scheme, fmt, samples, rate, TURN_SECONDS, *live)

    first = next(iter(RECEIVERS))
    offered = min(OFFERED, 0.9 * run(first, 100 * OFFERED)["through"])
    turns = [{name: run(name, offered) for name in RECEIVERS} for _ in range(TURNS)]
    rows = []
    for name in RECEIVERS:
        row = {key: float(np.median([t[name][key] for t in turns])) for key in turns[0][name] if key != "age_from"}
        for key in ("through", "good"):
            row[f"{key}_share"] = float(np.median([t[name][key] / t[first][key] for t in turns]))
        rows.append({"receiver": name, **row})
    return rows


def print_receivers(rows):
    """The second table."""
    print(f"\ngr-digital's receiver, {rows[0]['rate'] / 1e6:.3g} MS/s offered\n")
    print("| receiver | MS/s | share | good/s | share | age p50 / p99, ms | as said | evaluations | bypassed |")
    print("|---|---|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['receiver']} | {r['through'] / 1e6:.3f} | {100 * r['through_share']:.0f} % | {r['good']:.0f} | "
            f"{100 * r['good_share']:.0f} % | {1e3 * r['age_p50']:.1f} / {1e3 * r['age_p99']:.1f} | "
            f"{1e3 * r['said_p50']:.1f} / {1e3 * r['said_p99']:.1f} | {r['steps']:.1f} | {100 * r['bypassed']:.0f} % |"
        )


def picture(rows, path):
    """Age and packets lost against load."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    names = {"none": "no deadline", "fewer_steps": "fewer_steps", "bypass": "bypass"}
    for policy in POLICIES:
        mine = [r for r in rows if r["policy"] == policy]
        loads = [r["load"] for r in mine]
        left.loglog(loads, [r["age_ms"]["p99"] for r in mine], "o-", label=names[policy])
        right.semilogx(loads, [100 * r["per"] for r in mine], "o-", label=names[policy])
    left.axhline(DEADLINE, color="grey", ls="--", lw=1)
    left.text(0.5, DEADLINE * 1.1, "deadline", color="grey", va="bottom")
    left.set(xlabel="load (1: the estimator just keeps up)", ylabel="age of an estimate, 99 % (ms)")
    right.set(xlabel="load", ylabel="packets lost or late (%)", ylim=(0, 102))
    left.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write the numbers to this file")
    parser.add_argument("--picture", help="draw them into this file")
    parser.add_argument("--receiver", action="store_true", help="only the whole receiver")
    args = parser.parse_args()
    if args.receiver:
        print_receivers(receivers(args.seed))
        return
    signal = packets(args.seed)
    _, seconds, _ = stream(signal[0], "none", 0, 2 * PACKETS)
    capacity = 2 * PACKETS / seconds
    print(f"the estimator keeps up with {capacity:.0f} frames a second\n")
    print("| load | policy | age p50 / p99, ms | behind, ms | evaluations | bypassed | late | NMSE, dB | lost |")
    print("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for load in LOADS:
        for policy in POLICIES:
            if policy == "none" and load > HOPELESS:
                continue
            r = one(*signal, policy, load, capacity)
            rows.append(r)
            print(
                f"| {load:g} | {policy} | {r['age_ms']['p50']:.1f} / {r['age_ms']['p99']:.1f} | "
                f"{r['behind_ms']:.0f} | {r['steps']:.1f} | "
                f"{100 * r['bypassed']:.0f} % | {100 * r['late']:.0f} % | "
                f"{r['nmse_db']:.1f} | {100 * r['per']:.0f} % |",
                flush=True,
            )
    whole = receivers(args.seed)
    print_receivers(whole)
    if args.json:
        with open(args.json, "w") as f:
            head = {"capacity": capacity, "deadline_ms": DEADLINE, "scheme": SCHEME}
            json.dump({**head, "rows": rows, "receivers": whole}, f, indent=1)
    if args.picture:
        picture(rows, args.picture)


if __name__ == "__main__":
    main()
