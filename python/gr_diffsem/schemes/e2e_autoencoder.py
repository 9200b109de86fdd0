# SPDX-License-Identifier: GPL-3.0-or-later
"""A code of 16 messages in 8 real uses, encoder and decoder trained through a channel that a diffusion model generates.

After M. Kim, R. Fritschek and R. F. Schaefer, "Learning End-to-End Channel Coding with Diffusion Models", 2023: who has
only samples of a channel cannot train an encoder through it, for want of its derivative; a model that learned the
channel has one. The generator is the package `tap_generator_uses`, with its WGAN as baseline; the code that was trained
through the channel itself is what both are held to. All are measured over the true channel.
"""

import numpy as np

from ..air import channel_uses
from ..base import model_packages
from ..models import block_codes
from .base import Network, RateClaim, Scheme
from .tap_generator import Uses

CODES = 5  # trained of each kind, from weights of their own: what intervals are over
RATES = (1e-2, 1e-3)  # symbol error rates at which codes are compared
LOSS_DB = 0.3  # that the generated channel may cost
TITLES = {"awgn": "AWGN", "rayleigh": "Rayleigh", "sspa": "SSPA"}
PUBLISHED = {"awgn": (7, 2.9e-4, 1.1e-4), "rayleigh": (15, 8.8e-4, 1.1e-3), "sspa": (8, 5.3e-4, 7.8e-3)}
PUBLISHED_ON = "7 real uses (8 of SSPA); their networks, trained for their time; here 8 uses"
CLASSIC = "Hamming (8, 4), maximum likelihood"


def quantity(kind):
    return f"symbol error rate, {TITLES[kind]}"


def codes():
    from ..models.block_codes_net import BlockCodes

    return BlockCodes(CODES)


class Autoencoder(Scheme):
    name = "e2e_autoencoder"
    title = "A code of 16 messages in 4 complex uses, learned through a generated channel"
    reference = "Kim, Fritschek, Schaefer, Learning end-to-end channel coding with diffusion models, 2023"
    shape, axes = (channel_uses.USES // 2,), ("use",)
    default = "awgn"
    snr_definition = "Eb/N0: energy of a bit (two real uses of power 1) over twice the noise variance of a real use"
    snr_db = tuple(range(0, 19))
    realisations = 20_000
    cost_unit = "word"
    draw_steps = 8  # of the generator's sampler while a code is trained through it; its package takes 24
    baselines = tuple(f"{kind}_codes.npy" for kind in channel_uses.KINDS)
    data = (
        "synthetic: equally likely messages; what the generator `tap_generator_uses` draws of AWGN (Eb/N0 5 dB), "
        "Rayleigh fading (12 dB) and Rapp's amplifier (p 3, A0 1.5, gain 5; 8 dB) for the words sent; the true "
        "channels and the package's WGAN for the codes that it is compared with"
    )

    def networks(self):
        title = "{}, 5 codes of each training: true, diffusion, WGAN"
        return {
            kind: Network(codes, title.format(TITLES[kind]), 0.0, minutes=8, batch=128, rate=2e-3)
            for kind in channel_uses.KINDS
        }

    def training(self):
        from ..models.block_codes_training import BlockCodesTraining

        return BlockCodesTraining

    def power_warning(self, count=1000):
        return ""  # words have power 1 by their last layer

    def generator(self):
        """(package, scheme) of the channels that are trained through."""
        return model_packages.locate(Uses.name, checkout_first=True)[0], Uses()

    def write_network(self, net, path, network, facts):
        from ..models import graph_export

        np.save(path.with_name(f"{path.stem}_codes.npy"), net.flat())
        names = f"{path.stem}_encoder.onnx", path.name
        return graph_export.write_codec(*net.pair("diffusion"), self, path.parent, names, facts)

    def classical(self):
        return {
            kind: {
                "title": f"encoder and decoder for {TITLES[kind]}, trained through the generated channel",
                "prior": {"type": "none"},
                "codec": {"encoder": f"{kind}_encoder.onnx", "decoder": f"{kind}.onnx"},
            }
            for kind in channel_uses.KINDS
        }

    def tensors(self, progress=print):
        """Codes come with their networks; those of a kind that is not trained yet are none."""
        return {name: np.zeros((0, 0)) for name in self.baselines}

    def claims(self):
        found = []
        for kind, (at, ours, theirs) in PUBLISHED.items():
            of = {"quantity": quantity(kind), "runs": kind}
            for rate in RATES:
                name = f"{TITLES[kind]}: Eb/N0 at SER {rate:g}, diffusion against true"
                found.append(RateClaim(name, "diffusion", None, "true", gate=LOSS_DB, reached=rate, **of))
            for rate in RATES:
                name = f"{TITLES[kind]}: Eb/N0 at SER {rate:g}, WGAN against true"
                found.append(RateClaim(name, "wgan", None, "true", reached=rate, **of))
            for member, said in (("diffusion", ours), ("wgan", theirs)):
                name = f"{TITLES[kind]}: SER at {at} dB, {member}"
                found.append(RateClaim(name, member, at, published=said, published_on=PUBLISHED_ON, **of))
        return found

    def measure(self, estimate, members, count, seed, snr_db):
        """{quantity: {method: (errors [S, CODES], words)}}: words wrong of `count` of each code, over the true channel.
        The first code of `diffusion` is decoded by the package's own graph."""
        package = model_packages.locate(self.name, checkout_first=True)[0]
        results = {}
        for kind in members:
            flat = np.load(package / f"{kind}_codes.npy", allow_pickle=False)
            rows = {name: flat[i * CODES : (i + 1) * CODES] for i, name in enumerate(block_codes.TAUGHT)}
            errors = {name: np.zeros((len(snr_db), CODES)) for name in (*rows, CLASSIC)}
            for s, db in enumerate(snr_db):
                for code in range(CODES):
                    draws = np.random.default_rng([seed, channel_uses.KINDS.index(kind), code])
                    messages = draws.integers(block_codes.MESSAGES, size=count)
                    chance = channel_uses.chance(kind, draws, (count, channel_uses.USES))
                    for name, every in rows.items():
                        y = received(kind, block_codes.words_of(every[code])[messages], chance, db)
                        if (name, code) == ("diffusion", 0):
                            found = estimate(kind, planes_to_complex(y), 1.0)[0].argmax(1)
                        else:
                            found = block_codes.decided(every[code], y)
                        errors[name][s, code] = np.sum(found != messages)
                    y = received(kind, HAMMING[messages], chance, db)
                    errors[CLASSIC][s, code] = np.sum(most_likely(kind, y, db) != messages)
            words = np.full((len(snr_db), CODES), count)
            results[quantity(kind)] = {name: (wrong, words) for name, wrong in errors.items()}
        return results

    def card(self):
        return (
            "`encode` takes 16 numbers, of which the largest is the message's, to 4 complex uses; `estimate` takes the "
            "4 that were received to the log-probabilities of 16 messages. `*_encoder.onnx` runs in `onnx_inference`, "
            "a member in `estimate`. It knows the Eb/N0 that it was trained at, and needs time, carrier and level to "
            "be right: there is no synchronisation in it. `*_codes.npy` are all codes of the evaluation: their words "
            "and decoders, trained through the true channel, the generated one, and a WGAN."
        )


def received(kind, x, chance, ebn0_db):
    """y [n, 8] of words x through the true channel; chance: of channel_uses.chance."""
    noise, gain = chance
    y = channel_uses.passed(kind, x, gain) + np.sqrt(channel_uses.noise_variance(kind, ebn0_db)) * noise
    return y.astype(np.float32)


def planes_to_complex(y):
    """[n, 4] of [n, 8] real uses: complex elements of unit power, as the package's signal is."""
    half = y.shape[1] // 2
    return ((y[:, :half] + 1j * y[:, half:]) / np.sqrt(2)).astype(np.complex64)


# ---- what anybody would send ----


def _hamming():
    """[16, 8]: the words of the extended Hamming code as signs."""
    bits = (np.arange(16)[:, None] >> np.arange(4)) & 1
    a, b, c, d = bits.T
    return 1.0 - 2.0 * np.stack((a, b, c, d, a ^ b ^ c, a ^ b ^ d, a ^ c ^ d, b ^ c ^ d), 1)


HAMMING = _hamming()


def most_likely(kind, y, ebn0_db):
    """Messages [n] whose word of HAMMING is the most likely, gains being unknown but their distribution."""
    if kind == "rayleigh":
        return (rayleigh_llr(y, channel_uses.noise_variance(kind, ebn0_db)) @ HAMMING.T).argmax(1)
    return (y @ channel_uses.passed(kind, HAMMING).T).argmax(1)  # all words have one power, behind the amplifier too


def rayleigh_llr(y, noise_var):
    """ln p(y | +1) / p(y | -1) of y = h x + n, h of Rayleigh's distribution, E h^2 = 1, n of variance noise_var.

    p(y | x) is proportional to the integral of 2 h exp(-a h^2 + 2 sqrt(a) u h) over h > 0, with a = 1 + 1/(2 noise_var)
    and u = x y / (2 noise_var sqrt(a)), which is (1 + sqrt(pi) u exp(u^2) erfc(-u)) / a."""
    from scipy.special import erfcx

    u = np.asarray(y, float) / (2 * noise_var * np.sqrt(1 + 1 / (2 * noise_var)))
    low, high = -np.abs(u), np.abs(u)
    less = np.log(np.maximum(1 + np.sqrt(np.pi) * low * erfcx(-low), 1e-12))
    # exp(u^2) erfc(-u) = 2 exp(u^2) - erfcx(u), which would overflow
    more = high**2 + np.log(np.exp(-(high**2)) * (1 - np.sqrt(np.pi) * high * erfcx(high)) + 2 * np.sqrt(np.pi) * high)
    return np.sign(u) * (more - less)


SCHEME = Autoencoder()
