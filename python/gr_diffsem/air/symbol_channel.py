# SPDX-License-Identifier: GPL-3.0-or-later
"""A symbol-level channel for frames: fading, channel estimate, noise, headers and loss, without samples.

Each frame has one channel on 64 carriers. The receiver estimates it from two sync words with noise, and
divides by the estimate: symbols come with the noise variance (noise + estimate error) / |estimate|^2 that a
receiver would state, and with the error that its estimate really makes. Headers are decoded from symbols that
went the same way; frames whose header fails are lost. The whole chain in GNU Radio is held to this.
"""

from functools import lru_cache

import numpy as np

from ..base.signal import complex_noise
from ..codec import frame_header as head
from ..codec.frames import CARRIERS, FRAME_SYMBOLS, Received
from ..phy import soft_demap
from ..phy.ofdm_layout import LAYOUT_64
from . import tdl
from .fading import KINDS, SEMANTIC_LINK, check

WINDOW_EARLY = 4  #: samples by which the FFT window begins before the first path
#: The estimator's belief: this many equally strong taps. 17, the cyclic prefix and one, makes the error that the
#: chain's learned prior makes in fading; in a channel without any it errs like an estimator that knows of two.
ESTIMATE_TAPS = {"awgn": 2}
#: Positions of the data carriers among the 52 of the sync words.
DATA = np.searchsorted(LAYOUT_64.carrier_bins, LAYOUT_64.data_bins)
WAITING = 8  #: frames whose header may wait for a neighbour's
#: Energy of two sync words on a carrier, over that of a data symbol.
SYNC_ENERGY = 2.0


@lru_cache(maxsize=4)
def _belief(taps):
    """Eigenvalues and -vectors of the estimator's prior covariance on the 52 carriers of the sync words."""
    e = tdl.steering(np.arange(taps))[LAYOUT_64.carrier_bins] / np.sqrt(taps)
    values, vectors = np.linalg.eigh(e @ e.conj().T)
    return np.maximum(values, 0), vectors


def draw(kind, rng, n):
    """Channels of n frames, complex [n, 52]: one of fading.SEMANTIC_LINK. E|h|^2 = 1."""
    check(kind, SEMANTIC_LINK)
    if kind == "awgn":
        return np.repeat(np.exp(2j * np.pi * rng.random((n, 1))), len(LAYOUT_64.carriers), axis=1)
    fading = KINDS[kind]
    profile = tdl.profile(fading.profile)
    h = np.empty((n, len(LAYOUT_64.carriers)), complex)
    for i, g in enumerate(tdl.gains(fading.profile, rng, n)):
        delays = profile.delays * fading.spreads(rng) + WINDOW_EARLY
        h[i] = tdl.steering(delays)[LAYOUT_64.carrier_bins] @ g
    return h


def estimate(h, noise_var, rng, taps=17):
    """LMMSE estimate of h [n, 52] from noisy sync words: (estimate [n, 52], error variance [52])."""
    values, vectors = _belief(taps)
    v = noise_var / SYNC_ENERGY
    y = h + complex_noise(rng, h.shape, v)
    shrink = values / (values + v)
    error = np.real(np.abs(vectors) ** 2 @ (values * v / (values + v)))
    return ((y @ vectors.conj()) * shrink) @ vectors.T, error


def _read(tracker, soft, decoded, kept):
    """Header of each frame, or None: alone, or with the help of its neighbours, as core/link/frame_finder.h does it."""
    headers, waiting = [None] * len(soft), []
    for i in np.flatnonzero(kept):
        headers[i] = tracker.choose(soft[i], decoded[i])
        if headers[i] is None:
            waiting = [*waiting, i][-WAITING:]
            joined = (
                tracker.together([soft[w] for w in waiting], np.array(waiting) - waiting[0])
                if len(waiting) > 1
                else None
            )
            if joined is None:
                continue
            for w, header in zip(waiting, joined, strict=True):
                headers[w] = header
        else:
            later = headers[i]
            for w in reversed(waiting):
                headers[w] = tracker.before(soft[w], later)
                later = headers[w] or later
        waiting = []
    return headers


def apply_channel(frames, snr_db, kind, loss, rng, frame_symbols=FRAME_SYMBOLS):
    """Frames of 48-carrier symbols through the air -> list of frames.Received, the lost ones missing.

    snr_db: Es/N0 of a data carrier behind the FFT, averaged over the fading: a number, or one a frame.
    kind: one of fading.SEMANTIC_LINK, a new channel for each frame. loss: probability of losing a frame
    beside those whose header does not come through. rng: numpy Generator.
    """
    if not 0 <= loss <= 1:
        raise ValueError(f"loss: {loss} is no probability; give 0 to 1")
    noise_var = np.broadcast_to(10.0 ** (-np.asarray(snr_db, float) / 10), len(frames))
    channels = draw(kind, rng, len(frames))
    kept = rng.random(len(frames)) >= loss
    arrived, soft = [], []
    for frame, h, v in zip(frames, channels, noise_var, strict=True):
        guess, error = estimate(h[None], v, rng, ESTIMATE_TAPS.get(kind, 17))
        guess = guess[0, DATA]
        x = np.concatenate([head.modulate(frame.header), frame.symbols]).reshape(-1, CARRIERS)
        y = (x * h[DATA] + complex_noise(rng, x.shape, v)) / guess
        stated = np.broadcast_to((v + error[DATA]) / np.abs(guess) ** 2, x.shape)
        y, stated = y.ravel().astype(np.complex64), stated.ravel().astype(np.float32)
        soft.append(soft_demap.qpsk(y[: head.SYMBOLS], stated[: head.SYMBOLS]))
        arrived.append((y[head.SYMBOLS :], stated[head.SYMBOLS :]))
    headers = head.decode(np.array(soft)) if soft else []
    tracker = head.Tracker(frame_symbols)
    headers = _read(tracker, soft, headers, kept)
    return [Received(header, *symbols) for header, symbols in zip(headers, arrived, strict=True) if header is not None]
