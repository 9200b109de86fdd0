# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem top`: its reader against pmt's own, what it makes of messages, and the process on a real socket."""

import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from gr_diffsem.apps import top
from gr_diffsem.base import pmt_flat

pytestmark = pytest.mark.timing

pmt = pytest.importorskip("pmt", reason="GNU Radio is not installed in this Python")
zmq = pytest.importorskip("zmq")

WHERE = {"tcp://x": True}
FULL = {
    "block": "estimate0",
    "in": 10,
    "out": 9,
    "dropped": 1,
    "bypassed": 2,
    "guarded": 5,
    "few_observed": 6,
    "queue": 3,
    "faults": 0,
    "swaps": 1,
    "calls": 4,
    "rate": 1234.5,
    "age_p50": 0.0012,
    "age_p99": 0.5,
    "age_from": "throttle0",
    "age_whole": True,
    "steps": 1.5,
    "model": "0123456789ab",
    "scheme": "ofdm_chanest",
    "deadline": 0.1,
    "overload": "bypass",
    "disabled": False,
    "noise_var": 0.1,
}


def message(**said):
    """A dictionary as a block serialises it; a trailing _ keeps a key from being a word of Python."""
    made = pmt.make_dict()
    for key, value in said.items():
        value = value if isinstance(value, pmt.pmt_base) else pmt.to_pmt(value)
        made = pmt.dict_add(made, pmt.intern(key.rstrip("_")), value)
    return pmt.serialize_str(made)


HOSTILE = {
    "nothing": b"",
    "text": b"hello",
    "no dictionary": pmt.serialize_str(pmt.PMT_T),
    "a PDU": pmt.serialize_str(pmt.cons(pmt.make_dict(), pmt.init_u8vector(2, [1, 2]))),
    "a value that nests": message(block="x", in_=pmt.to_pmt([1, 2])),
    "a key that is no symbol": pmt.serialize_str(pmt.dict_add(pmt.make_dict(), pmt.PMT_T, pmt.PMT_T)),
    "pairs that end pmt's own reader": b"\x07" * 60_000,
    "a vector that claims 16 GB": b"\x0a\x0b" + struct.pack(">IB", 1 << 30, 0),
    "the same as a value": message(a=1)[:-1] + b"\x09\x07\x02\x00\x01b\x0a\x0b" + struct.pack(">IB", 1 << 30, 0),
    "too long": message(block="x")[:-1] * 6000 + message(),
    "an empty dictionary": message(),
}


# --- the reader ---------------------------------------------------------------------------------------------


def test_scalars_are_read_as_pmt_reads_them():
    rng = np.random.default_rng(1)
    values = [True, False, None, "", "word", "\u00b5s", 0, -1, 2**31 - 1, -(2**31), 2**40, -(2**40), 0.0, -1.5e300]
    values += [pmt.from_uint64(2**64 - 1), pmt.from_uint64(0), float("inf")]
    for _ in range(50):
        chosen = rng.permutation(len(values))[: rng.integers(0, len(values) + 1)]
        data = message(**{f"k{i}": values[i] for i in chosen})
        expected = pmt.to_python(pmt.deserialize_str(data))
        assert pmt_flat.read(data) == (expected or {})


def test_whatever_is_cut_or_damaged_is_refused_or_read():
    good = message(**FULL)
    for end in range(len(good)):
        with pytest.raises(pmt_flat.NotFlat):
            pmt_flat.read(good[:end])
    with pytest.raises(pmt_flat.NotFlat):
        pmt_flat.read(good + b"\x06")
    rng, refused = np.random.default_rng(2), 0
    for _ in range(5000):
        data = bytearray(good)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            assert isinstance(pmt_flat.read(bytes(data)), dict)
        except pmt_flat.NotFlat as e:
            assert str(e)
            refused += 1
    assert 0 < refused < 5000


def plain(report):
    return [text for text, _ in top.lines(report)]


def screen(report, columns=120, height=40):
    """What a terminal is shown of a report: twice, when it comes and at the end."""
    from rich import live
    from rich.console import Console

    terminal = Console(force_terminal=True, file=io.StringIO(), width=columns, height=height)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live, "get_console", lambda: terminal)
        patch.setenv("TERM", "xterm-256color")
        with top._screen() as show:
            show(report)
    return terminal.file.getvalue()


# --- the board ----------------------------------------------------------------------------------------------


def rows(board, now):
    return {row["block"]: row for row in board.report(now, WHERE)["blocks"]}


def test_every_key_of_a_block_is_reported():
    board = top.Board()
    board.take("tcp://x", message(**FULL, lost=7), 0.0)
    row = rows(board, 1.0)["estimate0"]
    assert {key: row[key] for key in FULL} == FULL
    assert row["more"] == {"lost": 7} and row["heard"] == 1.0 and not row["silent"]


def test_absent_keys_are_dashes():
    board = top.Board()
    board.take("tcp://x", message(block="a", in_=1), 0.0)
    table = plain(board.report(0.0, WHERE))
    assert table[1].split() == [
        "block",
        "items/s",
        "p50",
        "p99",
        "steps",
        "bypassed",
        "guarded",
        "few",
        "dropped",
        "queue",
        "model",
        "scheme",
    ]
    assert table[2].split() == ["a", *["-"] * 11]


def test_ages_before_which_something_waits_unseen_are_marked():
    board = top.Board()
    board.take("tcp://x", message(**FULL), 0.0)
    assert " 1.2ms " in plain(board.report(0.0, WHERE))[2] and "+" not in plain(board.report(0.0, WHERE))[2]
    board.take("tcp://x", message(**{**FULL, "age_whole": False}), 1.0)
    assert "1.2ms+" in plain(board.report(1.0, WHERE))[2] and "500ms+!" in plain(board.report(1.0, WHERE))[2]


def test_without_a_rate_it_is_taken_from_our_own_clock():
    board = top.Board()
    for now, out in ((0.0, 100), (1.0, 400), (1.05, 410), (2.0, 700)):
        board.take("tcp://x", message(block="a", out=out), now)
    assert rows(board, 2.0)["a"]["rate"] == pytest.approx(300)
    board.take("tcp://x", message(block="a", out=5), 3.0)  # it was started again
    assert rows(board, 3.0)["a"]["rate"] is None
    board.take("tcp://x", message(block="a", out=15), 4.0)
    assert rows(board, 4.0)["a"]["rate"] == pytest.approx(10)
    board.take("tcp://x", message(block="a", out=15, rate=2.5), 5.0)
    assert rows(board, 5.0)["a"]["rate"] == 2.5


def test_a_block_is_silent_after_five_seconds():
    board = top.Board()
    board.take("tcp://x", message(**FULL), 0.0)
    assert not rows(board, 4.9)["estimate0"]["silent"] and rows(board, 5.0)["estimate0"]["silent"]
    assert "silent" in plain(board.report(5.0, WHERE))[2]
    assert "\x1b[2mestimate0" in screen(board.report(5.0, WHERE))


def test_events_stand_below_and_disable_a_block():
    board = top.Board()
    board.take("tcp://x", message(**FULL), 0.0)
    board.take("tcp://x", message(block="estimate0", event="disabled", reason="3 faults in a row", scheme="s"), 0.1)
    report = board.report(0.2, WHERE)
    assert report["blocks"][0]["disabled"] is True and report["blocks"][0]["in"] == 10
    table = plain(report)
    assert "disabled" in table[2] and table[3].endswith("estimate0  disabled  s  3 faults in a row")
    assert "\x1b[31mestimate0" in screen(report) and "3 faults in a row" in screen(report)
    for _ in range(300):
        board.take("tcp://x", message(block="estimate0", event="enabled"), 0.3)
    report = board.report(0.4, WHERE)
    assert report["blocks"][0]["disabled"] is False
    assert len(report["events"]) == top.EVENTS and report["happened"] == 301
    assert len(plain(report)) == 3 + top.SHOWN


def test_one_block_on_two_addresses_is_two_rows():
    board = top.Board()
    for address in ("tcp://x", "tcp://y"):
        board.take(address, message(**FULL), 0.0)
    table = plain(board.report(0.0, {"tcp://x": True, "tcp://y": False}))
    assert "1:tcp://x (connected), 2:tcp://y (nobody there)" in table[0]
    assert [line.split()[0] for line in table[2:]] == ["1:estimate0", "2:estimate0"]


@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_statistics_is_counted(what):
    board = top.Board()
    board.take("tcp://x", HOSTILE[what], 0.0)
    assert (board.messages, board.refused, len(board.rows)) == (1, 1, 0)


def test_odd_values_do_no_harm():
    board = top.Board()
    odd = [True, None, "word", -1, 2**63 - 1, float("nan"), float("inf"), 1e308, -1e-308, pmt.from_uint64(2**64 - 1)]
    for value in odd:
        said = {**dict.fromkeys(FULL, value), "more": value, "event": ""}
        board.take("tcp://x", message(**{**said, "block": "a"}), 0.0)
        board.take("tcp://x", message(**said), 0.0)
        report = board.report(0.0, WHERE)
        assert all(len(line) <= 300 for line in plain(report))
        assert len(plain(report)) == 2 + len(report["blocks"])
        assert json.loads(top.jsonio.dumps(report))
    board.take("tcp://x", message(block="\x1b[2J\n\u202e" + "b" * 1000, event="\x07", reason="\r\n"), 0.0)
    assert not set("\x1b\x07\r\n\u202e") & set("".join(plain(board.report(0.0, WHERE))))
    for i in range(2 * top.BLOCKS):
        board.take("tcp://x", message(block=f"b{i}", in_=1), 0.0)
    assert len(board.rows) == top.BLOCKS and board.refused >= top.BLOCKS
    shown = screen(board.report(0.0, WHERE), 80, 24)
    assert len(shown.splitlines()) <= 2 * 24 and "b0" in shown and "more" in shown and "\u202e" not in shown


def test_numbers_for_people():
    assert [top.count_text(v) for v in (None, 0, 7, 0.25, 12.345, 999999, 1234567, 5e9, 1e40)] == (
        ["-", "0", "7", "0.25", "12.3", "999999", "1.23M", "5.00G", "1e+40"]
    )
    assert [top.age_text(v) for v in (None, 3.2e-5, 0.0012345, 0.9999, 12.0)] == ["-", "32us", "1.23ms", "1s", "12s"]


# --- the process --------------------------------------------------------------------------------------------


@pytest.fixture
def publisher():
    """An address where FULL, and the messages of the list, are sent ten times a second."""
    context = zmq.Context()
    socket = context.socket(zmq.PUB)
    socket.linger = 0
    address = f"tcp://127.0.0.1:{socket.bind_to_random_port('tcp://127.0.0.1')}"
    messages, halt = [], threading.Event()

    def send():
        while not halt.wait(0.1):
            for each in [message(**FULL), *messages]:
                socket.send(each)

    thread = threading.Thread(target=send)
    thread.start()
    yield address, messages
    halt.set()
    thread.join()
    context.destroy(linger=0)


def process(*words, **said):
    said = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **said}
    return subprocess.Popen([sys.executable, "-m", "gr_diffsem", "top", *words], **said)


def ended(started, seconds=20):
    out, err = started.communicate(timeout=seconds)
    assert "Traceback" not in err, err
    return started.returncode, out, err


def test_lines_of_json_and_hostile_messages(publisher):
    address, messages = publisher
    messages += [*HOSTILE.values(), message(block="estimate0", event="swapped", scheme="s", reason="asked for")]
    started = process(address, "--json", "--seconds", "1.6", "--interval", "0.5")
    time.sleep(0.8)
    messages.append(bytes(2 * top.CUT_OFF))  # ZeroMQ hangs up, and comes back
    code, out, _ = ended(started)
    assert code == 0
    reports = [json.loads(line) for line in out.splitlines()]
    assert 3 <= len(reports) <= 5
    last = reports[-1]
    assert last["refused"] >= 3 * len(HOSTILE) and last["messages"] > last["refused"]
    assert [row["block"] for row in last["blocks"]] == ["estimate0"] and last["blocks"][0]["in"] == 10
    events = [event for report in reports for event in report["events"]]
    assert len(events) >= 3
    assert {(e["event"], e["reason"]) for e in events} == {("swapped", "asked for")}


def test_once_is_one_plain_table(publisher):
    address, _ = publisher
    code, out, _ = ended(process(address.removeprefix("tcp://"), "--once", "--seconds", "0.7"))
    table = out.splitlines()
    assert code == 0 and len(table) == 3 and "\x1b" not in out
    assert table[2].split()[:11] == (
        ["estimate0", "1234", "1.2ms", "500ms!", "1.5", "2", "5", "6", "1", "3", "0123456789ab"]
    )


def test_an_interrupt_ends_it_at_once(publisher):
    started = process(publisher[0], "--interval", "2")
    assert "messages" in started.stdout.readline()  # the first table: now it listens for two seconds again
    time.sleep(0.3)
    begin = time.monotonic()
    started.send_signal(signal.SIGINT)
    assert ended(started)[0] == 130
    assert time.monotonic() - begin < 1.0


def test_on_a_terminal_the_table_stays_in_its_place(publisher):
    pytest.importorskip("rich")
    above, below = pty.openpty()
    started = process(
        publisher[0], "--seconds", "1.2", "--interval", "0.3", stdout=below, env={**os.environ, "TERM": "xterm"}
    )
    os.close(below)
    shown = b""
    with os.fdopen(above, "rb", buffering=0) as terminal:
        while started.poll() is None or select.select([terminal], [], [], 0.1)[0]:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown += terminal.read(4096)
                except OSError:  # the other end is closed
                    break
    assert ended(started)[0] == 0
    up = b"\x1b[1A"  # the cursor goes back to where the table began
    assert shown.count(b"estimate0") >= 3 and shown.count(up) >= 6 and b"500ms!" in shown
    assert shown.rindex(b"\x1b[?25h") > shown.rindex(b"\x1b[?25l"), "the cursor is seen again"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["tcp://no.such.host.invalid:5590", "--once"], "host 'no.such.host.invalid' is not known"),
        (["tcp://nowhere", "--once"], "tcp://nowhere is no address to listen at"),
        (["127.0.0.1:1", "--once", "--seconds", "0.3"], "no block was heard at tcp://127.0.0.1:1"),
        (["--interval", "0"], "--interval 0: give 0.1 to 3600"),
        (["--seconds", "nan"], "--seconds nan: give more than 0"),
    ],
)
def test_what_cannot_be_is_a_sentence(words, sentence):
    code, out, err = ended(process(*words))
    assert code == 2 and out == "" and sentence in err and len(err.splitlines()) == 1
