# SPDX-License-Identifier: GPL-3.0-or-later
"""The receiver of a learned code whose latents a denoiser meets first, or whose pictures one meets last.

Both networks are given as functions of (z, v, spectrum), [3, H, W] as picture_codec.observation gives them, to the
coefficients' (mean, variance): here of ONNX Runtime, in a flowgraph of the core. What one leaves is the other's
observation (`as_observation`).
"""

from dataclasses import dataclass

import numpy as np

from ..base.errors import UserError
from ..base.picture_bands import proximal
from . import picture_codec, symbol_noise

MOST = 1e3  # noise of what is not observed, over its spectrum, so that an observation can say something of it
UPDATES = 1  # of the noise, once the denoiser has answered


@dataclass(frozen=True)
class Latent:
    """A manifest member's `latent`: the package whose latents it denoises; what is known of the noise
    (symbol_noise.KINDS); whether it stands behind that package's decoder."""

    code: str
    noise: str = "told"
    after: bool = False

    @classmethod
    def of(cls, manifest, member=None):
        """Of a manifest's member, None where it denoises no latents; UserError where its keys are not these."""
        found = _member(manifest, member)
        said = found.get("latent") if isinstance(found, dict) else None
        if said is None:
            return None
        where = f"members.{member or manifest['default']}.latent"
        if not isinstance(said, dict) or not isinstance(said.get("code"), str) or not set(said) <= {*KEYS}:
            raise UserError(f"{where} is {str(said)[:80]}: give an object with 'code', a package, and {KEYS[1:]}")
        latent = cls(**said)
        if latent.noise not in symbol_noise.KINDS:
            raise UserError(f"{where}.noise is {latent.noise!r}: give one of {', '.join(symbol_noise.KINDS)}")
        if not isinstance(latent.after, bool):
            raise UserError(f"{where}.after is {latent.after!r}: give true or false")
        if latent.after and latent.noise != "told":
            raise UserError(f"{where}: behind the decoder there is no latent to find the noise by: give noise 'told'")
        return latent

    @property
    def passes(self):
        """How often the denoiser is asked."""
        return 1 if self.noise == "told" else 1 + UPDATES


KEYS = ("code", "noise", "after")


def denoises(manifest):
    """Whether a manifest's default member says that it denoises latents."""
    return isinstance(_member(manifest), dict) and _member(manifest).get("latent") is not None


def _member(manifest, name=None):
    """A manifest's member, None where there is none, whatever the manifest is."""
    members, name = manifest.get("members"), name or manifest.get("default")
    return members.get(name) if isinstance(members, dict) and isinstance(name, str) else None


def receive(latent, plan, symbols, noise_var, fades, denoise, decode):
    """(mean, variance) of the coefficients of a picture that the code sent. fades: as symbol_noise.likeliest has it."""
    z, v, spectrum = _observed(latent, plan, symbols, noise_var, fades, denoise)
    first, last = (decode, denoise) if latent.after else (denoise, decode)
    mean, _ = first(z, v, spectrum)
    return last(*as_observation(mean, v, spectrum), spectrum)


def receive_linear(latent, plan, symbols, noise_var, fades, receiver):
    """The same of one that went by the linear code, whose receiver says what the noise is found by."""
    return receiver(*_observed(latent, plan, symbols, noise_var, fades, receiver))


def receive_alone(latent, plan, symbols, noise_var, fades, receiver):
    """The same by the code's decoder, or the linear code's receiver, asked once: the noise is the spectrum's word."""
    noise = symbol_noise.likeliest(plan, symbols, noise_var, latent.noise, fades)
    return receiver(*picture_codec.observation(plan, symbols, noise))


def _observed(latent, plan, symbols, noise_var, fades, ask):
    """picture_codec.observation under the noise that is known, or found."""
    noise = symbol_noise.likeliest(plan, symbols, noise_var, latent.noise, fades)
    for _ in range(latent.passes - 1):
        mean, variance = ask(*picture_codec.observation(plan, symbols, noise))
        noise = symbol_noise.refined(plan, symbols, noise_var, latent.noise, mean, variance, fades)
    return picture_codec.observation(plan, symbols, noise)


def as_observation(mean, v, spectrum):
    """(z, v) of which the linear receiver makes `mean`, with the error that it said it made: what stands behind a
    denoiser was trained behind the linear receiver, and asks what the channel did."""
    v = np.minimum(v, MOST * spectrum)
    weight = proximal(0.0, spectrum, np.ones_like(mean), v)[0]
    z = np.divide(mean, weight, out=np.zeros_like(mean), where=weight > 0)
    return z.astype(np.float32), v.astype(np.float32)
