# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising of latents without channel state: what a carrier of a frame left of its symbols is found from them."""

from ._latents import Latents


class LatentDnsc(Latents):
    name = "latent_dnsc"
    title = "latents of a learned code, denoised without being told the channel or its noise"
    reference = (
        "B. Xu et al., 'Latent Semantic Diffusion-based Channel Adaptive De-Noising SemCom for Future 6G Systems', "
        "IEEE GLOBECOM 2023: no channel state at the denoiser; here the noise of each carrier of each frame is the "
        "likeliest under the spectrum, then under the denoised latent (expectation maximisation)"
    )
    noise = "estimated"
    doubt_db = (0.5, 1.5)


SCHEME = LatentDnsc()
