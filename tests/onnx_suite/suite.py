#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""ONNX's own tests of operators through the block onnx_inference, each against ONNX Runtime in Python.

    make onnx-suite        installs the wheel `onnx` 1.17.0 (for its data alone) under build/, then runs this

A case is a graph and one set of inputs. Five items go through the block: that set, and (of float inputs) variations
of it; once in one piece, once item by item, once in random pieces. Each must be what ONNX Runtime says of that item
alone. A case that the block refuses passes only if its sentence names a remedy, and that remedy, where it is one of the
block's own parameters, works.
"""

import argparse
import collections
import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "blocks"))

import onnx_flow  # noqa: E402
from gnuradio import diffsem, gr  # noqa: E402
from gr_diffsem.package import onnx_cost, onnx_header  # noqa: E402

NUMPY = {
    **{name: getattr(np, name) for name in ("float32", "float64", "float16", "uint8", "int8", "uint16", "int16")},
    **{name: getattr(np, name) for name in ("uint32", "int32", "uint64", "int64")},
    "bool": np.bool_,
}
ITEMS = 5
# Remedies outside the block: what the file asks for, no runtime or no stream has.
OUTSIDE = {
    "size depends on the data": "depends on the data",
    "too many values": "values for one item",
    "type no stream carries": "of a type that no stream",
    "not a tensor": "of a type that no stream carries",
    "no operator of ONNX Runtime": "does not know in this version",
    "no code for its types": "has no code at its types",
    "opset too new": "operator set",
    "graph not valid": "is no valid graph",
    "a setting that the runtime lacks": "with a setting that ONNX Runtime",
    "foreign domain": "needs the custom operator",
    "no input": "its graph has no input",
    "no shape": "has no shape",
}


def read_tensor(path):
    """An array of a TensorProto file; None for what is no tensor of numbers."""
    dims, kind, raw, listed = [], 0, None, []
    for number, value in onnx_cost.fields(memoryview(path.read_bytes())):
        if number == 1:
            dims += [value] if isinstance(value, int) else list(_varints(value))
        elif number == 2:
            kind = value
        elif number == 9:
            raw = bytes(value)
        elif number in (4, 5, 7, 10, 11):
            listed.append((number, value))
    name = onnx_header.TYPES[kind] if isinstance(kind, int) and kind < len(onnx_header.TYPES) else ""
    if name not in NUMPY:
        return None
    if raw is None:
        return np.zeros(dims, NUMPY[name]) if not listed else None
    return np.frombuffer(raw, NUMPY[name]).reshape(dims)


def _varints(data):
    value = shift = 0
    for byte in bytes(data):
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield value
            value = shift = 0


def variations(feed, streamed):
    """The feed, and others like it: streamed floats move, indices and flags stay (an index may not go anywhere)."""
    rng = np.random.default_rng(1)
    feeds = [feed]
    for scale in (1, 0.5, -1):
        feeds.append(
            {
                k: np.asarray(scale * rng.permutation(x.ravel()).reshape(x.shape), x.dtype)
                if x.dtype.kind == "f" and k in streamed
                else x
                for k, x in feed.items()
            }
        )
    return [*feeds, feed]


AT_RANDOM = "at random"


def equal(a, b):
    """Of what expected() gives, twice."""

    def same(x, y):
        if x is None or y is None:
            return x is y
        return all(np.array_equal(p, q, p.dtype.kind == "f") for p, q in zip(x, y, strict=True))

    return all(same(x, y) for x, y in zip(a, b, strict=True))


class Case:
    def __init__(self, folder):
        self.name, self.path = folder.name, folder / "model.onnx"
        self.header = onnx_header.read_header(str(self.path))
        types = [t["type"] for t in self.header["inputs"]]
        data = folder / "test_data_set_0"
        tensors = [read_tensor(data / f"input_{i}.pb") if t in NUMPY else None for i, t in enumerate(types)]
        self.kind = "no tensors" if None in types or any(t is None for t in tensors) else "other types"
        if self.kind == "other types" and set(types) == {"float32"}:
            self.kind = "one float in, one out" if len(types) == len(self.header["outputs"]) == 1 else "floats"
        self.feed = dict(zip([t["name"] for t in self.header["inputs"]], tensors, strict=True))
        # A dimension of 0 is an open one: its tests are of no values at all, and a stream has some.
        rng = np.random.default_rng(2)
        self.empty = any(x is not None and x.size == 0 for x in tensors)
        for name, x in self.feed.items():
            if x is not None and x.size == 0 and x.ndim > 1:
                self.feed[name] = rng.standard_normal([d or 3 for d in x.shape]).astype(x.dtype)

    def make(self, **told):
        options = dict(told)
        for side, own in (("inputs", "input"), ("outputs", "output")):
            names = [t["name"] for t in self.header[side]]
            if own not in options and side not in options:
                options[side] = names
        return diffsem.onnx_inference(str(self.path), **options)

    def expected(self, feeds, names):
        """What ONNX Runtime gives for each; None where it fails."""
        session, rows = onnx_flow.session(self.path), []
        for feed in feeds:
            try:
                rows.append([np.ravel(y) for y in session.run(names, feed)])
            except Exception:
                rows.append(None)
        return rows

    def run(self, **told):
        """'' if the block gives what ONNX Runtime does however the stream is cut, else what differs."""
        block = self.make(**told)
        names = [t["name"] for t in self.header["outputs"]]
        if "outputs" in told:
            names = list(told["outputs"])
        taken = [n for n in self.feed if n not in json.loads(told.get("constants", "{}"))]
        feeds = variations(self.feed, taken)
        twice = self.expected(feeds + feeds, names)
        wanted = twice[: len(feeds)]
        if not equal(wanted, twice[len(feeds) :]):
            return AT_RANDOM
        inputs = [np.stack([np.ravel(feed[n]) for feed in feeds]) for n in taken]
        for piece in onnx_flow.PIECES:
            outputs, tags = onnx_flow.infer(self.make(**told) if piece != 0 else block, *inputs, piece=piece)
            bypassed = {offset for offset, key, _ in tags if key == "diffsem_bypassed"}
            for j, rows in enumerate(outputs):
                rows = rows.reshape(len(feeds), -1) if rows.size % len(feeds) == 0 else rows
                for k, want in enumerate(wanted):
                    no_number = want is None or any(np.isnan(y).any() for y in want if y.dtype.kind == "f")
                    if no_number or any(not np.isfinite(f).all() for f in feeds[k].values()):
                        if not bypassed:
                            return f"piece {piece}: item {k} is no number and not tagged"
                        continue
                    y = want[j]
                    if y.size != block.out_vlen(j) and k > 0 and k in bypassed:
                        continue  # of another size than the first, and said so
                    if len(rows) != len(feeds) or rows[k].size != y.size:
                        return f"piece {piece}: output {names[j]} has {rows.shape}, not {len(feeds)} x {y.size}"
                    if y.dtype.kind in "iu":
                        y = np.clip(y.astype(object), -(2**31), 2**31 - 1).astype(np.int64)
                    if not np.allclose(rows[k].astype(np.float64), y.astype(np.float64), rtol=1e-5, atol=1e-6):
                        return f"piece {piece}: item {k} of {names[j]} differs"
        return ""


def remedy(case, said):
    """What the sentence advises, applied: (what, outcome); outcome '' is right."""

    def again(**told):
        try:
            return case.run(**told)
        except ValueError as error:
            return f"still refused: {error}"

    if "batch_axis none" in said:
        return "batch_axis none", again(batch_axis="none")
    if "Choose another output" in said:
        for t in case.header["outputs"]:
            if len(case.header["outputs"]) > 1 and not again(outputs=[t["name"]]):
                return "another output", ""
    if "Give shape" in said:
        empty = {n: x.tolist() for n, x in case.feed.items() if x.size == 0}
        opened = {t["name"] for t in case.header["inputs"] if any(not isinstance(d, int) for d in t["shape"])}
        shapes = [
            {"name": n, "shape": list(x.shape)} if n in opened else n for n, x in case.feed.items() if n not in empty
        ]
        more = {"constants": json.dumps(empty)} if empty else {}
        differs = again(inputs=shapes, **more)
        if case.empty and ("Got invalid dimensions" in differs or "0 values" in differs):
            return "outside: items of no values", ""
        return "shape", differs
    if "constants" in said:
        tried = list(steering(case))
        for constants, rest in tried:
            differs = again(constants=json.dumps(constants), inputs=rest)
            if not differs:
                return "constants", ""
        if tried and "depends on the data" not in said:
            return "constants", differs
    for what, words in OUTSIDE.items():
        if words in said:
            return f"outside: {what}", ""
    return "none", "names no remedy"


def steering(case):
    """(constants, what is streamed): inputs that steer a graph (shapes, axes, counts) rather than feed it."""
    steers = {n: x.tolist() for n, x in case.feed.items() if x.dtype.kind in "iub"}
    floats = [n for n in case.feed if n not in steers]
    if steers and floats:
        yield steers, floats
    largest = max(case.feed, key=lambda n: case.feed[n].size)
    if len(case.feed) > 1:
        yield {n: x.tolist() for n, x in case.feed.items() if n != largest}, [largest]


def judge(case):
    """(outcome, detail): equal; refused, whose remedy works; refused, whose remedy lies outside; FAILED."""
    try:
        differs = case.run()
        if differs == AT_RANDOM:
            return "not compared: the runtime answers at random", ""
        return ("equal", "") if not differs else ("FAILED", differs)
    except ValueError as error:
        said = str(error)
    except Exception as error:
        return "FAILED", repr(error)
    what, differs = remedy(case, said)
    if differs:
        return "FAILED", f"{what}: {differs} | {said}"
    if what.startswith("outside: "):
        return f"refused, {what.replace('outside', 'outside the block')}", said
    return f"refused, {what} works", said


def main():
    # Vectors of odd sizes make GNU Radio warn of each buffer, and the block of what it could not infer.
    gr.logging().set_default_level(gr.log_levels.err)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=pathlib.Path, help="onnx/backend/test/data/node")
    parser.add_argument("-k", default="", help="only cases whose name holds this")
    parser.add_argument("--verbose", action="store_true", help="a line for each case that is not equal")
    args = parser.parse_args()
    table, failed = collections.defaultdict(collections.Counter), []
    for folder in sorted(args.data.iterdir()):
        if args.k not in folder.name or not (folder / "model.onnx").exists():
            continue
        case = Case(folder)
        if case.kind == "no tensors":
            table[case.kind]["not run: sequences, maps, texts, types without a buffer"] += 1
            continue
        outcome, detail = judge(case)
        table[case.kind][outcome] += 1
        if outcome == "FAILED":
            failed.append(case.name)
        if outcome == "FAILED" or (args.verbose and outcome != "equal"):
            print(f"{case.name} ({case.kind}): {outcome}: {detail}", flush=True)
    print("| inputs | outcome | cases |\n|---|---|---|")
    for kind in sorted(table):
        for outcome, count in table[kind].most_common():
            print(f"| {kind} | {outcome} | {count} |")
    print(f"{sum(sum(c.values()) for c in table.values())} cases, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
