# SPDX-License-Identifier: GPL-3.0-or-later
"""A packet of two streams over OFDM, from two transmit antennas to two receive antennas.

52 of 64 carriers are used, as in IEEE 802.11a. A word for timing comes first, from antenna 0 alone. The symbol behind
it holds pilots: on each of their carriers one antenna sends and the other is silent, so that antennas are orthogonal in
frequency. With pilots `all` the 52 carriers alternate between the antennas (spacing 2); with `half` each antenna has
every fourth carrier, the odd ones (spacing 4, which a guard interval of 16 samples of 64 just bears: 64 / 4), and the
even ones carry data. In all other symbols both antennas send 16-QAM on all 52 carriers. An antenna has unit power on a
carrier that it uses. Links are ordered: receive antenna 0 from transmit antennas 0 and 1, then receive antenna 1.
"""

import numpy as np

from ..base.errors import UserError, unknown
from ..base.pilot_patterns import WIFI_LONG_TRAINING
from . import constellation
from .ofdm_layout import OfdmLayout

ANTENNAS = 2
BITS = 4  # of a 16-QAM symbol
USED = tuple(k for k in range(-26, 27) if k)
LAYOUT = OfdmLayout(64, 16, USED, ())
PILOTS = ("all", "half")
POINTS = constellation.points(BITS, alternate=False)  # [16], by label
VALUES = np.zeros(64)  # of the pilots, wherever they lie
VALUES[LAYOUT.carrier_bins] = np.array(WIFI_LONG_TRAINING)[np.array(USED) + 26]
K = np.arange(LAYOUT.fft_len) - LAYOUT.fft_len // 2
IS_USED = np.isin(K, USED)
GAIN = LAYOUT.fft_len / np.sqrt(len(USED))  # makes the mean power of an antenna's samples 1, before NumPy's inverse FFT
EARLY = 1  # samples by which a receiver lets its window begin before the first path
FIRST_PATH = 0.1  # of the strongest path's power: what counts as a path


def pilot_mask(pilots="all"):
    """[2, 64] bool: carriers where each antenna's pilots lie. Raises UserError for a name that is not in PILOTS."""
    if pilots not in PILOTS:
        raise unknown("pilots", pilots, PILOTS)
    spacing, firsts = (2, (0, 1)) if pilots == "all" else (4, (1, 3))
    return np.stack([IS_USED & (K % spacing == first) for first in firsts])


def observed(pilots="all"):
    """[4, 64] bool: elements of the links that pilots show."""
    return np.concatenate([pilot_mask(pilots)] * ANTENNAS)


def data_mask(pilots="all", symbols=8):
    """[1 + symbols, 64] bool: where data lie in the symbol of pilots and in those behind it; UserError."""
    if not 1 <= symbols <= 1000:
        raise UserError(f"symbols is {symbols}: give OFDM symbols of data in a packet, 1 to 1000")
    mask = np.repeat(IS_USED[None], 1 + symbols, 0)
    mask[0] &= ~pilot_mask(pilots).any(0)
    return mask


def packet_octets(pilots="all", symbols=8):
    """Octets of a packet: each carrier with data has one, four bits for each antenna."""
    return int(data_mask(pilots, symbols).sum())


def timing_word():
    """Spectrum [64] of the word for timing: even carriers alone, so its halves are equal (Schmidl and Cox 1997)."""
    return np.where(K % 2 == 0, VALUES, 0) * np.sqrt(2)


def training(pilots="all"):
    """Spectra [2, 64] of both antennas' pilots."""
    return VALUES * pilot_mask(pilots)


def spectra(octets, pilots="all", symbols=8):
    """Octets [n, packet_octets] -> what both antennas send behind the word for timing: complex [n, 2, 1 + symbols, 64].
    The upper four bits of an octet are antenna 0's."""
    mask = data_mask(pilots, symbols)
    out = np.zeros((len(octets), ANTENNAS, *mask.shape), complex)
    out[:, :, 0] = training(pilots)
    labels = np.stack([np.asarray(octets) >> BITS, np.asarray(octets) & 15], 1)
    out[:, :, mask] += POINTS[labels]
    return out


def samples(sent):
    """Spectra [n, 2, S, 64] -> samples of whole packets [n, 2, (1 + S) 80], the word for timing in front."""
    word = np.zeros((len(sent), ANTENNAS, 1, LAYOUT.fft_len), complex)
    word[:, 0] = timing_word()
    bodies = LAYOUT.with_prefix(LAYOUT.bodies(np.concatenate([word, sent], 2) * GAIN))
    return bodies.reshape(len(sent), ANTENNAS, -1)


def first_path(heard, early=8, late=24):
    """Where the body of the word for timing begins along its first path, from samples [2, early + 64 + late] that begin
    `early` before it is thought to: an int between -early and late. A path counts from FIRST_PATH of the strongest."""
    word = LAYOUT.bodies(timing_word())
    found = sum(np.abs(np.correlate(one, word, "valid")) ** 2 for one in heard)
    strongest = int(found.argmax())
    before = found[max(strongest - LAYOUT.cp_len + 2, 0) : strongest + 1]
    return strongest + 1 - len(before) + int(np.argmax(before >= FIRST_PATH * found[strongest])) - early


def heard(packet, symbols=8):
    """Samples [2, 80 (1 + symbols)] of a packet behind the word for timing, guard intervals in front of each symbol ->
    spectra [2, 1 + symbols, 64] at the scale of `spectra`."""
    bodies = packet.reshape(ANTENNAS, 1 + symbols, LAYOUT.symbol)[:, :, LAYOUT.cp_len :]
    return LAYOUT.spectra(bodies) / GAIN


def noise_variance(received):
    """Noise variance of a carrier, from the carriers of spectra [..., 64] that nobody uses; one number."""
    return float(np.mean(np.abs(received[..., ~IS_USED]) ** 2))


def looks(received, pilots="all"):
    """The symbol of pilots as both receive antennas have it, [n, 2, 64] -> looks at the links [n, 4, 64], 0 where
    nothing is observed."""
    seen = np.repeat(received * VALUES, ANTENNAS, 1)
    return np.where(observed(pilots), seen, 0).astype(np.complex64)


def interpolate(seen, pilots="all"):
    """Lines between the pilots of looks [n, 4, 64], level beyond the outermost: least squares with interpolation."""
    out = np.empty_like(seen)
    for link, mask in enumerate(observed(pilots)):
        known = np.flatnonzero(mask)
        right = np.clip(np.searchsorted(known, np.arange(LAYOUT.fft_len)), 1, len(known) - 1)
        a, b = known[right - 1], known[right]
        at = np.clip((np.arange(LAYOUT.fft_len) - a) / (b - a), 0, 1)
        out[:, link] = seen[:, link, a] * (1 - at) + seen[:, link, b] * at
    return out


def matrices(links):
    """Links [..., 4, C] -> channel matrices [..., C, 2, 2], receive antennas first."""
    split = links.reshape(*links.shape[:-2], ANTENNAS, ANTENNAS, links.shape[-1])
    return np.moveaxis(split, -1, -3)


def detect(y, h):
    """The likeliest pairs of 16-QAM labels [..., 2] of y [..., 2] behind matrices h [..., 2, 2]: antenna 1's sixteen
    points are tried, and to each belongs the point of antenna 0 that is nearest to what it leaves."""
    first, second = h[..., 0], h[..., 1]
    left = y[..., None, :] - second[..., None, :] * POINTS[:, None]  # [..., 16, 2]
    power = np.sum(np.abs(first) ** 2, -1)[..., None]
    label = nearest(np.einsum("...cr,...r->...c", left, first.conj()) / np.maximum(power, 1e-30))
    distance = np.sum(np.abs(left - first[..., None, :] * POINTS[label][..., None]) ** 2, -1)
    best = distance.argmin(-1)
    return np.stack([np.take_along_axis(label, best[..., None], -1)[..., 0], best], -1)


def nearest(points):
    """Label of the 16-QAM point nearest to each of `points`, any shape."""
    levels = constellation.axis_levels(BITS)
    order, low, apart = np.argsort(levels), levels.min(), np.ptp(levels) / 3

    def label(part):
        return order[np.clip(np.round((part - low) / apart), 0, 3).astype(int)]

    return label(points.real) << 2 | label(points.imag)


def equalised(y, h, noise_var):
    """What linear MMSE makes of y [..., 2] behind h [..., 2, 2], unbiased: points to look at, [..., 2]."""
    back = h.conj().swapaxes(-1, -2)
    inverse = np.linalg.inv(back @ h + noise_var * np.eye(ANTENNAS))
    bias = 1 - noise_var * np.einsum("...ii->...i", inverse).real
    return (inverse @ back @ y[..., None])[..., 0] / np.maximum(bias, 1e-6)


def receive(received, links, noise_var, pilots="all"):
    """(octets [packet_octets], points [packet_octets, 2]) of a packet's spectra [2, 1 + S, 64] and its links [4, 64].

    What carrier offset is left turns each symbol a little more than the one before: decided symbols say how far."""
    mask = data_mask(pilots, received.shape[1] - 1)
    h, octets, points = matrices(links), [], []
    phase = rate = 0.0
    for symbol, used in enumerate(mask):
        if not used.any():
            continue
        y = received[:, symbol, used].T * np.exp(-1j * phase)
        labels = detect(y, h[used])
        turned = np.angle(np.vdot((h[used] @ POINTS[labels][..., None])[..., 0], y))
        if symbol:
            rate += turned / (symbol + 1)  # the turn since the pilots, shared by the symbols since then
            phase += turned + rate
        octets.append(labels[:, 0] << BITS | labels[:, 1])
        points.append(equalised(y * np.exp(-1j * turned), h[used], noise_var))
    return np.concatenate(octets).astype(np.uint8), np.concatenate(points).astype(np.complex64)
