# SPDX-License-Identifier: GPL-3.0-or-later
"""Where each packet begins and how far its carrier is off: known, or found by the stock detector.

Either way the outcome is the same: samples corrected in frequency, and trigger positions. Every
method then receives from these, so that none has a detector of its own.
"""

from dataclasses import dataclass

import numpy as np

from ..phy import packet_frame
from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT
from .flowgraph import run_limited

THRESHOLD = 0.5  #: of ofdm_sync_sc_cfb; its default of 0.9 finds no packet below 10 dB
#: samples after a trigger in which another is dropped: now and then the detector fires twice on one packet
DEAD_TIME = (packet_frame.SYNC_SYMBOLS + packet_frame.HEADER_SYMBOLS) * LAYOUT.symbol
#: `ideal` starts the FFT window this many samples inside the cyclic prefix, as receivers do
IDEAL_ADVANCE = 0


@dataclass(frozen=True)
class Synchronised:
    """Corrected streams and the packets found in them.

    noisy, noiseless: complex64 [samples], turned back by the same angle.
    trigger: int [found], sample at which the cyclic prefix of sync word 1 is taken to begin.
    packet: int [found], the packet that it belongs to, -1 for a false alarm.
    timing: [found], samples by which the window is early (delay of path zero that it sees).
    """

    noisy: np.ndarray
    noiseless: np.ndarray
    trigger: np.ndarray
    packet: np.ndarray
    timing: np.ndarray

    def windows(self, stream, symbols=packet_frame.PACKET_SYMBOLS):
        """FFT of every packet's first symbols, complex64 [found, symbols, 64], DC in the middle."""
        at = self.trigger[:, None, None] + LAYOUT.cp_len
        at = at + LAYOUT.symbol * np.arange(symbols)[:, None] + np.arange(LAYOUT.fft_len)
        taken = np.concatenate([stream, np.zeros(packet_frame.PACKET_SAMPLES, stream.dtype)])[at]
        return LAYOUT.spectra(taken).astype(np.complex64)


def ideal(air):
    """Timing and carrier offset as they are."""
    n = np.arange(air.noisy.size)
    angle = np.zeros(air.noisy.size)
    ends = np.append(air.start[1:], air.noisy.size)
    for start, end, offset in zip(air.start, ends, air.offset, strict=True):
        angle[start:end] = offset * (n[start:end] - start)
    turn = np.exp(-2j * np.pi * angle / LAYOUT.fft_len)
    trigger = air.start - IDEAL_ADVANCE
    return _collect(air, turn, trigger)


def schmidl_cox(air, threshold=THRESHOLD):
    """`digital.ofdm_sync_sc_cfb` (Schmidl & Cox 1997), wired as in gr-digital's own receiver."""
    from gnuradio import analog, blocks, digital, gr

    tb = gr.top_block("synchroniser")
    source = blocks.vector_source_c(air.noisy.tolist(), False)
    detector = digital.ofdm_sync_sc_cfb(LAYOUT.fft_len, LAYOUT.cp_len, False, threshold)
    oscillator = analog.frequency_modulator_fc(-2.0 / LAYOUT.fft_len)
    turn_sink = blocks.vector_sink_c(1, air.noisy.size)
    trigger_sink = blocks.vector_sink_b(1, air.noisy.size)
    head = blocks.head(gr.sizeof_gr_complex, air.noisy.size)
    tb.connect(source, detector)
    tb.connect((detector, 0), oscillator, head, turn_sink)
    tb.connect((detector, 1), trigger_sink)
    run_limited(tb)
    turn = np.array(turn_sink.data(), np.complex64)
    trigger = np.flatnonzero(np.array(trigger_sink.data(), np.uint8))
    # The receiver delays the samples by one symbol, neither the trigger nor the oscillator.
    size = min(turn.size, air.noisy.size)
    shifted = np.ones(air.noisy.size, np.complex64)
    shifted[: size - LAYOUT.symbol] = turn[LAYOUT.symbol : size]
    return _collect(air, shifted, trigger - LAYOUT.symbol)


def _collect(air, turn, trigger):
    trigger = trigger[(trigger >= 0) & (trigger + packet_frame.PACKET_SAMPLES <= air.noisy.size)]
    kept = []
    for at in trigger:
        if not kept or at - kept[-1] >= DEAD_TIME:
            kept.append(at)
    trigger = np.array(kept, int)
    nearest = np.abs(trigger[:, None] - air.start).argmin(1) if trigger.size else trigger
    early = air.start[nearest] - trigger
    packet = np.where(np.abs(early) < LAYOUT.symbol // 2, nearest, -1)
    return Synchronised(
        (air.noisy * turn).astype(np.complex64),
        (air.noiseless * turn).astype(np.complex64),
        trigger,
        packet,
        early.astype(float),
    )


SYNCS = {"ideal": ideal, "sc": schmidl_cox}
