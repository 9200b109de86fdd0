#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A receiver's estimators at ten times what they can do, for as long as is asked, with everything that may go wrong.

Three branches, one for each policy that keeps a deadline: OFDM frames through `ofdm_chanest_vcvc` and the equaliser
with `fewer_steps` and with `bypass`, and vectors through `estimate` with `drop`. Input that is NaN, infinite,
silent or huge, tags that make no sense, schemes exchanged every fraction of a second (some that cannot be had, one that
gives no numbers), rates that jump. At the end the books: what the blocks counted against what the scheduler
counted, ages against the deadline, memory. Exit status 1 where they do not agree.

    make soak MINUTES=60
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import sys
import time

import numpy as np
import pmt
from gnuradio import blocks, diffsem, digital, gr

N = 64
SYNC, DATA = 2, 2  # symbols of a frame
USED = np.r_[6:32, 33:59]
DEADLINE = 50.0  # ms
STEPS = 30
SLOW = f"ofdm_chanest:sampler=ddim,steps={STEPS}"
FRAGILE = str(pathlib.Path(__file__).parents[1] / "data" / "priors" / "fragile64.onnx")
# Mostly slow ones, so that it stays an overload; the others come and go.
SCHEMES = (SLOW, SLOW, SLOW, f"ofdm_chanest:sampler=ddpm,steps={STEPS}", "ofdm_chanest/mmse_net", "ofdm_chanest/lmmse")
TROUBLE = (FRAGILE, "no_such_scheme", "ofdm_chanest:steps=-3", "/no/such/file.onnx")
# Of the memory in use, medians of the last quarter over the second: what is in use at one moment depends on the schemes
# that happen to be loaded (up to three a block).
GROWTH = 0.01


def channels(rng, count):
    """Responses [count, N] of eight random taps."""
    taps = (rng.standard_normal((count, 8)) + 1j * rng.standard_normal((count, 8))) / 4
    return np.fft.fft(taps, N, axis=1)


def noise(rng, shape, variance=0.05):
    """Complex noise."""
    return np.sqrt(variance / 2) * (rng.standard_normal(shape) + 1j * rng.standard_normal(shape))


def spoil(rng, items):
    """Every twentieth item holds what no receiver should send on."""
    for k in range(0, len(items), 20):
        kind = rng.integers(5)
        if kind == 4:
            items[k] *= 1e3
        else:
            items[k, rng.integers(items.shape[1])] = (np.nan, np.inf, 1e30, 1e-40)[kind]
    return items.astype(np.complex64)


def tags(rng, items, keys):
    """Random tags, a third of them of a kind that the block does not expect."""
    made = []
    for offset in np.sort(rng.integers(0, items, items // 10)):
        tag = gr.tag_t()
        tag.offset = int(offset)
        tag.key = pmt.intern(keys[rng.integers(len(keys))])
        value = float(10 ** rng.uniform(-3, 1))
        tag.value = (
            pmt.from_double(value),
            pmt.from_double(value),
            pmt.from_double(value),
            pmt.intern("nonsense"),
            pmt.from_double((float("nan"), -1.0, 0.0)[rng.integers(3)]),
            pmt.init_f32vector(2, [1.0, value]),
        )[rng.integers(6)]
        made.append(tag)
    return made


class Listener(gr.basic_block):
    """Counts what the blocks say happened."""

    def __init__(self):
        gr.basic_block.__init__(self, "listener", None, None)
        self.events = {}
        self.message_port_register_in(pmt.intern("in"))
        self.set_msg_handler(pmt.intern("in"), self.hear)

    def hear(self, message):
        """One dictionary of statistics or an event."""
        event = pmt.dict_ref(message, pmt.intern("event"), pmt.PMT_NIL)
        if pmt.is_symbol(event):
            name = pmt.symbol_to_string(event)
            self.events[name] = self.events.get(name, 0) + 1


class Branch:
    """One inference block, what feeds it and what takes its output."""

    def __init__(self, tb, rng, policy, listener):
        self.policy = policy
        live = {"deadline": DEADLINE, "overload": policy, "fault_limit": 8}
        if policy == "drop":
            items = spoil(rng, channels(rng, 500) + noise(rng, (500, N)))
            self.symbols, self.per_item, self.per_output = items, 1, 1
            self.block = diffsem.estimate(SLOW, noise="tag", noise_var=0.05, tag_items=True, **live)
            keys = ("diffsem_noise_var", "snr", "other")
            last = self.block
        else:
            first = np.zeros(N, complex)
            first[6:59:2] = np.sqrt(2) * rng.choice([-1, 1], 27)
            second = np.zeros(N, complex)
            second[USED] = rng.choice([-1, 1], len(USED))
            data = np.zeros((DATA, N), complex)
            signs = rng.choice([-1, 1], (2, DATA, len(USED)))
            data[:, USED] = (signs[0] + 1j * signs[1]) / np.sqrt(2)
            h = channels(rng, 200)
            frames = np.concatenate([[first, second], data])[None] * h[:, None]
            frames = spoil(rng, (frames + noise(rng, frames.shape)).reshape(200, -1)).reshape(-1, N)
            self.symbols, self.per_item, self.per_output = frames, SYNC + DATA, DATA
            self.block = diffsem.ofdm_chanest_vcvc(
                SLOW, first.tolist(), second.tolist(), DATA, extra_tags="all", **live
            )
            equaliser = diffsem.ofdm_equalizer_diffsem(N, [USED.tolist()], [[]], [[]])
            last = digital.ofdm_frame_equalizer_vcvc(equaliser.base(), 16, "packet_len", True, DATA)
            keys = ("rx_time", "diffsem_noise_var", "burst")  # gr-digital's equaliser dies of some others
        source = blocks.vector_source_c(self.symbols.ravel().tolist(), True, N, tags(rng, len(self.symbols), keys))
        self.throttle = blocks.throttle(gr.sizeof_gr_complex * N, 1000.0)
        tb.connect(source, self.throttle, self.block)
        if last is not self.block:
            tb.connect(self.block, last)
        self.sink = blocks.null_sink(gr.sizeof_gr_complex * N)
        tb.connect(last, self.sink)
        tb.msg_connect(self.block, "stats", listener, "in")
        self.keep = (source, last)  # Python's side of them

    def ledger(self):
        """What the block counted, and whether the scheduler counted the same."""
        b = self.block
        read, written = b.nitems_read(0), b.nitems_written(0)
        balanced = (
            b.items_in() == b.items_out() + b.items_dropped()
            and read == b.items_in() * self.per_item
            and written == b.items_out() * self.per_output
        )
        return {
            "policy": self.policy,
            "in": b.items_in(),
            "out": b.items_out(),
            "dropped": b.items_dropped(),
            "bypassed": b.items_bypassed(),
            "swapped": b.swaps(),
            "faults": b.faults(),
            "balanced": balanced,
            "p50_ms": round(1e3 * b.age_quantile(0.5), 3),
            "p99_ms": round(1e3 * b.age_quantile(0.99), 3),
            "max_ms": round(1e3 * b.age_max(), 3),
        }


def resident():
    """Bytes of memory in use."""
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def evaluation_seconds():
    """What one evaluation of the slow scheme takes for one item, alone on this machine."""
    rng = np.random.default_rng(0)
    y = (channels(rng, 64) + noise(rng, (64, N))).astype(np.complex64)
    scheme, best = diffsem.scheme(SLOW), np.inf
    for _ in range(5):
        start = time.perf_counter()
        scheme.estimate(y, 0.05)
        best = min(best, time.perf_counter() - start)
    return best / STEPS / len(y)


def exchange(dice, branch):
    """Another scheme for one of the blocks, by call or by message; what cannot be had changes nothing."""
    spec = dice.choice(TROUBLE if dice.random() < 0.25 else SCHEMES)
    if dice.random() < 0.5:
        branch.block.to_basic_block()._post(pmt.intern("scheme"), pmt.intern(spec))
    else:
        with contextlib.suppress(ValueError):
            branch.block.set_scheme(spec)


def run(minutes, seed, every, say=print):
    """Soak for so many minutes; the ledger."""
    gr.logging().set_default_level(gr.log_levels.off)
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    each = evaluation_seconds()
    base = 1 / (each * STEPS)  # items a second that one core could do in full
    tb, listener = gr.top_block("soak"), Listener()
    branches = [Branch(tb, rng, policy, listener) for policy in ("fewer_steps", "bypass", "drop")]
    for b in branches:
        b.throttle.set_sample_rate(10 * base * b.per_item)
    tb.start()
    start = time.monotonic()
    memory, told = [[], [], [], []], 0  # in use in each quarter; the first warms up
    while (now := time.monotonic() - start) < 60 * minutes:
        time.sleep(every * dice.random() * 2)
        branch = dice.choice(branches)
        exchange(dice, branch)
        if dice.random() < 0.2:  # ten times on average, from half to forty times
            branch.throttle.set_sample_rate(10 * base * branch.per_item * dice.choice((0.05, 0.5, 1, 1, 1, 4)))
        quarter = min(int(4 * now / (60 * minutes)), 3)
        memory[quarter].append(resident())
        if now - told > 30:
            told = now
            say(f"{now / 60:5.1f} min  " + "  ".join(f"{b.policy} {b.block.items_in()}" for b in branches))
    tb.stop()
    tb.wait()
    books = [b.ledger() for b in branches]
    total = {k: sum(b[k] for b in books) for k in ("in", "out", "dropped", "bypassed", "swapped", "faults")}
    limit = DEADLINE + 1e3 * each
    before, after = (int(np.median(memory[quarter])) for quarter in (1, 3))
    growth = after / before - 1
    total.update(
        minutes=round(minutes, 2),
        seed=seed,
        balanced=all(b["balanced"] for b in books),
        p50_ms=max(b["p50_ms"] for b in books),
        p99_ms=max(b["p99_ms"] for b in books),
        max_ms=max(b["max_ms"] for b in books),
        limit_ms=round(limit, 3),
        rss_start=before,
        rss_end=after,
        rss_growth=round(growth, 5),
        rss_quarters=[int(np.median(m)) for m in memory],
        overload=round(sum(b["in"] for b in books) / (60 * minutes * base), 1),
        events=listener.events,
        branches=books,
    )
    total["passed"] = bool(
        total["balanced"] and total["p99_ms"] <= limit and growth < GROWTH and total["swapped"] and total["faults"]
    )
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=0.1, help="seconds between exchanges, on average")
    args = parser.parse_args()
    if args.minutes <= 0 or args.every <= 0:
        parser.error("--minutes and --every must be above 0")
    total = run(args.minutes, args.seed, args.every, lambda text: print(text, file=sys.stderr, flush=True))
    for b in total["branches"]:
        print(
            f"{b['policy']:>12}: {b['in']} in = {b['out']} out + {b['dropped']} dropped; {b['bypassed']} bypassed, "
            f"{b['swapped']} swaps, {b['faults']} faults; "
            f"age {b['p50_ms']:.1f} / {b['p99_ms']:.1f} / {b['max_ms']:.1f} ms",
            file=sys.stderr,
        )
    print(json.dumps(total))
    sys.exit(0 if total["passed"] else 1)


if __name__ == "__main__":
    main()
