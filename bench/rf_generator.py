#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""rf_generator, DDPM, GAN and VAE of equal size, trained here from the recordings of WiAR (DIFFSEM_DATA), and measured.

quality: draws against recordings that were held out, by `RfGenerator.generated`. augmentation: activities told at a
distance or height that nobody learned from, each of three left out in turn, by a classifier that was shown recordings
alone, or for half of the time draws of a generator that learned from the same recordings. Five seeds of the
classifier; one generator for each split. Intervals of 95 %: recordings and seeds resampled. All trainings are of a
fixed number of steps, so that the same seed gives the same numbers on a busy machine.

    DIFFSEM_DATA=... build/env/lab/bin/python bench/rf_generator.py quality [--count 500]
    DIFFSEM_DATA=... build/env/lab/bin/python bench/rf_generator.py augmentation
"""

import argparse
import json
import time

import numpy as np
import torch
from gr_diffsem.apps import train
from gr_diffsem.eval import generated
from gr_diffsem.models import plain_classifier, training, wgan
from gr_diffsem.receivers.csi import activity_maps
from gr_diffsem.reference import plans, samplers
from gr_diffsem.schemes import rf_generator

SEED, SEEDS = 20261130, 5
STEPS = {"diffusion": 2000, "ddpm": 2000, "gan": 600, "vae": 2000}
BATCH, DRAWS = 64, 1600
KINDS = {"diffusion": rf_generator.RfGenerator, "ddpm": rf_generator.Ddpm}


class Some:
    """A scheme that learns from the recordings of some places alone; None: from those not held out, of all places."""

    unseen = None

    def recordings(self, held_out):
        if self.unseen is None:
            return super().recordings(held_out)
        signals, activities, places, _ = activity_maps.load()
        chosen = (places == self.unseen) == held_out
        return signals[chosen], activities[chosen]


def scheme_of(kind, unseen):
    scheme = type(kind, (Some, KINDS[kind]), {})()
    scheme.unseen = unseen
    return scheme


class Timed:
    """Says what a training took of the processor."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.began = time.process_time()

    def __exit__(self, *unused):
        print(f"{self.name}: {time.process_time() - self.began:.0f} s of a core", flush=True)


def diffusion(kind, unseen):
    """draw(n, seed, activities) -> coefficients [n, 3, 24, 8] of a network that is trained now."""
    scheme = scheme_of(kind, unseen)
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args = parser.parse_args(["rf_generator", "--seed", str(SEED), "--device", "cpu"])
    with Timed(f"{kind}, {STEPS[kind]} steps"):
        net = training.Training(scheme, "diffusion", scheme.networks()["diffusion"], args, ".").count(STEPS[kind])
    plan = scheme.plan
    levels = [*plans.karras(plan["sigma_max"], plan["sigma_min"], plan["steps"]), 0.0]

    def draw(n, seed, activities):
        told = torch.from_numpy(np.asarray(activities, np.int64))

        def denoiser(x, sigma):
            with torch.no_grad():
                state = torch.from_numpy(x.astype(np.float32)).reshape(n, *scheme.shape)
                return net(state, torch.full((n,), float(sigma)), told).numpy().reshape(n, -1), None

        x = levels[0] * np.random.default_rng([seed, 41]).standard_normal((n, int(np.prod(scheme.shape))))
        made = samplers.dpmpp_2m(denoiser, x, levels).reshape(n, *scheme.shape)
        return made / rf_generator.weights(scheme.colour)

    return draw


def baseline(name, unseen):
    """The weights of GAN or VAE, trained now."""
    scheme = scheme_of("diffusion", unseen)
    fit = wgan.fit if name == "gan" else wgan.fit_vae
    with Timed(f"{name}, {STEPS[name]} steps"):
        return fit(
            scheme.pairs,
            rf_generator.LATENT,
            rf_generator.BASELINE,
            1,
            SEED,
            batch=BATCH,
            steps=STEPS[name],
            progress=lambda text: None,
        )


def with_weights(scheme, shipped):
    """The scheme with these arrays in the place of a package's."""
    scheme.shipped = lambda name: shipped[name]
    return scheme


def quality(args):
    torch.set_num_threads(1)
    scheme = scheme_of("diffusion", None)
    signals, activities = scheme.recordings(False)
    flat = signals.reshape(len(signals), -1)
    shipped = {"features.npy": plain_classifier.fit(flat, activities, rf_generator.FEATURES, SEED)}
    shipped |= {f"{name}.npy": baseline(name, None) for name in ("gan", "vae")}
    draws = {kind: diffusion(kind, None) for kind in KINDS}

    def draw(member, n, seed, told):
        return draws[member](n, seed, told["activity"]) * rf_generator.weights(scheme.colour)

    with_weights(scheme, shipped)
    found = generated.measure(scheme, draw, list(KINDS), args.count, SEED)
    held, what = scheme.recordings(True)
    told = plain_classifier.accuracy(shipped["features.npy"], held.reshape(len(held), -1), what, rf_generator.FEATURES)
    print(f"the judge tells {100 * told.mean():.1f} % of {len(held)} held-out recordings right")
    if args.plot:
        scheme.picture(lambda m, n, seed, told: draw(m, n, seed, told), args.plot, SEED)
    for row in found["generated"]:
        low, high = row["ci95"]
        print(f"{row['quantity']:60s} {row['method']:14s} {row['value']:.4f} ({low:.4f} .. {high:.4f})")
    for claim in found["claims"]:
        print(json.dumps(claim))


def augmentation(args):
    """Shares of right answers, and differences in points."""
    torch.set_num_threads(1)
    right = {name: [] for name in ("none", "gan", "diffusion")}  # [split][seed, recordings]
    for unseen, place in enumerate(activity_maps.PLACES):
        scheme = scheme_of("diffusion", unseen)
        (real, what), (held, asked) = scheme.recordings(False), scheme.recordings(True)
        told = np.arange(DRAWS) % activity_maps.ACTIVITIES
        with_weights(scheme, {"gan.npy": baseline("gan", unseen)})
        made = {"none": None, "gan": scheme.baseline("gan", told, np.random.default_rng([SEED, unseen]))}
        made["diffusion"] = diffusion("diffusion", unseen)(DRAWS, SEED, told)
        for name, drawn in made.items():
            x, labels, share = real, what, None
            if drawn is not None:
                x, labels = np.concatenate((real, drawn)), np.concatenate((what, told))
                share = np.repeat([0.5 / len(real), 0.5 / DRAWS], [len(real), DRAWS])
            rows = []
            for seed in range(SEEDS):
                flat = plain_classifier.fit(
                    x.reshape(len(x), -1), labels, rf_generator.FEATURES, SEED + seed, weights=share
                )
                rows.append(plain_classifier.accuracy(flat, held.reshape(len(held), -1), asked, rf_generator.FEATURES))
            right[name].append(np.array(rows, float))
            print(f"{place} unseen, {name}: {100 * np.mean(rows):.1f} % of {len(held)} recordings", flush=True)
    for name in right:
        print(f"all splits, {name}: {100 * np.mean([np.mean(split) for split in right[name]]):.1f} %")
    for other in ("none", "gan"):
        apart = [a - b for a, b in zip(right["diffusion"], right[other], strict=True)]
        print(f"diffusion - {other}: {interval(apart)}")


def interval(splits):
    """Mean over splits in points, and its interval: seeds and recordings of each split are resampled."""
    rng, values = np.random.default_rng(0), []
    for _ in range(2000):
        seeds = rng.integers(SEEDS, size=SEEDS)
        values.append(np.mean([s[seeds].mean(0)[rng.integers(s.shape[1], size=s.shape[1])].mean() for s in splits]))
    low, high = 100 * np.percentile(values, [2.5, 97.5])
    return f"{100 * np.mean([s.mean() for s in splits]):.1f} ({low:.1f} .. {high:.1f}) points"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=("quality", "augmentation"))
    parser.add_argument("--count", type=int, default=500, help="draws of a set")
    parser.add_argument("--plot", help="quality: a picture of four activities")
    args = parser.parse_args()
    {"quality": quality, "augmentation": augmentation}[args.what](args)


if __name__ == "__main__":
    main()
