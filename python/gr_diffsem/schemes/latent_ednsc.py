# SPDX-License-Identifier: GPL-3.0-or-later
"""Equalising and denoising of latents at an unknown SNR."""

from ._latents import Latents, several_steps


class LatentEdnsc(Latents):
    name = "latent_ednsc"
    title = "latents of a learned code, equalised under the denoiser's prior at an unknown SNR"
    reference = (
        "B. Xu et al., 'Semantic Prior Aided Channel-Adaptive Equalizing and De-Noising Semantic Communication System "
        "with Latent Diffusion Model', 2024: posterior sampling equalises and denoises, SNR unknown; here the proximal "
        "step is the equaliser, and one factor of the noise the likeliest under the denoised latent"
    )
    build = staticmethod(several_steps)
    plan = {"type": "proximal", "steps": 2, "inflation": 2.0, "final": True}
    noise = "scaled"
    doubt_db = (1.0, 0.0)


SCHEME = LatentEdnsc()
