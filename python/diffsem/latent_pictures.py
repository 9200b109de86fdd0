# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a learned code through a denoiser and the code's decoder, both in the core: what semantic_decoder asks in
the place of one estimator."""

import json
import time

import numpy as np


def latent_of(info):
    """The Latent (gr_diffsem.codec.latent_receiver) of a scheme by core.scheme_info, None where it has none."""
    from gr_diffsem.codec.latent_receiver import Latent

    manifest = json.loads(info["manifest"])
    return Latent.of(manifest, info["member"]) if "members" in manifest else None


class LatentPictures:
    """Has what semantic_decoder uses of a core.Estimator of photographs, and `planned`, `leave_alone` and `receive`
    of its own.

    denoiser, decoder, linear: core.Estimators, used by nobody else; `linear` is for what went by the linear code.
    code_hash: of the package whose latents these are.
    """

    def __init__(self, core, latent, code_hash, denoiser, decoder, linear):
        self._core, self.latent, self._code_hash = core, latent, code_hash
        self._denoiser, self._decoder, self._linear = denoiser, decoder, linear
        self._alone = False

    @property
    def behind_linear(self):
        """The core.Estimator of what went by the linear code."""
        return self._linear

    @property
    def max_evaluations(self):
        """Of both networks."""
        return self.planned(True)

    def planned(self, coded):
        """Evaluations of a picture that the code sent, or of one that went by the linear code."""
        if not coded:
            return self.latent.passes * self._linear.max_evaluations
        return self._denoiser.max_evaluations * self.latent.passes + self._decoder.max_evaluations

    def set_steps(self, steps):
        """Evaluations of the denoiser each time it is asked, 0: the scheme's own; everything is done again."""
        self._denoiser.set_steps(steps)
        self._alone = False

    def leave_alone(self):
        """One network alone, until set_steps(): the code's decoder, or the receiver of the linear code."""
        self._alone = True

    def receive(self, data, symbols, noise_var, fades, uncertainty):
        """As core.receive_picture: (pixels uint8 [H, W, 3], what is said of them)."""
        from gr_diffsem.base import picture_bands, picture_transform
        from gr_diffsem.codec import latent_receiver, picture_codec

        began, told = time.monotonic(), []
        plan = picture_codec.Plan.from_bytes(data)

        def ask(estimator):
            def answer(z, v, spectrum):
                seen = np.isfinite(v)
                y, noise = (np.where(seen, part, fill) for part, fill in ((z, 0), (v, np.inf)))
                image, variance, info = self._core.estimate_picture(
                    estimator, y / picture_bands.SCALE, seen, noise / picture_bands.SCALE**2,
                    spectrum / picture_bands.SCALE**2, clip=False, deviation=uncertainty,
                )  # fmt: skip
                told.append((info, image))
                mean = picture_transform.forward(picture_bands.SCALE * (image.astype(np.float64) - 0.5))
                return mean, picture_bands.SCALE**2 * variance

            return answer

        coded, given = plan.is_for(self._code_hash), (self.latent, plan, symbols, noise_var, fades)
        last = ask(self._decoder if coded else self._linear)
        if self._alone:
            latent_receiver.receive_alone(*given, last)
        elif coded:
            latent_receiver.receive(*given, ask(self._denoiser), last)
        else:
            latent_receiver.receive_linear(*given, last)
        infos = [info for info, _ in told]
        said = {
            "evaluations": sum(info["evaluations"] for info in infos),
            "net_seconds": sum(info["net_seconds"] for info in infos),
            "linear": any(info["linear"] for info in infos),
            "reason": next((info["reason"] for info in infos if info["linear"]), ""),
            "seconds": time.monotonic() - began,
        }
        if uncertainty:
            said["deviation"] = infos[-1]["deviation"]
        return np.rint(255 * np.clip(told[-1][1], 0, 1)).astype(np.uint8), said
