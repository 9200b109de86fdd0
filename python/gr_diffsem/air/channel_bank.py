# SPDX-License-Identifier: GPL-3.0-or-later
"""A bank of clean channels of many kinds, drawn once, kept in a file, and varied when drawn from.

Delays are in samples, so one bank serves every sample rate. Each row is a frequency response on
n_fft carriers (fftshifted) whose first path has delay zero, with unit mean power; `extent` is the
delay in samples behind which less than 0.3 % of the power arrives. Timing, filters and phases are
added by `vary` when a batch is drawn.

3GPP's channels (TR 38.901) are TDL, from `tdl`, and CDL, from sionna-no-rt; the others are simple random
families: exponential profiles, a few specular paths, and nearly flat (cabled) channels. Profiles with a line of
sight are drawn twice as often as the others: what a net loses to an estimator that knows the profile, it loses there.
"""

import os
from pathlib import Path

import numpy as np

from ..base.places import checkout
from ..base.signal import complex_noise
from . import tdl

CYCLIC_PREFIX = 16.0  # samples, of a 64-carrier symbol
EARLY = 10.0  # samples that an FFT window may begin before the prefix holds the whole channel
VERSION = 2  # of the training bank; in 1 all profiles came equally often, and with their own Rician factors
SHARES = (0.36, 0.20, 0.12, 0.16, 0.16)  # TDL, CDL, exponential, specular, flat
PLAIN_SHARES = (0.48, 0.14, 0.18, 0.20)  # TDL, exponential, specular, flat
OFTEN = "ABCDDEE"


def cache_folder():
    """Where banks are kept: $DIFFSEM_CACHE, else build/cache of the checkout, else ~/.cache."""
    if os.environ.get("DIFFSEM_CACHE"):
        return Path(os.environ["DIFFSEM_CACHE"])
    if checkout():
        return checkout() / "build" / "cache"
    return Path("~/.cache/gr-diffsem").expanduser()


def load(n, seed, n_fft=64):
    """(h [n, n_fft] complex64, extent [n] float32) of this size and seed; made if not there yet."""
    return _kept(f"bank-v{VERSION}-{n_fft}-{n}-{seed}", lambda: make(n, seed, n_fft))


def _kept(name, draw):
    """(h, extent) of this name in the cache folder; drawn if not there yet."""
    path = cache_folder() / f"{name}.npz"
    if path.is_file():
        with np.load(path) as f:
            return f["h"], f["extent"]
    h, extent = draw()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.tmp.npz")
    np.savez(partial, h=h, extent=extent)
    os.replace(partial, path)
    return h, extent


def make(n, seed, n_fft=64):
    """Draw a bank; the same arguments give the same bank. Needs sionna (environment `lab`), unless its CDL channels
    lie in the cache folder already: they have a file of their own, small enough to be taken to another machine."""

    def cdl(count, rng, n_fft):
        name = f"cdl-v{VERSION}-{n_fft}-{count}-{seed}"
        planes, extent = _kept(name, lambda: _half(*_cdl(count, np.random.default_rng([seed, 1]), n_fft)))
        return planes[0] + 1j * planes[1].astype(np.float32), extent

    return _mix(n, seed, n_fft, (_tdl, cdl, _exponential, _specular, _flat), SHARES)


def _half(h, extent):
    h = h / np.sqrt(np.mean(np.abs(h) ** 2, axis=1, keepdims=True))
    return np.stack((h.real, h.imag)).astype(np.float16), extent


def make_plain(n, seed, n_fft=64):
    """Channels to test on, in NumPy alone: the TDL profiles of `tdl`, all equally often, and no CDL."""
    return _mix(n, seed, n_fft, (_tdl_plain, _exponential, _specular, _flat), PLAIN_SHARES)


def _mix(n, seed, n_fft, makers, shares):
    rng = np.random.default_rng(seed)
    counts = np.floor(np.array(shares) * n).astype(int)
    counts[-1] += n - counts.sum()
    parts = [maker(count, rng, n_fft) for maker, count in zip(makers, counts, strict=True)]
    h = np.concatenate([part[0] for part in parts])
    extent = np.concatenate([part[1] for part in parts])
    order = rng.permutation(n)
    h = h[order] / np.sqrt(np.mean(np.abs(h[order]) ** 2, axis=1, keepdims=True))
    return h.astype(np.complex64), extent[order].astype(np.float32)


def _extent(delays, powers):
    """Delay behind which less than 0.3 % of the power lies: [n, L], [n, L] -> [n]."""
    order = np.argsort(delays, axis=1)
    d = np.take_along_axis(delays, order, 1)
    p = np.take_along_axis(np.broadcast_to(powers, delays.shape), order, 1)
    tail = 1 - np.cumsum(p, axis=1) / p.sum(1, keepdims=True)
    return np.take_along_axis(d, np.argmax(tail < 3e-3, axis=1)[:, None], 1)[:, 0]


def _respond(g, delays, n_fft):
    """Gains [n, L] at delays [n, L] -> frequency responses [n, n_fft], in slices."""
    parts = []
    for i in range(0, len(g), 4000):
        e = tdl.steering(delays[i : i + 4000], n_fft)
        parts.append(np.einsum("nkl,nl->nk", e, g[i : i + 4000]).astype(np.complex64))
    return np.concatenate(parts)


def _spread(rng, longest):
    """Delay spread, log-uniform between almost flat and the cyclic prefix filled."""
    return np.exp(rng.uniform(np.log(0.04), np.log(CYCLIC_PREFIX / longest)))


def _wide_spread(rng, longest):
    """Half of them as _spread, half uniform: few are small."""
    return _spread(rng, longest) if rng.random() < 0.5 else rng.uniform(0.04, CYCLIC_PREFIX / longest)


def _cdl(n, rng, n_fft, group=50):
    """Channels of sionna's models, `group` for each random (profile, delay spread)."""
    import torch
    from sionna.phy import config
    from sionna.phy.channel.tr38901 import CDL, AntennaArray

    array = AntennaArray(1, 1, "single", "V", "omni", 2.4e9)
    config.seed = int(rng.integers(2**31))
    rate = 20e6
    hs, extents = [], []
    while sum(map(len, hs)) < n:
        name = OFTEN[rng.integers(len(OFTEN))]
        longest = min(tdl.profile(name).delays[-1], 12.0)
        model = CDL(name, _wide_spread(rng, longest) / rate, 2.4e9, array, array, max_speed=1.0)
        with torch.no_grad():
            a, tau = model(group, 1, rate)
        a = a.reshape(group, -1).numpy()
        delays = tau.reshape(group, -1).numpy() * rate
        delays = delays - delays.min(axis=1, keepdims=True)
        hs.append(_respond(a, delays, n_fft))
        extents.append(_extent(delays, np.mean(np.abs(a) ** 2, axis=0)))
    return np.concatenate(hs)[:n], np.concatenate(extents)[:n]


def _tdl(n, rng, n_fft, group=10):
    """TDL profiles; of those with a line of sight a third have another Rician factor (TR 38.901, 7.7.6), of the
    others a fifth get one."""
    hs, extents = [], []
    while sum(map(len, hs)) < n:
        name = OFTEN[rng.integers(len(OFTEN))]
        p = tdl.profile(name)
        delays = p.delays * _wide_spread(rng, min(p.delays[-1], 12.0))
        g = tdl.gains(name, rng, group)
        u, db = rng.random(), rng.uniform(-10, 10)
        if p.line_of_sight and u < 1 / 3:
            g[:, 1:] *= 10 ** (db / 20)
        elif not p.line_of_sight and u < 1 / 5:
            g[:, 0] += 10 ** ((db + 10) / 20) * np.exp(2j * np.pi * rng.random(group))
        hs.append((g @ tdl.steering(delays, n_fft).T).astype(np.complex64))
        extents.append(_extent(np.broadcast_to(delays, g.shape), np.abs(g) ** 2))
    return np.concatenate(hs)[:n], np.concatenate(extents)[:n]


def _tdl_plain(n, rng, n_fft, group=10):
    hs, extents = [], []
    while sum(map(len, hs)) < n:
        name = "ABCDE"[rng.integers(5)]
        p = tdl.profile(name)
        delays = p.delays * _spread(rng, min(p.delays[-1], 12.0))
        hs.append((tdl.gains(name, rng, group) @ tdl.steering(delays, n_fft).T).astype(np.complex64))
        extents.append(np.full(group, _extent(delays[None], p.powers[None])[0]))
    return np.concatenate(hs)[:n], np.concatenate(extents)[:n]


def _exponential(n, rng, n_fft):
    """Rayleigh taps of exponential profile, sample-spaced or at random delays, some Rician."""
    length = 24
    scale = np.exp(rng.uniform(np.log(0.15), np.log(12.0), (n, 1)))
    on_grid = rng.random((n, 1)) < 0.5
    delays = np.where(on_grid, np.arange(length), np.sort(rng.uniform(0, 20, (n, length)), axis=1))
    delays = delays - delays[:, :1]
    powers = np.exp(-delays / scale) * (delays < CYCLIC_PREFIX)
    g = complex_noise(rng, (n, length)) * np.sqrt(powers)
    rician = rng.random(n) < 0.3
    factor = 10 ** (rng.uniform(0, 20, n) / 20)
    los = factor * np.sqrt(powers.sum(1)) * np.exp(2j * np.pi * rng.random(n))
    g[:, 0] += rician * los
    return _respond(g, delays, n_fft), _extent(delays, np.abs(g) ** 2)


def _specular(n, rng, n_fft):
    """One to six paths at random delays, with decaying random powers."""
    length = 6
    reach = np.exp(rng.uniform(np.log(0.3), np.log(CYCLIC_PREFIX), (n, 1)))
    delays = rng.uniform(0, 1, (n, length)) * reach
    delays[:, 0] = 0
    present = np.arange(length) < rng.integers(1, length + 1, n)[:, None]
    db = -rng.uniform(0, 30, (n, length)) * rng.uniform(0, 1, (n, 1))
    amplitude = np.where(rng.random((n, 1)) < 0.5, np.abs(complex_noise(rng, (n, length))), 1.0)
    g = amplitude * 10 ** (db / 20) * present * np.exp(2j * np.pi * rng.random((n, length)))
    return _respond(g, delays, n_fft), _extent(delays, np.abs(g) ** 2)


def _flat(n, rng, n_fft):
    """A cable: one path and echoes 15 to 45 dB below it."""
    length = 5
    delays = rng.uniform(0, 1, (n, length)) * np.exp(rng.uniform(np.log(0.2), np.log(12.0), (n, 1)))
    delays[:, 0] = 0
    db = -rng.uniform(15, 45, (n, length))
    db[:, 0] = 0
    present = np.arange(length) < rng.integers(1, length + 1, n)[:, None]
    g = 10 ** (db / 20) * present * np.exp(2j * np.pi * rng.random((n, length)))
    return _respond(g, delays, n_fft), _extent(delays, np.abs(g) ** 2)


def vary(h, extent, rng):
    """Channels of a bank as a receiver meets them: [n, n_fft] -> [n, n_fft], complex64.

    Adds the receiver's FFT window position (anywhere in the cyclic prefix that holds the channel, a
    little early or late, or up to EARLY samples before it, where correlation detectors put it on
    long channels), the front end's filter (droop, tilt, ripple, phase curvature), and a
    common phase."""
    n, n_fft = h.shape
    k = tdl.carriers(n_fft).astype(np.float32)
    room = np.maximum(CYCLIC_PREFIX - extent, 0)
    u = rng.random(n, dtype=np.float32)
    kind = rng.random(n)
    timing = np.where(kind < 0.3, 4 * u - 2, np.where(kind < 0.7, u * room, 19 * u - 3))
    timing = np.where(kind < 0.85, np.minimum(timing, room + 1.0), u * (room + EARLY))
    angle = (-2 * np.pi / n_fft) * timing.astype(np.float32)[:, None] * k
    angle += rng.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32)
    edge = k / 26.0
    filtered = (rng.random((n, 1)) < 0.6).astype(np.float32)
    curve = filtered * rng.normal(0, 0.15, (n, 2)).astype(np.float32)
    angle += curve[:, :1] * edge**2 + curve[:, 1:] * edge**3
    droop = (
        filtered
        * rng.exponential(1.0, (n, 1)).astype(np.float32)
        * np.sign(rng.random((n, 1), dtype=np.float32) - 0.15)
    )
    steep = np.where(rng.random((n, 1)) < 0.5, edge**2, edge**4)
    tilt = filtered * rng.normal(0, 0.5, (n, 1)).astype(np.float32)
    db = np.clip(tilt * edge - droop * steep, -12, 12)
    ripple = filtered * rng.exponential(0.03, (n, 1)).astype(np.float32)
    rate = rng.uniform(0.5, 4.0, (n, 1)).astype(np.float32) * (2 * np.pi / n_fft)
    ripple = ripple * np.cos(rate * k + rng.uniform(0, 2 * np.pi, (n, 1)).astype(np.float32))
    amplitude = np.exp(db * np.float32(np.log(10) / 20)) * (1 + ripple)
    turn = np.empty((n, n_fft), np.complex64)
    turn.real = amplitude * np.cos(angle)
    turn.imag = amplitude * np.sin(angle)
    return h * turn
