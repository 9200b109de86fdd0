# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings made by our own base station: synchronisation and reference signals, broadcast channel, QPSK elsewhere."""

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from ...air import tdl
from ...air.impairments import carrier_turn, noise, slow_clock
from ...base.signal import complex_noise
from ...phy import resample
from . import lte_pbch
from .lte_pbch import Mib
from .lte_tables import FRAME, NORMAL, SPACING, USEFUL, USUAL_FFT, Prefix, carriers, primary, reference, secondary

WAVES = 24  # of each path's fading
_MIB = Mib(6, "normal", "1", 400)


@dataclass(frozen=True)
class Station:
    """What is sent. mib: of the first frame, with the bandwidth; multicast: subframes of each frame that are
    silent behind their second symbol, as of another service; uplink: subframes in which others send (TDD: 2, 3, 7 and 8
    are of configuration 1, whose special subframes send the three first symbols here)."""

    identity: int = 301
    ports: int = 2
    mib: Mib = _MIB
    prefix: Prefix = NORMAL
    multicast: tuple = ()
    uplink: tuple = ()


@dataclass(frozen=True)
class Conditions:
    """What happens on the way. snr_db: power of one port's reference tone over noise, both per carrier; offset_hz,
    clock_ppm (how much slower the receiver's clock is); spread: rms delay of TDL-A, seconds (0: one path);
    doppler_hz; start: how much of the first frame is missing, seconds; gain; dc: relative to the signal's amplitude."""

    snr_db: float = 30.0
    offset_hz: float = 0.0
    clock_ppm: float = 0.0
    spread: float = 0.0
    doppler_hz: float = 0.0
    start: float = 0.0
    gain: float = 0.1
    dc: complex = 0j


QUIET = Conditions()


def spectra(station, frames, rng):
    """What each port sends: complex [ports, symbols of so many frames, 12 blocks]."""
    blocks, prefix, ports = station.mib.resource_blocks, station.prefix, station.ports
    per_frame, width = 20 * prefix.symbols, 12 * blocks
    signs = rng.integers(0, 2, (ports, frames * per_frame, width, 2)) * 2.0 - 1
    grid = signs @ [1, 1j] / np.sqrt(2 * ports)
    known = np.stack([reference(station.identity, blocks, p, prefix) for p in range(4)])
    for p in range(ports):
        pilots = np.tile(known[p], (frames, 1))
        grid[:, pilots != 0] = 0
        grid[p] += pilots
    one = grid.reshape(ports, frames, per_frame, width)
    middle = slice(width // 2 - 36, width // 2 + 36)
    synchronise(one[..., middle], station)
    broadcast(one[..., middle], station)
    for subframe in station.multicast:
        first = 2 * prefix.symbols * subframe
        one[:, :, first + 2 : first + 2 * prefix.symbols] = 0
    for subframe in station.uplink:
        first, end = (2 * prefix.symbols * (subframe + i) for i in (0, 1))
        one[:, :, first:end] = 0.2 * complex_noise(rng, one[:, :, first:end].shape)
    for subframe in (1, 6) if station.uplink else ():
        one[:, :, 2 * prefix.symbols * subframe + 3 : 2 * prefix.symbols * (subframe + 1)] = 0
    return grid


def synchronise(middle, station):
    """Put the synchronisation signals into the 72 carriers about DC of frames [ports, frames, symbols, 72]."""
    second, symbols = station.identity % 3, station.prefix.symbols
    for half in range(2):
        last = 10 * half * symbols + (2 * symbols + 2 if station.uplink else symbols - 1)
        before = last - (3 if station.uplink else 1)
        middle[:, :, [before, last]] = 0
        middle[0, :, last, 5:67] = primary(second)
        middle[0, :, before, 5:67] = secondary()[station.identity // 3, second, half]


def broadcast(middle, station):
    """Put the broadcast channel into the same."""
    first = lte_pbch.FIRST_SYMBOL * station.prefix.symbols
    l, k = lte_pbch.places(station.identity, station.prefix)
    for i in range(middle.shape[1]):
        mib = replace(station.mib, frame=(station.mib.frame + i) % 1024)
        symbols = lte_pbch.encode(mib.bits(), station.ports, station.identity, station.prefix)[mib.frame % 4]
        rows = middle[:, i, first : first + 4]
        pilots = np.ones(rows.shape[1:], bool)
        pilots[l, k] = False
        known = np.stack([reference(station.identity, 6, p, station.prefix)[first : first + 4] for p in range(4)])
        rows[:] = 0
        rows += np.where(pilots, known[: station.ports], 0)
        rows[:, l, k] = lte_pbch.to_ports(symbols, station.ports)


def channels(station, conditions, times, rng):
    """Each port's response [ports, len(times), 12 blocks], unit power: TDL-A with Clarke's fading; times in seconds."""
    profile = tdl.profile("A")
    delays = profile.delays * conditions.spread * SPACING if conditions.spread else np.zeros(1)
    powers = profile.powers if conditions.spread else np.ones(1)
    size = (station.ports, len(delays))
    if conditions.doppler_hz or conditions.spread:
        amplitudes = complex_noise(rng, (*size, WAVES), powers[:, None] / WAVES)
    else:
        amplitudes = np.exp(2j * np.pi * rng.random((*size, 1)))
    angles = 2 * np.pi * (np.arange(amplitudes.shape[-1]) + rng.random((*size, 1))) / amplitudes.shape[-1]
    turn = np.exp(2j * np.pi * conditions.doppler_hz * np.cos(angles)[..., None] * times)
    gains = np.einsum("plw,plwt->ptl", amplitudes, turn)
    return gains @ np.exp(-2j * np.pi * np.outer(delays, carriers(station.mib.resource_blocks)))


def waveform(grid, station):
    """Spectra [symbols, 12 blocks] -> samples at the usual rate of the bandwidth."""
    size = USUAL_FFT[station.mib.resource_blocks]
    spectrum = np.zeros((len(grid), size), complex)
    spectrum[:, carriers(station.mib.resource_blocks)] = grid
    bodies = np.fft.ifft(spectrum) * np.sqrt(size)
    begins, lengths = station.prefix.begins() * size // USEFUL, np.tile(station.prefix.lengths, 20) * size // USEFUL
    out = np.zeros(-(-len(grid) // begins.size) * FRAME * size // USEFUL, complex)
    for i, body in enumerate(bodies):
        at = begins[i % begins.size] + i // begins.size * FRAME * size // USEFUL
        length = lengths[i % begins.size]
        out[at - length : at + size] = np.concatenate([body[size - length :], body])
    return out


def recording(station, frames=3, conditions=QUIET, rate=None, seed=0):
    """Samples complex64 of a recording of so many frames, at `rate` (None: the usual one of the bandwidth)."""
    rng = np.random.default_rng(seed)
    usual = USUAL_FFT[station.mib.resource_blocks] * SPACING
    rate = rate or usual
    sent = spectra(station, frames, rng)
    begins = station.prefix.begins() / (USEFUL * SPACING)
    times = (begins + 0.01 * np.arange(frames)[:, None]).ravel()
    x = waveform((sent * channels(station, conditions, times, rng)).sum(0), station)
    if rate != usual:
        whole, ratio = x, Fraction(rate / usual).limit_denominator(1000)
        x = resample.rational(lambda low, high: whole[max(low, 0) : high], ratio, 0, int(x.size * ratio))
    x = slow_clock(x.astype(complex), conditions.clock_ppm)[int(conditions.start * rate) :]
    x = x * carrier_turn(x.size, conditions.offset_hz / rate)
    level = np.sqrt(np.mean(np.abs(x) ** 2))
    x = x + noise(rng, x.size, 10 ** (-conditions.snr_db / 10) * rate / usual)
    return (conditions.gain * (x + conditions.dc * level)).astype(np.complex64)
