# SPDX-License-Identifier: GPL-3.0-or-later
"""`send`, `receive` and `channel` end when they are asked to, when nobody reads them, when a disk is full, when nobody
is there; and samples are for everyone who listens."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem")

from gr_diffsem.apps import transport
from gr_diffsem.apps.cli import main
from gr_diffsem.base import picture_files
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
SAYS = {"receive": "receiving from", "send": "waiting for a receiver", "channel": "channel: {"}


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return [f"zmq://127.0.0.1:{p}" for p in ports]


def started(*words, **more):
    path = os.pathsep.join([str(ROOT / "python"), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path, "ORT_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "gr_diffsem", *map(str, words)]
    return subprocess.Popen(command, env=env, text=True, **{"stdout": subprocess.PIPE, **more})


@pytest.fixture
def photographs(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for i, x in enumerate(picture_files.bundled(128, 2).values()):
        Image.fromarray(x).save(folder / f"{i}.png")
    return folder


def waiting(name, tmp_path, photographs):
    """A command that has nobody to talk to, once it says so; its standard output and error are one pipe."""
    up, down = free_ports(2)
    control = down.removeprefix("zmq://").rpartition(":")[0] + ":" + free_ports(1)[0].rpartition(":")[2]
    words = {
        "receive": ["--from", up, "--out", tmp_path / "out", "--scheme", "linear"],
        "send": [photographs, "--to", up, "--cbr", "1/4", "--repeat", 0],
        "channel": ["--from", up, "--to", down, "--control", control],
    }[name]
    process = started(name, *words, stderr=subprocess.STDOUT)
    for line in process.stdout:
        if SAYS[name] in line:
            return process
    raise AssertionError(f"{name} ended with {process.wait()}")


@pytest.mark.parametrize("name", SAYS)
@pytest.mark.parametrize("how", ["SIGINT", "SIGTERM", "closed pipe"])
def test_it_ends(name, how, tmp_path, photographs):
    process = waiting(name, tmp_path, photographs)
    if how == "closed pipe":
        process.stdout.close()
        assert process.wait(20) == 141
    else:
        process.send_signal(getattr(signal, how))
        process.communicate(timeout=20)
        assert process.returncode == 128 + getattr(signal, how)


def test_the_pipe_closes_while_samples_come(tmp_path, photographs):
    """`receive ... 2>&1 | head`: it ends, and takes no more samples."""
    (up,) = free_ports(1)
    receiver = started(
        "receive", "--from", up, "--out", tmp_path / "out", "--scheme", "linear", stderr=subprocess.STDOUT
    )
    sender = started("send", photographs, "--to", up, "--cbr", "1/4", "--repeat", 0, stderr=subprocess.DEVNULL)
    try:
        assert any(".png" in line for line in receiver.stdout)
        receiver.stdout.close()
        assert receiver.wait(20) == 141
    finally:
        sender.terminate()
        sender.communicate(timeout=20)
    assert sender.returncode == 143


def test_a_full_disk_ends_the_sender(photographs, capsys):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    assert main(["send", str(photographs), "--cbr", "1/4", "--to", "file:/dev/full"]) == 1
    assert "No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["pictures", "samples"])
def test_a_full_disk_ends_the_receiver(what, tmp_path, photographs, monkeypatch, capsys):
    """Pictures, or --record: nothing half written remains of a picture."""
    air, out = tmp_path / "air.cf32", tmp_path / "out"
    assert main(["send", str(photographs), "--cbr", "1/4", "--to", f"file:{air}"]) == 0
    words = ["receive", "--from", f"file:{air}", "--out", str(out), "--scheme", "linear"]
    if what == "pictures":

        def full(self, path, *args, **kwargs):
            Path(path).write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(Image.Image, "save", full)
        assert main(words) == 1 and not list(out.iterdir())
    else:
        assert main([*words, "--record", "/dev/full"]) == 1
    assert "No space left on device" in capsys.readouterr().err


def test_nobody_there_is_said(tmp_path, capsys):
    (nobody,) = free_ports(1)
    words = ["--out", str(tmp_path / "out"), "--scheme", "linear", "--idle", "0.5"]
    assert main(["receive", "--from", nobody, *words]) == 1
    assert "no samples came in 0.5 s" in capsys.readouterr().err
    for command in (["receive", *words], ["channel", "--to", nobody]):
        assert main([*command, "--from", "zmq://no.such.host.invalid:5555"]) == 2
        assert "host 'no.such.host.invalid' is not known" in capsys.readouterr().err


def test_every_receiver_hears_everything(tmp_path, photographs):
    """Three of one sender, and of a channel between."""
    up, down, control = free_ports(3)
    outs = [tmp_path / f"out{i}" for i in range(3)]
    words = ["--scheme", "linear", "--count", 2, "--idle", 30]
    receivers = [started("receive", "--from", down, "--out", out, *words, stderr=subprocess.PIPE) for out in outs]
    between = ["--from", up, "--to", down, "--snr", 20, "--fading", "awgn", "--control", control.removeprefix("zmq://")]
    air = started("channel", *between, stderr=subprocess.PIPE)
    try:
        for r in receivers:
            assert any(SAYS["receive"] in line for line in r.stderr)
        sender = started("send", photographs, "--to", up, "--cbr", "1/4", stderr=subprocess.DEVNULL)
        assert sender.wait(60) == 0
        for r, out in zip(receivers, outs, strict=True):
            r.communicate(timeout=60)
            said = [json.loads(f.read_text()) for f in sorted(out.glob("*.json"))]
            assert [s["frames_lost"] for s in said] == [0, 0]
    finally:
        for p in [*receivers, air]:
            p.kill()
            p.communicate()


def test_one_deaf_receiver_does_not_stop_the_others(monkeypatch):
    monkeypatch.setattr(transport, "STALL", 0.3)
    at = transport.place(free_ports(1)[0], "--to")
    said = []
    out = transport.ZmqWriter(at, say=said.append)
    good, deaf = transport.ZmqReader(at), transport.ZmqReader(at)
    try:
        piece = np.ones(1 << 16, np.complex64)
        for _ in range(700):  # more than the deaf one has room for
            assert out.write(piece)
            while good._socket.poll(0):
                good.read()
            if said:
                break
        assert said and "one of 2 receivers" in said[0]
        begin = time.monotonic()
        for _ in range(20):
            assert out.write(piece)
        assert time.monotonic() - begin < 5
    finally:
        out.stopped = True
        for s in (good, deaf, out):
            s.close()
