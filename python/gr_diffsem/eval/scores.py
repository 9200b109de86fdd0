# SPDX-License-Identifier: GPL-3.0-or-later
"""Error ratios with confidence intervals, and whether a predicted variance can be believed."""

import numpy as np

from ..base.signal import linear_to_db


def nmse_db(error, power):
    """10 log10 (sum |e|^2 / sum |h|^2). error, power: [R], of each realisation."""
    return float(linear_to_db(np.sum(error) / np.sum(power)))


def bootstrap(statistic, columns, resamples=1000, seed=0, level=0.95):
    """Percentile interval [low, high] of statistic(*columns) over resampled realisations.

    columns: arrays [R]; they are resampled together, so that differences are paired.
    """
    rng = np.random.default_rng(seed)
    columns = [np.asarray(column, dtype=float) for column in columns]
    count = len(columns[0])
    values = []
    for _ in range(resamples):
        chosen = rng.integers(count, size=count)
        values.append(statistic(*(column[chosen] for column in columns)))
    tail = 50.0 * (1.0 - level)
    return [float(v) for v in np.percentile(values, [tail, 100.0 - tail])]


def difference_db(ours, theirs):
    """10 log10 of the ratio of summed errors: negative when ours is better."""
    return float(linear_to_db(np.sum(ours) / np.sum(theirs)))


def snr_at(rate, snr_db, errors, powers):
    """SNR in dB where an error rate falls to `rate`, on straight lines of log rate between rising snr_db [S]; NaN where
    it does not. errors, powers: [R, S]; the rate at an SNR is the ratio of their sums."""
    with np.errstate(divide="ignore"):
        above = np.log(np.sum(errors, 0) / np.sum(powers, 0)) - np.log(rate)
    crossed = np.flatnonzero((above[:-1] > 0) & (above[1:] <= 0))
    if not len(crossed):
        return float("nan")
    k = crossed[0]
    step = 0.0 if np.isinf(above[k + 1]) else above[k] / (above[k] - above[k + 1])
    return float(snr_db[k] + step * (snr_db[k + 1] - snr_db[k]))


def calibration(predicted, actual, bins=10):
    """Predicted over actual error power in each decile of the predicted variance.

    predicted: variances, actual: |error|^2, same shape. Non-finite predictions are left out.
    Returns {"ratios": [bins], "edges_db": [bins + 1], "count": n}; 1 is perfect.
    """
    predicted, actual = np.ravel(predicted), np.ravel(actual)
    usable = np.isfinite(predicted) & np.isfinite(actual)
    order = np.argsort(predicted[usable], kind="stable")
    predicted, actual = predicted[usable][order], actual[usable][order]
    parts = np.array_split(np.arange(len(order)), bins)
    ratios = [float(predicted[part].sum() / actual[part].sum()) if len(part) else None for part in parts]
    edges = [float(predicted[part[0]]) for part in parts if len(part)] + [float(predicted[-1])]
    return {"ratios": ratios, "edges_db": linear_to_db(edges).tolist(), "count": len(order)}


def log_likelihood(predicted, actual, complex_domain=True):
    """Mean log-density of the errors under circular Gaussians of the predicted variance, nats."""
    predicted = np.maximum(np.ravel(predicted), 1e-30)
    actual = np.ravel(actual)
    usable = np.isfinite(predicted)
    predicted, actual = predicted[usable], actual[usable]
    if complex_domain:
        return float(np.mean(-np.log(np.pi * predicted) - actual / predicted))
    return float(np.mean(-0.5 * np.log(2 * np.pi * predicted) - 0.5 * actual / predicted))


def variance_report(parts, complex_domain=True):
    """Calibration and log-likelihood of a predicted variance against a table by SNR alone.

    parts: (predicted, actual, snr_db) for each SNR (and layout), arrays of any shape; actual is
    |error|^2. The table knows the true mean error of each SNR on these very samples, which no real
    table does: it is an optimistic opponent.
    """
    levels = sorted({snr_db for _, _, snr_db in parts})
    predicted, actual, table = [], [], []
    for level in levels:
        here = [(np.ravel(p), np.ravel(a)) for p, a, snr_db in parts if snr_db == level]
        predicted += [p for p, _ in here]
        errors = np.concatenate([a for _, a in here])
        actual.append(errors)
        table.append(np.full(errors.shape, errors.mean()))
    predicted, actual, table = map(np.concatenate, (predicted, actual, table))
    return {
        "snr_db": levels,
        **calibration(predicted, actual),
        "log_likelihood": log_likelihood(predicted, actual, complex_domain),
        "log_likelihood_snr_table": log_likelihood(table, actual, complex_domain),
    }
