# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a picture of received symbols: `linear`, or a scheme behind it. All take (plan, symbols, noise_var)."""

import numpy as np

from ..base import picture_bands
from ..base.errors import UserError
from ..codec import picture_codec

NAMES = ("linear", "photo_mmse", "photo_posterior")


def to_bytes(image):
    """Image [H, W, 3] in 0..1, clipped -> uint8."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def linear(plan, symbols, noise_var):
    """Linear MMSE with the plan's Gaussian prior and the noise of every symbol."""
    return to_bytes(picture_codec.linear(plan, symbols, noise_var)[0])


def make(name):
    """Receiver of this name; UserError where its model is missing."""
    if name == "linear":
        return linear
    from ..base.model_packages import find_packages, read_manifest

    packages = find_packages(checkout_first=True)
    if name not in packages:
        raise UserError(f"method {name}: no such model package; leave it out, or train it: gr-diffsem train {name}")
    return Photo(packages[name], read_manifest(packages[name]))


class Photo:
    """A network of a photo package, by the NumPy twin of the core's inference.

    The twin, because an evaluation on symbols runs without GNU Radio, through which the core is reached; tests hold
    both to each other within 1e-4 of the picture's range (tests/python/test_photo_twin.py).
    """

    def __init__(self, folder, manifest):
        from ..reference import photo

        member = manifest["members"][manifest["default"]]
        self.plan = member["plan"]
        self.net = photo.OnnxNet(folder / member["prior"]["file"])

    def image(self, plan, symbols, noise_var, realism=0.0, seed=0):
        """Image float [H, W, 3] about 0..1, not clipped."""
        from ..reference import photo

        how = self.plan
        seen = picture_codec.observation(plan, symbols, noise_var)
        final = how.get("final", True)
        x = photo.posterior(self.net, *seen, how["steps"], how["inflation"], final, realism, seed)
        return x / picture_bands.SCALE + 0.5

    def __call__(self, plan, symbols, noise_var):
        return to_bytes(self.image(plan, symbols, noise_var))
