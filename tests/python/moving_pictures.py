# SPDX-License-Identifier: GPL-3.0-or-later
"""Clips for tests: a picture like a photograph, over which the camera pans, and where something moves; and the air."""

import numpy as np
from gr_diffsem.base import picture_transform
from gr_diffsem.codec.picture_plan import Plan


def wide_picture(h, w, seed=1):
    """uint8 [H, W, 3], amplitudes that fall with frequency."""
    rng = np.random.default_rng(seed)
    f = np.hypot(np.arange(h)[:, None] / h, np.arange(w) / w) + 1e-2
    planes = rng.standard_normal((3, h, w)) / f**1.3 * np.array([1, 0.25, 0.2])[:, None, None]
    image = picture_transform.inverse(planes)
    return np.rint((0.5 + 0.16 * image / image.std()).clip(0, 1) * 255).astype(np.uint8)


def clip(frames=8, h=96, w=128, pan=(0, 0), seed=1):
    """uint8 [T, H, W, 3]: the camera moves by `pan` pixels a frame, and a grey box by 2 pixels over the picture."""
    wide = wide_picture(h + 4 * frames, w + 4 * frames, seed)
    out = []
    for t in range(frames):
        y, x = 2 * frames + pan[0] * t, 2 * frames + pan[1] * t
        frame = wide[y : y + h, x : x + w].copy()
        frame[h // 4 : h // 2, 10 + 2 * t : 30 + 2 * t] = 90
        out.append(frame)
    return np.array(out)


def air(encoded, snr_db, seed=2):
    """(plan, symbols, noise_var) behind white noise; the plan is read from its octets."""
    noise = 10 ** (-snr_db / 10)
    n = np.random.default_rng(seed).standard_normal((2, encoded.symbols.size)) * np.sqrt(noise / 2)
    plan = Plan.from_bytes(encoded.digital)
    return plan, encoded.symbols + n[0] + 1j * n[1], np.full(encoded.symbols.size, noise, np.float32)


def psnr(shown, truth):
    return -10 * np.log10(np.mean((shown - truth / 255.0) ** 2))
