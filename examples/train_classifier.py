#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the network of onnx_classifier.grc: which modulation is this? (environment `lab`, minutes)

    build/env/lab/bin/python examples/train_classifier.py [SECONDS]

256 complex samples in (4 per symbol), a probability for each of noise, BPSK, QPSK, 16-QAM and 2-FSK out. Any
gain, phase, timing; carrier offset up to 1/200 of the sample rate; SNR 0 to 25 dB. An ordinary PyTorch
network, exported in the ordinary way: nothing in it knows of gr-diffsem.
"""

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

CLASSES = ("noise", "BPSK", "QPSK", "16-QAM", "2-FSK")
SAMPLES, PER_SYMBOL = 256, 4
OUT = Path(__file__).with_name("modulation_classifier.onnx")


def root_raised_cosine(rolloff=0.35, symbols=11):
    """Unit-energy pulse at 4 samples per symbol."""
    t = (np.arange(symbols * PER_SYMBOL + 1) - symbols * PER_SYMBOL / 2) / PER_SYMBOL + 1e-9
    up = np.sin(np.pi * t * (1 - rolloff)) + 4 * rolloff * t * np.cos(np.pi * t * (1 + rolloff))
    pulse = up / (np.pi * t * (1 - (4 * rolloff * t) ** 2))
    return pulse / np.sqrt(np.sum(pulse**2))


def signals(rng, n):
    """(complex64 [n, 256], labels [n]), unit power on average, every class alike."""
    labels = rng.integers(0, len(CLASSES), n)
    count = SAMPLES // PER_SYMBOL + 16
    bits = rng.integers(0, 2, (4, n, count)) * 2 - 1
    symbols = np.zeros((n, count), complex)
    qam = ((2 + bits[1]) * bits[0] + 1j * (2 + bits[3]) * bits[2]) / np.sqrt(10)
    for label, points in ((1, bits[0]), (2, (bits[0] + 1j * bits[1]) / np.sqrt(2)), (3, qam)):
        symbols[labels == label] = points[labels == label]
    comb = np.zeros((n, count * PER_SYMBOL), complex)
    comb[:, ::PER_SYMBOL] = symbols
    pulse = root_raised_cosine()
    size = comb.shape[1] + pulse.size
    wave = np.fft.ifft(np.fft.fft(comb, size) * np.fft.fft(pulse, size)) * np.sqrt(PER_SYMBOL)
    index = rng.uniform(0.35, 1.0, (n, 1))  # modulation index of the FSK
    smooth = np.hanning(7)[1:-1] / np.hanning(7)[1:-1].sum()
    steps = np.repeat(bits[0], PER_SYMBOL, 1)
    steps = np.apply_along_axis(np.convolve, 1, steps[labels == 4], smooth, "same")
    fsk = np.exp(1j * np.cumsum(steps * index[labels == 4] * np.pi / PER_SYMBOL, 1))
    wave[labels == 4, : fsk.shape[1]] = fsk
    first = pulse.size // 2 + rng.integers(0, PER_SYMBOL, n)
    wave = wave[np.arange(n)[:, None], first[:, None] + np.arange(SAMPLES)]
    turn = rng.uniform(-1 / 200, 1 / 200, (n, 1)) * np.arange(SAMPLES) + rng.random((n, 1))
    wave *= np.exp(2j * np.pi * turn)
    noise = 10 ** (-rng.uniform(0, 25, (n, 1)) / 20)
    noise[labels == 0] = 1
    wave += noise * (rng.standard_normal(wave.shape) + 1j * rng.standard_normal(wave.shape)) / np.sqrt(2)
    return wave.astype(np.complex64), labels


class Classifier(nn.Module):
    """[batch, 2, 256] (re, im), any gain -> [batch, 5] log-odds.

    The convolutions see x, x^2 and x^4 (a line stands out where a modulation is repeated by them)."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(7, 32, 9, stride=2, padding=4),
            nn.ReLU(),
            nn.Conv1d(32, 32, 7, stride=2, padding=3),
            nn.ReLU(),
            nn.Conv1d(32, 48, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(48, 48, 5, padding=2),
            nn.ReLU(),
        )
        self.head = nn.Sequential(nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, len(CLASSES)))

    def forward(self, x):
        x = x * torch.rsqrt(2 * (x * x).mean((1, 2), keepdim=True) + 1e-20)
        re, im = x[:, :1], x[:, 1:]
        power = re * re + im * im
        re2, im2 = re * re - im * im, 2 * re * im
        re4, im4 = re2 * re2 - im2 * im2, 2 * re2 * im2
        x = self.body(torch.cat([re, im, power, re2, im2, re4, im4], 1).clamp(-8, 8))
        mean = x.mean(2)
        return self.head(torch.cat([mean, (x * x).mean(2)], 1))


def main(seconds=240.0):
    """Train, test, export."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    net, begin, step = Classifier(), time.monotonic(), 0
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3)
    while (part := (time.monotonic() - begin) / seconds) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (1 - part) + 1e-5
        wave, labels = signals(rng, 256)
        planes = torch.from_numpy(np.stack([wave.real, wave.imag], 1))
        loss = nn.functional.cross_entropy(net(planes), torch.from_numpy(labels))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if step % 200 == 0:
            print(f"{100 * part:3.0f} %  step {step}  loss {loss.item():.3f}", flush=True)

    net.eval()
    wave, labels = signals(np.random.default_rng(2), 5000)
    planes = torch.from_numpy(np.stack([wave.real, wave.imag], 1))
    with torch.no_grad():
        guess = net(planes).argmax(1).numpy()
    for label, name in enumerate(CLASSES):
        print(f"{name:7} {np.mean(guess[labels == label] == label):.3f}")
    print(f"all     {np.mean(guess == labels):.3f} over 0 to 25 dB, after {step} steps")
    torch.onnx.export(
        nn.Sequential(net, nn.Softmax(1)),
        (planes[:2],),
        str(OUT),
        dynamo=True,
        input_names=["iq"],
        output_names=["probability"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
    )
    print(f"{OUT}: {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
