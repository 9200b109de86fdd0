# SPDX-License-Identifier: GPL-3.0-or-later
"""The three blocks that run networks, each with data and what it must give. As a script: one that is interrupted."""

import pathlib
import sys
import time

import numpy as np
from gnuradio import blocks, diffsem, gr

ITEMS = 40
N = 64
CLASSIFIER = str(pathlib.Path(__file__).parents[1] / "data" / "foreign" / "torch_iq_classifier_opset18.onnx")
KINDS = ("estimate", "ofdm_chanest_vcvc", "onnx_inference")


def noise(*shape, seed=1):
    x = np.random.default_rng(seed).standard_normal((*shape, 2))
    return (x @ [1, 1j] / np.sqrt(2)).astype(np.complex64)


def sync_word():
    """One word on 26 of 64 carriers, every second one of a band, for the channel at the others is inferred."""
    word = np.zeros(N, complex)
    word[np.r_[7:32:2, 33:59:2]] = np.sqrt(2)
    return word


class Kind:
    """One kind of block, and 40 items for it. Item i of what it gives is row (`step` * i) % 40 of expected().

    For `ofdm_chanest_vcvc` each item is a sync word over a channel of its own, taken in turn as word and as data: so
    a stream that goes on somewhere else, as after GNU Radio's unlock(), is a valid one all the same.
    """

    def __init__(self, name):
        self.name, self.step, self.port, self.vlen = name, 1, 0, N
        if name == "ofdm_chanest_vcvc":
            self.step, self.port = 2, 1  # the port of the taps
            h = noise(ITEMS, 1) * np.exp(-2j * np.pi * np.arange(N) * np.arange(ITEMS)[:, None] / 400)
            self.data = (sync_word() * h + 0.1 * noise(ITEMS, N, seed=2)).astype(np.complex64)
        else:
            self.vlen = 128 if name == "onnx_inference" else N
            self.data = noise(ITEMS, self.vlen)

    def make(self, scheme="ofdm_chanest"):
        """scheme: a name or a `diffsem.scheme`; `onnx_inference` has none, and takes its file."""
        if self.name == "estimate":
            return diffsem.estimate(scheme, noise_var=0.1)
        if self.name == "ofdm_chanest_vcvc":
            return diffsem.ofdm_chanest_vcvc(scheme, sync_word().tolist(), [], 1)
        return diffsem.onnx_inference(CLASSIFIER, layout="planar")

    def source(self, times=1):
        """All items so many times; 0: for ever."""
        rows = self.data if times < 2 else np.concatenate([self.data] * times)
        return blocks.vector_source_c(rows.ravel().tolist(), times == 0, self.vlen)

    def sink(self):
        return blocks.vector_sink_f(11) if self.name == "onnx_inference" else blocks.vector_sink_c(N)

    def connect(self, tb, source, block, sink):
        tb.connect(source, block)
        tb.connect((block, self.port), sink)
        if self.port:
            tb.connect((block, 0), blocks.null_sink(gr.sizeof_gr_complex * N))

    def chain(self, tb, times=1, scheme="ofdm_chanest"):
        """(source, block, sink), connected."""
        parts = self.source(times), self.make(scheme), self.sink()
        self.connect(tb, *parts)
        return parts

    def rows(self, sink):
        return np.array(sink.data()).reshape(-1, 11 if self.name == "onnx_inference" else N)

    def expected(self):
        """[40, ...] from a flowgraph that nothing disturbs."""
        tb, sink, block = gr.top_block(), self.sink(), self.make()
        rows = np.repeat(self.data, self.step, 0)
        source = blocks.vector_source_c(rows.ravel().tolist(), False, self.vlen)
        self.connect(tb, source, block, sink)
        tb.run()
        return self.rows(sink)


if __name__ == "__main__":  # KIND SCHEME: runs until it is interrupted
    top = gr.top_block()
    _, made, _ = Kind(sys.argv[1]).chain(top, 0, sys.argv[2])
    top.start()
    while made.nitems_written(0) == 0:
        time.sleep(0.01)
    print("running", flush=True)
    top.wait()
    print("ended", flush=True)
