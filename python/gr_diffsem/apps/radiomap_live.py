# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem radiomap LOG.csv --live`: a page that shows the map of a file while `rssi_logger` writes it.

A thread draws the map anew whenever the file has grown, and keeps the last picture; the page asks for it. What stands
in the way of a map (no file yet, too few samples) is a line on the page, and the last map stays. Only this machine is
served.
"""

import argparse
import io
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ..base import jsonio
from ..base.errors import UserError

HOST = "127.0.0.1"

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>radio map</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5em auto; max-width: 75em; color: #222; background: #fafafa }
img { width: 100%; background: #eee; min-height: 20em } dl { display: flex; flex-wrap: wrap; gap: 2em; margin: 1em 0 }
dt { color: #666; font-size: .85em } dd { margin: 0; font-size: 1.4em } #said { color: #a33; min-height: 1.5em }
</style></head><body><h1>Radio map</h1><dl id="numbers"></dl><p id="said"></p><img id="map" alt="no map yet">
<script>
const shown = [["samples", "samples"], ["sites", "sites"], ["censored", "below the floor"],
               ["deviation", "mean deviation, dB"],
               ["coverage", "enough power, %"], ["seconds", "drawn in, s"]];
let last = 0;
async function look() {
  try {
    const state = await (await fetch("state.json")).json();
    document.getElementById("said").textContent = state.said;
    if (state.updates !== last) {
      last = state.updates;
      document.getElementById("map").src = "map.png?" + last;
      const list = document.getElementById("numbers");
      list.replaceChildren();
      for (const [name, title] of shown) {
        if (state[name] === undefined) continue;
        const [part, dt, dd] = ["div", "dt", "dd"].map(name => document.createElement(name));
        dt.textContent = title; dd.textContent = state[name];
        part.append(dt, dd); list.append(part);
      }
    }
  } catch (error) { document.getElementById("said").textContent = "the command has ended"; }
  setTimeout(look, EVERY);
}
look();
</script></body></html>
"""


class Follower(threading.Thread):
    """Draws the map of `args` (as `apps.radiomap` has them) again whenever its files have changed."""

    def __init__(self, args):
        super().__init__(daemon=True)
        self.args, self.ended = args, threading.Event()
        self.picture, self.state = b"", {"updates": 0, "said": "no map yet"}

    def run(self):
        seen = None
        while not self.ended.is_set():
            now = [file_state(path) for path in self.args.samples]
            if now != seen:
                seen = now
                self.look()
            self.ended.wait(self.args.every)

    def look(self):
        """Read the files and draw, or say why not."""
        from . import radiomap_maps, radiomap_picture

        try:
            made = radiomap_maps.measured(self.args, radiomap_maps.read(self.args))
            file = io.BytesIO()
            radiomap_picture.write(file, made, self.args.threshold)
        except (UserError, OSError) as error:
            self.state = {**self.state, "said": str(error)}
            return
        except Exception as error:  # a map that fails must not end the page: the next one may be drawn
            self.state = {**self.state, "said": f"this map cannot be drawn ({type(error).__name__}: {error})"}
            return
        report = made.report
        numbers = {name: report[name] for name in ("samples", "sites", "censored", "model")}
        numbers |= {
            "coverage": round(100 * report["coverage"]),
            "deviation": round(float(made.bands["deviation"].mean()), 1),
            "seconds": round(report["seconds"], 1),
        }
        self.picture = file.getvalue()
        self.state = {**numbers, "updates": self.state["updates"] + 1, "said": ""}


def file_state(path):
    """(size, time) of a file, None where there is none."""
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def handler(follower):
    """The class that answers a browser."""
    page = PAGE.replace("EVERY", str(int(1000 * follower.args.every))).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = self.path.split("?")[0]
            answers = {
                "/": (page, "text/html; charset=utf-8"),
                "/state.json": (jsonio.dumps(follower.state).encode(), "application/json"),
                "/map.png": (follower.picture, "image/png"),
            }
            body, kind = answers.get(path, (b"", None))
            if not body:
                self.send_error(404, "nothing here: /, /state.json or /map.png (once there is a map)")
                return
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    return Handler


def serve(args):
    """(`Follower`, server) of `args`, both running in threads of their own. Raises UserError: the port is taken."""
    if not args.samples:
        raise UserError("--live follows a CSV of samples: name the file that rssi_logger writes")
    args = argparse.Namespace(**{**vars(args), "draws": 0})  # draws that nobody sees
    follower = Follower(args)
    try:
        server = ThreadingHTTPServer((HOST, args.port), handler(follower))
    except OSError as error:
        raise UserError(f"--port {args.port} cannot be had ({error.strerror}): give another, or 0") from None
    server.daemon_threads = True
    follower.start()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return follower, server


def run(args):
    follower, server = serve(args)
    address = f"http://{HOST}:{server.server_address[1]}/"
    print(f"the map of {args.samples[0]} is at {address} (Ctrl-C ends)", file=sys.stderr, flush=True)
    try:
        while follower.is_alive():
            time.sleep(0.2)
    except KeyboardInterrupt:
        pass
    finally:
        follower.ended.set()
        server.shutdown()
        server.server_close()
    return {"address": address, **follower.state}
