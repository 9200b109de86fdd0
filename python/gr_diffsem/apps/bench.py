# SPDX-License-Identifier: GPL-3.0-or-later
"""How fast the blocks are: against a loop by hand, against Python, and inside a receiver.

Every ratio is the median of pairs that took turns in one run, because machines are noisy. The time of
a block is that of its own thread (what one core pays for it); of the clock where several threads
compete for one core. What cannot be measured here is null, with the reason under "notes".
"""

import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from ..base.number_options import real, whole
from . import bench_nets, environments

#: name: (writer of the net, its sizes, floats in, floats out)
NETS = {
    "10k": (bench_nets.mlp, ([64, 64, 64, 16],), 64, 16),
    "50k": (bench_nets.conv, ([2, 32, 72, 72, 2], 64), 128, 128),
    "50k_mlp": (bench_nets.mlp, ([64, 176, 176, 64],), 64, 64),
}
BATCHES = (1, 16)
LIMITS = {"block_vs_ort_50k": 1.05, "block_vs_ort_10k": 1.20}
PROGRAM = "bench_ort_loop"


def add_arguments(parser):
    """--pairs, --seconds, --skip."""
    whole(parser, "--pairs", least=1, default=9, metavar="N", help="interleaved pairs of each comparison (9)")
    text = "length of one measurement (0.3)"
    real(parser, "--seconds", "seconds", least=0.01, most=60, default=0.3, metavar="S", help=text)
    parser.add_argument(
        "--skip",
        default="",
        metavar="WHAT",
        help="comma list of what to leave out: ort, python, torch, receiver",
    )


def run(args):
    """{"ratios": {...}, "details": {...}, "notes": {...}}; notes say why a ratio is null."""
    skip = {word for word in args.skip.split(",") if word}
    if skip - {"ort", "python", "torch", "receiver"}:
        raise UserError(f"--skip '{args.skip}': choose of ort, python, torch, receiver")
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    names = "block_vs_ort_50k block_vs_ort_10k python_ort_vs_block python_torch_vs_block ofdm_rx_vs_stock"
    ratios = dict.fromkeys([*names.split(), "ofdm_rx_polite_vs_stock"])
    details, notes = {}, {}
    with tempfile.TemporaryDirectory(prefix="diffsem_bench_") as folder:
        paths = {name: Path(folder) / f"{name}.onnx" for name in NETS}
        for name, (write, sizes, _, _) in NETS.items():
            details[name] = {"parameters": write(paths[name], *sizes)}
        for what, measure in (
            ("ort", lambda: _against_ort(args, paths, ratios, details)),
            ("python", lambda: _against_python(args, paths["10k"], ratios, details)),
            ("torch", lambda: _against_torch(args, paths["10k"], ratios, details, notes)),
            ("receiver", lambda: _receiver(args, ratios, details)),
        ):
            try:
                if what in skip:
                    raise UserError("left out by --skip")
                measure()
            except (UserError, ImportError, OSError, ValueError) as error:
                notes[what] = str(error)
    return {"ratios": ratios, "limits": LIMITS, "details": details, "notes": notes}


def table(report):
    """The same for people."""
    lines = [
        f"  {name:<24} {'-' if value is None else format(value, '.3f')}"
        + (f"   (limit {report['limits'][name]})" if name in report["limits"] else "")
        for name, value in report["ratios"].items()
    ]
    for name, detail in report["details"].items():
        lines += [f"  {name}: {json.dumps(detail)}"]
    lines += [f"  {what}: not measured: {why}" for what, why in report["notes"].items()]
    return "\n".join(["ratios of time (receiver: of samples a second)", *lines])


# --- the block against the loop by hand, both C++ -------------------------------------------------


def program():
    """Path of the C++ benchmark; built first where there is a checkout. Raises UserError."""
    root = environments.checkout()
    if root is None:
        raise UserError("the C++ benchmark comes with the source: run `make bench` in a checkout")
    path = root / "build" / "cmake" / "bench" / PROGRAM
    script = root / "scripts" / "build.sh"
    if not path.is_file() and script.is_file():
        done = subprocess.run(
            [script, "radio", "--target", "benches"], capture_output=True, text=True, timeout=1200, check=False
        )
        if done.returncode:
            raise UserError(f"`make bench` failed to build: {done.stderr[-300:]}")
    if not path.is_file():
        raise UserError(f"{path} is missing: run `make bench`")
    return path


def _against_ort(args, paths, ratios, details):
    path = program()
    for name, (_, _, taken, given) in NETS.items():
        for batch in BATCHES:
            words = [path, paths[name], taken, given, batch, args.pairs, args.seconds]
            done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=600, check=False)
            if done.returncode:
                raise UserError(f"{PROGRAM}: {done.stderr[-300:]}")
            details[name][f"batch_{batch}"] = json.loads(done.stdout.splitlines()[-1])
    for name in ("10k", "50k"):
        ratios[f"block_vs_ort_{name}"] = max(details[name][f"batch_{b}"]["thread_ratio"] for b in BATCHES)


# --- the block against blocks in Python -----------------------------------------------------------


def _rate(block, vlen, seconds):
    """Inferences a second of a block that has items_in(), in a flowgraph, once it runs."""
    from gnuradio import blocks, gr

    data = np.random.default_rng(1).standard_normal(vlen * 256).astype(np.float32)
    source = blocks.vector_source_f(data.tolist(), True, vlen)
    sink = blocks.null_sink(block.output_signature().sizeof_stream_item(0))
    tb = gr.top_block("bench")
    tb.connect(source, block, sink)
    tb.start()
    time.sleep(0.1)
    first, begin = block.items_in(), time.perf_counter()
    time.sleep(seconds)
    count, elapsed = block.items_in() - first, time.perf_counter() - begin
    tb.stop()
    waiter = threading.Thread(target=tb.wait, daemon=True)
    waiter.start()
    waiter.join(20)
    if count <= 0 or waiter.is_alive():
        raise UserError("a flowgraph of the benchmark stood still")
    return count / elapsed


def _python_block(infer, taken, given):
    """A block as a user would write it: one inference for each vector."""
    from gnuradio import gr

    class PythonInference(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, "python_inference", [(np.float32, taken)], [(np.float32, given)])
            self.count = 0

        def items_in(self):
            return self.count

        def work(self, input_items, output_items):
            for i, x in enumerate(input_items[0]):
                output_items[0][i] = infer(x[np.newaxis])
            self.count += len(output_items[0])
            return len(output_items[0])

    return PythonInference()


def _pairs(args, make_other, make_ours, vlen):
    ratios, ours, other = [], [], []
    for _ in range(args.pairs):
        other.append(_rate(make_other(), vlen, args.seconds))
        ours.append(_rate(make_ours(), vlen, args.seconds))
        ratios.append(ours[-1] / other[-1])
    return statistics.median(ratios), statistics.median(ours), statistics.median(other)


def _against_python(args, path, ratios, details):
    import onnxruntime
    from gnuradio import diffsem

    _, _, taken, given = NETS["10k"]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    ratio, ours, other = _pairs(
        args,
        lambda: _python_block(lambda x: session.run(None, {"x": x})[0][0], taken, given),
        lambda: diffsem.onnx_inference(str(path)),
        taken,
    )
    ratios["python_ort_vs_block"] = ratio
    details["python_ort"] = {"python_items_s": other, "block_items_s": ours, "net": "10k"}


TORCH_LOOP = """
import sys, time, torch
torch.set_num_threads(1)
sizes, seconds = [int(s) for s in sys.argv[1].split(",")], float(sys.argv[2])
layers = []
for n, m in zip(sizes, sizes[1:]):
    layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
net = torch.nn.Sequential(*layers[:-1]).eval()
x = torch.randn(1, sizes[0]).numpy()
with torch.no_grad():
    for _ in range(50): net(torch.from_numpy(x)).numpy()
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        net(torch.from_numpy(x)).numpy(); count += 1
    print(count / (time.perf_counter() - begin))
"""


def _against_torch(args, path, ratios, details, notes):
    """PyTorch in the same process where it can be; else its bare calls in `lab`, a lower bound."""
    from gnuradio import diffsem

    sizes, taken, given = NETS["10k"][1][0], *NETS["10k"][2:]

    def ours():
        return diffsem.onnx_inference(str(path))

    try:
        import torch
    except ImportError:
        lab = environments.interpreter("lab")
        if lab is None:
            raise UserError("PyTorch is in neither environment: `make lab` sets one up") from None
        words = [str(lab), "-c", TORCH_LOOP, ",".join(map(str, sizes)), str(args.seconds)]
        pairs = []
        for _ in range(args.pairs):
            done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                raise UserError(f"PyTorch in {lab} failed: {done.stderr[-300:]}") from None
            pairs.append((_rate(ours(), taken, args.seconds), float(done.stdout)))
        ratios["python_torch_vs_block"] = statistics.median(a / b for a, b in pairs)
        details["python_torch"] = {
            "torch_calls_s": statistics.median(b for _, b in pairs),
            "block_items_s": statistics.median(a for a, _ in pairs),
            "net": "10k",
            "where": "bare eager calls in the environment lab, without a flowgraph: a lower bound",
        }
        return
    torch.set_num_threads(1)
    layers = []
    for n, m in zip(sizes, sizes[1:], strict=False):
        layers += [torch.nn.Linear(n, m), torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1]).eval()

    def infer(x):
        with torch.no_grad():
            return net(torch.from_numpy(x)).numpy()[0]

    ratio, block, other = _pairs(args, lambda: _python_block(infer, taken, given), ours, taken)
    ratios["python_torch_vs_block"] = ratio
    details["python_torch"] = {"torch_items_s": other, "block_items_s": block, "net": "10k", "where": "a Python block"}


# --- a receiver with ours in it -------------------------------------------------------------------


def _receiver(args, ratios, details):
    from ..eval import link_throughput

    report = link_throughput.compare(repeats=min(args.pairs, 5))
    ratios["ofdm_rx_vs_stock"] = report["ratio"]["ours"]
    ratios["ofdm_rx_polite_vs_stock"] = report["ratio"]["ours_polite"]
    ratios["ofdm_rx_tracking_vs_stock"] = report["ratio"]["tracking"]
    details["ofdm_rx"] = report
