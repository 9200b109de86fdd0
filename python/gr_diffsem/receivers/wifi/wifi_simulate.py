# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings made by our own transmitter: multipath, carrier and clock offset, noise, gain, DC."""

from dataclasses import dataclass

import numpy as np

from ...phy import wifi_coding
from . import wifi_phy
from .wifi_capture import FORMATS
from .wifi_tables import LTF_OFFSET, RATES, SAMPLE_RATE, WINDOW_ADVANCE


@dataclass(frozen=True)
class Air:
    """What happens between the antennas.

    snr_db: packet power over noise power in 20 MHz (at unit channel power); cfo_hz; clock_ppm: how
    much slower the receiver's clock is; delay_spread: of an exponential profile, in samples (0: one
    path); gain: of everything; dc: complex offset relative to the packets' amplitude; gap: silent
    samples between packets.
    """

    snr_db: float = 30.0
    cfo_hz: float = 0.0
    clock_ppm: float = 0.0
    delay_spread: float = 0.0
    gain: float = 0.1
    dc: complex = 0j
    gap: int = 400


QUIET = Air()


def taps(delay_spread, rng, n=12):
    """Complex Gaussian taps [n] of an exponential profile; their power is 1 exactly."""
    if delay_spread <= 0:
        return np.ones(1, complex)
    profile = np.exp(-np.arange(n) / delay_spread)
    h = (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.sqrt(profile)
    return h / np.linalg.norm(h)


def resample(x, ppm):
    """x at the instants n (1 + ppm 1e-6), by a 32-point windowed sinc: nearly the same length."""
    if not ppm:
        return x
    at = np.arange(int(len(x) / (1 + abs(ppm) * 1e-6))) * (1 + ppm * 1e-6)
    base = np.floor(at).astype(np.intp)
    out = np.zeros(len(at), complex)
    padded = np.pad(x, 32)
    for i in range(-15, 17):
        d = at - base - i
        out += padded[base + i + 32] * np.sinc(d) * np.cos(np.pi * d / 34) ** 2
    return out


def packet_list(n, rng, rates=tuple(RATES), lengths=(14, 40, 138)):
    """n packets [(mbps, psdu with FCS, seed)], rates in turn, contents and seeds drawn."""
    out = []
    for i in range(n):
        body = rng.integers(0, 256, int(rng.choice(lengths)) - 4, dtype=np.uint8).tobytes()
        out.append((rates[i % len(rates)], wifi_coding.append_fcs(body), int(rng.integers(1, 128))))
    return out


def recording(packets, air=QUIET, seed=0):
    """Samples of a recording and what is in it.

    packets: [(mbps, psdu, seed)]. Returns (complex64 [N], list of dicts with `start`, `cfo_hz`,
    `rate`, `length`, `psdu`, `seed`, `fcs_ok`: an entry of a truth file, and `h`: the
    channel's 64 carriers as the receiver's FFT sees them but for a complex factor).
    """
    rng = np.random.default_rng(seed)
    pieces, truth, at = [np.zeros(air.gap)], [], air.gap
    for mbps, psdu, scrambler in packets:
        h = taps(air.delay_spread, rng)
        x = np.convolve(wifi_phy.transmit(psdu, mbps, scrambler), h)
        start = (at + LTF_OFFSET) / (1 + air.clock_ppm * 1e-6)
        k = np.arange(64) - 32
        shift = np.exp(-2j * np.pi * np.outer(k, np.arange(len(h)) + WINDOW_ADVANCE) / 64)
        truth.append(
            {
                "start": round(start) - WINDOW_ADVANCE,
                "cfo_hz": air.cfo_hz,
                "rate": mbps,
                "length": len(psdu),
                "psdu": psdu.hex(),
                "seed": scrambler,
                "fcs_ok": True,
                "h": shift @ h,
            }
        )
        gap = air.gap + int(rng.integers(0, 50))
        pieces += [x, np.zeros(gap)]
        at += len(x) + gap
    x = resample(np.concatenate(pieces).astype(complex), air.clock_ppm)
    x = x * np.exp(2j * np.pi * air.cfo_hz / SAMPLE_RATE * np.arange(len(x)))
    power = 52 / 64
    noise = rng.normal(size=(len(x), 2)).view(complex)[:, 0]
    x = x + noise * np.sqrt(power * 10 ** (-air.snr_db / 10) / 2)
    x = air.gain * (x + air.dc)
    return x.astype(np.complex64), truth


def write(path, x, fmt="cf32"):
    """Write samples of full scale 1 as sc16, sc8, cu8 or cf32; values beyond it are clipped."""
    dtype, zero, scale = FORMATS[fmt]
    raw = np.ascontiguousarray(x, np.complex64).view(np.float32)
    if fmt != "cf32":
        limits = np.iinfo(dtype)
        raw = np.clip(np.rint(raw * scale + zero), limits.min, limits.max)
    raw.astype(dtype).tofile(path)
