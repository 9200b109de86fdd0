# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs: an image prior for any operator that is diagonal in the cosine transform."""

from ..errors import UserError
from .base import Network, Scheme


def _unet():
    from ..models.photo import PhotoUNet

    return PhotoUNet()


class PhotoPosterior(Scheme):
    """The prior. Its training knows noise spectra and no link."""

    name = "photo_posterior"
    title = "Photographs from noisy and missing transform coefficients, by an image prior"
    reference = "proximal steps after Y. Zhu et al., 'Denoising Diffusion Models for Plug-and-Play Image Restoration', 2023"
    shape, axes = (3, 512, 768), ("colour", "row", "column")
    default = "prior"

    def training(self):
        from ..models.photo_training import PhotoTraining

        return PhotoTraining

    def networks(self):
        return {"prior": Network(_unet, "image prior", 0.3, minutes=40, batch=16, rate=1e-3)}

    def observe(self, rng, photograph):
        from ..models import photo_data

        return photo_data.observe(rng, photograph)

    def validation(self):
        return {}


SCHEME = PhotoPosterior()
