# SPDX-License-Identifier: GPL-3.0-or-later
"""Learned codes of a few messages as arrays: the words of an encoder, the layers of a decoder (block_codes_net.py)."""

import numpy as np

from . import plain_mlp

TAUGHT = ("true", "diffusion", "wgan")  #: the channels that codes are trained through
MESSAGES, USES, HIDDEN = 16, 8, 64
ENCODER = (MESSAGES, HIDDEN, USES)
DECODER = (USES, HIDDEN, HIDDEN, MESSAGES)


def words_of(flat):
    """[16, 8] of one row of BlockCodes.flat()."""
    return np.reshape(flat[: MESSAGES * USES], (MESSAGES, USES))


def decided(flat, y):
    """Messages [n] that one row's decoder takes y [n, 8] for."""
    return plain_mlp.run(flat[MESSAGES * USES :], y, DECODER).argmax(1)
