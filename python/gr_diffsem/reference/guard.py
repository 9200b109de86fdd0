# SPDX-License-Identifier: GPL-3.0-or-later
"""Does an estimate contradict the measurement that it was made from? (docs/theory.md, "A prior that is wrong") And is
enough measured for a member to answer by itself?"""

import numpy as np

FALSE_ALARM = 1e-4  #: share of items of a right prior at most that are refuted


def residual_energy(y, mean, noise_var, observed=None):
    """Sum of |y - mean|^2 / noise_var over what is measured, and of how many elements: two arrays [B].

    y, mean: [B, N]. noise_var: broadcasts to y; infinite where an element is lost.
    """
    noise_var = np.broadcast_to(np.asarray(noise_var, float), np.shape(y))
    seen = np.isfinite(noise_var)
    if observed is not None:
        seen = seen & np.asarray(observed, bool)
    square = np.abs(np.asarray(y) - mean) ** 2
    return np.where(seen, square / noise_var, 0.0).sum(1), seen.sum(1)


def tail(energy, elements, freedom=0, real=False):
    """Probability that noise alone has at least this energy: chi-square, or with variances estimated from `freedom`
    elements of noise Fisher's F; two degrees of freedom for a complex element, one for a real one."""
    from scipy import stats

    each = 1 if real else 2
    degrees = each * np.asarray(elements)
    if not freedom:
        return stats.chi2.sf(each * np.asarray(energy), degrees)
    return stats.f.sf(np.asarray(energy) / elements, degrees, each * freedom)


def few_observed(shape, noise_var, observed=None, fewest=0):
    """Of which items [B] of a shape [B, N] fewer elements than a member's `fewest_observed` are measured."""
    nothing = np.zeros(shape)
    return residual_energy(nothing, nothing, noise_var, observed)[1] < fewest


def contradicts(y, mean, noise_var, observed=None, freedom=0, real=False):
    """Whether the estimates [B, N] are refuted: [B] bool."""
    energy, elements = residual_energy(y, mean, noise_var, observed)
    return (elements > 0) & (tail(energy, np.maximum(elements, 1), freedom, real) < FALSE_ALARM)
