# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures in real time: `gr-diffsem send --latency` in one process, a receiver in another, over ZeroMQ.

    build/env/radio/bin/python bench/video_speed.py --clip vtest.avi [--fps 10] [--latency 3] [--scheme photo_mmse/int8]

Prints how many frames a second came out (of those that the clip has), how many the sender left out, how many the
network saw, and how old a frame was when it came out of the decoder: from its being taken, and beyond the time that its
group takes to be collected and to cross the air, which is what computing costs. The receiver's decoder has a deadline,
under which frames lose the network first.
"""

import argparse
import json
import subprocess
import sys
import time

import numpy as np

PORT = 5631


def receiver(scheme, deadline, seconds):
    """Print number, time, and what was said of each frame that comes, as JSON lines, until nothing comes any more."""
    import pmt
    from gnuradio import diffsem, gr, zeromq
    from gnuradio.diffsem.video_frames import from_content

    class Decoder(diffsem.semantic_decoder):
        def message_port_pub(self, port, message):
            if pmt.symbol_to_string(port) == "content":
                now, said = time.time(), from_content(message)[1]
                wanted = ("number", "evaluations", "generated", "seconds", "diffsem_age")
                print(json.dumps({**{name: said.get(name) for name in wanted}, "time": now}), flush=True)

    tb = gr.top_block()
    source = zeromq.sub_source(gr.sizeof_gr_complex, 1, f"tcp://127.0.0.1:{PORT}", 100, False, 200)
    rx = diffsem.semantic_rx("ofdm_chanest")
    decoder = Decoder(scheme, deadline=deadline, overload="fewer_steps" if deadline else "wait")
    tb.connect(source, rx)
    tb.msg_connect((rx, "pdus"), (decoder, "frames"))
    print("ready", flush=True)
    tb.start()
    time.sleep(seconds)
    tb.stop()
    tb.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", required=True, help="a file, camera: or screen:")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--latency", type=float, default=3.0)
    parser.add_argument("--max-side", type=int, default=320)
    parser.add_argument("--cbr", default="1/24")
    parser.add_argument("--rate", type=float, default=1e6, help="samples a second of the air")
    parser.add_argument("--scheme", default="photo_mmse/int8")
    parser.add_argument("--deadline", type=float, default=1000.0, help="ms from a group's last frame, 0: none")
    parser.add_argument("--receiver", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.receiver:
        receiver(args.scheme, args.deadline, args.seconds)
        return
    again = [sys.executable, __file__, "--clip", "-", "--receiver", "--scheme", args.scheme]
    again += ["--deadline", str(args.deadline), "--seconds", str(args.seconds + 15)]
    hears = subprocess.Popen(again, stdout=subprocess.PIPE, text=True)
    hears.stdout.readline()
    words = ["send", args.clip, "--to", f"zmq://127.0.0.1:{PORT}", "--latency", args.latency, "--cbr", args.cbr]
    words += ["--max-side", args.max_side, "--rate", args.rate, "--frames", "{frames}", "--json"]
    from gr_diffsem.base import video_files

    rate = video_files.Video(args.clip).rate
    words = [str(w).format(frames=round(args.seconds * rate)) for w in words]
    sent = json.loads(subprocess.run([sys.executable, "-m", "gr_diffsem", *words], stdout=subprocess.PIPE).stdout)
    rows = [json.loads(line) for line in hears.communicate()[0].splitlines() if line.startswith("{")]
    came = [r for r in rows if not r["generated"]]
    number, at = (np.array([r[name] for r in came]) for name in ("number", "time"))
    age = at - sent["began"] - number / rate
    group = sent["group"] / rate
    last = age[number % sent["group"] == sent["group"] - 1]
    air = sent["samples"] / args.rate / max(sent["seconds"], 1e-9)
    waited, each = [r["diffsem_age"] for r in came], np.mean([r["seconds"] for r in came])
    print(f"{args.clip}: {rate:.3g} frames a second for {args.seconds:g} s, groups of {sent['group']}: {group:.2g} s")
    print(f"samples sent over those that a radio would have sent: {air:.2f}")
    print(f"taken {sent['pictures']}, left out {sent['left_out']}, came {len(came)}, generated {len(rows) - len(came)}")
    print(f"seen by the network: {np.mean([r['evaluations'] > 0 for r in came]):.0%}; inference {each:.3f} s a frame")
    print(f"from the end of a group on the air to its coming out: {age_text(waited)}")
    print(f"age of a group's last frame: {age_text(last)}; of any frame: {age_text(age)}")


def age_text(values):
    """Median and 95th percentile, seconds."""
    return "{:.2f} s (95 %: {:.2f} s)".format(*np.percentile(values, [50, 95]))


if __name__ == "__main__":
    main()
