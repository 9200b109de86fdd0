# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of moving pictures through an estimator of photographs in the core: what semantic_decoder asks for content of
the kind ``video``. The mathematics is gr_diffsem/codec/video_receiver.py."""

import time

import numpy as np

MOST_STREAMS = 16  #: whose last frames are kept; of more, that of the one longest silent is let go


class VideoPictures:
    """pictures = VideoPictures(core); frames, made, info = pictures.receive(estimator, plan, symbols, noise_var)."""

    def __init__(self, core):
        self._core, self._streams = core, {}

    def receive(self, estimator, plan, symbols, noise_var, sender="", asked=None):
        """(frames uint8 [T, H, W, 3], frames generated for groups that are missing in front of them [G, H, W, 3], what
        is said of them: evaluations, each (of every frame), seconds, net_seconds, linear, reason).

        estimator: a core.Estimator of photographs. sender: who sends, as far as it is known. asked: how many frames,
        spread over the group, it is asked about, None: all; the others change as their neighbours do.
        """
        from gr_diffsem.codec.video_receiver import VideoReceiver

        began, told, each = time.monotonic(), [], [0] * plan.clip.frames
        count = plan.clip.frames if estimator.max_evaluations else 0
        count = count if asked is None else min(asked, count)
        chosen = set((np.arange(count) * plan.clip.frames // max(count, 1)).tolist())

        def answer(t, alone, error, spectrum):
            if t not in chosen:
                return None
            mean, variance, info = self._frame(estimator, alone, error, spectrum)
            told.append(info)
            each[t] = info["evaluations"]
            return (alone, error) if info["linear"] else (mean, variance)

        key = sender, plan.clip.stream
        receiver = self._streams.pop(key, None) or VideoReceiver()
        while len(self._streams) >= MOST_STREAMS:
            self._streams.pop(next(iter(self._streams)))
        self._streams[key] = receiver
        shown = receiver.take(plan, symbols, noise_var, answer if chosen else None)
        said = {
            "evaluations": sum(each),
            "each": each,
            "net_seconds": sum(info["net_seconds"] for info in told),
            "linear": any(info["linear"] for info in told),
            "reason": next((info["reason"] for info in told if info["linear"]), ""),
            "seconds": time.monotonic() - began,
        }
        return *(np.rint(255 * np.clip(part, 0, 1)).astype(np.uint8) for part in (shown.frames, shown.generated)), said

    def _frame(self, estimator, mean, error, spectrum):
        """What the estimator makes of a frame: (mean, variance) of its coefficients [3, H, W], info."""
        from gr_diffsem.base import picture_bands, picture_transform
        from gr_diffsem.codec import video_codec

        scale, unit = picture_bands.SCALE, picture_bands.SCALE**2
        z, v = video_codec.equivalent(mean, error, spectrum)
        known = np.isfinite(v)
        image, variance, info = self._core.estimate_picture(
            estimator, np.where(known, z, 0) / scale, known, v / unit, spectrum / unit, clip=False
        )
        return picture_transform.forward(scale * (image - np.float32(0.5))), unit * variance, info
