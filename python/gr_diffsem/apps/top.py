# SPDX-License-Identifier: GPL-3.0-or-later
"""What the blocks of a running flowgraph are doing: their `stats` messages, heard over ZeroMQ, as a table.

The flowgraph publishes them with `diffsem.publish_stats(tb)`, or with a ZMQ PUB Message Sink on the ports `stats`.
Whatever else comes on the socket is counted and left alone.
"""

import contextlib
import math
import shutil
import sys
import time
from collections import deque

from ..base import console, jsonio, pmt_flat
from ..base.errors import UserError
from ..base.number_options import real
from . import transport

ADDRESS = "tcp://127.0.0.1:5590"
SILENT = 5.0  #: seconds without a message until a block counts as silent
LONGEST = 1 << 16  #: octets of a message that is read
CUT_OFF = 1 << 20  #: octets of one at which ZeroMQ cuts its sender off
BLOCKS, EVENTS = 200, 100  #: what is remembered
SHOWN = 5  #: events below the table
LISTEN = 2.5  #: seconds of --once: blocks report about once a second

NUMBERS = ("in", "out", "dropped", "bypassed", "guarded", "few_observed", "queue", "faults", "swaps", "calls")
NUMBERS += ("rate", "age_p50", "age_p99", "steps", "deadline", "noise_var")
WORDS = ("model", "scheme", "overload", "age_from")


def add_arguments(parser):
    parser.add_argument("addresses", nargs="*", metavar="ADDRESS", help=f"of the flowgraphs ({ADDRESS})")
    parser.add_argument("--once", action="store_true", help="listen for a moment, print one table, end")
    text = "seconds between two tables (1)"
    real(parser, "--interval", "seconds", least=0.1, most=3600, default=1.0, metavar="S", help=text)
    text = f"end after so many (--once: {LISTEN:g}, else when interrupted)"
    real(parser, "--seconds", "seconds", above=0, metavar="N", help=text)
    # The command line holds standard output back for one report at the end; this prints a line at each refresh.
    parser.add_argument("--json", dest="lines", action="store_true", help="print a line of strict JSON at each refresh")
    parser.set_defaults(json=False)


def run(args):
    seconds = args.seconds if args.seconds is not None else LISTEN if args.once else math.inf
    addresses = [endpoint(a) for a in dict.fromkeys(args.addresses or [ADDRESS])]
    try:
        with contextlib.closing(Ears(addresses)) as ears, _show(args) as show:
            _watch(ears, args, time.monotonic() + seconds, show)
    except KeyboardInterrupt:
        print(file=sys.stderr)  # behind the ^C of the terminal


def _show(args):
    """A context whose value shows a report."""
    if args.lines:
        return contextlib.nullcontext(_json_lines())
    return _screen() if console.on_terminal() and not args.once else contextlib.nullcontext(_plain)


def _watch(ears, args, end, show):
    """Tables until `end`; UserError if nothing was heard by then."""
    board = Board()
    now = time.monotonic()
    while now < end:
        ears.listen(board, min(end, now + args.interval))
        now = time.monotonic()
        if now >= end and not board.rows:
            raise UserError(f"no block was heard at {', '.join(ears.links)}: {REMEDY}")
        if now >= end or not args.once:
            show(board.report(now, ears.links))


def endpoint(address):
    """A ZeroMQ endpoint: what stands there, with tcp:// before it where nothing does."""
    address = address.removeprefix("zmq://")
    return address if "://" in address else f"tcp://{address}"


class Ears:
    """A subscription to each address; `links` is {address: whether a publisher is there now}."""

    def __init__(self, addresses):
        import zmq
        from zmq.utils.monitor import recv_monitor_message

        self._zmq, self._context, self._event = zmq, zmq.Context(), recv_monitor_message
        self.links, self._sockets, self._poller = {}, {}, zmq.Poller()
        for address in addresses:
            host = address.removeprefix("tcp://").rpartition(":")[0]
            if address.startswith("tcp://") and host and ";" not in host:  # with ";" the interface too
                transport.known(host, address)
            socket = self._context.socket(zmq.SUB)
            socket.linger, socket.rcvhwm, socket.maxmsgsize = 0, 64, CUT_OFF
            socket.reconnect_ivl, socket.reconnect_ivl_max = 50, 500
            monitor = socket.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED)
            socket.subscribe(b"")
            try:
                socket.connect(address)
            except zmq.ZMQError as e:
                self.close()
                raise UserError(f"{address} is no address to listen at ({e}): give one such as {ADDRESS}") from None
            self.links[address] = False
            for each in (socket, monitor):
                self._sockets[each] = address
                self._poller.register(each, zmq.POLLIN)

    def listen(self, board, until):
        """What comes until then (time.monotonic()) goes to the board."""
        while (left := until - time.monotonic()) > 0:
            for socket, _ in self._poller.poll(math.ceil(left * 1000)):
                address = self._sockets[socket]
                if socket.type == self._zmq.SUB:
                    board.take(address, socket.recv(), time.monotonic())
                else:
                    self.links[address] = self._event(socket)["event"] == self._zmq.EVENT_HANDSHAKE_SUCCEEDED

    def close(self):
        self._context.destroy(linger=0)


class Board:
    """What is known of each block, and what happened to it.

    take() gets every message; `messages` counts them, `refused` those that are no statistics. Rows are bounded in
    number and words in length, and nothing that a terminal could obey is kept: anybody may write to a socket.
    """

    def __init__(self):
        self.rows, self.events = {}, deque(maxlen=EVENTS)
        self.messages = self.refused = self.happened = 0

    def take(self, address, data, now):
        """One message, bytes, heard at `now` (seconds, any origin)."""
        self.messages += 1
        try:
            if len(data) > LONGEST:
                raise pmt_flat.NotFlat("it is too long")
            said = pmt_flat.read(data)
        except pmt_flat.NotFlat:
            self.refused += 1
            return
        name = _word(said.get("block")) or _unnamed(said)
        row = self.rows.get((address, name))
        if row is None:
            if not said or len(self.rows) >= BLOCKS:
                self.refused += 1
                return
            row = self.rows[address, name] = Row(address, name)
        event = _word(said.get("event"))
        row.take(said, event, now)
        if event:
            self.happened += 1
            words = {key: _word(said.get(key)) for key in ("reason", "scheme")}
            self.events.append({"time": time.time(), "block": name, "event": event, **words})

    def report(self, now, links):
        """The dictionary that is shown or printed."""
        return {
            "time": time.time(),
            "addresses": dict(links),
            "messages": self.messages,
            "refused": self.refused,
            "blocks": [row.report(now) for row in self.rows.values()],
            "happened": self.happened,
            "events": list(self.events),
        }


class Row:
    """One block: its last message, and the rate by our own clock where the message has none."""

    def __init__(self, address, name):
        self.address, self.name, self.said, self.seen = address, name, {}, None
        self._rate = self._count = self._then = None
        self._disabled = None

    def take(self, said, event, now):
        self.seen = now
        if event in ("disabled", "enabled"):
            self._disabled = event == "disabled"
        if event:
            return
        self.said = said
        if isinstance(said.get("disabled"), bool):
            self._disabled = said["disabled"]
        count = _number(said.get("out", said.get("in")))
        if count is None or self._then is None or count < self._count:  # the first one, or it began anew
            self._rate = None
        elif now - self._then >= 0.2:
            self._rate = (count - self._count) / (now - self._then)
        else:
            return
        self._count, self._then = count, None if count is None else now

    def report(self, now):
        row = {"address": self.address, "block": self.name, "heard": round(now - self.seen, 1)}
        row["silent"] = now - self.seen >= SILENT
        row.update({key: _number(self.said.get(key)) for key in NUMBERS})
        row.update({key: _word(self.said.get(key)) for key in WORDS})
        if row["rate"] is None:
            row["rate"] = self._rate
        row["disabled"] = self._disabled
        row["age_whole"] = self.said.get("age_whole") is not False  # an older block does not say
        known = {*NUMBERS, *WORDS, "block", "disabled", "age_whole"}
        row["more"] = {_word(key): _number(value) for key, value in self.said.items() if key not in known}
        return row


def _number(value):
    """A finite number, or None."""
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return value if fits else None


def _word(value):
    """At most 200 printable characters, or None."""
    return "".join(c if c.isprintable() else "?" for c in value[:200]) or None if isinstance(value, str) else None


def _unnamed(said):
    """A name for a block that does not say its own: what it counts."""
    return _word(f"({','.join(list(said)[::-1])})")


# --- for people ---------------------------------------------------------------------------------------------

REMEDY = "does a flowgraph publish there? (diffsem.publish_stats(tb), or a ZMQ PUB Message Sink on the ports stats)"
DASH = "-"


def count_text(value):
    """Digits as they are up to six, then 1.23M, 4.56G."""
    if value is None:
        return DASH
    if abs(value) < 1e6:
        return f"{value:.0f}" if isinstance(value, int) or abs(value) >= 100 else f"{value:.3g}"
    power = min(int(math.log10(abs(value)) / 3), 8)
    return f"{value / 1000.0**power:.2f}{'kMGTPEZY'[power - 1]}" if abs(value) < 1e27 else f"{value:.0e}"


def age_text(seconds):
    """Three digits with their unit."""
    if seconds is None:
        return DASH
    for unit, factor in (("us", 1e6), ("ms", 1e3)):
        if abs(seconds) * factor < 999.5:
            return f"{seconds * factor:.3g}{unit}"
    return f"{seconds:.3g}s"


def _age(row, key):
    """With + where what waits before the first block is not seen."""
    return age_text(row[key]) + ("" if row["age_whole"] or row[key] is None else "+")


def _late(row):
    return row["age_p99"] is not None and row["deadline"] and row["age_p99"] > row["deadline"]


def _rate(row):
    state = "silent" if row["silent"] else "disabled" if row["disabled"] else None
    return state or count_text(row["rate"])


# title, as wide as most values that come, so that columns stay where they are; text of a row
COLUMNS = (
    (" items/s", _rate),
    ("    p50", lambda row: _age(row, "age_p50")),
    ("     p99", lambda row: _age(row, "age_p99") + ("!" if _late(row) else "")),
    (" steps", lambda row: DASH if row["steps"] is None else f"{row['steps']:.3g}"),
    ("bypassed", lambda row: count_text(row["bypassed"])),
    ("guarded", lambda row: count_text(row["guarded"])),
    ("   few", lambda row: count_text(row["few_observed"])),
    ("dropped", lambda row: count_text(row["dropped"])),
    (" queue", lambda row: count_text(row["queue"])),
    ("model       ", lambda row: (row["model"] or DASH)[:12]),
    ("scheme", lambda row: row["scheme"] or DASH),
)
TITLES = ("block           ", *(title for title, _ in COLUMNS))
LEFT = (0, len(COLUMNS) - 1, len(COLUMNS))
NAME = 28  #: characters of a block's name


def lines(report, height=10**6):
    """[(text, style of rich)] of at most `height` lines: silent blocks are dim, late or disabled ones red."""
    several = len(report["addresses"]) > 1
    number = {address: f"{i + 1}:" if several else "" for i, address in enumerate(report["addresses"])}
    there = [f"{number[a]}{a} ({'connected' if up else 'nobody there'})" for a, up in report["addresses"].items()]
    refused = f", {report['refused']} refused" if report["refused"] else ""
    out = [(f"{_clock(report)}  {report['messages']} messages{refused}  {', '.join(there)}", "")]
    if not report["blocks"]:
        return [*out, (f"no block is heard yet: {REMEDY}", "")]
    events = report["events"][-SHOWN:]
    rows = report["blocks"][: max(1, height - len(events) - 3)]  # beside the head, the titles, `and N more`
    names = [_cut(number[row["address"]] + row["block"], NAME) for row in rows]
    cells = [[name, *(text(row) for _, text in COLUMNS)] for name, row in zip(names, rows, strict=True)]
    styles = ["dim" if row["silent"] else "red" if row["disabled"] or _late(row) else "" for row in rows]
    out += zip(console.plain(TITLES, cells, LEFT), ["bold", *styles], strict=True)
    if len(rows) < len(report["blocks"]):
        out.append((f"and {len(report['blocks']) - len(rows)} more", ""))
    for event in events:
        words = [_clock(event), event["block"], event["event"], event["scheme"], event["reason"]]
        out.append(("  ".join(filter(None, words)), ""))
    return out


def _clock(said):
    return time.strftime("%H:%M:%S", time.localtime(said["time"]))


def _cut(text, length):
    return text if len(text) <= length else text[: length - 1] + "~"


def _plain(report):
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None  # a pipe or a file takes whole lines
    print("\n".join(text[:width] for text, _ in lines(report)), flush=True)


@contextlib.contextmanager
def _screen():
    """Shows each report in the place of the one before."""
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    def show(report):
        shown = lines(report, live.console.height - 1)
        live.update(Group(*(Text(t, style, no_wrap=True, overflow="crop") for t, style in shown)), refresh=True)

    with Live(auto_refresh=False) as live:
        live.console.show_cursor(True)  # or it would stay away when a signal ends us
        yield show


def _json_lines():
    """Prints each report as a line, with the events since the last one."""
    told = 0

    def show(report):
        nonlocal told
        new, told = report["happened"] - told, report.pop("happened")
        report["events"] = report["events"][-new:] if new else []
        print(jsonio.dumps(report, indent=None), flush=True)

    return show
