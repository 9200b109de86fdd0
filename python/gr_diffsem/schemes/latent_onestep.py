# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising of latents in one step."""

from ._latents import Latents


class LatentOnestep(Latents):
    name = "latent_onestep"
    title = "latents of a learned code, denoised in one step"
    reference = (
        "J. Pei et al., 'Latent Diffusion Model-Enabled Low-Latency Semantic Communication in the Presence of Semantic "
        "Ambiguities and Wireless Channel Noises', IEEE TWC 2025: f = c_skip x + c_out F, told the measured noise, one "
        "evaluation; here trained for the answer itself instead of distilled from one in many steps"
    )


SCHEME = LatentOnestep()
