# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole recording -> packets, with our own synchroniser. Memory stays bounded."""

from dataclasses import dataclass, replace

import numpy as np

from . import wifi_decoder, wifi_frontend, wifi_sync
from .wifi_tables import LTF_OFFSET, N_FFT, N_SYM, RATES, SIGNAL_OFFSET, WINDOW_ADVANCE

#: Samples kept before and after a packet.
MARGIN = 64


@dataclass
class Received:
    """One packet candidate of a recording.

    position: sample of its short training field in the recording (20 MS/s); samples: its own
    samples (complex64, DC offset removed); sync: relative to `samples`; result: `wifi_decoder.Result`.
    """

    position: int
    samples: np.ndarray
    sync: wifi_sync.Sync
    result: wifi_decoder.Result


def _least_squares(ltf, symbols):
    y, noise_var = wifi_frontend.ltf_observation(ltf)
    return wifi_decoder.Job(symbols, y, 2 * float(noise_var), float(noise_var))


def _signals(x, candidates):
    """(mbps, length) or None for each candidate, by its SIGNAL symbol."""
    ready = []
    for s in candidates:
        ltf, symbols = wifi_frontend.demodulate(x, s, 1, dc=wifi_frontend.packet_dc(x, s, 1))
        ready.append(wifi_decoder.equalise(_least_squares(ltf, symbols))[:2])
    return wifi_decoder.read_signals([r[0][0] for r in ready], [r[1] for r in ready])


def _cut(x, s, n_symbols):
    """Samples of one packet with a margin, DC removed, and the sync relative to them."""
    lo = max(s.first - MARGIN, 0)
    hi = min(s.start + SIGNAL_OFFSET + N_SYM * n_symbols + MARGIN, len(x))
    part = (x[lo:hi] - wifi_frontend.packet_dc(x, s, n_symbols)).astype(np.complex64)
    return part, replace(s, start=s.start - lo)


def packet_job(samples, s, n_symbols, drift=0.0):
    """The least-squares `Job` of one packet whose DC offset is removed."""
    ltf, symbols = wifi_frontend.demodulate(samples, s, n_symbols, drift)
    return _least_squares(ltf, symbols)


def decode_cut(cuts):
    """Decode [(samples, sync, n_symbols)] with their least-squares estimates -> results."""
    results = wifi_decoder.decode_batch([packet_job(*c) for c in cuts])
    # Where the clocks drift by more than a sample, follow with the FFT window and try again.
    again = [
        i
        for i, (r, c) in enumerate(zip(results, cuts, strict=True))
        if not r.fcs_ok and abs(r.drift) * c[2] > 0.75 and c[2] > 1
    ]
    jobs, members = [], []
    for i in again:
        x, s, n = cuts[i]
        n = min(n, wifi_frontend.available_symbols(len(x) - 8, s.start))
        if n > 1:
            jobs.append(packet_job(x, s, n, results[i].drift))
            members.append(i)
    for i, r in zip(members, wifi_decoder.decode_batch(jobs), strict=True):
        if r.fcs_ok:
            results[i] = r
    return results


def receive(capture, threshold=wifi_sync.THRESHOLD, progress=None):
    """Yield a `Received` for every packet whose SIGNAL field is valid (its FCS may be wrong).

    capture: `wifi_capture.Capture`. progress: callable given the number of samples just finished.
    A packet cut by the end of the recording is yielded with `result.reason` "cut: ...".
    """
    busy = sure = 0
    for offset, fresh, x in capture.chunks():
        candidates = [
            s
            for s in wifi_sync.find(x, threshold)
            if s.first < fresh and wifi_frontend.available_symbols(len(x), s.start) and s.start >= 0
        ]
        cuts, starts = [], []
        for s, found in zip(candidates, _signals(x, candidates), strict=True):
            if found is None or offset + s.start < sure:
                continue
            n = 1 + RATES[found[0]].n_symbols(found[1])
            n = min(n, wifi_frontend.available_symbols(len(x), s.start))
            part, local = _cut(x, s, n)
            cuts.append((part, local, n))
            starts.append(offset + s.start)
        for start, cut, result in zip(starts, cuts, decode_cut(cuts), strict=True):
            # Inside a good packet there is no other; inside a bad one only a good one counts.
            if start < sure or (start < busy and not result.fcs_ok):
                continue
            end = start + SIGNAL_OFFSET + N_SYM * (cut[2] - 1) + N_FFT // 2
            busy = max(busy, end)
            if result.fcs_ok:
                sure = end
            yield Received(start + WINDOW_ADVANCE - LTF_OFFSET, cut[0], cut[1], result)
        if progress:
            progress(fresh)
