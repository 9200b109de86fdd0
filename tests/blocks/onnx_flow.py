# SPDX-License-Identifier: GPL-3.0-or-later
"""Items of every type through onnx_inference, in pieces of every size, and what ONNX Runtime says of the same."""

import os

import flow
import numpy as np
import pmt
from gnuradio import gr

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

DTYPES = {"float": np.float32, "double": np.float64, "complex": np.complex64, "int": np.int32}
PIECES = (0, 1, "random")


def port(dtype, vlen):
    return np.dtype(dtype).type if vlen == 1 else (np.dtype(dtype).type, vlen)


class Source(gr.sync_block):
    """The rows of an array; in one piece (0), in pieces of one size, or of random ones."""

    def __init__(self, data, piece=0, tags=(), seed=1):
        gr.sync_block.__init__(self, "source", None, [port(data.dtype, data.shape[1])])
        self.data, self.piece, self.waiting = data, piece, sorted(tags, key=lambda t: t.offset)
        self.random, self.at = np.random.default_rng(seed), 0

    def work(self, input_items, output_items):
        out = output_items[0]
        piece = self.random.integers(1, 6) if self.piece == "random" else self.piece or len(out)
        n = min(len(out), piece, len(self.data) - self.at)
        if n == 0:
            return -1
        out[:n] = self.data[self.at : self.at + n].reshape(out[:n].shape)
        while self.waiting and self.waiting[0].offset < self.at + n:
            self.add_item_tag(0, self.waiting.pop(0))
        self.at += n
        return n


class Sink(gr.sync_block):
    def __init__(self, dtype, vlen):
        gr.sync_block.__init__(self, "sink", [port(dtype, vlen)], None)
        self.rows, self.tags = [], []

    def work(self, input_items, output_items):
        n = len(input_items[0])
        self.rows.append(np.array(input_items[0]).reshape(n, -1))
        self.tags += self.get_tags_in_window(0, 0, n)
        return n


def infer(block, *inputs, piece=0, tags=(), seconds=20):
    """Streams rows through each port; gives [rows of each output, a row an item], tags as (offset, key, value)."""
    tb = gr.top_block()
    kept = []
    if piece == 1:
        block.set_max_noutput_items(max(1, block.output_multiple()))
    for i, data in enumerate(inputs):
        rows = np.asarray(data, DTYPES[block.in_type(i)]).reshape(-1, block.in_vlen(i))
        kept.append(Source(rows, piece, tags))
        tb.connect(kept[-1], (block, i))
    sinks = [Sink(DTYPES[block.out_type(j)], block.out_vlen(j)) for j in range(block.out_ports())]
    for j, sink in enumerate(sinks):
        tb.connect((block, j), sink)
    flow.run(tb, seconds)
    assert block.items_in() == block.items_out() + block.items_dropped()
    outputs = [np.concatenate(s.rows) if s.rows else np.zeros((0, block.out_vlen(j))) for j, s in enumerate(sinks)]
    said = [(t.offset, pmt.symbol_to_string(t.key), pmt.to_python(t.value)) for t in sinks[0].tags]
    return outputs, said


def session(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
