# SPDX-License-Identifier: GPL-3.0-or-later
"""A learned code of photographs at the sender: a network that changes a picture before the linear code sends it.

It is a member of a package of photographs that names its `encoder`, a graph of the contract of photographs: told the
error that the linear receiver would make in each band, it gives the picture that is sent in place of the own. The
receiver is the member itself, behind the linear receiver. The digital part names the package by its hash, so that a
receiver that has it takes it.

No worse than the linear code, in the mean over channels like those that it may meet: both are sent to themselves
through noise of several SNRs about the design's, and through fading, each to its own receiver, and the better one is
sent.
"""

from dataclasses import dataclass

import numpy as np

from ..base import model_packages, picture_bands
from ..base.errors import UserError
from . import picture_codec

LINEAR = "linear"
BEHIND_LINEAR = "photo_mmse"  #: the receiver of what goes out by the linear code
SEED = 20  #: of the noise that the two are compared in
TRIED = ((-5, False), (0, False), (5, False), (0, True), (7, True))  #: SNR over the design's, and whether it fades
FADE = 240  #: symbols in a row of the air that fade alike
ROLE = "picture_encoder"  #: of the encoder's graph


def codes():
    """{name: hash of 16 bits, as a picture carries it} of the packages that are found and have an encoder."""
    found = {}
    for name, folder in model_packages.find_packages(checkout_first=True).items():
        try:
            if folder.is_dir() and encoder_of(model_packages.read_manifest(folder)):
                found[name] = hash_of(folder)
        except (UserError, AttributeError, KeyError, TypeError):
            continue  # `gr-diffsem list` says what is wrong with it
    return found


def hash_of(folder):
    """What a picture carries of a package's content hash, 16 bits."""
    return int(model_packages.content_hash(folder)[:4], 16)


def encoder_of(manifest, member=None):
    """The encoder's file of a manifest's member, "" where it has none that the package lists."""
    members, name = manifest["members"], member or manifest.get("default")
    if not isinstance(name, str) or not isinstance(members.get(name), dict):
        return ""
    found = members[name].get("encoder", "")
    return found if isinstance(found, str) and found in manifest.get("files", {}) else ""


def make(spec):
    """None for "" and `linear`; else the `LearnedCode` of NAME[/MEMBER] or of a package's folder."""
    return None if spec in ("", LINEAR) else LearnedCode(spec)


@dataclass(frozen=True)
class Sent:
    """An Encoded of picture_codec, and whether it is the learned code's."""

    encoded: picture_codec.Encoded
    learned: bool
    gain_db: float  #: of the learned code over the linear one, mean over the channels that the sender tried


class LearnedCode:
    """The encoder of a package, and the networks of both receivers."""

    def __init__(self, spec):
        folder, member = model_packages.locate(spec, checkout_first=True)
        manifest = model_packages.read_manifest(folder) if folder.is_dir() else {"members": {}}
        file = encoder_of(manifest, member)
        if not file or member not in (None, manifest.get("default")):
            others = ", ".join([LINEAR, *codes()])
            raise UserError(f"codec {spec}: {folder} has no encoder of photographs; choose one of {others}")
        found = model_packages.problems(folder)
        if found:
            raise UserError(f"codec {spec}: {found[0]}")
        self.name, self.hash = folder.name, hash_of(folder)
        prior = manifest["members"][manifest["default"]].get("prior")
        decoder = prior.get("file") if isinstance(prior, dict) else None
        if not isinstance(decoder, str) or decoder not in manifest["files"]:
            raise UserError(f"codec {spec}: {folder} has no network of a receiver: export the package again")
        self.encoder, self.decoder = (_network(folder / name) for name in (file, decoder))
        other = model_packages.find_packages(checkout_first=True).get(BEHIND_LINEAR)
        self.other = other and _network(other / _receiver(other))

    def encode(self, image, uses, design_snr_db=5.0, scheme_hash=0, **options):
        """As picture_codec.encode, by the better of both codes: `Sent`. scheme_hash: for the linear one."""
        plain = picture_codec.encode(image, uses, design_snr_db, scheme_hash, **options)
        changed = self.changed(image, plain)
        try:
            if not np.all(np.isfinite(changed)):
                raise picture_codec.ContentError("the encoder's picture is not finite")
            learned = picture_codec.encode(image, uses, design_snr_db, self.hash, sent=changed, **options)
        except ValueError:  # it needs more channel uses than the picture itself, say
            return Sent(plain, False, -np.inf)
        truth = image.astype(np.float32) / 255
        errors = [_errors(truth, made, net) for made, net in ((plain, self.other), (learned, self.decoder))]
        gain = float(np.mean(errors[0] - errors[1]))
        return Sent(learned, True, gain) if gain > 0 else Sent(plain, False, gain)

    def changed(self, image, plain):
        """What is sent in the picture's place, float [H, W, 3] about 0..1; plain: its linear code."""
        plan = plain.plan
        noise = np.full(plan.n_symbols, 10 ** (-plan.design_snr / 10), np.float32)
        z, v, spectrum = picture_codec.observation(plan, plain.symbols, noise)
        error = picture_bands.proximal(0.0, spectrum, z, v)[1]
        x = picture_bands.SCALE * (image.astype(np.float32) / 255 - 0.5)
        return self.encoder(x, picture_bands.levels(error, spectrum))[0] / picture_bands.SCALE + 0.5


def _network(path):
    """A network of photographs, for the sender's own use."""
    from ..reference import photo

    try:
        return photo.OnnxNet(path)
    except Exception as error:  # onnxruntime has many of its own
        raise UserError(f"codec: {path} is no network that can be run ({str(error)[:120]}): export it again") from None


def _receiver(folder):
    """File of the network of a package's default member."""
    manifest = model_packages.read_manifest(folder)
    return manifest["members"][manifest["default"]]["prior"]["file"]


def _errors(truth, made, net):
    """Mean squared error in dB of one's own picture through each of the channels TRIED."""
    from ..reference import photo

    plan, out = made.plan, []
    for draw, (over_db, fades) in enumerate(TRIED):
        rng = np.random.default_rng([SEED, draw])
        noise = np.full(plan.n_symbols, 10 ** (-(plan.design_snr + over_db) / 10))
        if fades:
            noise /= np.repeat(rng.exponential(size=-(-plan.n_symbols // FADE)), FADE)[: plan.n_symbols]
        drawn = rng.standard_normal((2, plan.n_symbols)) * np.sqrt(noise / 2)
        symbols = (made.symbols + drawn[0] + 1j * drawn[1]).astype(np.complex64)
        seen = picture_codec.observation(plan, symbols, noise.astype(np.float32))
        x = photo.posterior(net, *seen, 1 if net else 0, final=False)
        error = np.mean((np.clip(x / picture_bands.SCALE + 0.5, 0, 1) - truth) ** 2)
        out.append(10 * np.log10(max(error, 1e-12)))
    return np.array(out)
