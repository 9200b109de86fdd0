# SPDX-License-Identifier: GPL-3.0-or-later
"""The 2x2 OFDM link in flowgraphs: transmitter and receiver, the example, and the example in two processes."""

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("gnuradio.diffsem", reason="gr-diffsem is not installed in this Python")

from gnuradio import blocks, diffsem, gr
from gr_diffsem.air import packet_links
from gr_diffsem.eval.flowgraph import run_limited
from gr_diffsem.phy import mimo_ofdm as phy
from test_examples import RUNNER, compile_example, environment, run_example

SYMBOLS, COUNT = 4, 24
RECEIVERS = ("ls", "lmmse", "posterior")


def through(source, block, sinks):
    """Octets or samples through a block into sinks, at their end."""
    tb = gr.top_block()
    for port, one in enumerate(source):
        tb.connect(one, (block, port))
    for port, sink in enumerate(sinks):
        tb.connect((block, port), sink)
    run_limited(tb, 60)


def sent(payload, pilots):
    """Samples [2, N] of octets [n, packet_octets]."""
    sinks = [blocks.vector_sink_c(), blocks.vector_sink_c()]
    through([blocks.vector_source_b(payload.ravel().tolist())], diffsem.mimo_ofdm_tx(pilots, SYMBOLS), sinks)
    return np.array([sink.data() for sink in sinks])


def received(heard, estimator, pilots):
    """(octets [n, packet_octets], points, links) of samples [2, N]."""
    sinks = blocks.vector_sink_b(), blocks.vector_sink_c(), blocks.vector_sink_c(256)
    sources = [blocks.vector_source_c(one.tolist()) for one in heard]
    through(sources, diffsem.mimo_ofdm_rx(estimator, pilots, SYMBOLS), sinks)
    octets = np.array(sinks[0].data(), np.uint8).reshape(-1, phy.packet_octets(pilots, SYMBOLS))
    return octets, np.array(sinks[1].data()), np.array(sinks[2].data()).reshape(-1, 4, 64)


def wrong_bits(octets, payload):
    """Share of wrong bits in each packet, against the packet that it resembles most."""
    return np.unpackbits(octets[:, None] ^ payload[None], axis=2).mean(2).min(1)


@pytest.fixture(scope="module", params=phy.PILOTS)
def link(request):
    """(pilots, payload, samples of the transmitter, what is heard of them at 24 dB, behind a carrier offset)."""
    pilots = request.param
    payload = np.random.default_rng(2).integers(0, 256, (COUNT, phy.packet_octets(pilots, SYMBOLS)), np.uint8)
    samples, air = sent(payload, pilots), packet_links.Air(4)
    heard = np.concatenate([air.hear(part, 24.0) for part in np.split(samples, COUNT, 1)], 1)
    heard = np.pad(heard, ((0, 0), (300, 1200)))
    return pilots, payload, samples, heard * np.exp(0.3j * np.arange(heard.shape[1]) / 64)


def test_the_transmitter_sends_what_the_layout_says(link):
    pilots, payload, samples, _ = link
    assert np.abs(samples - np.concatenate(list(phy.samples(phy.spectra(payload, pilots, SYMBOLS))), 1)).max() < 1e-5


def test_packets_arrive_and_the_prior_helps(link):
    pilots, payload, _, heard = link
    wrong = {}
    for estimator in RECEIVERS:
        octets, points, links = received(heard, estimator, pilots)
        assert len(octets) == len(links) >= 0.9 * COUNT and len(points) == 2 * octets.size
        wrong[estimator] = np.mean(np.minimum(wrong_bits(octets, payload), 0.1))
    assert wrong["posterior"] <= wrong["lmmse"] < wrong["ls"] < 0.1, wrong
    assert wrong["posterior"] < 0.03


@pytest.mark.parametrize(
    "wrong", [{"estimator": "zf"}, {"pilots": "few"}, {"symbols": 0}, {"threshold": 1.0}, {"scheme": "nothing"}]
)
def test_what_is_wrong_is_named(wrong):
    with pytest.raises(ValueError, match="|".join(wrong.values() if "scheme" in wrong else wrong)):
        diffsem.mimo_ofdm_rx(**wrong)


RATES = {name: f"tb.rate_{name}.level()" for name in RECEIVERS}


@pytest.mark.timing
def test_the_example_shows_fewer_errors_under_the_prior(tmp_path):
    pytest.importorskip("PyQt5")
    until = " and ".join(f"tb.every_{name}.nitems_written(0) > 150" for name in RECEIVERS)
    got = run_example("mimo_ofdm", tmp_path, [{"seconds": 40, "until": until, "read": RATES}])[-1]
    assert 0 < got["posterior"] < got["lmmse"] < got["ls"] < 0.2, got


@pytest.mark.timing
def test_two_processes_over_zmq(tmp_path):
    """The receiver's rates stay small, so packets came whole and in time."""
    pytest.importorskip("PyQt5")
    scripts = [compile_example(name, tmp_path) for name in ("mimo_ofdm_tx_zmq", "mimo_ofdm_rx_zmq")]
    until = "tb.every_posterior.nitems_written(0) > 100"
    plans = [{"steps": [{"seconds": 60, "read": {}}]}, {"steps": [{"seconds": 30, "until": until, "read": RATES}]}]
    commands = []
    for script, plan in zip(scripts, plans, strict=True):
        script.write_text(script.read_text().replace("tcp://127.0.0.1:5571", f"ipc://{tmp_path}/air"))
        steps = script.with_suffix(".json")
        steps.write_text(json.dumps(plan))
        commands.append([sys.executable, str(RUNNER), str(script), str(steps)])
    sender = subprocess.Popen(commands[0], env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        done = subprocess.run(commands[1], env=environment(), capture_output=True, text=True, timeout=90)
    finally:
        sender.kill()
        sender.wait()
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    assert lines, done.stdout[-2000:] + done.stderr[-4000:]
    got = json.loads(lines[-1][7:])[-1]
    assert 0 < got["posterior"] < got["ls"] < 0.25, got
