# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a compiled example for a while, without a screen, and prints what came out as JSON.

    run_example.py COMPILED.py STEPS.json

STEPS.json: {"take": {name: [block, items, port, type]}, "steps": [{"set": {variable: value}, "seconds": s,
"read": {name: expression}, "grab": PNG}, ...]}. `take` collects the first items of a block's output; port 0 and
complex64 need not be said.
Each step sets variables through the flowgraph's own callbacks, runs for a while (with "until": EXPRESSION of `tb` and
`np`, no longer than until that is true), then evaluates its expressions of `tb`, `np` and `taken` (name: array). The
caller has the time limit. With "patch": FILE, that Python file is run first (to put something in a radio's place).
"""

import importlib.util
import json
import signal
import sys
import time
from pathlib import Path


def load(path):
    """The top block's class of a script that grcc wrote."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    spec.loader.exec_module(module)
    return getattr(module, path.stem)


def main(script, plan):
    """Run; returns the list of what each step read."""
    import numpy as np
    from gnuradio import blocks
    from PyQt5 import Qt

    if plan.get("patch"):
        exec(compile(Path(plan["patch"]).read_text(), plan["patch"], "exec"), {})
    app = Qt.QApplication(sys.argv[:1])
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    tb = load(Path(script))()
    tb.resize(1100, 800)
    sinks, types = {}, {}
    for name, (block, items, *more) in plan.get("take", {}).items():
        port, types[name] = more or (0, "complex64")
        octets = getattr(tb, block).output_signature().sizeof_stream_item(port)
        head, sinks[name] = blocks.head(octets, items), blocks.vector_sink_b(octets, items)
        tb.connect((getattr(tb, block), port), head, sinks[name])
    tb.start()
    tb.show()
    out = []

    def idle(seconds, until):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not (until and eval(until, {"tb": tb, "np": np})):
            app.processEvents()
            time.sleep(0.02)

    for step in plan["steps"]:
        for name, value in step.get("set", {}).items():
            getattr(tb, f"set_{name}")(value)
        idle(step["seconds"], step.get("until"))
        taken = {name: np.array(sink.data(), np.uint8).view(types[name]) for name, sink in sinks.items()}
        known = {"tb": tb, "np": np, "taken": taken}
        out.append({name: eval(text, known) for name, text in step["read"].items()})
        if step.get("grab"):
            tb.repaint()
            app.processEvents()
            tb.grab().save(step["grab"])
    tb.stop()
    tb.wait()
    return out


if __name__ == "__main__":
    got = main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text()))
    print("RESULT " + json.dumps(got, default=lambda x: x.tolist() if hasattr(x, "tolist") else str(x)))
    sys.stdout.flush()
    import os

    os._exit(0)  # Qt's teardown without a screen is not what is tested
