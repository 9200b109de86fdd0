# SPDX-License-Identifier: GPL-3.0-or-later
"""onnx_inference_pdu: order, what is done to a PDU that cannot be computed, overload, and the end."""

import hashlib
import pathlib
import signal
import subprocess
import sys
import threading
import time

import flow
import numpy as np
import pmt
import pytest
from gnuradio import blocks, diffsem, gr

pytestmark = pytest.mark.timing

FOREIGN = pathlib.Path(__file__).parents[1] / "data" / "foreign"
SLOW = str(FOREIGN / "takes_its_time.onnx")  # y = sqrt(x |x|) after x[0] products of some 0.1 ms
LOOKUP = str(FOREIGN / "lookup_fails_on_data.onnx")  # x + 10 for 0 .. 7, else the runtime fails
CLASSIFIER = str(FOREIGN / "torch_iq_classifier_opset18.onnx")
IN = pmt.intern("in")
DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))


def vector(values, kind="f32"):
    values = np.asarray(values).ravel().tolist()
    return getattr(pmt, f"init_{kind}vector")(len(values), values)


def pdu(values, kind="f32", **said):
    return pmt.cons(pmt.to_pmt(said), vector(values, kind))


def post(block, *messages, port="in"):
    for message in messages:
        block.to_basic_block()._post(pmt.intern(port), message)


class Graph:
    """The block between messages that are posted and a store."""

    def __init__(self, block):
        self.block, self.store, self.stats = block, blocks.message_debug(), blocks.message_debug()
        self.tb = gr.top_block()
        self.tb.msg_connect(block, "out", self.store, "store")
        self.tb.msg_connect(block, "stats", self.stats, "store")

    def out(self):
        """What came: (dictionary, array) of each PDU."""
        messages = [self.store.get_message(i) for i in range(self.store.num_messages())]
        return [(pmt.to_python(pmt.car(m)), np.array(pmt.to_python(pmt.cdr(m)))) for m in messages]

    def run(self, *messages, seconds=20):
        """All of them at once, then the end; gives what came."""
        post(self.block, *messages)
        post(self.block, DONE, port="system")
        flow.run(self.tb, seconds)
        self.balanced()
        return self.out()

    def wait_for(self, count, seconds=10):
        until = time.monotonic() + seconds
        while self.store.num_messages() < count and time.monotonic() < until:
            time.sleep(0.005)
        assert self.store.num_messages() == count

    def balanced(self):
        b = self.block
        assert b.items_in() == b.items_out() + b.items_dropped()
        assert b.items_out() == self.store.num_messages()


def test_order_under_unequal_times():
    rng = np.random.default_rng(1)
    times = rng.integers(0, 150, 40)
    times[5] = 1200  # the others wait for it
    rows = np.column_stack([times, np.arange(120).reshape(40, 3)])
    graph = Graph(diffsem.onnx_inference_pdu(SLOW, workers=4, queue=64))
    out = graph.run(*(pdu(row, name=f"row {i}", id=i) for i, row in enumerate(rows)))
    assert len(out) == 40
    for i, (said, values) in enumerate(out):
        assert (said["id"], said["name"], said["diffsem_sequence"]) == (i, f"row {i}", i)
        assert said["diffsem_latency"] > 0
        assert not {"diffsem_dropped", "diffsem_bypassed"} & set(said)
        np.testing.assert_allclose(values, rows[i], rtol=1e-6)
    assert out[6][0]["diffsem_latency"] > 0.02


@pytest.mark.parametrize("workers", [1, 3])
def test_one_by_one_is_as_all_at_once(workers):
    rows = np.random.default_rng(2).standard_normal((12, 256)).astype(np.float32)
    together = Graph(diffsem.onnx_inference_pdu(CLASSIFIER, workers=workers)).run(*map(pdu, rows))
    graph = Graph(diffsem.onnx_inference_pdu(CLASSIFIER, workers=workers))
    graph.tb.start()
    for i, row in enumerate(rows):
        post(graph.block, pdu(row))
        graph.wait_for(i + 1)
    graph.tb.stop()
    graph.tb.wait()
    for (_, a), (_, b) in zip(together, graph.out(), strict=True):
        assert a.shape == (11,)
        np.testing.assert_array_equal(a, b)


def test_complex_vectors():
    z = np.random.default_rng(3).standard_normal((2, 128)).astype(np.float32)
    block = diffsem.onnx_inference_pdu(CLASSIFIER, layout="planar")
    assert (block.in_type(), block.in_length(), block.out_type(), block.out_length()) == ("complex", 128, "float", 11)
    (_, a), = Graph(block).run(pdu(z[0] + 1j * z[1], "c32"))  # fmt: skip
    (_, b), = Graph(diffsem.onnx_inference_pdu(CLASSIFIER)).run(pdu(z))  # fmt: skip
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["f32", "u8", "s32"])
@pytest.mark.parametrize("output", ["float", "int", "byte"])
def test_types_of_vectors(kind, output):
    block = diffsem.onnx_inference_pdu(SLOW, output_type=output)
    assert block.out_type() == output
    graph = Graph(block)
    graph.run(pdu([0, 7, 200, 255], kind), pdu([0, 1, 300, 99999], "s32"))
    first, second = (pmt.cdr(graph.store.get_message(i)) for i in range(2))
    assert {"float": pmt.is_f32vector, "int": pmt.is_s32vector, "byte": pmt.is_u8vector}[output](first)
    np.testing.assert_allclose(pmt.to_python(first), [0, 7, 200, 255], rtol=1e-6)
    np.testing.assert_allclose(
        pmt.to_python(second), [0, 1, 255, 255] if output == "byte" else [0, 1, 300, 99999], rtol=1e-6
    )


def test_integers_in():
    """Octets and integers are exact, floats are refused."""
    graph = Graph(diffsem.onnx_inference_pdu(SLOW, input_type="int"))
    out = graph.run(pdu([0, 1, 2, 255], "u8"), pdu([0, 7, 8, 9], "s32"), pdu([0, 1, 2, 3]))
    assert graph.block.in_type() == "int"
    np.testing.assert_allclose([values for _, values in out[:2]], [[0, 1, 2, 255], [0, 7, 8, 9]], rtol=1e-6)
    assert out[2][0]["diffsem_bypassed"] == "type"


def test_what_cannot_be_computed_is_passed_or_zeroed():
    nan = float("nan")
    cases = [
        (pdu([1, 2, 3, 4]), None, [11, 12, 13, 14]),
        (pdu([1, nan, 3, 4]), "nan", [0, 0, 0, 0]),
        (pdu([1, float("inf"), 3, 4]), "nan", [0, 0, 0, 0]),
        (pdu([1, 2, 3]), "size", [0, 0, 0, 0]),
        (pdu([1, 2, 3, 4], "c32"), "type", [0, 0, 0, 0]),
        (pdu([1, 2, 3, 99]), "inference", [1, 2, 3, 99]),  # of the output's type and length: it passes
        (pdu([1, 2, 3, 99], "s32"), "inference", [0, 0, 0, 0]),
        (pmt.cons(pmt.PMT_NIL, vector([7, 6, 5, 4])), None, [17, 16, 15, 14]),
    ]
    graph = Graph(diffsem.onnx_inference_pdu(LOOKUP, workers=3))
    out = graph.run(*(message for message, _, _ in cases))
    assert len(out) == len(cases)
    for (said, values), (_, reason, expected) in zip(out, cases, strict=True):
        assert said.get("diffsem_bypassed") == reason
        np.testing.assert_array_equal(values, expected)
    assert graph.block.items_bypassed() == 6


def test_an_answer_that_is_no_number_is_replaced_by_the_input():
    out = Graph(diffsem.onnx_inference_pdu(SLOW)).run(pdu([0, -1, 2, 3]), pdu([0, 1, 2, 3]))
    assert [said.get("diffsem_bypassed") for said, _ in out] == ["nan", None]
    np.testing.assert_array_equal(out[0][1], [0, -1, 2, 3])


@pytest.mark.parametrize("overload", ["drop_newest", "drop_oldest"])
def test_overload_is_counted(overload):
    graph = Graph(diffsem.onnx_inference_pdu(SLOW, workers=2, queue=3, overload=overload))
    messages = [pdu([1500, i, 0, 0]) for i in range(30)]
    out = graph.run(*messages[:15], pmt.intern("no PDU"), *messages[15:])
    sequence = [said["diffsem_sequence"] for said, _ in out]
    assert len(sequence) == 5 and sequence == sorted(sequence)
    assert sequence == list(range(5)) if overload == "drop_newest" else sequence[-3:] == [28, 29, 30]
    before = [-1, *sequence[:-1]]
    assert [said.get("diffsem_dropped", 0) for said, _ in out] == [
        b - a - 1 for a, b in zip(before, sequence, strict=True)
    ]
    assert (graph.block.items_in(), graph.block.items_dropped()) == (31, 26)


def test_stats():
    graph = Graph(diffsem.onnx_inference_pdu(LOOKUP))
    graph.run(pdu([1, 2, 3, 4]), pdu([1]), pmt.PMT_T, pdu([1, 2, 3, 99]))
    last = pmt.to_python(graph.stats.get_message(graph.stats.num_messages() - 1))
    counts = {"in": 4, "out": 3, "dropped": 1, "bypassed": 2, "faults": 1, "queue": 0}
    assert {k: last[k] for k in counts} == counts
    assert last["block"] == graph.block.alias()
    assert last["scheme"] == "lookup_fails_on_data"
    assert last["model"] == hashlib.sha256(pathlib.Path(LOOKUP).read_bytes()).hexdigest()[:12]
    for i in range(graph.stats.num_messages()):
        said = pmt.to_python(graph.stats.get_message(i))
        assert said["in"] == said["out"] + said["dropped"]
        assert said["rate"] >= 0 and 0 <= said["steps"] <= 1 and 0 <= said["age_p50"] <= said["age_p99"] < 5


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"model": ""}, ["model is empty"]),
        ({"model": "/nowhere.onnx"}, ["/nowhere.onnx", "no such file"]),
        ({"workers": 0}, ["workers is 0", "1 to 64"]),
        ({"workers": 65}, ["workers is 65"]),
        ({"queue": 0}, ["queue is 0", "1 to 65536"]),
        ({"overload": "drop"}, ["overload is 'drop'", "drop_oldest"]),
        ({"output_type": "short"}, ["output_type is 'short'"]),
        ({"input_type": "byte"}, ["input_type is 'byte'"]),
        ({"input": "z"}, ["input is 'z'"]),
        ({"device": "gpu"}, ["device 'gpu'"]),
        ({"intra_op_threads": 0}, ["intra_op_threads is 0"]),
    ],
)
def test_wrong_parameters_are_named(wrong, words):
    with pytest.raises(ValueError) as error:
        diffsem.onnx_inference_pdu(**{"model": SLOW, **wrong})
    for word in words:
        assert word in str(error.value)


def test_stops_within_a_second_and_starts_again():
    graph = Graph(diffsem.onnx_inference_pdu(SLOW, workers=2, queue=500))
    graph.tb.start()
    post(graph.block, *(pdu([2000, i, 0, 0]) for i in range(400)))
    time.sleep(0.1)
    b, started = graph.block, time.monotonic()
    done = b.items_out()
    graph.tb.stop()
    graph.tb.wait()
    assert time.monotonic() - started < 1
    assert b.items_in() == b.items_out() + b.items_dropped()
    assert b.items_in() > 0 and b.items_out() - done <= 10  # however long the sleep took

    before = graph.store.num_messages()
    graph.tb.start()
    post(graph.block, pdu([0, 5, 6, 7]))
    until = time.monotonic() + 10
    while time.monotonic() < until and not (graph.out() and list(graph.out()[-1][1]) == [0, 5, 6, 7]):
        time.sleep(0.02)
    graph.tb.stop()
    graph.tb.wait()
    graph.balanced()
    said, values = graph.out()[-1]
    np.testing.assert_array_equal(values, [0, 5, 6, 7])
    lost = sum(s.get("diffsem_dropped", 0) for s, _ in graph.out())
    assert lost == graph.block.items_dropped() and graph.store.num_messages() > before


def test_destroyed_with_messages_queued():
    """Never started; or started, stopped, and messages sent after that."""
    for started in (False, True):
        graph = Graph(diffsem.onnx_inference_pdu(SLOW, workers=4))
        if started:
            graph.tb.start()
            post(graph.block, *(pdu([500, i, 0, 0]) for i in range(20)))
            graph.tb.stop()
            graph.tb.wait()
        post(graph.block, *(pdu([2000, i, 0, 0]) for i in range(20)))
        begun = time.monotonic()
        del graph
        assert time.monotonic() - begun < 1


SCRIPT = """
import signal, sys, time
import pmt
from gnuradio import blocks, diffsem, gr
tb = gr.top_block()
block = diffsem.onnx_inference_pdu(sys.argv[1], workers=2, queue=1000)
message = pmt.cons(pmt.make_dict(), pmt.init_f32vector(4, [2000.0, 1, 2, 3]))
strobe, sink = blocks.message_strobe(message, 1), blocks.message_debug()
tb.msg_connect(strobe, "strobe", block, "in")
tb.msg_connect(block, "out", sink, "store")

def end(*_):
    started = time.monotonic()
    tb.stop()
    tb.wait()
    seconds = time.monotonic() - started
    print("stopped", seconds, block.items_in() - block.items_out() - block.items_dropped(), flush=True)
    sys.exit(0)

signal.signal(signal.SIGINT, end)
tb.start()
print("runs", flush=True)
time.sleep(30)
"""


def test_ctrl_c():
    with subprocess.Popen([sys.executable, "-c", SCRIPT, SLOW], stdout=subprocess.PIPE, text=True) as process:
        killer = threading.Timer(40, process.kill)
        killer.start()
        try:
            assert process.stdout.readline() == "runs\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            word, seconds, missing = process.stdout.readline().split()
            assert (word, int(missing)) == ("stopped", 0) and float(seconds) < 1
            assert process.wait(10) == 0
        finally:
            killer.cancel()


def test_compiled_by_grc(tmp_path):
    from test_grc import compiled, graph

    message = "pmt.cons(pmt.make_dict(), pmt.init_f32vector(4, [1, 2, 3, 4]))"
    data = graph(
        [
            ("strobe", "blocks_message_strobe", {"msg": message, "period": "20"}),
            (
                "lookup",
                "diffsem_onnx_inference_pdu",
                {"model": LOOKUP, "overload": "drop_oldest", "output_type": "int"},
            ),
            ("store", "blocks_message_debug", {}),
        ],
        [("strobe", "strobe", "lookup", "in"), ("lookup", "out", "store", "store")],
    )
    tb = compiled(tmp_path, data).made()
    tb.start()
    until = time.monotonic() + 10
    while tb.store.num_messages() < 2 and time.monotonic() < until:
        time.sleep(0.02)
    tb.stop()
    tb.wait()
    assert pmt.to_python(pmt.cdr(tb.store.get_message(0))).tolist() == [11, 12, 13, 14]
