# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of moving pictures through an estimator of photographs in the core: what semantic_decoder asks for content of
the kind ``video``. The mathematics is gr_diffsem/codec/video_codec.py."""

import time

import numpy as np


def receive(core, estimator, plan, symbols, noise_var, asked=None):
    """(frames uint8 [T, H, W, 3], what is said of them: evaluations, each (of every frame), seconds, net_seconds,
    linear, reason).

    estimator: a core.Estimator of photographs. asked: how many frames, spread over the group, it is asked about, None:
    all; the others keep the linear answer.
    """
    from gr_diffsem.base import picture_bands, picture_transform
    from gr_diffsem.codec import video_codec

    began, told, each = time.monotonic(), [], [0] * plan.clip.frames
    unit = picture_bands.SCALE**2
    seen = video_codec.observation(plan, symbols, noise_var)
    mean, error, spectrum = video_codec.linear(*seen)
    count = len(mean) if estimator.max_evaluations else 0
    count = count if asked is None else min(asked, count)
    for t in np.unique(np.arange(count) * len(mean) // max(count, 1)):
        z, v = video_codec.equivalent(mean[t], error[t], spectrum[t])
        known = np.isfinite(v)
        image, variance, info = core.estimate_picture(
            estimator, np.where(known, z, 0) / picture_bands.SCALE, known, v / unit, spectrum[t] / unit, clip=False
        )
        told.append(info)
        each[t] = info["evaluations"]
        if not info["linear"]:
            mean[t] = picture_transform.forward(picture_bands.SCALE * (image - np.float32(0.5)))
            error[t] = unit * variance
    if any(not info["linear"] for info in told):
        mean = video_codec.refined(mean, error, *seen)
    frames = video_codec.pictures(mean, plan.clip.shifts)
    said = {
        "evaluations": sum(each),
        "each": each,
        "net_seconds": sum(info["net_seconds"] for info in told),
        "linear": any(info["linear"] for info in told),
        "reason": next((info["reason"] for info in told if info["linear"]), ""),
        "seconds": time.monotonic() - began,
    }
    return np.rint(255 * np.clip(frames, 0, 1)).astype(np.uint8), said
