# SPDX-License-Identifier: GPL-3.0-or-later
"""Known packets: re-encoded symbols and the data-aided reference channel.

Every symbol of a packet with a good FCS is known, so its channel can be estimated from all of them.
As the truth against which estimates from the long training symbols are judged, those two symbols
are left out by default: their own noise would otherwise be in the truth as well, and flatter
whatever is tested. With n symbols of SIGNAL and DATA the truth is 10 log10(n / 2) dB better than
least squares at the recording's own SNR. What error is left is computed and reported
(`Packet.floor`); it is not subtracted from anything, so no figure can fall below it.
"""

from dataclasses import dataclass, replace

import numpy as np

from ...phy import constellation, convolutional
from . import phase_tracking, wifi_bits, wifi_decoder, wifi_frontend, wifi_phy
from .wifi_sync import Sync
from .wifi_tables import DATA, LTF, N_FFT, N_SYM, RATES, SAMPLE_RATE, SIGNAL_OFFSET, USED


@dataclass
class Packet:
    """A packet of which everything is known.

    samples: complex64 at 20 MS/s, DC removed; sync: relative to them, carrier offset refined over
    the whole packet; mbps, psdu, seed; sent[n, 64]: SIGNAL and DATA carriers; h[64]: reference
    channel at the time of the long training field (0 outside the 52 carriers); floor: estimated
    |error of h|^2 / |h|^2; drift: samples per symbol; name: (file, position), seeds the noise.
    """

    samples: np.ndarray
    sync: Sync
    mbps: int
    psdu: bytes
    seed: int
    sent: np.ndarray
    h: np.ndarray = None
    floor: float = float("nan")
    drift: float = 0.0
    name: tuple = ("", 0)

    @property
    def n_symbols(self):
        """Symbols after the long training field."""
        return len(self.sent)

    @property
    def power(self):
        """Mean power from the first preamble sample (if recorded) to the last of the packet."""
        end = self.sync.start + SIGNAL_OFFSET + N_SYM * self.n_symbols - (N_SYM - N_FFT)
        part = self.samples[max(self.sync.first, 0) : end]
        return float(np.mean(np.abs(part.astype(complex)) ** 2))


def find_seed(symbols, h, noise_var, psdu, mbps, look=4):
    """Scrambler seed (1..127) that explains the first DATA symbols best, when the PSDU is known.

    symbols[n, 64] with SIGNAL first; h[64]. Returns (seed, correlation 0..1).
    """
    rate = RATES[mbps]
    n = min(rate.n_symbols(len(psdu)), look, len(symbols) - 1)
    theta, drift = phase_tracking.follow_pilots(symbols[: n + 1], h, noise_var)
    y = (symbols[: n + 1] * phase_tracking.rotation(theta, drift))[1:, DATA]
    y = y * np.conj(h[DATA])
    bits = np.stack([wifi_phy.data_bits(psdu, mbps, s)[: n * rate.n_dbps] for s in range(1, 128)])
    coded = convolutional.puncture(convolutional.encode(bits), rate.coding)
    coded = wifi_bits.interleave(coded.reshape(127, n, rate.n_cbps), rate.n_bpsc)
    sent = constellation.modulate(coded, rate.n_bpsc) * np.abs(h[DATA]) ** 2
    score = np.sum(np.conj(sent) * y, axis=(1, 2)).real
    score /= np.sqrt(np.sum(np.abs(sent) ** 2, axis=(1, 2)) * np.sum(np.abs(y) ** 2) + 1e-300)
    best = int(np.argmax(score))
    return best + 1, float(score[best])


def _all_known(ltf, symbols, sent, with_ltf):
    """Least squares over all symbols with phase and drift followed: (h, theta, drift, floor)."""
    own = 2 if with_ltf else 0
    y, noise_var = wifi_frontend.ltf_observation(ltf)
    noise_var = 2 * max(float(noise_var), 1e-30)
    h = y
    known = sent[:, USED]
    energy = own + np.sum(np.abs(known) ** 2, axis=0)
    for _ in range(3):
        theta, drift = phase_tracking.follow(symbols, known, USED, h, noise_var)
        straight = (symbols * phase_tracking.rotation(theta, drift))[:, USED]
        h = np.zeros(64, complex)
        h[USED] = (own * y[USED] + np.sum(np.conj(known) * straight, axis=0)) / energy
        # The phase that counts is the one at the long training field.
        turn = np.vdot(h, y)
        h *= turn / max(abs(turn), 1e-300)
    error = np.abs(straight - known * h[USED]) ** 2
    if with_ltf:
        error = np.concatenate([error, np.abs(ltf[:, USED] - LTF[USED] * h[USED]) ** 2])
    # One complex degree of freedom of each carrier went into h.
    variance = np.sum(error, axis=0) / max(len(error) - 1, 1)
    floor = float(np.mean(variance / energy) / np.mean(np.abs(h[USED]) ** 2))
    return h, theta, drift, floor


def add_reference(packet, with_ltf=False):
    """Fill h, floor and drift of a `Packet`, and refine its carrier offset: a new Packet.

    with_ltf: use the two long training symbols too (see the module's text).
    """
    s, drift = packet.sync, 0.0
    for _ in range(2):
        ltf, symbols = wifi_frontend.demodulate(packet.samples, s, packet.n_symbols, drift)
        h, theta, drift, floor = _all_known(ltf, symbols, packet.sent, with_ltf)
        t = np.arange(len(theta)) + phase_tracking.T0
        per_symbol = float(np.sum(t * theta) / np.sum(t**2))
        s = replace(s, cfo_hz=s.cfo_hz + per_symbol / (2 * np.pi * N_SYM) * SAMPLE_RATE)
        end = s.start + SIGNAL_OFFSET + N_SYM * packet.n_symbols + 8
        if abs(drift) * packet.n_symbols < 0.5 or end > len(packet.samples):
            drift = 0.0
    ltf, symbols = wifi_frontend.demodulate(packet.samples, s, packet.n_symbols, drift)
    h, _, _, floor = _all_known(ltf, symbols, packet.sent, with_ltf)
    return replace(packet, sync=s, h=h, floor=floor, drift=drift)


def from_received(item, file=""):
    """`wifi_finder.Received` with a good FCS -> `Packet` with reference; None if it has no good FCS."""
    r = item.result
    if not r.fcs_ok:
        return None
    sent = wifi_phy.encode(r.psdu, r.mbps, r.seed)
    packet = Packet(item.samples, item.sync, r.mbps, r.psdu, r.seed, sent)
    packet.name = (file, item.position)
    return add_reference(packet)


def from_truth(capture, entry, file=""):
    """One entry of a truth file -> `Packet` with reference.

    capture: `wifi_capture.Capture`; entry: dict with `start` (FFT window of the first long training
    symbol, WINDOW_ADVANCE samples early), `cfo_hz`, `rate` in Mb/s, `psdu` in hex and optionally
    `seed`. ValueError, with the reason, if the packet is not whole in the recording or its
    symbols do not fit.
    """
    # Everything here counts as if the channel were 20 MHz wide.
    s = Sync(int(entry["start"]), float(entry["cfo_hz"]) * SAMPLE_RATE / capture.width)
    if not (0 <= s.start <= len(capture) and abs(s.cfo_hz) < 1e7):
        raise ValueError(f"start {s.start}, cfo_hz {s.cfo_hz:g}: not within the recording and its band")
    psdu, mbps = bytes.fromhex(entry["psdu"]), int(entry["rate"])
    n = 1 + wifi_phy.get_rate(mbps).n_symbols(len(psdu))
    lo = max(s.first - 64, 0)
    part = capture.samples(lo, s.start + SIGNAL_OFFSET + N_SYM * n + 64)
    s = replace(s, start=s.start - lo)
    part = (part - wifi_frontend.packet_dc(part, s, n)).astype(np.complex64)
    ltf, symbols = wifi_frontend.demodulate(part, s, n)
    y, noise_var = wifi_frontend.ltf_observation(ltf)
    seed = entry.get("seed")
    if not seed:
        seed, score = find_seed(symbols, y, 2 * float(noise_var), psdu, mbps)
        if score < 0.5:
            raise ValueError(f"start {entry['start']}: no scrambler seed explains the symbols")
    packet = Packet(part, s, mbps, psdu, int(seed), wifi_phy.encode(psdu, mbps, int(seed)))
    packet.name = (file, int(entry["start"]))
    return add_reference(packet)


def decode_known(packet, h, noise_var, h_var=None, symbols=None):
    """`wifi_decoder.Job` for a known packet: the EVM is measured against what was sent."""
    return wifi_decoder.Job(symbols, h, noise_var, h_var, (packet.mbps, len(packet.psdu)), packet.sent, ideal_sync=True)
