# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of packets between several antennas: TDL-A..E with a delay spread, and a beginning, of each packet's own.

All links of a packet have the same profile, delay spread and timing, and fade independently: antennas that are a
wavelength apart see the same scatterers under other phases. Delays are in samples of a 64-carrier symbol, and every
path lies within WINDOW, so that a guard interval of 16 samples keeps symbols apart.
"""

from dataclasses import dataclass

import numpy as np

from ..base.signal import complex_noise
from ..phy import mimo_ofdm
from . import tdl

N_FFT = 64
SHORTEST = 0.1  # rms delay spread: 10 ns, "very short" in TR 38.901 table 7.7.3-1, at 10 MHz
WINDOW = 14.6  # where the last path lies at the latest
TIMING = 2.0  # the receiver's window begins up to so many samples early
TAIL = 32  # samples after which a packet has died away
PATHS = max(tdl.profile(name).delays.size for name in tdl.PROFILES)


@dataclass(frozen=True)
class Packets:
    """n packets. response: [n, links, 64] complex64, E|h|^2 = 1, fftshifted. gains: of each path, [n, links, PATHS], 0
    beyond the profile's. names: n letters of profiles; spread, timing: [n] samples."""

    response: np.ndarray
    gains: np.ndarray
    names: np.ndarray
    spread: np.ndarray
    timing: np.ndarray

    def parts(self, size):
        """The same packets, `size` at a time."""
        for first in range(0, len(self.names), size):
            part = slice(first, first + size)
            yield Packets(self.response[part], self.gains[part], self.names[part], self.spread[part], self.timing[part])

    def covariances(self):
        """E[h h^H] of a link given its packet's profile, spread and timing, [n, 64, 64]: what a genie knows."""
        said = zip(self.names, self.spread, self.timing, strict=True)
        return np.array([tdl.covariance(name, spread, N_FFT, timing) for name, spread, timing in said])

    def through(self, i, sent):
        """What the antennas of packet i hear, without noise: samples [2, N] of two transmit antennas -> [2, N + TAIL],
        the first path without delay: how early the window begins is the receiver's own doing."""
        length = sent.shape[1] + TAIL
        profile = tdl.profile(str(self.names[i]))
        waves = np.exp(-2j * np.pi * np.fft.fftfreq(length)[:, None] * profile.delays * self.spread[i])
        response = (self.gains[i, :, : profile.delays.size] @ waves.T).reshape(2, 2, length)
        return np.fft.ifft(np.einsum("rtf,tf->rf", response, np.fft.fft(sent, length)))


class Air:
    """Packets of `phy.mimo_ofdm` in, one after the other; each meets a channel of its own, drawn as `draw` does, and
    noise. spread: rms delay spread of the last packet's channel, samples."""

    def __init__(self, seed=1):
        self._rng, self._late, self.spread = np.random.default_rng(seed), np.zeros((2, TAIL)), 0.0

    def hear(self, sent, snr_db):
        """Samples [2, N] of a packet -> what two antennas hear of it [2, N], with the end of the packet before. snr_db:
        power of both transmit antennas over noise, on a carrier of data at one receive antenna."""
        packet = draw(self._rng, 1)
        self.spread = float(packet.spread[0])
        heard = packet.through(0, sent)
        heard[:, :TAIL] += self._late
        self._late = heard[:, sent.shape[1] :]
        # A carrier of unit power has N_FFT / GAIN^2 of the samples' noise.
        noise_var = mimo_ofdm.ANTENNAS * 10 ** (-snr_db / 10) * mimo_ofdm.GAIN**2 / N_FFT
        return heard[:, : sent.shape[1]] + complex_noise(self._rng, sent.shape, noise_var)


def longest(name):
    """The largest rms delay spread of a profile whose last path stays in WINDOW however early the receiver is."""
    return (WINDOW - TIMING) / tdl.profile(name).delays[-1]


def draw(rng, n, links=4):
    """n `Packets`: profiles equally often, spreads uniform in their logarithm from SHORTEST to `longest` (in TR 38.901
    table 7.5-6 they are normal in it), timing uniform."""
    names = rng.choice(tdl.PROFILES, n)
    most = {name: longest(name) for name in tdl.PROFILES}
    upper = np.array([most[name] for name in names])
    spread = SHORTEST * (upper / SHORTEST) ** rng.random(n)
    timing = TIMING * rng.random(n)
    response = np.empty((n, links, N_FFT), np.complex64)
    gains = np.zeros((n, links, PATHS), np.complex64)
    for name in tdl.PROFILES:
        mine = np.flatnonzero(names == name)
        delays = tdl.profile(name).delays * spread[mine, None] + timing[mine, None]
        paths = tdl.gains(name, rng, len(mine) * links).reshape(len(mine), links, delays.shape[1])
        gains[mine, :, : paths.shape[2]] = paths
        response[mine] = paths @ tdl.steering(delays, N_FFT).swapaxes(1, 2)
    return Packets(response, gains, names, spread, timing)
