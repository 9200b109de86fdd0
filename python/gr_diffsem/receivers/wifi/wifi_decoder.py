# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoder of legacy OFDM packets with a *given* channel estimate.

Every estimator is compared through this one path: pilots follow the phase with the estimate under
test, carriers are equalised by it, the soft bits are weighted by it (and by its error variance
where it states one), and one Viterbi run decodes all packets together.
"""

from dataclasses import dataclass, field

import numpy as np

from ...phy import constellation, convolutional, soft_demap, viterbi
from . import phase_tracking, wifi_bits, wifi_frontend
from .wifi_tables import DATA, RATE_BY_SIGNAL, SERVICE_BITS, TAIL_BITS, USED
from .wifi_tables import RATES as _RATES


@dataclass
class Job:
    """One packet to decode.

    symbols[n, 64]: SIGNAL and DATA symbols as `wifi_frontend.demodulate` gives them.
    h[64]: channel estimate (finite on the 52 carriers; others are not looked at).
    noise_var: noise variance of one carrier of one symbol (twice that of `ltf_observation`).
    h_var: error variance of h, [64] or scalar or None.
    expected: (mbps, length) if known; SIGNAL must then say the same for the FCS to count, and
    the EVM is measured over that many symbols even if it does not.
    sent[n, 64]: symbols that were sent, if known: the EVM's reference (else the nearest points).
    ideal_sync: the carrier offset is known to better than the LTF shows.
    """

    symbols: np.ndarray
    h: np.ndarray
    noise_var: float
    h_var: object = None
    expected: tuple = None
    sent: np.ndarray = None
    ideal_sync: bool = False


@dataclass
class Result:
    """What came out of one packet.

    psdu: octets or None; fcs_ok; mbps, length: as SIGNAL says, None if it is not valid;
    seed: of the scrambler; bits: SERVICE, PSDU and tail as they were sent, scrambled;
    evm_db: error of the equalised data symbols relative to the mean symbol power, NaN if there are
    none; equalised[n, 48]; theta[n], drift: the tracking's result;
    reason: why there is no PSDU, for people; ht: an 802.11n (HT) packet behind a legacy header.
    """

    psdu: bytes = None
    fcs_ok: bool = False
    mbps: int = None
    length: int = None
    seed: int = None
    bits: np.ndarray = field(default=None, repr=False)
    evm_db: float = float("nan")
    equalised: np.ndarray = field(default=None, repr=False)
    theta: np.ndarray = field(default=None, repr=False)
    drift: float = 0.0
    reason: str = ""
    ht: bool = False


def equalise(job):
    """Follow the pilots and divide by the channel.

    Returns (points[n, 48], weight[48], theta[n], drift).
    """
    h = np.asarray(job.h, complex)
    if h.shape != (64,):
        raise ValueError(f"h: shape {h.shape}, needs 64 carriers in ascending frequency")
    h = np.where(np.isfinite(h), h, 0)
    noise_var = float(job.noise_var)
    if not np.isfinite(noise_var) or noise_var < 0:
        raise ValueError(f"noise_var: {noise_var} is not a variance")
    power = np.mean(np.abs(h[USED]) ** 2)
    noise_var = max(noise_var, 1e-9 * power, 1e-30)
    std = phase_tracking.FREQ_STD if job.ideal_sync else phase_tracking.sync_freq_std(noise_var, power)
    theta, drift = phase_tracking.follow_pilots(job.symbols, h, noise_var, std)
    total = np.full(64, noise_var)
    if job.h_var is not None:
        total = total + np.maximum(np.nan_to_num(np.real(job.h_var)), 0)
    gain = np.abs(h[DATA]) ** 2
    y = (job.symbols * phase_tracking.rotation(theta, drift))[:, DATA]
    points = y * np.conj(h[DATA]) / np.maximum(gain, 1e-12 * power + 1e-30)
    return points, gain / total[DATA], theta, drift


def parse_signal(bits):
    """24 SIGNAL bits -> (mbps, length), or None if parity, reserved bit, tail or rate is wrong."""
    rate = RATE_BY_SIGNAL.get(tuple(int(b) for b in bits[:4]))
    length = int(np.asarray(bits[5:17], np.intp) @ (1 << np.arange(12)))
    if rate is None or bits[4] or bits[18:].any() or bits[:18].sum() % 2 or length == 0:
        return None
    return rate.mbps, length


def read_signals(points, weights):
    """SIGNAL fields from equalised symbols: lists of [48] and [48] -> list of (mbps, length)."""
    pairs = zip(points, weights, strict=True)
    llrs = [wifi_bits.deinterleave(soft_demap.max_log(p[None], w, 1)[0], 1) for p, w in pairs]
    return [parse_signal(b) for b in viterbi.decode(llrs, [24] * len(llrs))]


def evm_db(points, sent):
    """Error vector magnitude in dB: mean |points - sent|^2 over mean |sent|^2."""
    if not len(points):
        return float("nan")
    error = np.mean(np.abs(points - sent) ** 2) / np.mean(np.abs(sent) ** 2)
    return float(10 * np.log10(max(error, 1e-30)))


def _finish(result, bits):
    """Descramble decoded bits into the result."""
    result.bits = bits
    result.seed = wifi_bits.seed_from_service(bits)
    if result.seed is None:
        result.reason = "the SERVICE field holds no scrambler seed"
        return
    bits = bits ^ wifi_bits.scrambler_sequence(result.seed, len(bits))
    result.psdu = wifi_bits.bits_to_bytes(bits[SERVICE_BITS : SERVICE_BITS + 8 * result.length])
    result.fcs_ok = wifi_bits.fcs_ok(result.psdu)
    if not result.fcs_ok:
        result.reason = "wrong FCS"


def _is_ht(points):
    """The two symbols after a legacy header are BPSK turned by 90 degrees: HT-SIG (19.3.9.4.3)."""
    if len(points) < 2:
        return False
    p = points[:2]
    return bool(np.sum(p.imag**2) > 2 * np.sum(p.real**2))


def decode_batch(jobs):
    """Decode many packets: list of `Job` -> list of `Result`, in the same order."""
    results = [Result() for _ in jobs]
    ready = [equalise(job) for job in jobs]
    signals = read_signals([r[0][0] for r in ready], [r[1] for r in ready])
    llrs, n_bits, members = [], [], []
    for i, (job, result) in enumerate(zip(jobs, results, strict=True)):
        points, weight, result.theta, result.drift = ready[i]
        result.equalised = points[1:]
        found = signals[i]
        if found:
            result.mbps, result.length = found
        known = job.expected or found
        if known is None:
            result.reason = "SIGNAL is not valid"
            continue
        rate = _RATES[known[0]]
        n = rate.n_symbols(known[1])
        data = points[1 : 1 + n]
        sent = constellation.nearest(data, rate.n_bpsc) if job.sent is None else job.sent[1 : 1 + n, DATA]
        result.evm_db = evm_db(data, sent[: len(data)])
        if found is None or (job.expected and found != tuple(job.expected)):
            result.reason = "SIGNAL is not what was sent" if found else "SIGNAL is not valid"
            continue
        if len(data) < n:
            result.reason = f"cut: {len(data)} of {n} symbols"
            continue
        soft = wifi_bits.deinterleave(soft_demap.max_log(data, weight, rate.n_bpsc), rate.n_bpsc).ravel()
        llrs.append(convolutional.depuncture(soft, rate.coding))
        n_bits.append(SERVICE_BITS + 8 * known[1] + TAIL_BITS)
        members.append(i)
    for i, bits in zip(members, viterbi.decode(llrs, n_bits), strict=True):
        _finish(results[i], bits)
        if not results[i].fcs_ok and results[i].mbps == 6 and _is_ht(results[i].equalised):
            results[i].ht, results[i].reason = True, "HT packet, not legacy"
    return results


def decode(packet_samples, sync, h, noise_var, h_var=None, n_symbols=None):
    """Decode one packet with a given channel estimate.

    packet_samples[N]: complex at 20 MS/s; sync: `Sync` with its start relative to them;
    h[64], noise_var, h_var: as in `Job`; n_symbols: at most so many symbols after the LTF
    (SIGNAL included), default as many as SIGNAL says or are there.
    Returns `Result`. ValueError if not even the SIGNAL symbol is there.
    """
    packet_samples = np.asarray(packet_samples)
    packet_samples = np.where(np.isfinite(packet_samples), packet_samples, 0)
    there = wifi_frontend.available_symbols(len(packet_samples), sync.start)
    there = there if n_symbols is None else min(there, n_symbols)
    dc = wifi_frontend.packet_dc(packet_samples, sync, min(there, 1))
    _, symbols = wifi_frontend.demodulate(packet_samples, sync, max(min(there, 1), 1), dc=dc)
    points, weight, _, _ = equalise(Job(symbols, h, noise_var, h_var))
    found = read_signals([points[0]], [weight])[0]
    if found is not None:
        there = min(there, 1 + _RATES[found[0]].n_symbols(found[1]))
    dc = wifi_frontend.packet_dc(packet_samples, sync, there)
    _, symbols = wifi_frontend.demodulate(packet_samples, sync, there, dc=dc)
    result = decode_batch([Job(symbols, h, noise_var, h_var)])[0]
    if abs(result.drift) * there > 1:
        there = min(there, wifi_frontend.available_symbols(len(packet_samples) - 8, sync.start))
        _, symbols = wifi_frontend.demodulate(packet_samples, sync, there, result.drift, dc)
        again = decode_batch([Job(symbols, h, noise_var, h_var)])[0]
        result = again if again.fcs_ok or not result.fcs_ok else result
    return result
