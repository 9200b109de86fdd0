# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens between the antennas: a TDL channel, carrier offset and noise for each packet.

The model is OFDM in continuous time: within a symbol the transmitted signal is a sum of carriers, so
a path delayed by tau samples (a fraction too) is the same sum with turned phases, and its border to
the next symbol comes tau samples later. Where the FFT window lies inside the cyclic prefix behind
the last path, the channel is exactly H[k] = sum_l a_l exp(-2j pi k tau_l / 64); where it does not,
the symbols overlap as they would on the air.

SNR here: Es/N0 of an occupied carrier behind the receiver's FFT, averaged over the fading:
E|H[k] s|^2 / E|n[k]|^2 with E|H|^2 = E|s|^2 = 1.
"""

from dataclasses import dataclass

import numpy as np

from ..phy import packet_frame
from . import tdl

SAMPLE_RATE = 20e6  #: only names the delay spreads below
#: name: (TDL profile, RMS delay spread in samples, words). All paths lie inside the cyclic prefix. The
#: stock detector begins its FFT window about 8 samples early, though: behind it the tail of `long`
#: reaches into the next symbol, that of `medium` does not.
SPREADS = {
    "short": ("A", 1.0, "TDL-A, 50 ns RMS at 20 MS/s (1 sample, last path at 9.7)"),
    "medium": ("B", 1.5, "TDL-B, 75 ns RMS at 20 MS/s (1.5 samples, last path at 7.2)"),
    "long": ("B", 3.0, "TDL-B, 150 ns RMS at 20 MS/s (3 samples, last path at 14.4)"),
}
GAP = (120, 280)  #: samples of noise between packets, drawn uniformly
LEAD = 400  #: and before the first
MAX_OFFSET = 0.4  #: carrier offset, in carrier spacings, uniform on both sides of zero


@dataclass(frozen=True)
class Air:
    """One stream of packets as the receiver's antenna sees it.

    noiseless, noisy: complex64 [samples], carrier offset included. noise_var: per sample.
    start: int [packets], sample of each packet's first cyclic prefix (delay zero).
    delays [packets, paths] in samples, gains [packets, paths] of the drawn channels.
    offset [packets]: carrier offset in carrier spacings. snr_db [packets].
    """

    noiseless: np.ndarray
    noisy: np.ndarray
    noise_var: np.ndarray
    start: np.ndarray
    delays: np.ndarray
    gains: np.ndarray
    offset: np.ndarray
    snr_db: np.ndarray
    spread: str

    def response(self, timing=0.0):
        """True H on 64 carriers, DC in the middle, [packets, 64]; `timing`: samples by which the FFT
        window begins early, a number or [packets]."""
        delays = self.delays + np.reshape(timing, (-1, 1))
        return np.einsum("pkl,pl->pk", tdl.steering(delays), self.gains)


def noise_per_sample(snr_db):
    """Variance of a time sample's noise for transmit.py's unit-power samples.

    The carriers have amplitude 1/sqrt(52) before the unnormalised IFFT, so 64/sqrt(52) behind the
    FFT, which multiplies the noise's variance by 64: SNR = 64 / (52 variance).
    """
    scale = packet_frame.FFT_LEN / len(packet_frame.CARRIERS)
    return scale * 10.0 ** (-np.asarray(snr_db, float) / 10)


def draw(packets, spread, snr_db, seed, offset=True):
    """Send `packets` (complex64 [n, 960] of transmit.transmit) over the air; an Air.

    spread: a key of SPREADS. snr_db: a number or [n]. seed: int. offset: draw carrier offsets.
    """
    rng = np.random.default_rng([seed, {"long": 0, "short": 1, "medium": 2}[spread], 2])
    n = len(packets)
    snr_db = np.broadcast_to(np.asarray(snr_db, float), n)
    name, rms, _ = SPREADS[spread]
    delays = tdl.profile(name).delays * rms + rng.random((n, 1))  # and the sampling phase
    gains = tdl.gains(name, rng, n)
    offsets = MAX_OFFSET * (2 * rng.random(n) - 1) if offset else np.zeros(n)
    pieces = [slice(i, i + 256) for i in range(0, n, 256)]  # as much as caches like
    received = np.concatenate([multipath(packets[p], delays[p], gains[p]) for p in pieces])
    length = received.shape[1]
    turn = np.exp(2j * np.pi * offsets[:, None] * np.arange(length) / packet_frame.FFT_LEN)
    received = received * turn * np.exp(2j * np.pi * rng.random((n, 1)))

    gaps = rng.integers(*GAP, n)
    start = LEAD + np.arange(n) * length + np.concatenate([[0], np.cumsum(gaps)[:-1]])
    total = start[-1] + length + 4 * packet_frame.SYMBOL + GAP[1]
    noiseless = np.zeros(total, np.complex64)
    noise_var = np.full(total, noise_per_sample(snr_db[-1]))
    begin = np.concatenate([[0], start[1:] - gaps[1:] // 2])
    for i in range(n):
        noiseless[start[i] : start[i] + length] = received[i]
        noise_var[begin[i] : begin[i + 1] if i + 1 < n else total] = noise_per_sample(snr_db[i])
    noise = rng.standard_normal(total) + 1j * rng.standard_normal(total)
    noisy = (noiseless + noise * np.sqrt(noise_var / 2)).astype(np.complex64)
    return Air(noiseless, noisy, noise_var, start, delays, gains, offsets, snr_db, spread)


def multipath(packets, delays, gains):
    """Packets through static paths: complex [n, 80 S] -> [n, 80 S + 16], the last path's tail included.

    delays [n, paths] in samples, 0 <= delay <= 16; gains [n, paths].
    """
    if delays.max() > packet_frame.CP_LEN or delays.min() < 0:
        raise ValueError(f"paths must lie within the cyclic prefix, 0..{packet_frame.CP_LEN} samples")
    n = len(packets)
    symbols = packets.reshape(n, -1, packet_frame.SYMBOL)
    spectra = np.fft.fft(symbols[..., packet_frame.CP_LEN :], axis=-1)
    spectra = np.concatenate([spectra, np.zeros((n, 1, packet_frame.FFT_LEN))], 1)  # silence behind
    before = np.concatenate([np.zeros((n, 1, packet_frame.FFT_LEN)), spectra[:, :-1]], 1)
    steering = np.fft.ifftshift(tdl.steering(delays), axes=1)  # [n, 64, paths]
    response = np.einsum("pkl,pl->pk", steering, gains)[:, None]
    body = np.fft.ifft(spectra * response, axis=-1)
    out = np.concatenate([body[..., -packet_frame.CP_LEN :], body], -1)

    carrier = np.fft.fftfreq(packet_frame.FFT_LEN)
    for r in range(packet_frame.CP_LEN):  # here some paths still bring the symbol before
        late = np.einsum("pkl,pl->pk", steering, gains * (delays > r))[:, None]
        here = np.exp(2j * np.pi * carrier * (r - packet_frame.CP_LEN)) / packet_frame.FFT_LEN
        there = here * np.exp(2j * np.pi * carrier * packet_frame.SYMBOL)
        out[..., r] = ((response - late) * spectra * here + late * before * there).sum(-1)
    return out.reshape(n, -1)[:, : packets.shape[1] + packet_frame.CP_LEN]
