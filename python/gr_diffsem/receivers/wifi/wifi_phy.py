# SPDX-License-Identifier: GPL-3.0-or-later
"""Legacy OFDM transmitter, clause 17.3: PSDU -> carriers -> samples, bit-exact.

The same functions re-encode a received packet, so that every symbol that was sent is known.
"""

from functools import lru_cache

import numpy as np

from ...phy import wifi_coding
from .wifi_tables import (
    DATA,
    DC,
    LTF,
    LTF_GUARD,
    MAX_LENGTH,
    N_CP,
    N_FFT,
    PILOT_VALUES,
    PILOTS,
    RATES,
    SERVICE_BITS,
    STF,
    TAIL_BITS,
)

# Amplitude of one axis by its bits, first bit most significant (Tables 17-13 .. 17-16).
_AXIS = {
    1: np.array([-1.0, 1.0]),
    2: np.array([-3.0, -1.0, 3.0, 1.0]),
    3: np.array([-7.0, -5.0, -1.0, -3.0, 7.0, 5.0, 1.0, 3.0]),
}
# Normalisation K_MOD, Table 17-12.
_K_MOD = {1: 1.0, 2: 1 / np.sqrt(2), 4: 1 / np.sqrt(10), 6: 1 / np.sqrt(42)}


def axis_levels(n_bpsc):
    """Levels of one axis of the constellation, indexed by that axis's bits; unit mean power."""
    return _AXIS[max(n_bpsc // 2, 1)] * _K_MOD[n_bpsc]


def get_rate(mbps):
    """The `Rate` of 6, 9, 12, 18, 24, 36, 48 or 54 Mb/s; ValueError for any other."""
    try:
        return RATES[int(mbps)]
    except (KeyError, ValueError):
        raise ValueError(f"rate: {mbps} Mb/s is not one of {sorted(RATES)}") from None


def modulate(bits, n_bpsc):
    """bits[..., n] -> constellation points [..., n / n_bpsc] of unit mean power (17.3.5.8)."""
    levels = axis_levels(n_bpsc)
    half = max(n_bpsc // 2, 1)
    groups = bits.reshape(bits.shape[:-1] + (-1, n_bpsc)).astype(np.intp)
    weights = 1 << np.arange(half - 1, -1, -1)
    real = levels[groups[..., :half] @ weights]
    if n_bpsc == 1:
        return real.astype(complex)
    return real + 1j * levels[groups[..., half:] @ weights]


@lru_cache(maxsize=1)
def _polarity():
    p = 1.0 - 2.0 * wifi_coding.scrambler_sequence(127, 127)
    p.flags.writeable = False
    return p


def pilot_polarity(n, first=0):
    """p_first .. p_{first+n-1} (17-25); index 0 belongs to the SIGNAL symbol."""
    return np.take(_polarity(), np.arange(first, first + n) % 127)


def _carriers(points, first_symbol):
    """points[n, 48] -> carriers[n, 64] with pilots; symbol 0 is SIGNAL."""
    x = np.zeros((points.shape[0], N_FFT), complex)
    x[:, DATA] = points
    x[:, PILOTS] = pilot_polarity(points.shape[0], first_symbol)[:, None] * PILOT_VALUES
    return x


def signal_bits(mbps, length):
    """The 24 bits of the SIGNAL field (clause 17.3.4)."""
    rate = get_rate(mbps)
    if not 1 <= length <= MAX_LENGTH:
        raise ValueError(f"length: {length} octets is not in 1..{MAX_LENGTH}")
    bits = np.zeros(24, np.uint8)
    bits[0:4] = rate.signal
    bits[5:17] = [(length >> i) & 1 for i in range(12)]
    bits[17] = int(bits[:17].sum()) % 2
    return bits


def signal_symbol(mbps, length):
    """Carriers [64] of the SIGNAL symbol."""
    coded = wifi_coding.interleave(wifi_coding.convolve(signal_bits(mbps, length)), 1)
    return _carriers(modulate(coded, 1)[None], 0)[0]


def data_bits(psdu, mbps, seed):
    """Scrambled SERVICE, PSDU, tail and pad bits of the DATA field (clauses 17.3.5.2 to 17.3.5.4)."""
    rate = get_rate(mbps)
    n = rate.n_symbols(len(psdu)) * rate.n_dbps
    bits = np.zeros(n, np.uint8)
    end = SERVICE_BITS + 8 * len(psdu)
    bits[SERVICE_BITS:end] = wifi_coding.bytes_to_bits(psdu)
    bits ^= wifi_coding.scrambler_sequence(seed, n)
    bits[end : end + TAIL_BITS] = 0
    return bits


def data_symbols(psdu, mbps, seed):
    """Carriers [n_symbols, 64] of the DATA field."""
    rate = get_rate(mbps)
    coded = wifi_coding.puncture(wifi_coding.convolve(data_bits(psdu, mbps, seed)), rate.coding)
    coded = wifi_coding.interleave(coded.reshape(-1, rate.n_cbps), rate.n_bpsc)
    return _carriers(modulate(coded, rate.n_bpsc), 1)


def encode(psdu, mbps, seed):
    """Carriers [1 + n_symbols, 64] of SIGNAL and DATA: all that a packet sends after its preamble.

    psdu: octets with FCS, 1 to 4095 of them; mbps: one of the eight rates; seed: 1..127.
    """
    signal = signal_symbol(mbps, len(psdu))
    return np.concatenate([signal[None], data_symbols(psdu, mbps, seed)])


def to_time(carriers):
    """Unitary inverse FFT: carriers [..., 64] in ascending frequency -> samples [..., 64]."""
    return np.fft.ifft(np.roll(carriers, -DC, axis=-1), axis=-1) * np.sqrt(N_FFT)


def to_carriers(samples):
    """Unitary FFT: samples [..., 64] -> carriers [..., 64] in ascending frequency."""
    return np.roll(np.fft.fft(samples, axis=-1), DC, axis=-1) / np.sqrt(N_FFT)


def preamble():
    """Short and long training field, 320 samples (clauses 17.3.3)."""
    short, long = to_time(STF), to_time(LTF.astype(complex))
    return np.concatenate([np.tile(short, 3)[:160], long[-LTF_GUARD:], long, long])


def transmit(psdu, mbps, seed=93):
    """Samples at 20 MS/s of one packet, preamble to last symbol; mean power 52/64.

    Symbol edges are not windowed. Errors as in `encode`.
    """
    symbols = to_time(encode(psdu, mbps, seed))
    with_guard = np.concatenate([symbols[:, -N_CP:], symbols], axis=1)
    return np.concatenate([preamble(), with_guard.ravel()])
