# SPDX-License-Identifier: GPL-3.0-or-later
"""The convolutional code of constraint length 7, generators 133 and 171 octal, rate 1/2, and its punctured rates.

Clause numbers are those of IEEE Std 802.11-2016, where the puncturing patterns come from. `viterbi` decodes it.
"""

import numpy as np

LENGTH = 7  #: constraint length
TAIL = LENGTH - 1  #: zero bits that end the trellis in state 0
# Tap positions (delay in bits) of the two generators, clause 17.3.5.6.
_TAPS = ((0, 2, 3, 5, 6), (0, 1, 2, 3, 6))
#: The generators as gr-fec's `cc_encoder` wants them, the newest bit lowest.
GR_FEC_POLYNOMIALS = tuple(sum(1 << d for d in taps) for taps in _TAPS)

#: Which of A1 B1 A2 B2 ... are sent, clause 17.3.5.6, figures 17-9 and 17-10.
PUNCTURE = {
    (1, 2): np.array([1, 1], bool),
    (2, 3): np.array([1, 1, 1, 0], bool),
    (3, 4): np.array([1, 1, 1, 0, 0, 1], bool),
}


def encode(bits):
    """Mother code: bits [..., n] -> [..., 2 n], order A1 B1 A2 B2; the register starts with zeros."""
    bits = np.asarray(bits, np.uint8)
    n = bits.shape[-1]
    padded = np.concatenate([np.zeros(bits.shape[:-1] + (TAIL,), np.uint8), bits], axis=-1)
    out = np.zeros(bits.shape[:-1] + (n, 2), np.uint8)
    for column, taps in enumerate(_TAPS):
        for d in taps:
            out[..., column] ^= padded[..., TAIL - d : TAIL - d + n]
    return out.reshape(bits.shape[:-1] + (2 * n,))


def sent(n, rate):
    """Which of `n` bits of the mother code are sent at this rate, (k, n) of PUNCTURE: bool [n]."""
    return np.resize(PUNCTURE[rate], n)


def puncture(coded, rate):
    """Leave out what is not sent: [..., n] -> [..., m]."""
    return coded[..., sent(coded.shape[-1], rate)]


def depuncture(soft, rate, n=None):
    """Soft bits [m] -> [n] of the mother code, zero where nothing was sent. n None: whole patterns, ValueError where
    m does not fill them."""
    if n is None:
        patterns, rest = divmod(soft.shape[-1], int(PUNCTURE[rate].sum()))
        if rest:
            raise ValueError(f"soft: {soft.shape[-1]} values do not fill the puncturing pattern {rate}")
        n = patterns * PUNCTURE[rate].size
    out = np.zeros(n, soft.dtype)
    out[sent(n, rate)] = soft
    return out
