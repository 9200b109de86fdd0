# SPDX-License-Identifier: GPL-3.0-or-later
"""What the semantic link's `linear` receiver knows of a photograph: training data of `photo_mmse`.

The link itself without its symbols: which coefficients are sent at a rate, with which powers, and the
noise that fading, its estimate and lost frames leave on each of them.
"""

import numpy as np

from ..reference.photo import SCALE, forward
from ..semantic import air
from . import photo_data

DESIGN_SNR_DB = 5.0
ANALOGUE = 0.9  # share of the channel uses that carries coefficients
FRAME = 2400  # symbols
LOWEST = (4, 6)  # rows, columns of coefficients that are sent digitally
STEP = 0.02  # their quantiser's, in units of x, times the square root of the pixels
LOG_CBR = tuple(np.log((1 / 96, 1 / 4)))
SNR_DB = (-5.0, 20.0)
LOSS = 0.4  # at most this share of the frames is lost


def allocate(power, sent, uses):
    """Powers of the coefficients that `uses` symbols carry (two each), 0 for the others: [3, H, W]. The
    strongest are sent, with c sqrt(power) - s^2, where that is positive; their mean is 1."""
    flat = np.where(sent, 0, power).ravel()
    count = min(2 * uses, flat.size)
    chosen = np.argpartition(-flat, count - 1)[:count]
    chosen = chosen[np.argsort(-flat[chosen], kind="stable")]
    root = np.sqrt(flat[chosen], dtype=np.float64)
    noise = 10 ** (-DESIGN_SNR_DB / 10)
    scale = (count + noise * np.arange(1, count + 1)) / np.cumsum(root)  # c if the first k share all power
    active = np.flatnonzero(scale * root > noise)[-1] + 1
    out = np.zeros(flat.size, np.float32)
    out[chosen[:active]] = scale[active - 1] * root[:active] - noise
    return out.reshape(power.shape)


def symbol_noise(rng, uses, snr_db, kind, loss):
    """Noise variance of every symbol [uses], as a receiver states it; inf in lost frames."""
    noise = 10 ** (-snr_db / 10)
    frames = -(-uses // FRAME)
    h = air.draw(kind, rng, frames)
    guess, error = air.estimate(h, noise, rng)
    stated = (noise + error) / np.abs(guess) ** 2
    stated[rng.random(frames) < loss] = np.inf
    carrier = rng.integers(stated.shape[1], size=uses)
    return stated[np.arange(uses) % frames, carrier]


def observe(rng, photograph, cbr=None, snr_db=None, kind=None, loss=None):
    """(truth [H, W, 3] in units of x, z, v, spectrum [3, H, W]) of a photograph behind a link that is
    drawn where it is not given."""
    image = photo_data.augment(rng, photograph) if cbr is None else photograph
    cbr = np.exp(rng.uniform(*LOG_CBR)) if cbr is None else cbr
    snr_db = rng.uniform(*SNR_DB) if snr_db is None else snr_db
    kind = rng.choice(["awgn", "awgn", "tdl", "tdl_c"]) if kind is None else kind
    if loss is None:
        loss = rng.uniform(0, LOSS) if rng.random() < 0.4 else 0.0
    x = SCALE * (image.astype(np.float32) / 255 - 0.5)
    c = forward(x)
    power = photo_data.spectrum(c)
    digital = np.zeros(c.shape, bool)
    digital[:, : LOWEST[0], : LOWEST[1]] = True
    uses = round(cbr * ANALOGUE * c.size)
    powers = allocate(power, digital, uses)
    at = np.flatnonzero(powers)
    order = rng.permutation(at.size)
    n = np.repeat(symbol_noise(rng, -(-at.size // 2), snr_db, kind, loss), 2)[: at.size]
    v = np.full(c.size, np.inf, np.float32)
    v[at] = n[order] * power.ravel()[at] / powers.ravel()[at]
    v = v.reshape(c.shape)
    v[digital] = (STEP * np.sqrt(c[0].size)) ** 2 / 12
    z = c + np.sqrt(np.where(np.isfinite(v), v, 0)) * rng.standard_normal(c.shape, np.float32)
    return x, z, v, power
