# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs whose cosine transform came with unequal noise, or not at all: two receivers.

`photo_posterior` is an image prior: it was trained on photographs and random noise spectra, the semantic link as
one case among them, and meets whatever left the noise only through the operator transform x gains x mask.
`photo_mmse` is one net behind the linear receiver of the semantic link, trained on what that link leaves. Both are
networks of one kind (models/photo.py) under the same contract.
"""

from dataclasses import dataclass

from .base import Network, Scheme


def _deep_unet(**told):
    from ..models.photo import PhotoUNet

    return PhotoUNet(depths=(1, 3, 2), **told)


def _prior_unet():
    from ..base.picture_bands import FINE, WINDOW

    return _deep_unet(bands=FINE, window=WINDOW)


@dataclass(frozen=True)
class PhotoClaim:
    """A gain over `over` on the same symbols, in dB of PSNR (or in `unit`); holds if >= gate."""

    name: str
    gate: float
    goal: float | None = None
    unit: str = "dB"
    over: str = "linear"


def photo_claim(claim):
    """A `PhotoClaim` of a manifest (a dict) as a line."""
    goal = f" (goal {claim['goal']:g})" if claim["goal"] else ""
    return f"{claim['name']}: at least {claim['gate']:+g} {claim['unit']} over `{claim.get('over', 'linear')}`{goal}"


class Photographs(Scheme):
    """What both schemes share."""

    domain = "image"
    shape, axes = (3, None, None), ("colour", "row", "column")
    operator = "transform"
    cost_unit = "pixel and evaluation"
    snr_definition = "symbol energy over noise density, per data carrier"
    default = "prior"

    def training(self):
        from ..models.photo_training import PhotoTraining

        return PhotoTraining

    def validation(self):
        return {}  # whole photographs, by PhotoTraining

    def write_network(self, net, path, network, facts):
        from ..models.photo_export import write

        return write(net, path, self, network, facts)

    def signal(self):
        return {"domain": self.domain, "shape": [3, None, None], "axes": list(self.axes)}

    def signal_text(self):
        return "Signal: photographs, RGB, any size of at least 16 pixels a side."

    def claim_text(self, claim):
        return photo_claim(claim)

    def test_data(self, count, seed):
        raise NotImplementedError("photographs are measured by gr-diffsem eval semantic_link")


class PhotoPosterior(Photographs):
    name = "photo_posterior"
    title = "Photographs under an image prior, by proximal steps"
    reference = (
        "plug-and-play half-quadratic splitting after K. Zhang et al., IEEE TPAMI 2022, and Y. Zhu et al., "
        "'Denoising Diffusion Models for Plug-and-Play Image Restoration', CVPR Workshops 2023"
    )
    data = (
        "photographs of the training part of BSDS500 (200), and Urban100 and Sun-Hays80 (180; research use), turned, "
        "flipped, reduced and cut; on their whole-image cosine transform Gaussian noise of random spectra, with "
        "random coefficients, whole bands and regions missing or noisier; a third of the time what the semantic link's "
        "`linear` receiver leaves"
    )
    # steps and inflation: chosen on photographs of the training set
    plan = {"type": "proximal", "steps": 2, "inflation": 4.0, "final": True}
    link_share = 0.4  # of what is trained on

    def networks(self):
        return {"prior": Network(_prior_unet, "image prior", 0.25, minutes=60, batch=16, rate=2e-4)}

    def choices(self, member):
        return {**super().choices(member), "sampler": {"type": "posterior_mean"}}

    def observations(self, rng, photograph):
        from itertools import islice

        from ..models import link_photographs, photo_data

        if max(photograph.shape) > photo_data.MOST_SIDE and rng.random() < 0.5:
            photograph = photo_data.part(rng, photograph, int(rng.integers(photo_data.SMALLEST, photo_data.MOST_SIDE)))
        of = link_photographs if rng.random() < self.link_share else photo_data
        return islice(of.observations(rng, photograph), 4)

    def claims(self):
        return [
            PhotoClaim("TDL fading, CBR 1/6, 10 dB", 0.4, 0.8),
            PhotoClaim("10 % of frames lost", 0.7),
            PhotoClaim("30 % of frames lost", 1.2),
        ]

    def card(self):
        return (
            "For photographs of which transform coefficients are known with unequal noise, whatever link left them "
            "so: one net for every rate, noise level, mask and fade. Not for drawings, text or screens. Its mean is "
            "blurred where the coefficients say little: it invents nothing."
        )


class PhotoMmse(Photographs):
    name = "photo_mmse"
    title = "Photographs behind the linear receiver, in one pass"
    reference = "regression to the posterior mean; the network and its levels as in photo_posterior"
    data = (
        "photographs of the training part of BSDS500 (200), turned, flipped, reduced and made brighter or darker, as "
        "the semantic link's `linear` receiver gives them: CBR 1/72 to 1/4, -5 to 20 dB, AWGN and TDL fading, up to "
        "40 % of frames lost"
    )
    plan = {"type": "proximal", "steps": 1, "inflation": 1.0, "final": False}
    default = "net"

    def networks(self):
        return {"net": Network(_deep_unet, "one pass", 0.0, minutes=100, batch=16, rate=1.5e-3)}

    def observations(self, rng, photograph):
        from itertools import islice

        from ..models import link_photographs

        return islice(link_photographs.observations(rng, photograph), 6)

    def claims(self):
        return [
            PhotoClaim("CBR 1/48, AWGN, mean of 0, 5 and 10 dB", 0.5, 0.8),
            PhotoClaim("CBR 1/48, AWGN, mean of 0, 5 and 10 dB, MS-SSIM", 0.02, unit="MS-SSIM"),
            PhotoClaim("CBR 1/6, AWGN, mean of 0, 5 and 10 dB", 0.3),
        ]

    def card(self):
        return (
            "The fast one of the two receivers of photographs: one evaluation behind `linear`, for every rate, noise "
            "level, mask and fade of the semantic link. Not for drawings, text or screens. It gives the mean, which is "
            "blurred where little arrived."
        )


SCHEMES = (PhotoPosterior(), PhotoMmse())
