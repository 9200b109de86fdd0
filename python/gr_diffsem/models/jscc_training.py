# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains a learned code of photographs (models/jscc.py) end to end: encoder, linear code, channel, receiver, decoder.

Every item is a square of a photograph, reduced at random, and a whole picture for the link: any rate, noise, fading
and loss that the semantic link's other receivers are trained on (models/link_photographs.py). The loss is the squared
error over the error that the linear code leaves of the same picture through the same channel, so that every rate and
noise level counts alike, plus a Gaussian likelihood of the error in every band (the mean held constant).
"""

from pathlib import Path

import numpy as np
import torch

from ..air import symbol_channel
from ..base.picture_bands import SCALE
from . import link_photographs, onnx_start, photo_data, training
from .jscc import Link
from .photo_training import FAST_BFLOAT16

SIDE = 128  # of the squares that are trained on
WIDEST = 3.0  # a square is reduced by at most this much
OVERHEAD = (0.75, 0.97)  # share of the channel uses that is left beside the digital part
DESIGN_DB = (0.0, 10.0)  # SNR that the sender plans for; half of the time 5 dB, the link's default
DECODER_RATE = 0.4  # of the encoder's learning rate: it begins with trained weights
SEVERAL = 4  # slots of a strong coefficient
FEW, LAW = 1 / 30, (0.5, 0.9)  # share of pictures whose spectrum is a power law, above and below this CBR
VALIDATION, CHECKED = 8, 192  # photographs, and the side of their squares
AT = ((1 / 48, 5.0), (1 / 12, 5.0), (1 / 48, 15.0))  # CBR and SNR that are reported on


def photograph_square(rng, photograph, side):
    """A random square of a photograph, reduced to [3, side, side] in units of x."""
    from PIL import Image

    image = photo_data.augment(rng, photograph)
    shorter = min(image.shape[:2])
    wide = int(rng.uniform(min(side, shorter), min(WIDEST * side, shorter) + 1))
    part = photo_data.part(rng, image, wide)
    part = np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.BICUBIC))
    return (SCALE * (part.astype(np.float32) / 255 - 0.5)).transpose(2, 0, 1)


def draw_noise(rng, shape, snr_db=None, kind=None, loss=None):
    """Noise over signal in the slots of coefficients of `shape`: float32 [2, *shape], each in one slot and in SEVERAL
    together; inf: lost. Channel, estimate and loss as link_photographs.receive has them."""
    snr = rng.uniform(*link_photographs.SNR_DB) if snr_db is None else snr_db
    kind = rng.choice(["awgn", "awgn", "tdl", "tdl_c"]) if kind is None else kind
    loss = (rng.uniform(0, link_photographs.LOSS) if rng.random() < 0.4 else 0.0) if loss is None else loss
    noise, count = 10 ** (-snr / 10), int(rng.integers(4, 40))
    h = symbol_channel.draw(kind, rng, count)
    guess, error = symbol_channel.estimate(h, noise, rng, symbol_channel.ESTIMATE_TAPS.get(kind, 17))
    precision = (np.abs(guess) ** 2 / (noise + error))[:, symbol_channel.DATA]
    precision[rng.permutation(count)[: round(loss * count)]] = 0
    precision = precision.astype(np.float32).ravel()
    one = precision[rng.integers(precision.size, size=shape)]
    others = [precision[rng.integers(precision.size, size=shape)] for _ in range(SEVERAL - 1)]
    with np.errstate(divide="ignore"):
        return 1 / np.stack((one, (one + sum(others)) / SEVERAL))


def drawn(rng, photographs, n):
    """n items: pictures [n, 3, S, S], and of the link, as `Link.through` names it, law, slots, planned, noise, unit."""
    shape = (3, SIDE, SIDE)
    pictures = [photograph_square(rng, photographs[rng.integers(len(photographs))], SIDE) for _ in range(n)]
    cbr = np.exp(rng.uniform(*link_photographs.LOG_CBR, n))
    law = rng.random(n) < np.where(cbr < FEW, LAW[1], LAW[0])
    slots = 2 * cbr * 3 * SIDE**2 * rng.uniform(*OVERHEAD, n)
    planned = 10 ** (-np.where(rng.random(n) < 0.5, 5.0, rng.uniform(*DESIGN_DB, n)) / 10)
    noise = np.stack([draw_noise(rng, shape) for _ in range(n)])
    unit = rng.standard_normal((n, *shape), np.float32)
    parts = np.stack(pictures), law, slots, planned, noise, unit
    types = (np.float32, bool, *[np.float32] * 4)
    return [torch.from_numpy(np.ascontiguousarray(part, kind)) for part, kind in zip(parts, types, strict=True)]


def fixed(rng, photograph, side, cbr, snr_db):
    """One item of a validation picture in AWGN, as `drawn` has them."""
    x = photograph_square(rng, photograph, side)[None]
    noise = draw_noise(rng, x.shape[1:], snr_db, "awgn", 0.0)[None]
    unit = rng.standard_normal(x.shape, np.float32)
    slots = torch.tensor([5.0 * cbr * side**2])
    planned = torch.tensor([10**-0.5])
    return [torch.from_numpy(x), torch.tensor([cbr < FEW]), slots, planned, *map(torch.from_numpy, (noise, unit))]


def read_halves(code, folder):
    """Weights of an exported code's `encoder` and `decoder` into a `PictureCode`; in words, where they are from."""
    said = []
    for name, file in (("encoder", "encoder.onnx"), ("decoder", "net.onnx")):
        half, path = getattr(code, name), Path(folder) / file
        weights, words = onnx_start.read(path, half)
        half.load_state_dict(onnx_start.fitting(weights, half, path))
        said.append(words)
    return said[1]


class LinkTraining(training.Training):
    """Training on photographs through a differentiable link."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        self.photographs, self.held = photo_data.divided(args, scheme.name, VALIDATION)
        self.link = Link(SIDE).to(self.device)
        for net in (self.net, self.average):
            net.to(memory_format=torch.channels_last)
        self.short = self.on_gpu or FAST_BFLOAT16  # convolutions in bfloat16

    def run_net(self, net, x, level):
        """(mean, log variance), in float32."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.short):
            mean, log_variance = net(x.contiguous(memory_format=torch.channels_last), level)
        return mean.float(), log_variance.float()


class JsccTraining(LinkTraining):
    """Training of a `PictureCode`."""

    def __init__(self, scheme, member, network, args, folder):
        super().__init__(scheme, member, network, args, folder)
        parts = [{"params": self.net.encoder.parameters()}]
        parts += [{"params": self.net.decoder.parameters(), "share": DECODER_RATE}]
        self.optimiser = torch.optim.AdamW(parts, lr=self.rate, betas=(0.9, 0.99), weight_decay=1e-4)
        self.average.eval()
        for name in ("encoder", "decoder"):
            getattr(self.average, name).net.seen = getattr(self.net, name).net.seen

    def begin_from(self, path):
        """Of another training; of a package of the same scheme; or the decoder alone, of a receiver behind the linear
        code (models/photo_mmse/net.onnx)."""
        if Path(path).suffix != ".onnx":
            return super().begin_from(path)
        beside = Path(path).with_name("encoder.onnx")
        files = {"decoder": Path(path), "encoder": beside} if beside.is_file() else {"decoder": Path(path)}
        for name, file in files.items():
            for net in (self.net, self.average):
                half = getattr(net, name)
                half = half if beside.is_file() else half.net
                weights, words = onnx_start.read(file, half)
                half.load_state_dict(onnx_start.fitting(weights, half, file))
            self.start = words if name == "decoder" else f"{self.start}, and its encoder"

    def draw(self, rng):
        """See `drawn`."""
        return drawn(rng, self.photographs, self.batch)

    def sent(self, net, link, x, law, slots, planned):
        """The pictures that the linear code is given."""
        return self.run_net(net.encoder, x, link.expected(x, law, slots, planned))[0]

    def loss(self, x, *link):
        """(relative squared error, likelihood of the bands' errors)."""
        with torch.no_grad():
            error = self.link.through(x, *link).error
            expected = error.mean((1, 2, 3)) + 1e-5
        sent = self.sent(self.net, self.link, x, *link[:3])
        estimate, level, *_ = self.link.through(sent, *link)
        mean, log_variance = self.run_net(self.net.decoder, estimate, level)
        fit = ((mean - x).pow(2).mean((1, 2, 3)) / expected).clamp(max=30).mean()
        left = self.link((mean - x).detach()).pow(2)
        actual = self.link.levels(left, left)[:, :10].pow(2) + 1e-7
        spread = (log_variance + actual * torch.exp(-log_variance)).clamp(max=100).mean()
        return fit, spread

    def _validate(self, validation, writer):
        """Gains in dB over the linear receiver, of the encoder's picture and of the photograph itself."""
        link = Link(CHECKED).to(self.device)
        words = []
        for cbr, snr in AT:
            gains = []
            for i, photograph in enumerate(self.held):
                rng = np.random.default_rng([9000, i])
                x, *given = (part.to(self.device) for part in fixed(rng, photograph, CHECKED, cbr, snr))
                with torch.no_grad():
                    plain, level, *_ = link.through(x, *given)
                    behind = self.average.decoder(plain, level)[0]
                    sent = self.sent(self.average, link, x, *given[:3])
                    learned = self.average.decoder(*link.through(sent, *given)[:2])[0]
                error = [(y.clamp(-2, 2) - x).pow(2).mean().item() for y in (plain, behind, learned)]
                gains.append([10 * np.log10(error[0] / e) for e in error[1:]])
            behind, learned = np.mean(gains, 0)
            for name, value in (("decoder", behind), ("code", learned)):
                writer.add_scalar(f"validation/{name}/{1 / cbr:.0f}_{snr:g}", value, self.step)
            words.append(f"{learned:.2f} ({behind:.2f}) at 1/{1 / cbr:.0f} and {snr:g} dB")
        return "dB above linear (without the encoder): " + ", ".join(words)
