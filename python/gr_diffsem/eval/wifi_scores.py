# SPDX-License-Identifier: GPL-3.0-or-later
"""Channel estimators on received packets: added noise, NMSE, EVM, FCS.

What is measured. A packet's mean power over the power of the noise that is added to its samples,
in the channel's whole width, is its SNR; a recording's own noise stays beneath and is not counted. Noise
depends on (seed, file, position, SNR) alone, so every method sees the same samples. Carrier offset
and timing are those found without added noise: the estimate decides, not the synchroniser. What is
left for the receiver is the phase of each symbol, which it follows by the pilots with the estimate
under test.

An estimator is a callable ``estimator(Y, noise_var, mask) -> H`` or ``-> (H, var)``:

* Y complex64 [n, 64]: mean of the least-squares estimates of the two long training symbols,
  carriers in ascending frequency (index 32 is carrier 0), in the recording's own units (unknown
  gain), zero where `mask` is False. The FFT window begins three samples before the first path.
* noise_var float32 [n]: variance per complex element of Y, from the difference of the two symbols.
* mask bool [64]: the 52 observed carriers.
* H complex [n, 64], the estimate; only the 52 carriers are looked at. var real [n, 64] or None,
  its error variance, used to weight soft bits.

With an attribute `passes` = 2 it is called once more, with Y and noise_var of the training field and the data that its
first answer decoded (`receivers.wifi.decided_data`).
"""

import zlib

import numpy as np

from ..air.impairments import noise
from ..receivers.wifi import decided_data, reference_channel, wifi_decoder, wifi_frontend
from ..receivers.wifi.wifi_tables import USED, USED_MASK

#: Packets that are held demodulated at a time.
BLOCK = 512
SNR_DB = (0.0, 5.0, 10.0, 15.0, 20.0)


def least_squares(y, noise_var, mask):
    """The estimator "ls": the observation itself."""
    return y, np.where(mask, noise_var[:, None], 0)


def add_noise(packet, snr_db, seed):
    """The packet's samples plus complex white Gaussian noise; None for snr_db adds nothing."""
    if snr_db is None:
        return packet.samples
    file, position = packet.name
    position %= 1 << 64  # a recording may begin inside its first preamble: below 0
    entropy = [seed, zlib.crc32(file.encode()), position, round(1000 * snr_db) + 10**6]
    rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(entropy)))
    return packet.samples + noise(rng, len(packet.samples), packet.power * 10 ** (-snr_db / 10))


def observe(packets, snr_db, seed=0):
    """Noisy symbols of packets: (Y[n, 64], noise_var[n], list of symbols[n_symbols, 64])."""
    y = np.zeros((len(packets), 64), np.complex64)
    noise_var = np.zeros(len(packets), np.float32)
    symbols = []
    for i, p in enumerate(packets):
        x = add_noise(p, snr_db, seed)
        ltf, data = wifi_frontend.demodulate(x, p.sync, p.n_symbols, p.drift)
        y[i], noise_var[i] = wifi_frontend.ltf_observation(ltf)
        symbols.append(data)
    return y, noise_var, symbols


def nmse(h, truth):
    """|error|^2 / |h|^2 per packet over the 52 carriers: [n, 64], [n, 64] -> [n]."""
    error = np.sum(np.abs(h[:, USED] - truth[:, USED]) ** 2, axis=1)
    return error / np.sum(np.abs(truth[:, USED]) ** 2, axis=1)


def _call(name, estimator, y, noise_var):
    out = estimator(y, noise_var, USED_MASK)
    h, var = out if isinstance(out, tuple) else (out, None)
    h = np.asarray(h)
    if h.shape != y.shape:
        raise ValueError(f"method {name}: returned shape {h.shape}, needs {y.shape}")
    if not np.all(np.isfinite(h[:, USED])):
        raise ValueError(f"method {name}: returned values that are not finite")
    if var is not None:
        var = np.broadcast_to(np.asarray(var), y.shape)
    return h, var


def _decode(packets, symbols, h, var, noise_var):
    """Decode with one estimate per packet -> (jobs, results)."""
    jobs = [
        reference_channel.decode_known(p, h[i], 2 * float(noise_var[i]), None if var is None else var[i], symbols[i])
        for i, p in enumerate(packets)
    ]
    return jobs, wifi_decoder.decode_batch(jobs)


def _score(packets, results):
    """(evm in dB [n], number of good FCS)."""
    good = sum(r.fcs_ok and r.psdu == p.psdu for r, p in zip(results, packets, strict=True))
    return [r.evm_db for r in results], good


def receive(name, estimator, packets, y, noise_var, symbols):
    """Estimate and decode; an estimator with `passes` above 1 is asked again, with what was decoded. A packet whose FCS
    is good is through, as in a receiver. -> (H, results)"""
    h, var = _call(name, estimator, y, noise_var)
    jobs, results = _decode(packets, symbols, h, var, noise_var)
    for _ in range(getattr(estimator, "passes", 1) - 1):
        looks = [decided_data.observe(*four) for four in zip(y, noise_var, jobs, results, strict=True)]
        look, level = np.array([a for a, _ in looks], y.dtype), np.array([b for _, b in looks], noise_var.dtype)
        h, var = _call(name, estimator, look, level)
        jobs, again = _decode(packets, symbols, h, var, noise_var)
        results = [a if a.fcs_ok else b for a, b in zip(results, again, strict=True)]
    return h, results


def _db(x):
    return float(10 * np.log10(max(x, 1e-30)))


def _median(values):
    return float(np.median(values)) if len(values) else float("nan")


def evaluate(packets, estimators=None, snr_db=SNR_DB, seed=0, progress=None):
    """Run every estimator on the same noisy packets.

    packets: list of `reference.Packet`; estimators: dict name -> callable, default {"ls"};
    snr_db: sequence of dB; progress: callable given the number of decoded packets just finished
    (in all len(packets) * (1 + len(snr_db) * (1 + len(estimators)))).
    Returns {"packets", "fcs_ok_clean", "snr_db", "methods": {name: {"nmse_db", "evm_db",
    "fcs_ok"}}, "reference": {"evm_db", "fcs_ok"}}: NMSE is 10 log10 of the mean over packets, EVM the median
    over packets, fcs_ok a count, all one per SNR. "reference" is the data-aided channel in the
    same decoder; fcs_ok_clean counts packets decoded by least squares without added noise.
    """
    estimators = dict(estimators or {"ls": least_squares})
    tick = progress or (lambda n: None)
    blocks = [packets[i : i + BLOCK] for i in range(0, len(packets), BLOCK)]
    methods = {name: {"nmse_db": [], "evm_db": [], "fcs_ok": []} for name in estimators}
    out = {
        "packets": len(packets),
        "fcs_ok_clean": 0,
        "snr_db": [float(s) for s in snr_db],
        "methods": methods,
        "reference": {"evm_db": [], "fcs_ok": []},
    }
    for block in blocks:
        y, noise_var, symbols = observe(block, None)
        h, var = least_squares(y, noise_var, USED_MASK)
        out["fcs_ok_clean"] += _score(block, _decode(block, symbols, h, var, noise_var)[1])[1]
        tick(len(block))
    for snr in out["snr_db"]:
        errors = {name: [] for name in estimators}
        evms = {name: [] for name in estimators}
        good = dict.fromkeys(estimators, 0)
        reference_evm, reference_good = [], 0
        for block in blocks:
            y, noise_var, symbols = observe(block, snr, seed)
            truth = np.stack([p.h for p in block])
            evm, fcs = _score(block, _decode(block, symbols, truth, None, noise_var)[1])
            reference_evm += evm
            reference_good += fcs
            tick(len(block))
            for name, estimator in estimators.items():
                h, results = receive(name, estimator, block, y, noise_var, symbols)
                errors[name].extend(nmse(h, truth))
                evm, fcs = _score(block, results)
                evms[name] += evm
                good[name] += fcs
                tick(len(block))
        out["reference"]["evm_db"].append(_median(reference_evm))
        out["reference"]["fcs_ok"].append(int(reference_good))
        for name, m in methods.items():
            m["nmse_db"].append(_db(np.mean(errors[name])) if errors[name] else float("nan"))
            m["evm_db"].append(_median(evms[name]))
            m["fcs_ok"].append(int(good[name]))
    return out
