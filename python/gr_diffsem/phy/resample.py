# SPDX-License-Identifier: GPL-3.0-or-later
"""Other sampling rates: by a ratio of whole numbers, and by a few millionths."""

import numpy as np

from ..base.windowed_sinc import windowed_sinc


def rational(read, ratio, start, stop):
    """Samples [start, stop) of a recording at `ratio` (a Fraction) times its rate, complex64.

    read(first, last): the recording's own samples, which may begin late or end early. SciPy's polyphase filter; any
    piece is the same as it would be within the whole.
    """
    from scipy.signal import resample_poly

    up, down = ratio.numerator, ratio.denominator
    # Begin on a whole period of the resampler, early enough for its filter to settle.
    margin = down * (1 + 64 // down)
    first = max((start // up) * down - margin, 0)
    last = -(-stop // up) * down + margin
    y = resample_poly(read(first, last), up, down)
    skip = start - first * up // down
    return y[skip : skip + stop - start].astype(np.complex64)


def at_steps(x, step, half=16):
    """x at times 0, step, 2 step, ... in samples, complex: what a clock sees that is slow by (step - 1).

    By a windowed sinc of 2 half taps, which no ratio of small numbers replaces; the last 2 half samples are not
    reached.
    """
    times = np.arange(int((x.size - 2 * half) / step)) * step
    out = np.zeros(times.size, complex)
    for first in range(0, times.size, 1 << 18):
        t = times[first : first + (1 << 18)]
        base = np.floor(t).astype(int)
        for k in range(1 - half, half + 1):
            weight = windowed_sinc(t - base - k, half)
            out[first : first + t.size] += weight * x[np.clip(base + k, 0, x.size - 1)]
    return out
