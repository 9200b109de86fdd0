# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands end before they are done: one rule for signals, closed pipes and full disks, and nothing hangs."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FULL = Path("/dev/full")  # each write to it fails as on a full disk

#: A command that ends when it is told to, one that cleans up and reports, one that is deaf, one that waits in C.
RUNS = {
    "plain": "lambda args: (print('ready', flush=True), time.sleep(60))",
    "reports": "reports",
    "deaf": "deaf",
    "inside_c": "lambda args: (print('ready', flush=True), [ctypes.CDLL(None).sleep(60) for _ in range(9)])",
}
PROGRAM = """
import ctypes, sys, time
from gr_diffsem.apps import cli, ending, listing

def reports(args):
    try:
        print('ready', flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        return {'schemes': 'so far'}

def deaf(args):
    print('ready', flush=True)
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass

ending.PATIENCE = 1.0
listing.run, listing.table = %s, lambda report: report['schemes']
sys.argv[1:] = ['list']
cli.entry()
"""


def started(run, **more):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    command = [sys.executable, "-c", PROGRAM % RUNS[run]]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, **more)
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("run", ["plain", "reports", "deaf", "inside_c"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_any_command(run, number):
    process = started(run, stderr=subprocess.PIPE)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number and "Traceback" not in err
    assert ("so far" in out) == (run == "reports")


def test_a_second_signal_ends_it_at_once():
    process = started("deaf", stderr=subprocess.PIPE)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == 143 and time.monotonic() - begin < 5


@pytest.mark.parametrize("run", ["plain", "reports", "deaf"])
def test_a_pipe_without_a_reader_ends_any_command(run):
    """Even one that says nothing more."""
    process = started(run, stderr=subprocess.STDOUT)
    process.stdout.close()
    assert process.wait(20) == 141


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["list", "--help"], ["eval", "--help"], ["--version"]])
def test_a_full_disk_is_a_sentence(words):
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    with FULL.open("w") as full:
        command = [sys.executable, "-m", "gr_diffsem", *words]
        done = subprocess.run(command, env=env, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1
    assert "No space left on device" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_pipe_that_is_closed_at_once():
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "gr_diffsem", "list", "--verbose"]
    done = subprocess.run(command, env=env, stdout=write, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


def test_what_is_asked_before_anything_can_catch_it_waits():
    """A pipe without a reader is seen while the command is still being set up: it was a traceback now and then."""
    from gr_diffsem.apps import ending

    with ending.watched() as end:
        ending.ask(ending.CLOSED)
        time.sleep(0.3)  # its signal comes, and nothing is raised
        with pytest.raises(KeyboardInterrupt):
            end.arm()
        end.arm(False)
        assert ending.asked() == ending.CLOSED


@pytest.mark.parametrize("swallowed", ["ImportError('initialization failed')", "KeyboardInterrupt"])
def test_an_import_that_is_broken_off_is_no_traceback(swallowed, capsys, monkeypatch):
    from gr_diffsem.apps import cli, ending, listing

    def run(args):
        ending.ask(143)
        try:
            time.sleep(5)
        except KeyboardInterrupt:
            raise eval(swallowed) from None

    monkeypatch.setattr(listing, "run", run)
    assert cli.main(["list"]) == 143
    assert capsys.readouterr().err == "gr-diffsem: terminated\n"


def test_signals_are_left_as_they_were():
    from gr_diffsem.apps import cli

    before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    assert cli.main(["--version"]) == 0
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_worker_process_is_left_to_its_parent():
    """It takes no signals for the command, and its own end does not end the command."""
    code = (
        "import os, signal, sys, time\n"
        "from gr_diffsem.apps import cli, listing\n"
        "def run(args):\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(60)\n"
        "    os.kill(child, signal.SIGTERM)\n"
        "    status = os.waitpid(child, 0)[1]\n"
        "    time.sleep(0.5)\n"
        "    print(os.WTERMSIG(status))\n"
        "listing.run = run\n"
        "sys.argv[1:] = ['list']\n"
        "cli.entry()\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.strip() == str(int(signal.SIGTERM)), done.stderr
