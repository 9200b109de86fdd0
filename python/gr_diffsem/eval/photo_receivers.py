# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a picture of received symbols: `linear`, or a scheme behind it. All take (plan, symbols, noise_var, fades)
as photo_trials.collected gives them.

The schemes are the model packages of the domain `image` that are found: nothing here knows one by name.
"""

import os
from pathlib import Path

import numpy as np

from ..base import model_packages, picture_bands, picture_transform
from ..base.errors import UserError, unknown
from ..codec import latent_receiver, learned_code, picture_codec

LINEAR = "linear"


def packages():
    """{name: folder} of the packages of photographs: those of the shipped schemes first, learned codes behind the
    receivers of the linear one, then the others by name."""
    from .. import schemes

    found = {}
    for name, folder in model_packages.find_packages(checkout_first=True).items():
        try:
            image = folder.is_dir() and model_packages.read_manifest(folder)["signal"]["domain"] == "image"
        except (UserError, KeyError, TypeError):  # `gr-diffsem list` says what is wrong with it
            continue
        if image:
            found[name] = folder
    order = sorted(name for name, scheme in schemes.shipped().items() if scheme.domain == "image" and name in found)
    order.sort(key=lambda name: _behind(model_packages.read_manifest(found[name])))
    return {name: found[name] for name in [*order, *sorted(set(found) - set(order))]}


def of_latents(name):
    """Whether the package of this name denoises what a learned code sent."""
    folder = packages().get(name)
    return bool(folder) and latent_receiver.denoises(model_packages.read_manifest(folder))


def _behind(manifest):
    """0: behind the linear code; 1: a learned code; 2: a denoiser of one's latents."""
    if latent_receiver.denoises(manifest):
        return 2
    return int(bool(learned_code.encoder_of(manifest)))


def names():
    """`linear` and the packages of photographs that are found."""
    return [LINEAR, *packages()]


def name_of(spec):
    """What a receiver is called in reports, plots and folders: NAME[/MEMBER]; a package by its path, as its folder."""
    path = Path(os.path.expanduser(spec))
    if os.path.isfile(path / model_packages.MANIFEST):
        return path.resolve().name
    if os.path.isfile(path.parent / model_packages.MANIFEST):
        return f"{path.parent.resolve().name}/{path.name}"
    return str(spec)


def to_bytes(image):
    """Image [H, W, 3] in 0..1, clipped -> uint8."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def linear(plan, symbols, noise_var, fades=None):
    """Linear MMSE with the plan's Gaussian prior and the noise of every symbol."""
    return to_bytes(picture_codec.linear(plan, symbols, noise_var)[0])


def make(spec):
    """The receiver `linear`, or of NAME[/MEMBER] or a package's folder; UserError where it cannot be had."""
    if spec == LINEAR:
        return linear
    try:
        folder, member = model_packages.locate(spec, checkout_first=True)
    except UserError as error:
        raise _missing(spec, error) from None
    if folder.is_file() or model_packages.read_manifest(folder).get("signal", {}).get("domain") != "image":
        raise UserError(f"method {spec}: {folder} is no package of photographs; choose one of {', '.join(names())}")
    manifest = model_packages.read_manifest(folder)
    latent = latent_receiver.Latent.of(manifest, member)
    if latent:
        return Denoised(latent, folder, manifest, member)
    if learned_code.encoder_of(manifest, member):
        return Learned(spec, folder, manifest, member)
    return Photo(folder, manifest, member)


def _missing(spec, error):
    """What to say of a method whose package was not found."""
    from .. import schemes

    scheme = schemes.all_schemes().get(str(spec))
    if scheme and scheme.domain == "image":
        return UserError(f"method {spec}: no such model package; leave it out, or train it: gr-diffsem train {spec}")
    if "/" in str(spec):
        return UserError(f"method {spec}: {error}")
    return unknown("method", spec, ("webp", "webp_ldpc", "webp_capacity", *names()))


class Photo:
    """A network of a photo package, by the NumPy twin of the core's inference.

    The twin, because an evaluation on symbols runs without GNU Radio, through which the core is reached; tests hold
    both to each other within 1e-4 of the picture's range (tests/python/test_photo_twin.py).
    """

    code = None  # what sends its pictures: None, the linear code

    def __init__(self, folder, manifest, member=None):
        from ..reference import photo

        members, member = manifest["members"], member or manifest.get("default")
        if member not in members:
            raise unknown(f"member of {folder.name}", member, members)
        prior, self.plan = members[member].get("prior", {}), members[member].get("plan", {})
        if prior.get("type") != "onnx" or not {"steps", "inflation"} <= set(self.plan):
            raise UserError(f"{folder.name}/{member} is no network with a plan 'proximal': see docs/model_contract.md")
        self.net = photo.OnnxNet(folder / prior["file"])

    @property
    def draws(self):
        """Whether there is a posterior to draw from: a regression has none."""
        return self.plan.get("final", True)

    def image(self, plan, symbols, noise_var, fades=None, realism=0.0, seed=0):
        """Image float [H, W, 3] about 0..1, not clipped."""
        from ..reference import photo

        how = self.plan
        seen = picture_codec.observation(plan, symbols, noise_var)
        x = photo.posterior(self.net, *seen, how["steps"], how["inflation"], how.get("final", True), realism, seed)
        return x / picture_bands.SCALE + 0.5

    def coefficients(self, z, v, spectrum):
        """(mean, variance) [3, H, W] of an observation."""
        from ..reference import photo

        how = self.plan["steps"], self.plan["inflation"], self.plan.get("final", True)
        return photo.inferred(self.net, z, v, spectrum, *how)[:2]

    def __call__(self, *arrived):
        return to_bytes(self.image(*arrived))


class Learned(Photo):
    """The receiver of a learned code: its own pictures by its network, those that went by the linear code by the
    receiver of that, as `receive` has it."""

    def __init__(self, spec, folder, manifest, member):
        super().__init__(folder, manifest, member)
        self.code = learned_code.LearnedCode(spec)
        self.other = make(learned_code.BEHIND_LINEAR)

    def image(self, plan, *arrived, **how):
        """As Photo's."""
        mine = super().image if plan.is_for(self.code.hash) else self.other.image
        return mine(plan, *arrived, **how)


class Denoised(Photo):
    """A denoiser of the latents that a learned code sends, or of its pictures; what went by the linear code is for the
    receiver of that, under the noise that is found as for latents."""

    def __init__(self, latent, folder, manifest, member):
        super().__init__(folder, manifest, member)
        self.latent, self.decoder = latent, make(latent.code)
        if not isinstance(self.decoder, Learned):
            raise UserError(f"method {folder.name}: '{latent.code}' is no learned code: train and export it")
        self.code = self.decoder.code

    @property
    def draws(self):
        """What a posterior of latents draws, a decoder of means was not trained on."""
        return False

    def image(self, plan, symbols, noise_var, fades=None, realism=0.0, seed=0):
        """As Photo's; there is no draw."""
        given = self.latent, plan, symbols, noise_var, fades
        if plan.is_for(self.code.hash):
            mean, _ = latent_receiver.receive(*given, self.coefficients, self.decoder.coefficients)
        else:
            mean, _ = latent_receiver.receive_linear(*given, self.decoder.other.coefficients)
        return picture_transform.inverse(mean) / picture_bands.SCALE + 0.5
