# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio map of measured samples: expected power, its standard deviation, where a receiver has enough, and draws.

Writes NAME.tif, a GeoTIFF with the bands `mean`, `deviation` (dB), `coverage` (the probability of more than
--threshold) and `draw_1` ..., and NAME.png. Samples that lie together are one site, a sample at the --floor
is an upper bound, and none is left out without a word. Without samples, --buildings, --transmitter and --power are a
map of what is expected (map_conditional). --live serves a page that follows a file while it grows.
"""

from pathlib import Path

from ..base.errors import UserError
from ..base.number_options import real, whole
from ..eval import map_methods
from ..eval.radiomap_eval import sample_options
from ..radiomap import geotiff
from .radiomap_maps import measured, read, unmeasured

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
    where = "where the base station is; else searched for (of the southern half: --transmitter=-33.92,18.42)"
    parser.add_argument("--transmitter", metavar="LAT,LON", help=where)
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


def table(report):
    if "address" in report:
        return f"{report['updates']} maps were shown at {report['address']}"
    return (
        f"{report['files'][0]}, {report['files'][1]}: {report['rows']} x {report['columns']} cells by "
        f"{report['method']} in {report['seconds']:.1f} s; {100 * report['coverage']:.0f} % of the map has enough power"
    )
