# SPDX-License-Identifier: GPL-3.0-or-later
"""Legacy OFDM transmitter, clause 17.3: PSDU -> carriers -> samples, bit-exact.

The same functions re-encode a received packet, so that every symbol that was sent is known.
"""

import numpy as np

from ...base.pilot_patterns import WIFI_PILOT_SIGNS
from ...phy import constellation, convolutional
from ...phy.ofdm_layout import LAYOUT_64
from . import wifi_bits
from .wifi_tables import (
    DATA,
    LTF,
    LTF_GUARD,
    MAX_LENGTH,
    N_FFT,
    PILOT_VALUES,
    PILOTS,
    RATES,
    SERVICE_BITS,
    STF,
    TAIL_BITS,
)


def get_rate(mbps):
    """The `Rate` of 6, 9, 12, 18, 24, 36, 48 or 54 Mb/s; ValueError for any other."""
    try:
        return RATES[int(mbps)]
    except (KeyError, ValueError):
        raise ValueError(f"rate: {mbps} Mb/s is not one of {sorted(RATES)}") from None


def pilot_polarity(n, first=0):
    """p_first .. p_{first+n-1} (17-25); index 0 belongs to the SIGNAL symbol."""
    return np.take(np.array(WIFI_PILOT_SIGNS, float), np.arange(first, first + n) % 127)


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
    coded = wifi_bits.interleave(convolutional.encode(signal_bits(mbps, length)), 1)
    return _carriers(constellation.modulate(coded, 1)[None], 0)[0]


def data_bits(psdu, mbps, seed):
    """Scrambled SERVICE, PSDU, tail and pad bits of the DATA field (clauses 17.3.5.2 to 17.3.5.4)."""
    rate = get_rate(mbps)
    n = rate.n_symbols(len(psdu)) * rate.n_dbps
    bits = np.zeros(n, np.uint8)
    end = SERVICE_BITS + 8 * len(psdu)
    bits[SERVICE_BITS:end] = wifi_bits.bytes_to_bits(psdu)
    bits ^= wifi_bits.scrambler_sequence(seed, n)
    bits[end : end + TAIL_BITS] = 0
    return bits


def data_symbols(psdu, mbps, seed):
    """Carriers [n_symbols, 64] of the DATA field."""
    return symbols_of(data_bits(psdu, mbps, seed), mbps)


def symbols_of(bits, mbps):
    """Carriers [n, 64] of the first n symbols of the DATA field, from their bits as data_bits() gives them."""
    rate = get_rate(mbps)
    coded = convolutional.puncture(convolutional.encode(bits), rate.coding)
    coded = wifi_bits.interleave(coded.reshape(-1, rate.n_cbps), rate.n_bpsc)
    return _carriers(constellation.modulate(coded, rate.n_bpsc), 1)


def encode(psdu, mbps, seed):
    """Carriers [1 + n_symbols, 64] of SIGNAL and DATA: all that a packet sends after its preamble.

    psdu: octets with FCS, 1 to 4095 of them; mbps: one of the eight rates; seed: 1..127.
    """
    signal = signal_symbol(mbps, len(psdu))
    return np.concatenate([signal[None], data_symbols(psdu, mbps, seed)])


def to_time(carriers):
    """Unitary inverse FFT: carriers [..., 64] in ascending frequency -> samples [..., 64]."""
    return LAYOUT_64.bodies(carriers) * np.sqrt(N_FFT)


def to_carriers(samples):
    """Unitary FFT: samples [..., 64] -> carriers [..., 64] in ascending frequency."""
    return LAYOUT_64.spectra(samples) / np.sqrt(N_FFT)


def preamble():
    """Short and long training field, 320 samples (clauses 17.3.3)."""
    short, long = to_time(STF), to_time(LTF.astype(complex))
    return np.concatenate([np.tile(short, 3)[:160], long[-LTF_GUARD:], long, long])


def transmit(psdu, mbps, seed=93):
    """Samples at 20 MS/s of one packet, preamble to last symbol; mean power 52/64.

    Symbol edges are not windowed. Errors as in `encode`.
    """
    symbols = to_time(encode(psdu, mbps, seed))
    return np.concatenate([preamble(), LAYOUT_64.with_prefix(symbols).ravel()])
