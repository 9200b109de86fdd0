# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings made by our own transmitter: multipath, carrier and clock offset, noise, gain, DC."""

from dataclasses import dataclass

import numpy as np

from ...air.impairments import carrier_turn, noise, slow_clock
from ...air.multipath import exponential_taps
from . import wifi_bits, wifi_phy
from .wifi_capture import FORMATS
from .wifi_tables import LTF_OFFSET, N_FFT, RATES, SAMPLE_RATE, USED, WINDOW_ADVANCE


@dataclass(frozen=True)
class Conditions:
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


QUIET = Conditions()


def packet_list(n, rng, rates=tuple(RATES), lengths=(14, 40, 138)):
    """n packets [(mbps, psdu with FCS, seed)], rates in turn, contents and seeds drawn."""
    out = []
    for i in range(n):
        body = rng.integers(0, 256, int(rng.choice(lengths)) - 4, dtype=np.uint8).tobytes()
        out.append((rates[i % len(rates)], wifi_bits.append_fcs(body), int(rng.integers(1, 128))))
    return out


def recording(packets, conditions=QUIET, seed=0):
    """Samples of a recording and what is in it.

    packets: [(mbps, psdu, seed)]. Returns (complex64 [N], list of dicts with `start`, `cfo_hz`,
    `rate`, `length`, `psdu`, `seed`, `fcs_ok`: an entry of a truth file, and `h`: the
    channel's 64 carriers as the receiver's FFT sees them but for a complex factor).
    """
    rng = np.random.default_rng(seed)
    pieces, truth, at = [np.zeros(conditions.gap)], [], conditions.gap
    for mbps, psdu, scrambler in packets:
        h = exponential_taps(conditions.delay_spread, rng)
        x = np.convolve(wifi_phy.transmit(psdu, mbps, scrambler), h)
        start = (at + LTF_OFFSET) / (1 + conditions.clock_ppm * 1e-6)
        k = np.arange(64) - 32
        shift = np.exp(-2j * np.pi * np.outer(k, np.arange(len(h)) + WINDOW_ADVANCE) / 64)
        truth.append(
            {
                "start": round(start) - WINDOW_ADVANCE,
                "cfo_hz": conditions.cfo_hz,
                "rate": mbps,
                "length": len(psdu),
                "psdu": psdu.hex(),
                "seed": scrambler,
                "fcs_ok": True,
                "h": shift @ h,
            }
        )
        gap = conditions.gap + int(rng.integers(0, 50))
        pieces += [x, np.zeros(gap)]
        at += len(x) + gap
    x = slow_clock(np.concatenate(pieces).astype(complex), conditions.clock_ppm)
    x = x * carrier_turn(len(x), conditions.cfo_hz / SAMPLE_RATE)
    x = x + noise(rng, len(x), len(USED) / N_FFT * 10 ** (-conditions.snr_db / 10))
    x = conditions.gain * (x + conditions.dc)
    return x.astype(np.complex64), truth


def write(path, x, fmt="cf32"):
    """Write samples of full scale 1 as sc16, sc8, cu8 or cf32; values beyond it are clipped."""
    dtype, zero, scale = FORMATS[fmt]
    raw = np.ascontiguousarray(x, np.complex64).view(np.float32)
    if fmt != "cf32":
        limits = np.iinfo(dtype)
        raw = np.clip(np.rint(raw * scale + zero), limits.min, limits.max)
    raw.astype(dtype).tofile(path)
