# SPDX-License-Identifier: GPL-3.0-or-later
"""The interpolating kernel that resampling and filters of paths share."""

import numpy as np


def windowed_sinc(distance, half=16):
    """Weight of a sample at this distance (in samples), within half + 1 of the place that is asked for; else 0."""
    window = np.where(np.abs(distance) < half + 1, np.cos(np.pi * distance / (2 * half + 2)) ** 2, 0.0)
    return np.sinc(distance) * window
