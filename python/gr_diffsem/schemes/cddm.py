# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising of latents in several steps, each symbol's noise known: the noise that |h| leaves is the condition."""

from ._latents import Latents, several_steps


class Cddm(Latents):
    name = "cddm"
    title = "latents of a learned code, denoised in steps from the level that the channel left"
    reference = (
        "T. Wu et al., 'CDDM: Channel Denoising Diffusion Models for Wireless Semantic Communications', IEEE TWC 2024: "
        "MMSE equalisation, |h| as the condition, a start at the channel's SNR, deterministic steps; here each step "
        "ends with the operator's proximal step, and the network gives the mean itself"
    )
    build = staticmethod(several_steps)
    plan = {"type": "proximal", "steps": 2, "inflation": 2.0, "final": True}


SCHEME = Cddm()
