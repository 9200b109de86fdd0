# SPDX-License-Identifier: GPL-3.0-or-later
"""OFDM over two simulated radios in one flowgraph, 128 carriers, two paths; prints what arrived as JSON.

    ofdm_over_radio.py packets|grid AIR ARGUMENTS

packets: `digital.ofdm_tx`, then `digital.ofdm_rx` and `diffsem.ofdm_rx` under the prior over the grid, on the same
samples. grid: QPSK between pilots on every fourth carrier, cut by the guard interval, then `ofdm_grid_chanest` with the
prior and with lines between the pilots. AIR, ARGUMENTS: of the receiving radio (tests/soapy/device.cc).
"""

import json
import sys

import numpy as np
from gnuradio import blocks, diffsem, digital, fft, gr, soapy
from gr_diffsem.eval.flowgraph import run_limited
from through_radio import radio

FFT, CP, USED, OCTETS, COUNT = 128, 32, 50, 120, 40
RATE = 1e6  # 20 ppm of 50 MHz are an eighth of the carriers' spacing: a guard interval tells less than half
PATHS = [0.9, 0, 0, 0.35j, 0, -0.2]
CARRIERS = [k for k in range(-USED, USED + 1) if k]


def over(tb, samples, air, arguments):
    """The end of what a radio hears of complex samples [n], at the level of a careful transmitter."""
    samples = np.convolve(samples, PATHS)[: len(samples)]
    samples = 0.2 * samples / np.sqrt(np.mean(np.abs(samples) ** 2))
    sender, receiver = radio(soapy.sink, air, RATE), radio(soapy.source, f"{air},{arguments}", RATE)
    receiver.set_gain(0, 30)
    tb.connect(blocks.vector_source_c(samples.tolist()), sender)
    head = blocks.head(gr.sizeof_gr_complex, len(samples) - 2000)
    tb.connect(receiver, head)
    return head


def packets(air, arguments):
    pilots = [k for k in CARRIERS if k % 10 == 0]
    layout = {
        "fft_len": FFT,
        "cp_len": CP,
        "occupied_carriers": ([k for k in CARRIERS if k % 10],),
        "pilot_carriers": (pilots,),
        "pilot_symbols": ([1] * len(pilots),),
        "bps_payload": 2,
        "scramble_bits": True,
    }
    payload = np.random.default_rng(4).integers(0, 256, (COUNT, OCTETS), dtype=np.uint8)
    payload[:, 0], payload[:, 1] = 0, np.arange(COUNT)
    tb, sent = gr.top_block(), blocks.vector_sink_c()
    tags = blocks.stream_to_tagged_stream(1, 1, OCTETS, "packet_length")
    tb.connect(blocks.vector_source_b(payload.ravel().tolist()), tags, digital.ofdm_tx(**layout), sent)
    run_limited(tb)
    frames = np.pad(np.reshape(sent.data(), (COUNT, -1)), ((0, 0), (100, 300))).ravel()
    tb = gr.top_block()
    heard = over(tb, np.concatenate([frames, np.zeros(8000)]), air, arguments)
    sinks = {}
    receivers = {"stock": digital.ofdm_rx(**layout), "ours": diffsem.ofdm_rx(**layout, scheme="ofdm_grid")}
    for name, receiver in receivers.items():
        sinks[name] = blocks.vector_sink_b()
        tb.connect(heard, receiver, sinks[name])
    run_limited(tb, 80)
    right = {bytes(p) for p in payload}
    said = {name: np.array(s.data(), np.uint8).reshape(-1, OCTETS) for name, s in sinks.items()}
    return {"sent": COUNT, **{name: len(right & {bytes(p) for p in got}) for name, got in said.items()}}


def grid(air, arguments, symbols=600):
    rng = np.random.default_rng(5)
    spectra = np.zeros((symbols, FFT), complex)
    used = np.arange(-48, 49) + FFT // 2
    spectra[:, used] = (rng.choice([-1, 1], (symbols, len(used), 2)) @ [1, 1j]) / np.sqrt(2)
    pilots = list(range(-48, 49, 4))
    spectra[:, np.array(pilots) + FFT // 2] = 1
    time = np.fft.ifft(np.fft.ifftshift(spectra, 1), axis=1)
    samples = np.concatenate([time[:, -CP:], time], 1).ravel()
    tb = gr.top_block()
    heard = over(tb, samples, air, arguments)
    cut = diffsem.dvbt_ofdm_sym_acquisition(1, FFT, len(used), CP, 20)
    to_carriers = fft.fft_vcc(FFT, True, (), True, 1)
    tb.connect(heard, cut, to_carriers)
    out, kept = {}, []
    for name, scheme in (("ours", "ofdm_grid/fast"), ("lines", "ls")):
        block = diffsem.ofdm_grid_chanest(FFT, list(range(-48, 49)), [(pilots, [1] * len(pilots))], scheme)
        sinks = [blocks.vector_sink_c(FFT) for _ in range(2)]
        tb.connect(to_carriers, block)
        for port, sink in enumerate(sinks):
            tb.connect((block, port), sink)
        kept.append((name, block, sinks))
    run_limited(tb, 80)
    data = np.setdiff1d(used, np.array(pilots) + FFT // 2)
    for name, block, sinks in kept:
        y, h = (np.reshape(s.data(), (-1, FFT))[:, data] for s in sinks)
        points = (y / h).ravel()
        nearest = (np.sign(points.real) + 1j * np.sign(points.imag)) / np.sqrt(2)
        out[name] = {
            "symbols": len(y),
            "evm_db": float(10 * np.log10(np.median(np.abs(points - nearest) ** 2))),
            "in": block.items_in(),
            "out": block.items_out(),
            "dropped": block.items_dropped(),
        }
    return out


if __name__ == "__main__":
    print("RESULT " + json.dumps({"packets": packets, "grid": grid}[sys.argv[1]](*sys.argv[2:])))
