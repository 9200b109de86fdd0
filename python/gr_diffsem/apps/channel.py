# SPDX-License-Identifier: GPL-3.0-or-later
"""An air between two ZeroMQ addresses: fading, noise, carrier offset, frame loss; changed live with `channel set`.

Each burst, known by the silence before it, has a fading of its own. Noise fills the silence too.
"""

import json
import sys

import numpy as np

from ..air.packet_channel import noise_per_sample
from ..air.sample_channel import paths
from ..base.errors import UserError
from . import transport

SILENCE = 64  #: zero samples that part two bursts
HALF = 16  #: half the length of the interpolating filter, samples
KINDS = ("awgn", "tdl", "tdl_c")
SETTINGS = {
    "snr": (-30.0, 100.0, "Es/N0 of a data carrier, dB"),
    "offset": (-2.0, 2.0, "carrier offset, carrier spacings"),
    "loss": (0.0, 1.0, "share of the bursts that are lost"),
}


class Air:
    """The channel itself: complex64 arrays in, the same number of samples out.

    snr: for samples of unit mean power. fading: one of KINDS. offset: carrier spacings of 1/64 of the rate.
    loss: probability that a burst is silent. seed: of everything random.
    """

    def __init__(self, snr=10.0, fading="tdl", offset=0.0, loss=0.0, seed=1):
        self._rng, self._noise = (np.random.default_rng([seed, i]) for i in range(2))
        self.settings = {}
        for name, value in {"snr": snr, "fading": fading, "offset": offset, "loss": loss}.items():
            self.set(name, value)
        self.samples = self.bursts = self.lost = 0
        self._zeros, self._phase = SILENCE, 0.0
        self._taps = np.ones(1)
        self._keep = True
        self._tail = np.zeros(0, complex)

    def set(self, name, value):
        """Change one setting; UserError names it and its range."""
        if name == "fading":
            if value not in KINDS:
                raise UserError(f"fading '{value}': choose one of {', '.join(KINDS)}")
            self.settings[name] = value
            return
        if not isinstance(name, str) or name not in SETTINGS:
            raise UserError(f"there is no '{name}': choose one of fading, {', '.join(SETTINGS)}")
        low, high, what = SETTINGS[name]
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = np.nan
        if not low <= number <= high:
            raise UserError(f"{name} '{value}': {what}; give {low:g} to {high:g}")
        self.settings[name] = number

    def counts(self):
        return {"samples": self.samples, "bursts": self.bursts, "lost": self.lost}

    def __call__(self, x):
        """complex [n] -> complex64 [n]."""
        x = np.asarray(x, complex)
        out = np.zeros(x.size + 4 * HALF + 32, complex)
        out[: self._tail.size] += self._tail
        for first, last in self._pieces(x):
            if self._keep:
                piece = np.convolve(x[first:last], self._taps)
                out[first : first + piece.size] += piece
        self._tail = out[x.size :].copy()
        out = out[: x.size]
        step = 2 * np.pi * self.settings["offset"] / 64
        out *= np.exp(1j * (self._phase + step * np.arange(x.size)))
        self._phase = (self._phase + step * x.size) % (2 * np.pi)
        noise = self._noise.standard_normal((x.size, 2)) @ [1, 1j]
        self.samples += x.size
        return (out + np.sqrt(noise_per_sample(self.settings["snr"]) / 2) * noise).astype(np.complex64)

    def _pieces(self, x):
        """Ranges of x under one channel; where a burst begins, the next one is drawn before its range is given."""
        live = np.flatnonzero(x)
        if live.size == 0:
            self._zeros += x.size
            return
        before = np.diff(live, prepend=-1) - 1
        before[0] += self._zeros
        starts = live[before >= SILENCE]
        self._zeros = x.size - 1 - live[-1]
        edges = [0, *starts.tolist(), x.size]
        for i, (first, last) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
            if i:
                self._draw()
            if last > first:
                yield first, last

    def _draw(self):
        self.bursts += 1
        self._keep = self._rng.random() >= self.settings["loss"]
        self.lost += not self._keep
        delays, gains = paths(self.settings["fading"], self._rng, 1)
        t = np.arange(2 * HALF + 18)[:, None] - HALF - delays
        window = np.where(np.abs(t) < HALF + 1, np.cos(np.pi * t / (2 * HALF + 2)) ** 2, 0)
        self._taps = (np.sinc(t) * window) @ gains[0]


def add_arguments(parser):
    parser.add_argument("words", nargs="*", metavar="set NAME VALUE", help="change a running channel: set snr 5")
    parser.add_argument("--from", dest="source", metavar="zmq://HOST:PORT", help="where a sender is")
    parser.add_argument("--to", metavar="zmq://HOST:PORT", help="where a receiver will connect")
    parser.add_argument("--snr", type=float, default=10.0, help="dB (10)")
    parser.add_argument("--fading", default="tdl", help=f"one of {', '.join(KINDS)} (tdl)")
    parser.add_argument("--offset", type=float, default=0.0, help="carrier offset, carrier spacings (0)")
    parser.add_argument("--loss", type=float, default=0.0, help="share of lost frames (0)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--control", default="127.0.0.1:5599", metavar="HOST:PORT", help="for `channel set`")


def run(args):
    if args.words:
        return ask(args.control, args.words)
    if not args.source or not args.to:
        raise UserError("channel: give --from and --to, or words as in: gr-diffsem channel set snr 5")
    places = transport.place(args.source, "--from"), transport.place(args.to, "--to")
    if any(p.kind != "zmq" for p in places):
        raise UserError("channel: lies between two zmq:// addresses")
    air = Air(args.snr, args.fading, args.offset, args.loss, args.seed)
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

    reader, out = transport.ZmqReader(source), transport.ZmqWriter(to, serve)
    print(f"channel: {air.settings}", file=sys.stderr, flush=True)
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
