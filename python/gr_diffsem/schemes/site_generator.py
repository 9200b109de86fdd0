# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels of a base station by the place of the receiver: draws, and the statistics that many of them have.

After T. Lee et al. (cDDIM: channels drawn at user positions), U. Sengupta et al., "Generative diffusion models for
radio wireless channel modelling and sampling" (trained on one environment, adapted to another with few samples), and
the position-to-statistics maps of digital twins. Sites are traced in cities (`air.traced_channels`): `cities` learned
from four sites in Munich and Paris, `florence` is that network adapted to 500 samples of a site in Florence, `scratch`
saw those 500 samples alone. A sample is a place and one channel there. Channels are of unit mean power: level is a
matter of radio maps. Judged at 500 other places of that site.
"""

from functools import lru_cache

import numpy as np

from ..air import measure
from ..air import traced_channels as traced
from ..base import model_packages
from ..base.signal import complex_noise32
from ..models import sample_sets, site_statistics
from . import _generation_pictures
from ._generation import Generation, GenerationClaim, Measured
from .base import Network
from .tap_generator import states

SHAPE = (traced.ANTENNAS, traced.CARRIERS)
KNOWN = 500  # samples that a site is adapted with
REPEATS, DRAWS, PLACES = 5, 200, 60  # sets; draws that a covariance is taken from; places it is compared at
NEIGHBOURS = (1, 2, 3, 5, 8, 13, 21)
CITIES, SITE, SCRATCH = "cities", "florence", "scratch"
PRECISION, RECALL = "precision of the draws", "recall of the draws"
SPECTRUM = "sliced Wasserstein distance of power spectra"
COVARIANCE = "relative error of the covariance at a place"
DELAYS, ANGLES = "error of the power-delay profile, dB", "error of the angle profile, dB"
PUBLISHED_ON = "other cities and base stations, position noise unknown"
SHIPPED = "florence.npy"


def packed(paths):
    """Paths as one array [n, 2 + 3 PATHS], float16: places, powers, delays in microseconds, directions."""
    parts = (paths["place"], paths["power"], 1e6 * paths["delay"], paths["sine"])
    return np.concatenate(parts, 1).astype(np.float16)


def unpacked(array):
    """What `packed` was made of."""
    array = array.astype(np.float64)
    power, delay, sine = np.split(array[:, 2:], 3, 1)
    power = power / power.sum(1, keepdims=True)
    return {"place": array[:, :2], "power": power, "delay": 1e-6 * delay, "sine": sine}


def samples(paths, seed):
    """One channel at each place [n, 8, 32]."""
    return traced.channels(traced.waves(paths), np.random.default_rng([seed, 77]))


@lru_cache(maxsize=1)
def cities():
    """Paths of all sites that are trained on, as one."""
    parts = [traced.load(scene, site) for scene in traced.TRAIN for site in range(traced.SITES[scene])]
    return {name: np.concatenate([part[name] for part in parts]) for name in traced.NAMES}


@lru_cache(maxsize=2)
def site(known):
    """`SiteGenerator.site`, read and drawn once: every batch of a training asks for it."""
    name = SiteGenerator.name
    if name in model_packages.find_packages(checkout_first=True):
        array = np.load(model_packages.locate(name, checkout_first=True)[0] / SHIPPED, allow_pickle=False)
    else:
        array = packed(traced.load(traced.HELD_OUT))
    paths = unpacked(array[:KNOWN] if known else array[KNOWN : 2 * KNOWN])
    return paths, samples(paths, 1 if known else 2)


def net():
    from ..models.conditional_mlp import PlaceMlp

    return PlaceMlp(SHAPE, 2, np.ones(SHAPE))


def spectra(h):
    """What sets are compared by: powers of beams and delays, to the fourth root, which brings weak ones in."""
    return np.sqrt(np.abs(h)).reshape(len(h), -1)


class Statistics:
    """Covariances [n, 256, 256] and draws at places, said by the known samples alone: baselines."""

    def __init__(self, places, h):
        self.places, self.flat = places, h.reshape(len(h), -1)
        self.order = np.argsort(np.sum((places[:, None] - places) ** 2, -1), 1)
        self.k = min(NEIGHBOURS, key=self._left_out)

    def _left_out(self, k):
        """||C_k - h h^H||^2 where C_k is the mean of h h^H of the k nearest others: what chooses k."""
        near = self.flat[self.order[:, 1 : k + 1]]  # [n, k, e]
        within = np.abs(np.einsum("nie,nje->nij", near.conj(), near)) ** 2
        with_own = np.abs(np.einsum("nie,ne->ni", near.conj(), self.flat)) ** 2
        return float(np.mean(within.mean((1, 2)) - 2 * with_own.mean(1)))

    def nearest(self, asked):
        """Mean of h h^H over the k nearest."""
        order = np.argsort(np.sum((asked[:, None] - self.places) ** 2, -1), 1)[:, : self.k]
        near = self.flat[order]
        return np.einsum("nki,nkj->nij", near, near.conj()) / self.k

    def nearest_draws(self, asked, rng):
        """A sample of one of the k nearest, with a phase of its own."""
        order = np.argsort(np.sum((asked[:, None] - self.places) ** 2, -1), 1)[:, : self.k]
        chosen = order[np.arange(len(asked)), rng.integers(self.k, size=len(asked))]
        turn = np.exp(2j * np.pi * rng.random(len(asked)))[:, None]
        return (self.flat[chosen] * turn).reshape(-1, *SHAPE)

    def process(self, asked):
        """Profiles of a Gaussian process over the logarithms of powers."""
        return site_statistics.gaussian_process(self.places, np.abs(self.flat.reshape(-1, *SHAPE)) ** 2, asked)

    def process_draws(self, asked, rng):
        profile = self.process(asked)
        return np.sqrt(profile) * complex_noise32(rng, profile.shape)


class SiteGenerator(Generation):
    name = "site_generator"
    title = "Channels of a base station by the receiver's place: draws and statistical CSI"
    reference = "Lee et al., cDDIM; Sengupta et al., Generative diffusion models for radio wireless channel modelling"
    shape, axes = SHAPE, ("beam", "delay")
    condition = ({"name": "place", "type": "float32", "shape": [2]},)
    drop = 0.0
    default = SITE
    plan = {"type": "karras", "steps": 24, "sigma_max": 25.0, "sigma_min": 0.02}
    cost_unit = "evaluation"
    realisations = 500
    baselines = (SHIPPED,)
    data = (
        "channels traced by sionna-rt (Apache-2.0) in its scenes munich, etoile and florence, which are made of "
        "OpenStreetMap data (ODbL, (c) OpenStreetMap contributors); air/traced_channels.py"
    )

    def networks(self):
        titles = {
            CITIES: "four sites in Munich and Paris",
            SITE: f"the same, adapted to {KNOWN} samples in Florence",
            SCRATCH: f"those {KNOWN} samples alone",
        }
        minutes = {CITIES: 15, SITE: 4, SCRATCH: 4}
        rates = {CITIES: 1e-3, SITE: 3e-4, SCRATCH: 1e-3}
        return {
            name: Network(net, title, 1.0, minutes=minutes[name], batch=256, rate=rates[name])
            for name, title in titles.items()
        }

    def choices(self, member):
        return {**super().choices(member), "sampler": {"type": "dpmpp_2m"}}

    def site(self, known):
        """(paths, channels) of the samples that the site is adapted with, or of the places that are judged."""
        return site(known)

    def sample(self, rng, n):
        """Channels of the cities, phases drawn anew."""
        paths = cities()
        chosen = rng.integers(len(paths["place"]), size=n)
        part = {name: values[chosen] for name, values in paths.items()}
        return traced.channels(traced.waves(part), rng), {"place": part["place"].astype(np.float32)}

    def known_sample(self, rng, n):
        """Of the site's 500 samples, turned by a common phase, which a place does not say."""
        paths, h = self.site(True)
        chosen = rng.integers(len(h), size=n)
        turn = np.exp(2j * np.pi * rng.random((n, 1, 1)))
        return (h[chosen] * turn).astype(np.complex64), {"place": paths["place"][chosen].astype(np.float32)}

    def batch_of(self, member, rng, n, prior_share):
        drawn = self.sample(rng, n) if member == CITIES else self.known_sample(rng, n)
        return states(*drawn, rng)

    def validation(self):
        def at(snr_db):
            rng = np.random.default_rng(self.seed + 9000)
            h, condition = self.known_sample(rng, KNOWN)
            nv = np.float32(10 ** (-snr_db / 10))
            return measure.conditioned(measure.observe(h, nv, nv, np.ones(h.shape, bool), rng, self.gain), condition)

        return {"samples of the site": at}

    def power_warning(self, count=1000):
        return ""

    def tensors(self, progress=print):
        return {SHIPPED: packed(traced.load(traced.HELD_OUT))}

    def generated(self, draw, members, count, seed):
        known, h = self.site(True)
        asked_paths, _ = self.site(False)
        baseline = Statistics(known["place"], h)
        made = traced.waves(asked_paths)
        places, count = asked_paths["place"], min(count, KNOWN)
        values = {}

        def note(quantity, method, value):
            values.setdefault((quantity, method), []).append(float(value))

        for repeat in range(REPEATS):
            rng = np.random.default_rng([seed, repeat])
            chosen = rng.permutation(len(places))[:count]
            at, real = places[chosen], traced.channels(made[chosen], rng)
            told = {"place": at.astype(np.float32)}
            sets = {
                "real": traced.channels(made[chosen], rng),
                "nearest": baseline.nearest_draws(at, rng),
                "gaussian_process": baseline.process_draws(at, rng),
                **{m: draw(m, count, seed + repeat, told) for m in members},
            }
            for name, drawn in sets.items():
                a, b = spectra(real), spectra(drawn)
                precision, recall = sample_sets.precision_recall(a, b)
                note(PRECISION, name, precision)
                note(RECALL, name, recall)
                note(SPECTRUM, name, sample_sets.sliced_wasserstein(np.abs(real) ** 2, np.abs(drawn) ** 2, repeat))
            few = chosen[:PLACES]
            self._statistics(draw, members, baseline, places[few], made[few], seed + repeat, note)
        return [Measured(None, quantity, name, tuple(v)) for (quantity, name), v in values.items()]

    def _statistics(self, draw, members, baseline, at, made, seed, note):
        """Covariances and profiles at places against those that their paths say."""
        truth = traced.covariances(made)
        told = {"place": np.repeat(at, DRAWS, 0).astype(np.float32)}
        found = {"nearest": baseline.nearest(at), "gaussian_process": baseline.process(at)}
        for m in members:
            h = draw(m, len(at) * DRAWS, seed, told).reshape(len(at), DRAWS, -1)
            found[m] = np.einsum("ndi,ndj->nij", h, h.conj()) / DRAWS
        powers = site_statistics.profiles(truth, SHAPE)
        for name, said in found.items():
            note(COVARIANCE, name, site_statistics.covariance_errors(said, truth).mean())
            profile = said if said.shape[1:] == SHAPE else site_statistics.profiles(said, SHAPE)
            note(DELAYS, name, site_statistics.profile_errors_db(profile, powers, 1).mean())
            note(ANGLES, name, site_statistics.profile_errors_db(profile, powers, 2).mean())

    def claims(self):
        def claim(text, quantity, against, **keys):
            return GenerationClaim(text, quantity, SITE, None, against, **keys)

        more = {"relation": "difference", "gate": 0.0, "least": True}
        return [
            claim("precision above that of the site's samples alone", PRECISION, SCRATCH, **more),
            claim("recall above that of the site's samples alone", RECALL, SCRATCH, **more),
            claim("power spectra nearer than by the site's samples alone", SPECTRUM, SCRATCH, gate=1.0),
            claim("covariance nearer than the nearest neighbours'", COVARIANCE, "nearest", gate=1.0),
            claim("covariance nearer than a Gaussian process's", COVARIANCE, "gaussian_process", gate=1.0),
        ]

    def picture(self, draw, path, seed):
        """Profiles at four places: traced, adapted, from the samples alone, by a Gaussian process."""
        known, h = self.site(True)
        paths, _ = self.site(False)
        rows, baseline = {}, Statistics(known["place"], h)
        for place in range(4):
            at = paths["place"][place : place + 1]
            part = {name: values[place : place + 1] for name, values in paths.items()}
            truth = site_statistics.profiles(traced.covariances(traced.waves(part)), SHAPE)[0]
            sets = {"traced": truth}
            for m in (SITE, SCRATCH):
                drawn = draw(m, DRAWS, seed, {"place": np.repeat(at, DRAWS, 0).astype(np.float32)})
                sets[m] = np.mean(np.abs(drawn) ** 2, 0)
            sets["Gaussian process"] = baseline.process(at)[0]
            metres = traced.REACH * at[0]
            rows[f"{metres[0]:.0f} m, {metres[1]:.0f} m"] = sets
        _generation_pictures.profiles(path, rows)

    def card(self):
        return (
            f"Told `place`, metres from the base station over {traced.REACH:g}, east and north, it draws channels of "
            f"{traced.ANTENNAS} antennas over {traced.BANDWIDTH / 1e6:g} MHz, in beams and delays, the first path in "
            "front; their mean powers over many draws are the power-delay and angle profile, their covariance the "
            "statistical CSI. `cities` is what to adapt: `gr-diffsem train site_generator --member florence --start "
            "models/site_generator/cities.onnx`. At another site it knows nothing before that. `florence.npy` are the "
            "traced paths of the site: 500 places that `florence` and `scratch` learned from, and 500 that they are "
            "judged at."
        )


SCHEME = SiteGenerator()
