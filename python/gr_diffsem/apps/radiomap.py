# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map of measured samples: expected power, its standard deviation, where a receiver has enough, and draws.

Writes NAME.tif, a GeoTIFF with the bands `mean`, `deviation` (dB), `coverage` (the probability of more than
--threshold) and `draw_1` ..., and NAME.png. Samples that lie together are one site, a sample at the --floor
is an upper bound, and none is left out without a word.
"""

import sys
import time
from pathlib import Path

import numpy as np

from ..base.errors import UserError, unknown
from ..base.number_options import real, whole
from ..eval import map_methods
from ..eval.radiomap_eval import sample_options, told
from ..radiomap import buildings, geotiff, local_plane, sample_file, sites

MOST_SITES = 700  #: of a map; more samples make larger sites
FEWEST_SITES = 3
MOST_DRAWS = 64
THRESHOLD = -100.0  #: dBm of RSRP at which LTE still carries a video


def add_arguments(parser):
    parser.add_argument("samples", nargs="+", metavar="CSV", help="files of samples: a phone's, or of rssi_logger")
    sample_options(parser)
    parser.add_argument("--only", metavar="CELL", help="samples of this cell alone (its name in the cell's column)")
    parser.add_argument("--out", default="radiomap", metavar="NAME", help="NAME.tif and NAME.png are written")
    real(parser, "--resolution", "metres", above=0, most=10_000, default=5.0, help="side of the map's cells")
    text = "power that is enough, for the coverage probability"
    real(parser, "--threshold", "dB", least=-400, most=400, default=THRESHOLD, help=text)
    help = "standard deviation of positions whose file does not state it; else part of the fitted noise"
    real(parser, "--gps-error", "metres", least=0, most=1000, default=None, help=help)
    whole(parser, "--draws", most=MOST_DRAWS, default=0, help="maps drawn at random that fit the samples")
    whole(parser, "--seed", default=1, help="of the draws")
    parser.add_argument("--transmitter", metavar="LAT,LON", help="where the base station is; else searched for")
    parser.add_argument("--buildings", metavar="FILE", help="GeoJSON or OSM XML of buildings")
    parser.add_argument(
        "--method", help=f"one of {', '.join(map_methods.names())} (default kriging)", default="kriging"
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


def run(args):
    sender = position(args.transmitter) if args.transmitter else None
    rings = buildings.read(args.buildings) if args.buildings else []
    folder = Path(args.out).absolute().parent
    if not folder.is_dir():
        raise UserError(f"--out {args.out}: there is no folder {folder}")
    samples = read(args)
    plane = local_plane.plane_of(samples)
    places = plane.to_metres(samples.latitude, samples.longitude)
    raster = local_plane.raster_around(places, args.resolution)
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
    say(f"{len(samples):,} samples at {len(gathered)} sites of {side:g} m; {raster.rows} x {raster.columns} cells")
    began = time.monotonic()
    heights = buildings.raster_of(rings, plane, raster) if rings else None
    where = None if sender is None else plane.to_metres(*sender)
    method = map_methods.make(args.method, gathered, where, heights, raster)
    say(f"{args.method}: {method.words()}")
    mean, deviation = method.predict_raster(raster)
    bands = {"mean": mean, "deviation": deviation, "coverage": coverage(mean, deviation, args.threshold)}
    if args.draws:
        say(f"{args.draws} draws")
        drawn = method.draws(raster, args.draws, np.random.default_rng(args.seed))
        bands |= {f"draw_{i + 1}": draw for i, draw in enumerate(drawn)}
    seconds = time.monotonic() - began
    tif, png = (Path(f"{args.out}{end}") for end in (".tif", ".png"))
    geotiff.write(tif, bands, plane, raster)
    from . import radiomap_picture

    radiomap_picture.write(png, bands, raster, gathered, heights, samples.named, args.threshold)
    return {
        "samples": len(samples),
        "skipped": samples.skipped,
        "censored": int(samples.censored.sum()),
        "sites": len(gathered),
        "site_metres": side,
        "rows": raster.rows,
        "columns": raster.columns,
        "method": args.method,
        "model": method.words(),
        "coverage": float(bands["coverage"].mean()),
        "seconds": seconds,
        "files": [str(tif), str(png)],
    }


def coverage(mean, deviation, threshold):
    """Probability that the power is above `threshold` dB."""
    from scipy.stats import norm

    return norm.sf((threshold - mean) / deviation)


def table(report):
    return (
        f"{report['files'][0]}, {report['files'][1]}: {report['rows']} x {report['columns']} cells by "
        f"{report['method']} in {report['seconds']:.1f} s; {100 * report['coverage']:.0f} % of the map has enough power"
    )
