# SPDX-License-Identifier: GPL-3.0-or-later
"""An air between two ZeroMQ addresses: fading, noise, carrier offset, frame loss; changed live with `channel set`.

The air itself is air/burst_channel.py.
"""

import json
import sys

from ..air.burst_channel import SETTINGS, BurstChannel
from ..air.fading import SEMANTIC_LINK
from ..base.errors import UserError
from ..base.number_options import real, whole
from . import ending, transport


def add_arguments(parser):
    parser.add_argument("words", nargs="*", metavar="set NAME VALUE", help="change a running channel: set snr 5")
    parser.add_argument("--from", dest="source", metavar="zmq://HOST:PORT", help="where a sender is")
    parser.add_argument("--to", metavar="zmq://HOST:PORT", help="where a receiver will connect")
    for name, default in (("snr", 10.0), ("offset", 0.0), ("loss", 0.0)):
        low, high, text = SETTINGS[name]
        real(parser, f"--{name}", least=low, most=high, default=default, help=f"{text} ({default:g})")
    parser.add_argument("--fading", default="tdl", help=f"one of {', '.join(SEMANTIC_LINK)} (tdl)")
    whole(parser, "--seed", default=1, help="of everything random (1)")
    parser.add_argument("--control", default="127.0.0.1:5599", metavar="HOST:PORT", help="for `channel set`")


def run(args):
    if args.words:
        return ask(args.control, args.words)
    if not args.source or not args.to:
        raise UserError("channel: give --from and --to, or words as in: gr-diffsem channel set snr 5")
    places = transport.place(args.source, "--from"), transport.place(args.to, "--to")
    if any(p.kind != "zmq" for p in places):
        raise UserError("channel: lies between two zmq:// addresses")
    air = BurstChannel(args.snr, args.fading, args.offset, args.loss, args.seed)
    return carry(air, *places, args.control)


def carry(air, source, to, control):
    """Samples from one address to the other until interrupted; the counts."""
    import zmq

    requests = zmq.Context.instance().socket(zmq.REP)
    try:
        requests.bind(f"tcp://{control}")
    except zmq.ZMQError as e:
        raise UserError(f"--control {control}: cannot be bound ({e}); give another port") from None

    def serve():
        while requests.poll(0):
            requests.send_json(answer(air, requests.recv()))

    def say(words):
        ending.tell(f"channel: {words}", file=sys.stderr)

    reader, out = transport.ZmqReader(source), transport.ZmqWriter(to, serve, say)
    say(air.settings)
    try:
        while True:
            x = reader.read()
            if x.size:
                out.write(air(x))
            serve()
    except KeyboardInterrupt:
        out.stopped = True
    finally:
        for socket in (reader, out):
            socket.close()
        requests.close(linger=0)
    return {**air.settings, **air.counts()}


def answer(air, request):
    """Reply to a request, bytes of a JSON list of words; whatever it is, the channel goes on."""
    try:
        words = json.loads(request)
        if words != ["show"]:
            if not (isinstance(words, list) and len(words) == 3 and words[0] == "set"):
                raise UserError("say: show, or set NAME VALUE")
            air.set(words[1], words[2])
    except UserError as e:
        return {"error": str(e)}
    except (ValueError, RecursionError):
        return {"error": "the request is no JSON"}
    return {**air.settings, **air.counts()}


def ask(control, words):
    """Send words to a running channel; its settings and counts."""
    import zmq

    socket = zmq.Context.instance().socket(zmq.REQ)
    socket.rcvtimeo = socket.sndtimeo = 3000
    try:
        socket.connect(f"tcp://{control}")
        socket.send_json(words)
        said = socket.recv_json()
    except zmq.ZMQError:
        raise UserError(f"--control {control}: no channel answers there; start one with --from and --to") from None
    finally:
        socket.close(linger=0)
    if "error" in said:
        raise UserError(said["error"])
    return said


def table(report):
    return "  ".join(f"{name} {value}" for name, value in report.items())
