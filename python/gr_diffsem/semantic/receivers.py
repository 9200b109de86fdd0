# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a picture of received symbols: `linear`, or a scheme behind it. All take (plan, symbols, noise_var)."""

import numpy as np

from ..errors import UserError

NAMES = ("linear", "photo_mmse", "photo_posterior")


def to_bytes(image):
    """Image [H, W, 3] in 0..1, clipped -> uint8."""
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)


def linear(plan, symbols, noise_var):
    """Linear MMSE with the plan's Gaussian prior and the noise of every symbol."""
    from . import codec

    return to_bytes(codec.linear(plan, symbols, noise_var)[0])


def observation(plan, symbols, noise_var):
    """What arrived, as a photo net takes it (reference/photo.py): (z, v, spectrum), [3, H, W] each.

    z: coefficients of x = SCALE (image - 1/2); v: variance of their noise, inf where nothing is known.
    """
    from ..reference.photo import SCALE
    from . import codec

    y, gain, seen, noise = codec.measurement(plan, symbols, noise_var)
    z = SCALE * np.divide(y, gain, out=np.zeros_like(y), where=seen)
    v = SCALE**2 * np.divide(noise, gain**2, out=np.full_like(y, np.inf), where=seen)
    return (a.astype(np.float32) for a in (z, v, SCALE**2 * plan.variances))


def make(name):
    """Receiver of this name; UserError where its model is missing."""
    if name == "linear":
        return linear
    from ..packages import find_packages, read_manifest

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
        x = photo.posterior(
            self.net, *observation(plan, symbols, noise_var), how["steps"], how["inflation"], how.get("final", True),
            realism, seed,
        )  # fmt: skip
        return x / photo.SCALE + 0.5

    def __call__(self, plan, symbols, noise_var):
        return to_bytes(self.image(plan, symbols, noise_var))
