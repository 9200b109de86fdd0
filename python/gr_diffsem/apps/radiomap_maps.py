# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps of `gr-diffsem radiomap`: of the options and a file of samples, or of buildings and a transmitter alone."""

import sys
import time
from dataclasses import dataclass

import numpy as np

from ..base.errors import UserError, unknown
from ..eval import map_methods
from ..eval.radiomap_eval import told
from ..radiomap import buildings, local_plane, sample_file, sites, visits

MOST_SITES = 700  #: of a map; more samples make larger sites
FEWEST_SITES = 3
FARTHEST = 100  #: kilometres from a transmitter to the nearest sample


def position(text):
    """(latitude, longitude) of "51.9,-8.4". Raises UserError for what is none."""
    try:
        latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        latitude = longitude = np.nan
    if not (abs(latitude) <= 90 and abs(longitude) <= 360):
        raise UserError(f"--transmitter {text[:40]}: give latitude and longitude in degrees, such as 51.89,-8.47")
    return latitude, longitude


def say(text):
    print(text, file=sys.stderr, flush=True)


def read(args):
    """The `Samples` of the command, said what was skipped. Raises UserError where they make no map."""
    map_methods.checked(args.method, args.draws)
    samples = sample_file.read(args.samples, told(args), args.floor, lambda n: say(f"{n:,} samples read"))
    for reason, count in samples.skipped.items():
        say(f"{count:,} rows {reason} are left out")
    if args.only is not None:
        which = samples.cell == args.only
        if (samples.cell == "").all():
            raise UserError(f"--only {args.only}: the samples name no cells: say by --cell which column does")
        if not which.any():
            raise unknown("cell", args.only, np.unique(samples.cell).tolist())
        samples = samples.of(which)
    if len(samples) < sample_file.FEWEST:
        raise UserError(f"{len(samples)} samples with a position: a map is made of {sample_file.FEWEST} or more")
    if samples.censored.all():
        raise UserError(
            f"all {len(samples)} samples are at the floor of {args.floor:g} dB or below: there is no power to map; is "
            f"--floor right?"
        )
    if args.gps_error is not None:
        samples.error = np.where(np.isnan(samples.error), args.gps_error, samples.error)
    return samples


@dataclass
class Map:
    """What is written and shown: bands {name: [rows, columns]} on `raster` of `plane`, the sites it was made of (None:
    of none), heights of buildings or None, and the report."""

    bands: dict
    plane: local_plane.Plane
    raster: local_plane.Raster
    gathered: sites.Sites | None
    heights: np.ndarray | None
    report: dict


def measured(args, samples):
    """The `Map` of `Samples`. Raises UserError where they make none."""
    sender = position(args.transmitter) if args.transmitter else None
    rings = buildings.read(args.buildings) if args.buildings else []
    plane = local_plane.plane_of(samples)
    places = plane.to_metres(samples.latitude, samples.longitude)
    raster = local_plane.raster_around(places, args.resolution)
    gathered, side = gather(args, samples, places)
    began = time.monotonic()
    where = None if sender is None else near_by(plane.to_metres(*sender), places, args.transmitter)
    wrong = None
    if np.isnan(samples.error).all():
        wrong = visits.position_error(places, samples.value, samples.censored, gathered)
        if wrong is not None:
            say(f"positions are wrong by {wrong:.1f} m at the most, by places that were visited again")
            samples.error = np.full(len(samples), wrong)
            gathered, side = gather(args, samples, places)
    say(
        f"{len(samples):,} samples at {len(gathered)} sites of {side:g} m around latitude {plane.latitude:.4f}, "
        f"longitude {plane.longitude:.4f}; {raster.rows} x {raster.columns} cells"
    )
    heights = buildings.raster_of(rings, plane, raster) if rings else None
    if heights is not None and not heights.any():
        raise UserError(
            f"{args.buildings}: no building lies where the samples are: leave it out, or are latitude "
            f"and longitude swapped?"
        )
    method = map_methods.make(args.method, gathered, where, heights, raster)
    say(f"{args.method}: {method.words()}")
    bands = banded(args, method.predict_raster(raster), lambda *more: method.draws(raster, *more))
    report = {
        "samples": len(samples),
        "skipped": samples.skipped,
        "censored": int(samples.censored.sum()),
        "sites": len(gathered),
        "site_metres": side,
        "gps_error_metres": wrong,
        **shared(args, raster, bands, method.words(), began),
    }
    return Map(bands, plane, raster, gathered, heights, report | {"value": samples.named})


def near_by(sender, places, said):
    """The transmitter [2] metres, if it can be heard at places [N, 2]. Raises UserError where it is elsewhere."""
    away = float(np.hypot(*(places - sender).T).min())
    if away > 1000 * FARTHEST:
        raise UserError(
            f"--transmitter {said[:40]}: it stands {away / 1000:,.0f} km from the nearest sample, {FARTHEST} km are "
            f"the most: are latitude and longitude swapped, there or in the samples?"
        )
    return sender


def gather(args, samples, places):
    """(`Sites`, their side) of samples at places [N, 2] metres. Raises UserError where they are too few."""
    gathered, side = sites.gather_at_most(
        places, samples.value, samples.censored, args.resolution, MOST_SITES, samples.error
    )
    if len(gathered) < FEWEST_SITES:
        raise UserError(
            f"the {len(samples)} samples lie in {len(gathered)} place(s) of {args.resolution:g} m: a map needs "
            f"{FEWEST_SITES} or more; walk on, or give a finer --resolution"
        )
    if gathered.censored.all():
        raise UserError("at every place most samples are at the floor: there is no power to map; is --floor right?")
    return gathered, side


def unmeasured(args):
    """The `Map` of buildings and a transmitter alone. Raises UserError where something is missing."""
    if not (args.buildings and args.transmitter and args.power is not None):
        raise UserError(
            "no CSV of samples: give one, or --buildings, --transmitter and --power for a map of what is expected"
        )
    if args.method != "map_conditional" or args.method not in map_methods.names():
        raise UserError(f"--method {args.method}: without samples a map is made by map_conditional")
    if args.draws:
        raise UserError(
            f"--draws {args.draws}: a map without samples does not say how errors hang together: leave it out"
        )
    began, sender = time.monotonic(), position(args.transmitter)
    plane = local_plane.Plane(*sender)
    half = args.area / 2
    raster = local_plane.raster_around(np.array([[-half, -half], [half, half]]), args.resolution, margin=0)
    heights = buildings.raster_of(buildings.read(args.buildings), plane, raster)
    if not heights.any():
        raise UserError(f"{args.buildings}: no building lies within {half:g} m of the transmitter: is it in that town?")
    gain, deviation = map_methods.generated(args.method, np.zeros(2), heights, raster)
    bands = banded(args, (args.power + gain, deviation))
    report = {"samples": 0, **shared(args, raster, bands, "generated from buildings and transmitter", began)}
    return Map(bands, plane, raster, None, heights, report | {"value": "power"})


def banded(args, answer, draws=None):
    """The bands of a map's (mean, deviation), and of its draws(count, rng)."""
    mean, deviation = answer
    bands = {"mean": mean, "deviation": deviation, "coverage": coverage(mean, deviation, args.threshold)}
    if args.draws:
        say(f"{args.draws} draws")
        drawn = draws(args.draws, np.random.default_rng(args.seed))
        bands |= {f"draw_{i + 1}": draw for i, draw in enumerate(drawn)}
    return bands


def shared(args, raster, bands, words, began):
    """What each report says."""
    return {
        "rows": raster.rows,
        "columns": raster.columns,
        "method": args.method,
        "model": words,
        "coverage": float(bands["coverage"].mean()),
        "seconds": time.monotonic() - began,
    }


def coverage(mean, deviation, threshold):
    """Probability that the power is above `threshold` dB."""
    from scipy.stats import norm

    return norm.sf((threshold - mean) / deviation)
