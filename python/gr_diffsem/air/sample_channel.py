# SPDX-License-Identifier: GPL-3.0-or-later
"""The air between two antennas, sample by sample: fading, timing, carrier and clock offset, noise.

The signals are OFDM and go through `multipath.through_paths`, so paths lie between samples. SNR: Es/N0 of a carrier
in use behind the receiver's FFT, averaged over the fading: E|H[k] s|^2 / E|n[k]|^2 with E|H|^2 = E|s|^2 = 1.
"""

from dataclasses import dataclass

import numpy as np

from ..base.signal import complex_noise
from ..phy.ofdm_layout import LAYOUT_64
from . import tdl
from .fading import PACKET_LINK, check, paths
from .impairments import carrier_turn, noise_per_sample, slow_clock
from .multipath import through_paths

GAP = (120, 280)  #: samples of noise between packets, drawn uniformly
LEAD = 400  #: and before the first
MAX_OFFSET = 0.4  #: carrier offset of packets, in carrier spacings, uniform on both sides of zero


@dataclass(frozen=True)
class Reception:
    """One stream of packets or frames as the receiver's antenna sees it.

    noiseless, noisy: complex64 [samples], carrier offset included. start: int [n], sample of each one's first
    cyclic prefix, for the path of delay zero. offset [n]: carrier offset in carrier spacings. delays [n, paths] in
    samples, gains [n, paths] of the drawn channels. snr_db [n]. kind: of the fading.
    """

    noiseless: np.ndarray
    noisy: np.ndarray
    start: np.ndarray
    offset: np.ndarray
    delays: np.ndarray
    gains: np.ndarray
    snr_db: np.ndarray
    kind: str

    def response(self, timing=0.0):
        """True H on 64 carriers, DC in the middle, [n, 64]; `timing`: samples by which the FFT window begins early, a
        number or [n]."""
        delays = self.delays + np.reshape(timing, (-1, 1))
        return np.einsum("pkl,pl->pk", tdl.steering(delays), self.gains)


def send_packets(packets, kind, snr_db, seed, offset=True):
    """Packets of the packet link, complex64 [n, 960] of unit mean power, through the air -> Reception.

    kind: one of fading.PACKET_LINK. snr_db: a number or [n]. seed: int. offset: draw carrier offsets.
    """
    check(kind, PACKET_LINK)
    rng = np.random.default_rng([seed, {"long": 0, "short": 1, "medium": 2}[kind], 2])
    n = len(packets)
    snr_db = np.broadcast_to(np.asarray(snr_db, float), n)
    delays, gains = paths(kind, rng, n)
    offsets = MAX_OFFSET * (2 * rng.random(n) - 1) if offset else np.zeros(n)
    received = _faded(packets, delays, gains, offsets, 256) * np.exp(2j * np.pi * rng.random((n, 1)))
    length = received.shape[1]

    gaps = rng.integers(*GAP, n)
    start = LEAD + np.arange(n) * length + np.concatenate([[0], np.cumsum(gaps)[:-1]])
    total = start[-1] + length + 4 * LAYOUT_64.symbol + GAP[1]
    noiseless = np.zeros(total, np.complex64)
    noise_var = np.full(total, noise_per_sample(snr_db[-1]))
    begin = np.concatenate([[0], start[1:] - gaps[1:] // 2])
    for i in range(n):
        noiseless[start[i] : start[i] + length] = received[i]
        noise_var[begin[i] : begin[i + 1] if i + 1 < n else total] = noise_per_sample(snr_db[i])
    noisy = (noiseless + complex_noise(rng, total, noise_var)).astype(np.complex64)
    return Reception(noiseless, noisy, start, offsets, delays, gains, snr_db, kind)


def send_frames(frames, kind, snr_db, rng, max_offset=2.0, gap=(0, 300), clock_ppm=0.0, lead=600):
    """Frames of the semantic link, complex [n, S] of unit mean power, through the air -> Reception.

    kind: one of fading.SEMANTIC_LINK; each frame has its own channel. max_offset: carrier offsets are uniform
    within +- this many carrier spacings. gap: samples of noise alone between frames, uniform. clock_ppm: the
    receiver's sampling clock is slow by this much. lead: samples before the first frame.
    """
    n, sent = frames.shape
    delays, gains = paths(kind, rng, n)
    offset = rng.uniform(-max_offset, max_offset, n)
    received = _faded(frames, delays, gains, offset, 64)
    length = received.shape[1]
    gaps = rng.integers(gap[0], gap[1] + 1, n)
    start = lead + np.arange(n) * sent + np.cumsum(gaps) - gaps[0]
    air = np.zeros(start[-1] + length + 1000, complex)
    for i in range(n):
        air[start[i] : start[i] + length] += received[i]
    if clock_ppm:
        air = slow_clock(air, clock_ppm)
        start = np.round(start / (1 + 1e-6 * clock_ppm)).astype(int)
    noisy = (air + complex_noise(rng, air.size, noise_per_sample(snr_db))).astype(np.complex64)
    return Reception(air.astype(np.complex64), noisy, start, offset, delays, gains, np.full(n, float(snr_db)), kind)


def _faded(frames, delays, gains, offset, batch):
    """Frames [n, S] behind their paths and carrier offsets, [n, S + 16]; `batch` at a time, as caches like it."""
    pieces = [slice(i, i + batch) for i in range(0, len(frames), batch)]
    received = np.concatenate([through_paths(frames[p], delays[p], gains[p]) for p in pieces])
    return received * carrier_turn(received.shape[1], offset[:, None] / LAYOUT_64.fft_len)
