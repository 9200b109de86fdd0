# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned code of photographs at the sender: a network that changes a picture before the linear code sends it.

It is a member of a package of photographs that names its `encoder`, a graph of the contract of photographs: told the
error that the linear receiver would make in each band, it gives the picture that is sent in place of the own. The
receiver is the member itself, behind the linear receiver. The digital part names the package by its hash, so that a
receiver that has it takes it.

Never below the linear code: both are sent to themselves through the noise that the design assumes, each to its own
receiver, and the better one is sent.
"""

from dataclasses import dataclass

import numpy as np

from ..base import model_packages, picture_bands
from ..base.errors import UserError
from . import picture_codec

LINEAR = "linear"
BEHIND_LINEAR = "photo_mmse"  #: the receiver of what goes out by the linear code
SEED = 20  #: of the noise that the two are compared in


def codes():
    """{name: hash of 16 bits, as a picture carries it} of the packages that are found and have an encoder."""
    found = {}
    for name, folder in model_packages.find_packages(checkout_first=True).items():
        try:
            if folder.is_dir() and encoder_of(model_packages.read_manifest(folder)):
                found[name] = hash_of(folder)
        except (UserError, AttributeError):
            continue  # `gr-diffsem list` says what is wrong with it
    return found


def hash_of(folder):
    """What a picture carries of a package's content hash, 16 bits."""
    return int(model_packages.content_hash(folder)[:4], 16)


def encoder_of(manifest, member=None):
    """The encoder's file of a manifest's member, "" where it has none."""
    found = manifest["members"].get(member or manifest.get("default"), {}).get("encoder", "")
    return found if isinstance(found, str) else ""


def make(spec):
    """None for "" and `linear`; else the `LearnedCode` of NAME[/MEMBER] or of a package's folder."""
    return None if spec in ("", LINEAR) else LearnedCode(spec)


@dataclass(frozen=True)
class Sent:
    """An Encoded of picture_codec, and whether it is the learned code's."""

    encoded: picture_codec.Encoded
    learned: bool
    gain_db: float  #: of the learned code over the linear one, as the sender simulated both


class LearnedCode:
    """The encoder of a package, and the networks of both receivers."""

    def __init__(self, spec):
        from ..reference import photo

        folder, member = model_packages.locate(spec, checkout_first=True)
        manifest = model_packages.read_manifest(folder) if folder.is_dir() else {"members": {}}
        file = encoder_of(manifest, member)
        if not file:
            others = ", ".join([LINEAR, *codes()])
            raise UserError(f"codec {spec}: {folder} has no encoder of photographs; choose one of {others}")
        found = model_packages.problems(folder)
        if found:
            raise UserError(f"codec {spec}: {found[0]}")
        self.name = folder.name
        self.hash = hash_of(folder)
        self.encoder = photo.OnnxNet(folder / file)
        prior = manifest["members"][member or manifest["default"]]["prior"]["file"]
        self.decoder = photo.OnnxNet(folder / prior)
        self.other = _network(BEHIND_LINEAR)

    def encode(self, image, uses, design_snr_db=5.0, scheme_hash=0, **options):
        """As picture_codec.encode, by the better of both codes: `Sent`. scheme_hash: for the linear one."""
        plain = picture_codec.encode(image, uses, design_snr_db, scheme_hash, **options)
        changed = self.changed(image, plain)
        learned = picture_codec.encode(image, uses, design_snr_db, self.hash, sent=changed, **options)
        truth = image.astype(np.float32) / 255
        errors = [_error(truth, made, net) for made, net in ((plain, self.other), (learned, self.decoder))]
        gain = float(10 * np.log10(max(errors[0], 1e-12) / max(errors[1], 1e-12)))
        return Sent(learned, True, gain) if gain > 0 else Sent(plain, False, gain)

    def changed(self, image, plain):
        """What is sent in the picture's place, float [H, W, 3] about 0..1; plain: its linear code."""
        plan = plain.plan
        noise = np.full(plan.n_symbols, 10 ** (-plan.design_snr / 10), np.float32)
        z, v, spectrum = picture_codec.observation(plan, plain.symbols, noise)
        error = picture_bands.proximal(0.0, spectrum, z, v)[1]
        x = picture_bands.SCALE * (image.astype(np.float32) / 255 - 0.5)
        return self.encoder(x, picture_bands.levels(error, spectrum))[0] / picture_bands.SCALE + 0.5


def _network(name):
    """The network of a package's default member, None where it is not there."""
    from ..reference import photo

    folder = model_packages.find_packages(checkout_first=True).get(name)
    if folder is None:
        return None
    manifest = model_packages.read_manifest(folder)
    return photo.OnnxNet(folder / manifest["members"][manifest["default"]]["prior"]["file"])


def _error(truth, made, net):
    """Mean squared error of one's own picture behind noise at the design's SNR."""
    from ..reference import photo

    rng, plan = np.random.default_rng(SEED), made.plan
    noise = 10 ** (-plan.design_snr / 10)
    drawn = rng.standard_normal((2, plan.n_symbols), np.float32) * np.float32(np.sqrt(noise / 2))
    symbols = made.symbols + drawn[0] + 1j * drawn[1]
    seen = picture_codec.observation(plan, symbols, np.full(plan.n_symbols, noise, np.float32))
    x = photo.posterior(net, *seen, 1 if net else 0, final=False)
    return np.mean((np.clip(x / picture_bands.SCALE + 0.5, 0, 1) - truth) ** 2)
