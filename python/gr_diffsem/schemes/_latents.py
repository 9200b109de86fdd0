# SPDX-License-Identifier: GPL-3.0-or-later
"""What the denoisers of a learned code's latents share; each is a scheme of its own.

The sender is that of `code`. What `noise` says is known of the noise, the receiver takes for granted: "told", every
symbol's variance as it is stated; "scaled", all of them up to one factor; "estimated", nothing, each carrier of each
frame has its own (codec/symbol_noise.py).
"""

from .base import Network
from .photo import PhotoClaim, Photographs


def one_step():
    from ..models.latent_training import denoiser

    return denoiser()


def several_steps():
    from ..models.latent_training import steps_denoiser

    return steps_denoiser()


class Latents(Photographs):
    """A denoiser between the linear receiver and the decoder of `code`, or `after` that decoder."""

    code = "jscc"
    noise = "told"
    after = False
    doubt_db = (0.0, 0.0)  # deviation of the noise that training tells, of a whole picture and of each coefficient
    data = (
        "the training data of `jscc` through its encoder: photographs of the training part of BSDS500 (200), Urban100 "
        "and Sun-Hays80 (180; research use); CBR 1/72 to 1/4, -5 to 20 dB, AWGN and TDL fading, up to 40 % of frames "
        "lost"
    )
    build = staticmethod(one_step)
    plan = {"type": "proximal", "steps": 1, "inflation": 1.0, "final": False}

    def networks(self):
        return {"prior": Network(self.build, "denoiser", 0.0, minutes=40, batch=6, rate=1e-3)}

    def training(self):
        from ..models.latent_training import LatentTraining

        return LatentTraining

    def choices(self, member):
        latent = {"code": self.code, "noise": self.noise, "after": self.after}
        sampler = {"type": "posterior_mean" if self.plan["final"] else "one_step"}
        return {**super().choices(member), "sampler": sampler, "latent": latent}

    def claims(self):
        claims = [PhotoClaim("CBR 1/48, AWGN, mean of 0, 5 and 10 dB, all known", -0.1, over=self.code)]
        if self.noise == "told":
            return claims
        return [*claims, PhotoClaim("CBR 1/48, AWGN, 0 dB, SNR misstated by 5 dB", 1.0, over=self.code)]

    def card(self):
        return (
            f"For pictures that `gr-diffsem send --codec {self.code}` sends; needs that package too, for its decoder. "
            "What went out by the linear code is received as `photo_mmse` does. Not for drawings, text or screens."
        )
