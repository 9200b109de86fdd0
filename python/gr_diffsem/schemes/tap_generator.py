# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels that generate themselves: what a channel makes of a word that was sent, and a fading tap over time.

After M. Kim, R. Fritschek and R. F. Schaefer, "Robust generation of channel distributions with diffusion models",
2023: a conditional diffusion model learns AWGN, Rayleigh fading and an amplifier near saturation from samples alone, by
v-prediction, and is drawn from in fewer and fewer of its 100 steps (a skip of 1 to 50). Where a WGAN, trained as long
and as large, drops parts of a distribution, this one does not. `tap_generator_clarke` is their other example, a tap
of Clarke's model; the block `channel_model_cc` makes a moving channel of it.
"""

import numpy as np

from ..air import channel_uses, measure
from ..models import sample_sets, wgan
from . import _generation_pictures
from ._generation import Generation, GenerationClaim, Measured
from .base import Network

STEPS = 100  #: levels of the cosine schedule, as published
SKIPS = (1, 2, 5, 10, 20, 50)
TOP, LEAST = 25.0, 0.02  # levels beyond which the schedule has nothing to tell
PLAN = {"type": "karras", "steps": 24, "sigma_max": TOP, "sigma_min": 0.05}
REPEATS = 5  # independent sets of each method
WORDS, FEW = 16, 4  # that a set is drawn for; and for the curve over the skip
LATENT, HIDDEN, LAYERS = 16, 256, 3  # of both networks
GAN_MINUTES = 6.0
WASSERSTEIN = "sliced Wasserstein distance"
COVARIANCE = "relative error of the covariance"
PUBLISHED_ON = "their symbol error rates, on which no such distance is reported"


def levels(rng, n):
    """Levels in training: t uniform over the cosine schedule (Nichol and Dhariwal 2021, eq. 17), sigma = tan."""
    t = rng.random(n)
    return np.clip(np.tan((t + 0.008) / 1.008 * np.pi / 2), LEAST / 4, 2 * TOP)


def states(clean, condition, rng):
    """Training pairs of clean signals [n, *shape] at such levels, nothing measured."""
    level = levels(rng, (len(clean), *[1] * (clean.ndim - 1))).astype(np.float32)
    level = level.clip(*measure.SIGMA_RANGE)
    state = clean + level * measure.noise32(rng, clean)
    batch = measure.Batch(clean, state, np.broadcast_to(level, clean.shape), np.ones(clean.shape, bool))
    return measure.conditioned(batch, condition)


def by_skip(skip):
    """The options of a scheme string that take every `skip`-th step of the published schedule, by DDIM."""
    return f"sampler=ddim,plan=cosine,steps_train={STEPS},sigma_max={TOP:g},sigma_min=0.005,steps={STEPS // skip}"


class TapGenerator(Generation):
    """What both have in common."""

    reference = "Kim, Fritschek, Schaefer, Robust generation of channel distributions with diffusion models, 2023"
    plan = PLAN
    cost_unit = "evaluation"
    baselines = ("wgan.npy",)

    def choices(self, member):
        return {**super().choices(member), "sampler": {"type": "dpmpp_2m"}}

    def batch(self, rng, n, prior_share):
        return states(*self.drawn(rng, n), rng)

    def wgan_weights(self):
        """The generator that the package ships."""
        from ..base import model_packages

        return np.load(model_packages.locate(self.name, checkout_first=True)[0] / "wgan.npy", allow_pickle=False)


# ---- what a channel makes of a word ----


def apart(real, made, count, seed):
    """Sliced Wasserstein distance of what `count` sendings of each word gave: the mean over the words."""
    pairs = zip(real.reshape(-1, count, real.shape[1]), made.reshape(-1, count, made.shape[1]), strict=True)
    return float(np.mean([sample_sets.sliced_wasserstein(a, b, seed, 64) for a, b in pairs]))


def uses_net():
    from ..models.conditional_mlp import ConditionalMlp

    n = channel_uses.USES
    return ConditionalMlp(n, n, len(channel_uses.KINDS), HIDDEN, LAYERS)


def words(seed, count=WORDS):
    """The words that an evaluation sends: [count, 8]."""
    return channel_uses.sent(np.random.default_rng([seed, 5]), count)


class Uses(TapGenerator):
    name = "tap_generator_uses"
    title = "What AWGN, Rayleigh fading or a saturated amplifier makes of a word of 8 real uses"
    domain = "real"
    shape, axes = (channel_uses.USES,), ("use",)
    GAN = wgan.layers(LATENT, channel_uses.USES + len(channel_uses.KINDS), HIDDEN, LAYERS, channel_uses.USES)
    condition = (
        {"name": "sent", "type": "float32", "shape": [channel_uses.USES]},
        {"name": "kind", "type": "int64", "shape": [], "least": 0, "most": len(channel_uses.KINDS) - 1},
    )
    data = (
        "synthetic: words uniform over the sphere of power 8, through AWGN (Eb/N0 5 dB), Rayleigh fading (12 dB) and "
        "Rapp's amplifier (p 3, A0 1.5, gain 5; 8 dB), rate 1/2 bit a use (air/channel_uses.py)"
    )

    def networks(self):
        return {"diffusion": Network(uses_net, "conditional MLP, v-prediction", 1.0, minutes=6, batch=1024)}

    def sample(self, rng, n):
        kinds = rng.integers(len(channel_uses.KINDS), size=n)
        x = channel_uses.sent(rng, n)
        y = np.empty_like(x)
        for k, kind in enumerate(channel_uses.KINDS):
            y[kinds == k] = channel_uses.received(kind, x[kinds == k], rng)
        return y, {"sent": x, "kind": kinds}

    def gan_pairs(self, rng, n):
        """What the WGAN learns from: (y, [sent, one of three])."""
        y, told = self.sample(rng, n)
        return y, np.concatenate((told["sent"], np.eye(len(channel_uses.KINDS))[told["kind"]]), 1)

    def tensors(self, progress=print):
        return {"wgan.npy": wgan.fit(self.gan_pairs, LATENT, self.GAN, 60 * GAN_MINUTES, self.seed)}

    def made_by_wgan(self, weights, x, kind, rng):
        one = np.eye(len(channel_uses.KINDS))[np.full(len(x), channel_uses.KINDS.index(kind))]
        z = rng.standard_normal((len(x), LATENT))
        return wgan.generate(weights, z, np.concatenate((x, one), 1), self.GAN)

    def generated(self, draw, members, count, seed):
        """Of each word, `count` received ones of each method against as many real ones; the mean over 16 words."""
        weights, rows = self.wgan_weights(), []
        for kind in channel_uses.KINDS:
            made = {"real": [], "wgan": [], **{m: [] for m in members}}
            made |= {f"{members[0]}, skip {skip}": [] for skip in SKIPS}
            for repeat in range(REPEATS):
                rng = np.random.default_rng([seed, repeat, channel_uses.KINDS.index(kind)])
                word = np.repeat(words(seed + repeat), count, 0)
                told = {"sent": word, "kind": np.full(len(word), channel_uses.KINDS.index(kind))}
                real = channel_uses.received(kind, word, rng)
                sets = {"real": channel_uses.received(kind, word, rng)}
                sets["wgan"] = self.made_by_wgan(weights, word, kind, rng)
                sets |= {m: draw(m, len(word), seed + repeat, told) for m in members}
                few = {name: values[: FEW * count] for name, values in told.items()}
                for skip in SKIPS if repeat == 0 else ():
                    sets[f"{members[0]}, skip {skip}"] = draw(members[0], FEW * count, seed, few, by_skip(skip))
                for name, y in sets.items():
                    made[name].append(apart(real[: len(y)], y, count, repeat))
            rows += [Measured(kind, WASSERSTEIN, name, tuple(values)) for name, values in made.items()]
        return rows

    def claims(self):
        text = "sliced Wasserstein over that between two real sets"
        return [
            GenerationClaim(text, WASSERSTEIN, "diffusion", kind, "real", gate=2.0) for kind in channel_uses.KINDS
        ] + [
            GenerationClaim("nearer than a WGAN", WASSERSTEIN, "diffusion", kind, "wgan", gate=1.0)
            for kind in channel_uses.KINDS
        ]

    def picture(self, draw, path, seed):
        """Two uses of one word: real, diffusion, WGAN, for each kind."""
        n, rng = 3000, np.random.default_rng(seed)
        word, weights, rows = np.repeat(words(seed, 1), n, 0), self.wgan_weights(), {}
        for k, kind in enumerate(channel_uses.KINDS):
            made = draw("diffusion", n, seed, {"sent": word, "kind": np.full(n, k)})
            real = channel_uses.received(kind, word, rng)
            rows[kind] = {"real": real, "diffusion": made, "WGAN": self.made_by_wgan(weights, word, kind, rng)}
        _generation_pictures.clouds(path, word[0], rows)

    def card(self):
        return (
            "A stand-in for a channel that was only ever measured: told what was sent (`sent`, 8 numbers of power 1) "
            "and which channel (`kind` 0 AWGN, 1 Rayleigh, 2 amplifier), it draws what is received. It knows these "
            "noise levels alone. `wgan.npy` is the baseline of its evaluation."
        )


# ---- a tap over time ----

LENGTH, DOPPLER = 128, 0.05  # instants of a tap; cycles per instant
DRAWS = 100_000  # that the covariance is taken from
BATCH = 5000


def clarke_net():
    from ..models.fading_net import FadingNet

    return FadingNet(LENGTH, DOPPLER)


class Clarke(TapGenerator):
    name = "tap_generator_clarke"
    title = "A fading tap of Clarke's model over 128 instants, 0.05 cycles of Doppler an instant"
    shape, axes = (LENGTH,), ("time",)
    GAN = wgan.layers(4 * LATENT, 0, HIDDEN, LAYERS, 2 * LENGTH)
    # An exact denoiser is 5 % off in covariance by DDIM in all 100 steps, 0.7 % by this in 24: the eigenvalues of a
    # slow tap reach 18, and DDIM's error is of the first order in the step.
    plan = {**PLAN, "sigma_max": 30.0}
    data = f"synthetic: Gaussian taps with Clarke's correlation J0(2 pi {DOPPLER} k) exactly (air/channel_uses.py)"

    def networks(self):
        return {"diffusion": Network(clarke_net, "gated filters, v-prediction", 1.0, minutes=4, batch=512)}

    def sample(self, rng, n):
        return channel_uses.clarke(rng, n, LENGTH, DOPPLER)

    def gan_pairs(self, rng, n):
        """What the WGAN learns from: (reals [n, 256], nothing)."""
        return np.sqrt(2) * sample_sets.reals(self.sample(rng, n)), np.zeros((n, 0))

    def tensors(self, progress=print):
        return {"wgan.npy": wgan.fit(self.gan_pairs, 4 * LATENT, self.GAN, 60 * GAN_MINUTES, self.seed)}

    def made_by_wgan(self, weights, n, rng):
        z = rng.standard_normal((n, 4 * LATENT))
        y = wgan.generate(weights, z, np.zeros((n, 0)), self.GAN) / np.sqrt(2)
        return (y[:, :LENGTH] + 1j * y[:, LENGTH:]).astype(np.complex64)

    def generated(self, draw, members, count, seed):
        weights, rows = self.wgan_weights(), []
        truth = channel_uses.clarke_covariance(LENGTH, DOPPLER)
        rng = np.random.default_rng([seed, 3])
        methods = {
            "real": lambda n, k: self.sample(rng, n),
            "wgan": lambda n, k: self.made_by_wgan(weights, n, rng),
            **{m: lambda n, k, m=m: draw(m, n, seed + k) for m in members},
        }
        methods |= {
            f"{members[0]}, skip {skip}": lambda n, k, s=skip: draw(members[0], n, seed + k, {}, by_skip(s))
            for skip in SKIPS
        }
        for name, made in methods.items():
            repeats = REPEATS if "skip" not in name else 2
            apart = [sample_sets.sliced_wasserstein(self.sample(rng, count), made(count, k), k) for k in range(repeats)]
            rows.append(Measured(None, WASSERSTEIN, name, tuple(apart)))
            if "skip" in name:
                rows.append(Measured(None, COVARIANCE, name, (_error_of(made, truth, DRAWS // 10),)))
            else:
                rows.append(Measured(None, COVARIANCE, name, (_error_of(made, truth, DRAWS),)))
        return rows

    def claims(self):
        return [
            GenerationClaim(
                "sliced Wasserstein over that between two real sets", WASSERSTEIN, "diffusion", None, "real", gate=2.0
            ),
            GenerationClaim("nearer than a WGAN", WASSERSTEIN, "diffusion", None, "wgan", gate=1.0),
            GenerationClaim(f"covariance of {DRAWS} draws", COVARIANCE, "diffusion", gate=0.05),
        ]

    def picture(self, draw, path, seed):
        """A tap over time, its correlation and its Doppler spectrum: real, diffusion, WGAN."""
        n, rng = 4000, np.random.default_rng(seed)
        sets = {
            "real": self.sample(rng, n),
            "diffusion": draw("diffusion", n, seed),
            "WGAN": self.made_by_wgan(self.wgan_weights(), n, rng),
        }
        _generation_pictures.taps(path, sets, channel_uses.clarke_correlation(LENGTH, DOPPLER))

    def card(self):
        return (
            "`channel_model_cc` makes a moving channel of it: an independent tap for each path, at a Doppler that the "
            "block's `tap_interval` sets. `wgan.npy` is the baseline of its evaluation."
        )


def _error_of(made, truth, count):
    """covariance_error of so many draws, a batch at a time."""
    total = np.zeros(truth.shape, complex)
    for k in range(count // BATCH):
        h = made(BATCH, 1000 + k)
        total += h.T @ h.conj()
    own = total / (count // BATCH * BATCH)
    return float(np.linalg.norm(own - truth) / np.linalg.norm(truth))


SCHEMES = (Uses(), Clarke())
