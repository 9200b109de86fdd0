# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map of measured samples: expected power, its standard deviation, where a receiver has enough, and draws.

Writes NAME.tif, a GeoTIFF with the bands `mean`, `deviation` (dB), `coverage` (the probability of more than
--threshold) and `draw_1` ..., and NAME.png. Samples that lie together are one site, a sample at the --floor
is an upper bound, and none is left out without a word. Without samples, --buildings, --transmitter and --power are a
map of what is expected (map_conditional). --live serves a page that follows a file while it grows.
"""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..base.errors import UserError, unknown
from ..base.number_options import real, whole
from ..eval import map_methods
from ..eval.radiomap_eval import sample_options, told
from ..radiomap import buildings, geotiff, local_plane, sample_file, sites, visits

MOST_SITES = 700  #: of a map; more samples make larger sites
FEWEST_SITES = 3
MOST_DRAWS = 64
THRESHOLD = -100.0  #: dBm of RSRP at which LTE still carries a video


def add_arguments(parser):
    text = "files of samples: a phone's, or of rssi_logger; none: --buildings, --transmitter and --power alone"
    parser.add_argument("samples", nargs="*", metavar="CSV", help=text)
    sample_options(parser)
    parser.add_argument("--only", metavar="CELL", help="samples of this cell alone (its name in the cell's column)")
    parser.add_argument("--out", default="radiomap", metavar="NAME", help="NAME.tif and NAME.png are written")
    real(parser, "--resolution", "metres", above=0, most=10_000, default=5.0, help="side of the map's cells")
    text = "power that is enough, for the coverage probability"
    real(parser, "--threshold", "dB", least=-400, most=400, default=THRESHOLD, help=text)
    help = "standard deviation of positions whose file does not state it; else estimated from places visited again"
    real(parser, "--gps-error", "metres", least=0, most=1000, default=None, help=help)
    whole(parser, "--draws", most=MOST_DRAWS, default=0, help="maps drawn at random that fit the samples")
    whole(parser, "--seed", default=1, help="of the draws")
    parser.add_argument("--transmitter", metavar="LAT,LON", help="where the base station is; else searched for")
    parser.add_argument("--buildings", metavar="FILE", help="GeoJSON or OSM XML of buildings")
    text = "radiated power (EIRP), of a map without samples"
    real(parser, "--power", "dBm", least=-100, most=120, default=None, help=text)
    real(parser, "--area", "metres", above=0, most=20_000, default=1000.0, help="side of a map without samples")
    parser.add_argument("--live", action="store_true", help="serve a page that follows the file while it grows")
    whole(parser, "--port", most=65535, default=8022, help="of --live's page, on this machine; 0: any that is free")
    real(
        parser, "--every", "seconds", least=0.2, most=3600, default=2.0, help="between two looks of --live at the file"
    )
    parser.add_argument(
        "--method", help=f"one of {', '.join(map_methods.names())} (default kriging; without samples map_conditional)"
    )


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


def run(args):
    args.method = args.method or ("kriging" if args.samples or args.live else "map_conditional")
    folder = Path(args.out).absolute().parent
    if not folder.is_dir():
        raise UserError(f"--out {args.out}: there is no folder {folder}")
    if args.live:
        from . import radiomap_live

        return radiomap_live.run(args)
    made = measured(args, read(args)) if args.samples else unmeasured(args)
    tif, png = (Path(f"{args.out}{end}") for end in (".tif", ".png"))
    geotiff.write(tif, made.bands, made.plane, made.raster)
    from . import radiomap_picture

    radiomap_picture.write(png, made, args.threshold)
    return {**made.report, "files": [str(tif), str(png)]}


def measured(args, samples):
    """The `Map` of `Samples`. Raises UserError where they make none."""
    sender = position(args.transmitter) if args.transmitter else None
    rings = buildings.read(args.buildings) if args.buildings else []
    plane = local_plane.plane_of(samples)
    places = plane.to_metres(samples.latitude, samples.longitude)
    raster = local_plane.raster_around(places, args.resolution)
    gathered, side = gather(args, samples, places)
    began = time.monotonic()
    where = None if sender is None else plane.to_metres(*sender)
    wrong = None
    if np.isnan(samples.error).all():
        wrong = visits.position_error(places, samples.value, samples.censored, gathered)
        if wrong is not None:
            say(f"positions are wrong by {wrong:.1f} m at the most, by places that were visited again")
            samples.error = np.full(len(samples), wrong)
            gathered, side = gather(args, samples, places)
    say(f"{len(samples):,} samples at {len(gathered)} sites of {side:g} m; {raster.rows} x {raster.columns} cells")
    heights = buildings.raster_of(rings, plane, raster) if rings else None
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


def table(report):
    if "address" in report:
        return f"{report['updates']} maps were shown at {report['address']}"
    return (
        f"{report['files'][0]}, {report['files'][1]}: {report['rows']} x {report['columns']} cells by "
        f"{report['method']} in {report['seconds']:.1f} s; {100 * report['coverage']:.0f} % of the map has enough power"
    )
