# SPDX-License-Identifier: GPL-3.0-or-later
"""Denoising after the code: of its pictures, with the channel's state as the condition."""

from ._latents import Latents


class DjsccCsi(Latents):
    name = "djscc_csi"
    title = "pictures of a learned code, denoised after its decoder under the channel's state"
    reference = (
        "a denoising diffusion model behind a JSCC decoder, guided by the channel state, as D-JSCC for UAVs has it; "
        "here one evaluation, told the error that the channel left in each band"
    )
    after = True


SCHEME = DjsccCsi()
