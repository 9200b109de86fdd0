# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured Wi-Fi channels that move, told what a person does: diffusion over time and frequency.

After G. Chi et al., "RF-Diffusion: radio signal generation via time-frequency diffusion", MobiCom 2024: a signal is not
only buried in noise but also blurred over time, so that its slow parts are generated first and its fast ones last. A
blur that multiplies the time-frequency component f by g and then adds noise of deviation s is, with g divided out,
noise of deviation s/g(f): noise that grows towards fast components. Here components are scaled by `weights`, after
which that noise is white, and every sampler of this module runs it. Their transformer has millions of parameters and
hours of a GPU; this is a small network of plain layers beside the linear answer of each activity
(`models/class_gaussians.py`), trained for minutes. `Ddpm` is the same network under white noise, the baseline; GAN, VAE
and the Gaussians alone are the others. No package is shipped: no licence of the recordings is stated.
`bench/rf_generator.py` trains and measures all from them.
"""

import numpy as np

from ..base.errors import UserError
from ..models import class_gaussians, plain_mlp, sample_sets, wgan
from ..receivers.csi import activity_maps
from . import _generation_pictures
from ._generation import Generation, GenerationClaim, Measured
from .base import Network

HIDDEN, LAYERS = 200, 3
RANK, FLOOR = 16, 0.2  # of each activity's Gaussian: directions, deviation of every other
LATENT, BASELINE_HIDDEN = 64, 384  # of GAN and VAE: about as many weights
MINUTES, GAN_MINUTES = 2.5, 2.5
FEATURES = (int(np.prod(activity_maps.KEPT)), 128, 64, activity_maps.ACTIVITIES)  # layers of the judge
BASELINE = wgan.layers(LATENT, activity_maps.ACTIVITIES, BASELINE_HIDDEN, LAYERS, FEATURES[0])
REPEATS = 5
SIMILARITY = "SSIM to the nearest held-out recording of the activity"
FRECHET = "Frechet distance of a classifier's features"
COPIES = "share of draws nearer than SSIM 0.9 to a recording that was learned from"
PUBLISHED_ON = "512 x 90 complex samples of their own Wi-Fi recordings, an Inception-like network's features"


def net(gaussians):
    from ..models.conditional_mlp import ClassMlp

    return ClassMlp(activity_maps.KEPT, gaussians, HIDDEN, LAYERS)


def weights(colour):
    """What a coefficient is multiplied by, [24, 1]: falling over the time frequency, of mean square 1."""
    w = (1 + np.arange(activity_maps.KEPT[1]) / 6.0) ** -colour
    return (w / np.sqrt(np.mean(w**2)))[:, None].astype(np.float32)


class RfGenerator(Generation):
    name = "rf_generator"
    title = "Wi-Fi channels that people move, by activity: time-frequency diffusion"
    reference = "Chi et al., RF-Diffusion: radio signal generation via time-frequency diffusion, MobiCom 2024"
    domain = "real"
    shape, axes = activity_maps.KEPT, ("antenna", "time frequency", "delay")
    condition = (
        {
            "name": "activity",
            "type": "int64",
            "shape": [],
            "null": -1,
            "least": 0,
            "most": activity_maps.ACTIVITIES - 1,
        },
    )
    plan = {"type": "karras", "steps": 24, "sigma_max": 20.0, "sigma_min": 0.03}
    cost_unit = "evaluation"
    licence = "not stated: WiAR, which the weights were learned from, states none; do not pass them on"
    passed_on = False
    baselines = ("gan.npy", "vae.npy", "features.npy")
    colour = 0.5
    data = (
        "WiAR (github.com/linteresa/WiAR, no licence stated): amplitudes of an Intel 5300, 16 activities at 1 m, 3 m "
        "and 120 cm, four fifths of the recordings (receivers/csi/activity_maps.py)"
    )

    def networks(self):
        title = "plain layers beside the linear answer of each activity"
        return {"diffusion": Network(lambda: net(self.gaussians()), title, 1.0, minutes=MINUTES, batch=64, rate=1e-3)}

    def choices(self, member):
        return {**super().choices(member), "sampler": {"type": "dpmpp_2m"}}

    def recordings(self, held_out):
        """(signals [n, 3, 24, 8] not yet weighted, activities [n]): those that are learned from, or those held out."""
        signals, activities, _, numbers = activity_maps.load()
        chosen = activity_maps.held_out(numbers) == held_out
        return signals[chosen], activities[chosen]

    def gaussians(self):
        """Of each activity's weighted recordings that are learned from; the floor alone where the recordings are not
        here: a checkpoint brings its own."""
        try:
            signals, activities = self.recordings(False)
        except UserError:
            signals, activities = np.zeros((0, *self.shape)), np.zeros(0, int)
        flat = (weights(self.colour) * signals).reshape(len(signals), -1)
        return class_gaussians.fit(flat, activities, activity_maps.ACTIVITIES, RANK, FLOOR)

    def sample(self, rng, n):
        signals, activities = self.recordings(False)
        chosen = rng.integers(len(signals), size=n)
        return weights(self.colour) * signals[chosen], {"activity": activities[chosen]}

    def batch(self, rng, n, prior_share):
        from .tap_generator import states

        clean, condition = self.sample(rng, n)
        return states(clean, self.dropped(rng, condition), rng)

    def power_warning(self, count=1000):
        return ""  # recordings differ in power by 20 dB

    def pairs(self, rng, n):
        """What the baselines learn from: (coefficients [n, 576], one of 16)."""
        signals, activities = self.recordings(False)
        chosen = rng.integers(len(signals), size=n)
        return signals[chosen].reshape(n, -1), np.eye(activity_maps.ACTIVITIES)[activities[chosen]]

    def tensors(self, progress=print):
        from ..models import plain_classifier

        seconds = 60 * GAN_MINUTES
        signals, activities = self.recordings(False)
        return {
            "gan.npy": wgan.fit(self.pairs, LATENT, BASELINE, seconds, self.seed),
            "vae.npy": wgan.fit_vae(self.pairs, LATENT, BASELINE, seconds, self.seed),
            "features.npy": plain_classifier.fit(signals.reshape(len(signals), -1), activities, FEATURES, self.seed),
        }

    def shipped(self, name):
        """A baseline's weights."""
        from ..base import model_packages

        return np.load(model_packages.locate(self.name, checkout_first=True)[0] / name, allow_pickle=False)

    def baseline(self, name, activities, rng):
        """Coefficients [n, 3, 24, 8] of GAN or VAE."""
        flat = self.shipped(f"{name}.npy")
        one = np.eye(activity_maps.ACTIVITIES)[activities]
        z = rng.standard_normal((len(one), LATENT))
        made = wgan.generate(flat if name == "gan" else flat[:-1], z, one, BASELINE)
        if name == "vae":
            made = made + flat[-1] * rng.standard_normal(made.shape)
        return made.reshape(-1, *self.shape)

    def generated(self, draw, members, count, seed):
        """`count` draws, activities as often as they were recorded, against the recordings held out."""
        held, what = self.recordings(True)
        known, known_what = self.recordings(False)
        flat, values, gaussians = self.shipped("features.npy"), {}, self.gaussians()
        held_maps, known_maps = activity_maps.to_map(held), activity_maps.to_map(known)
        held_features = plain_mlp.run(flat, held.reshape(len(held), -1), FEATURES, last=False)
        for repeat in range(REPEATS):
            rng = np.random.default_rng([seed, repeat])
            asked = known_what[rng.integers(len(known_what), size=count)]
            sets = {"learned from": (known, known_what)}
            for m in members:
                made = draw(m, count, seed + repeat, {"activity": asked}) / weights(self.colour)
                sets[m] = (made, asked)
            sets |= {name: (self.baseline(name, asked, rng), asked) for name in ("gan", "vae")}
            sets["gaussian"] = (gaussians.draw(rng, asked).reshape(-1, *self.shape) / weights(self.colour), asked)
            for name, (made, labels) in sets.items():
                features = plain_mlp.run(flat, made.reshape(len(made), -1), FEATURES, last=False)
                maps = activity_maps.to_map(made[:200])
                near = activity_maps.similarity(maps, held_maps)
                near = np.where(labels[: len(maps), None] == what, near, -1).max(1)
                copies = activity_maps.similarity(maps, known_maps).max(1) > 0.9
                for quantity, value in (
                    (SIMILARITY, near.mean()),
                    (FRECHET, sample_sets.frechet(held_features, features)),
                    (COPIES, copies.mean() if name != "learned from" else np.nan),
                ):
                    values.setdefault((quantity, name), []).append(float(value))
        rows = [Measured(None, quantity, name, tuple(v)) for (quantity, name), v in values.items()]
        return [row for row in rows if not np.isnan(row.values).any()]

    def claims(self):
        def nearer(other, published):
            told = {"published": published, "published_on": PUBLISHED_ON}
            return GenerationClaim(
                f"Frechet distance below {other}'s", FRECHET, "diffusion", None, other, gate=1.0, **told
            )

        def liker(other, published):
            told = {"published": published, "published_on": PUBLISHED_ON, "relation": "difference", "least": True}
            return GenerationClaim(f"SSIM above {other}'s", SIMILARITY, "diffusion", None, other, gate=0.0, **told)

        published = {"ddpm": (0.58, 0.161), "gan": (0.37, 0.125), "vae": (0.43, 0.331)}  # table of the paper
        return [f(other, p[k]) for k, f in enumerate((nearer, liker)) for other, p in published.items()]

    def picture(self, draw, path, seed):
        """Maps of four activities: recorded, drawn, and of GAN and VAE."""
        held, what = self.recordings(True)
        rng, rows = np.random.default_rng(seed), {}
        for activity in (0, 4, 8, 12):
            one = np.array([activity])
            made = draw("diffusion", 1, seed, {"activity": one}) / weights(self.colour)
            rows[f"activity {activity + 1}"] = {
                "recorded": held[what == activity][0],
                "diffusion": made[0],
                **{name.upper(): self.baseline(name, one, rng)[0] for name in ("gan", "vae")},
            }
        shown = {row: {k: activity_maps.to_map(v[None])[0, 0] for k, v in r.items()} for row, r in rows.items()}
        _generation_pictures.maps(path, shown)

    def card(self):
        return (
            "Draws what a person's movement does to the level of three antennas over 30 carriers and the time of a "
            "recording, in cosine coefficients (receivers/csi/activity_maps.py makes maps of them). It learned from "
            "640 recordings of one data set whose licence is not stated: do not pass it on."
        )


class Ddpm(RfGenerator):
    """The same network under white noise (Ho, Jain and Abbeel 2020)."""

    colour = 0.0


SCHEME = RfGenerator()
