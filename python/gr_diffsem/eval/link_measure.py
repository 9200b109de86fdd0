# SPDX-License-Identifier: GPL-3.0-or-later
"""Scores of a method on one link, and their intervals."""

import numpy as np

from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT


def nmse_db(taps, truth):
    """10 log10 (sum |h - g|^2 / sum |h|^2) over packets and the 52 carriers; [n, 64] each."""
    bins = LAYOUT.carrier_bins
    error = np.abs(taps[:, bins] - truth[:, bins]) ** 2
    return float(10 * np.log10(error.sum() / (np.abs(truth[:, bins]) ** 2).sum()))


def error_power(received, noiseless, symbols, sent):
    """Mean power of the error behind the equaliser: noise, and what its channel is off by, in the units received.

    received, noiseless [n, 9, 48]: carriers with and without noise; symbols, sent likewise. With z = y / g the decoder
    works with the distances |y - g s|^2, g the channel that the equaliser took: that may be another in each symbol, and
    it may have been learned from these very symbols, noise and all. So the two are counted as if they were independent:
    |y - h s|^2 + |g s - h s|^2. The wanted signal's power is the same for every method, so the ratio of this to that of
    the true channel is the loss of SINR.
    """
    channel = received / np.where(symbols == 0, np.nan, symbols)  # nothing comes from a carrier without an estimate
    missed = np.nan_to_num(channel) * sent - noiseless
    return float(np.mean(np.abs(received - noiseless) ** 2 + np.abs(missed) ** 2))


def monotone(per):
    """The non-increasing sequence nearest to `per` [snrs] in least squares (pool adjacent violators)."""
    blocks = []
    for value in per:
        blocks.append([value, 1])
        while len(blocks) > 1 and blocks[-2][0] < blocks[-1][0]:
            value, count = blocks.pop()
            mean, size = blocks[-1]
            blocks[-1] = [(mean * size + value * count) / (size + count), size + count]
    return np.concatenate([np.full(size, mean) for mean, size in blocks])


def snr_at(per, snr_db, packets, target=0.1):
    """SNR in dB at which the PER falls to `target`: monotone fit, straight in log PER; NaN outside.

    per [snrs], from `packets` packets each; a PER of 0 counts as half a lost packet."""
    fit = np.log(np.maximum(monotone(per), 0.5 / packets))
    goal = np.log(target)
    if fit[0] < goal or fit[-1] > goal:
        return float("nan")
    after = int(np.argmax(fit <= goal))
    if after == 0:
        return float(snr_db[0])
    span = fit[after - 1] - fit[after]
    part = (fit[after - 1] - goal) / span if span > 0 else 1.0
    return float(snr_db[after - 1] + part * (snr_db[after] - snr_db[after - 1]))


def bootstrap(lost, snr_db, repeats=400, seed=0):
    """SNR at 10 % PER and its 95 % interval for every method, and of each method's gain over `ls`.

    lost: {method: bool [snrs, packets]}, the same packets in the same places for all, resampled
    together. Returns ({method: (value, [low, high])}, {method: (gain, [low, high])}).
    """
    rng = np.random.default_rng(seed)
    snrs, packets = next(iter(lost.values())).shape
    at = {m: snr_at(x.mean(1), snr_db, packets) for m, x in lost.items()}
    drawn = {m: [] for m in lost}
    for _ in range(repeats):
        pick = rng.integers(0, packets, (snrs, packets))
        for m, x in lost.items():
            drawn[m].append(snr_at(np.take_along_axis(x, pick, 1).mean(1), snr_db, packets))
    values = {m: (at[m], interval(drawn[m])) for m in lost}
    gains = {}
    if "ls" in lost:
        for m in lost:
            gain = np.array(drawn["ls"]) - np.array(drawn[m])
            gains[m] = (at["ls"] - at[m], interval(gain))
    return values, gains


def interval(values):
    """[2.5 %, 97.5 %] of what is finite, None where less than nine in ten are."""
    values = np.asarray(values, float)
    finite = values[np.isfinite(values)]
    if finite.size < 0.9 * values.size:
        return [None, None]
    return [float(x) for x in np.percentile(finite, [2.5, 97.5])]
