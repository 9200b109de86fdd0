# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs from one process to another over ZeroMQ, the air between them in this one: `gr-diffsem demo`."""

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from ..air.burst_channel import BurstChannel
from ..base.errors import UserError
from . import receive, transport

RATE = 2e6  #: samples a second
PATIENCE = 120.0  #: seconds for the samples of one SNR, and again for what the receiver then infers
QUIET = 6.0  #: seconds without samples, the sender having ended: the receiver has taken in all it gets
NAME = "zmq"  #: of the method, beside those of `eval semantic_link`


def run(photographs, snr_db, folder, cbr, scheme=receive.DEFAULT, fading="tdl", seed=1, done=lambda text: None):
    """Send the photographs at each SNR; FOLDER/zmq/SNR/NAME.png and [(snr, name, what the receiver said or None)].

    photographs: {name: uint8 [H, W, 3]}, two or more: copies of one picture sent twice would be combined. What does
    not arrive is a flat picture. Ends both processes, whatever happens.
    """
    from PIL import Image

    if not 2 <= len(photographs) <= 16:
        raise ValueError(f"photographs: {len(photographs)}, give 2 to 16")
    work = Path(folder) / NAME
    shutil.rmtree(work, ignore_errors=True)
    outbox = work / "sent"
    outbox.mkdir(parents=True)
    for i, picture in enumerate(photographs.values()):
        Image.fromarray(picture).save(outbox / f"{i:02d}.png")
    up, down = (f"zmq://127.0.0.1:{port}" for port in _free_ports(2))
    processes, said = [], []
    sockets = []

    def start(*words):
        command = [sys.executable, "-P", "-m", "gr_diffsem", *map(str, words)]
        with (work / f"{words[0]}.log").open("w") as log:
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        return processes[-1]

    def log(word):
        return (work / f"{word}.log").read_text()

    def check(process, word):
        if process.poll():
            words = log(word).strip().splitlines() or ["it said nothing"]
            raise UserError(f"demo: the process gr-diffsem {word} failed: {words[-1]}")

    try:
        air = BurstChannel(snr_db[0], fading, 0.0, 0.0, seed)
        sockets = [
            transport.ZmqReader(transport.place(up, "--from")),
            transport.ZmqWriter(transport.place(down, "--to")),
        ]
        for snr in snr_db:
            air.set("snr", snr)
            # A receiver for each SNR: what it has at its end came at this one, however slow the machine.
            inbox = work / f"received_{snr:g}"
            receiver = start("receive", "--from", down, "--out", inbox, "--scheme", scheme, "--finish", PATIENCE)
            sender = start("send", outbox, "--to", up, "--cbr", cbr, "--rate", RATE)
            deadline = heard = time.monotonic() + PATIENCE
            while time.monotonic() < min(deadline, heard + QUIET):
                check(sender, "send")
                check(receiver, "receive")
                if receive.LISTENING not in log("receive"):
                    time.sleep(0.05)
                    continue
                x = sockets[0].read()
                if x.size:
                    sockets[1].write(air(x))
                if x.size or sender.poll() is None:
                    heard = time.monotonic()  # silence counts from the last sample on
                elif len(list(inbox.glob("*.json"))) == len(photographs):
                    break
            for process in sender, receiver:  # the receiver still infers what waits
                _end(process, PATIENCE)
            came = [(path, json.loads(path.read_text())) for path in inbox.glob("*.json")]
            fresh = {about["id"]: (path, about) for path, about in came}
            for i, (name, picture) in enumerate(photographs.items()):
                to = work / f"{snr:g}" / f"{name}.png"
                to.parent.mkdir(exist_ok=True)
                if i in fresh:
                    shutil.copy(fresh[i][0].with_suffix(".png"), to)
                else:
                    Image.fromarray(np.full_like(picture, 128)).save(to)
                said.append((snr, name, fresh[i][1] if i in fresh else None))
            done(f"{snr:g} dB over ZeroMQ")
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            _end(process, 5)
        for s in sockets:
            s.stopped = True
            s.close()
    return said


def _end(process, seconds):
    """Ask it to end; what has not after so many seconds is ended."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def table(said):
    """A line for each picture."""
    lines = []
    for snr, name, about in said:
        if about is None:
            lines.append(f"  {snr:>4g} dB  {name:<16} nothing arrived")
        else:
            lines.append(
                f"  {snr:>4g} dB  {name:<16} {about['frames']} frames, {about['frames_lost']} lost, "
                f"receiver's SNR {about['snr_db']:.1f} dB, {about['scheme']} in {about['seconds']:.1f} s"
            )
    return "\n".join(lines)


def _free_ports(n):
    """Ports that nothing listens at."""
    sockets = [socket.socket() for _ in range(n)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()
