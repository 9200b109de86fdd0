# SPDX-License-Identifier: GPL-3.0-or-later
"""Priors on measured channels that nobody knows: what `gr-diffsem channels import` made, held out.

Of each grid every second look is shown, with noise e of variance w added, u = y + e; what is asked for is the channel
at all looks. It is compared with t = y - (v/w) e where shown (whose noise is independent of that in u: T. Pang et al.,
CVPR 2021), and with y where not; the variance of t about the channel is known and taken off, from error and power. So
the NMSE is that against the true channel, in the mean.
"""

import sys

import numpy as np

from ..air import grid_pilots
from ..air import looks as looks_file
from ..base import console, philox
from ..base.errors import UserError
from ..base.number_options import real, whole
from . import scores
from .tiled_grid import TiledGrid

GENERIC = "ofdm_grid"


def add_arguments(parser):
    """Arguments of `gr-diffsem eval channels`."""
    parser.add_argument("looks", nargs="+", metavar="NPZ", help="what `gr-diffsem channels import` wrote")
    text = "packages or schemes over symbols and carriers; the first is what the others are compared with"
    parser.add_argument("--methods", nargs="+", default=[GENERIC], metavar="NAME", help=text)
    real(
        parser,
        "--snr",
        "dB",
        least=-20,
        most=40,
        nargs="+",
        default=[0.0, 5.0, 10.0],
        metavar="DB",
        help="of the noise added",
    )
    whole(parser, "--grids", least=2, most=1 << 20, default=500, help="at most so many, spread over each file (500)")
    whole(parser, "--seed", default=1, help="of the noise")


def run(args):
    """The report: NMSE of every method, and the difference to the first with its paired interval."""
    looks = [looks_file.read(path) for path in args.looks]
    sizes = np.max([one.y.shape[1:] for one in looks], 0)
    largest = tuple(int(max(a, b)) for a, b in zip(sizes, grid_pilots.TILE, strict=True))
    methods = {"ls, lines between": lines}
    for name in args.methods:
        try:
            methods[name] = _method(TiledGrid(name, largest))
        except (ValueError, ImportError) as error:
            raise UserError(f"--methods {name}: {error}") from None
    rows = {snr: {name: [] for name in methods} for snr in args.snr}
    powers = {snr: [] for snr in args.snr}
    for index, one in enumerate(looks):
        chosen = np.unique(np.linspace(0, len(one) - 1, min(args.grids, len(one))).astype(int))
        for snr in args.snr:
            tile = observed(one.y[chosen], one.noise_var[chosen], snr, (args.seed, index))
            powers[snr].append(tile.error_of(np.zeros_like(tile.target)))
            for name, method in methods.items():
                rows[snr][name].append(tile.error_of(method(tile)))
        print(f"{one.source}: {len(chosen)} grids", file=sys.stderr)
    first = args.methods[0]
    return {
        "looks": [one.source for one in looks],
        "grids": int(sum(map(len, powers[args.snr[0]]))),
        "seed": args.seed,
        "snr_db": list(args.snr),
        "snr_definition": "mean power of a grid's looks over the noise that is added to them",
        "methods": {name: [_entry(rows[s][name], powers[s]) for s in args.snr] for name in methods},
        "gain_over": first,
        "gain_db": {
            name: [_difference(rows[s][name], rows[s][first]) for s in args.snr] for name in methods if name != first
        },
    }


class Tile:
    """What a method is shown of grids [n, S, K]: u, its noise [n, S, K] (infinite: not shown); and what is known of
    the channel: target t, its doubt, and where there are looks."""

    def __init__(self, u, noise, target, doubt, there):
        self.u, self.noise, self.target, self.doubt, self.there = u, noise, target, doubt, there

    def error_of(self, estimate):
        """Sum over a grid's looks of |estimate - channel|^2 [n], without bias; single ones may be below 0."""
        return np.sum((np.abs(estimate - self.target) ** 2 - self.doubt) * self.there, (1, 2))


def observed(y, noise_var, snr_db, seed):
    """The `Tile` of looks [n, S, K]: every second look of each symbol is shown."""
    there = np.isfinite(noise_var)
    count = np.cumsum(there, 2)
    shown = there & (count % 2 == 1)
    v = np.where(there, noise_var, 0)
    power = np.sum(np.abs(y) ** 2 * there, (1, 2), keepdims=True) / np.maximum(there.sum((1, 2), keepdims=True), 1)
    w = np.broadcast_to(power * 10 ** (-snr_db / 10), y.shape)
    items = np.arange(len(y))
    e = philox.complex_normals(int(np.prod(y.shape[1:])), round(10 * snr_db) + 10_000, items, *seed).reshape(y.shape)
    e = e * np.sqrt(w)
    target = np.where(shown, y - v / w * e, y)
    doubt = np.where(shown, v + v * v / w, v)
    return Tile(np.where(shown, y + e, 0), np.where(shown, v + w, np.inf), target, doubt, there)


def lines(tile):
    """Least squares at what is shown, straight lines between."""
    out = np.zeros_like(tile.target)
    k = np.arange(out.shape[2])
    for i, s in np.argwhere(np.isfinite(tile.noise).any(2)):
        seen = np.isfinite(tile.noise[i, s])
        out[i, s] = np.interp(k, k[seen], tile.u[i, s, seen])
    return out


def _method(grid):
    def estimate(tile):
        out = np.empty_like(tile.target)
        rest = [(0, whole - part) for whole, part in zip(grid.largest, tile.u.shape[1:], strict=True)]
        noise = np.pad(tile.noise, [(0, 0), *rest], constant_values=np.inf).astype(np.float32)
        answers, _, _ = grid.run(np.pad(tile.u, [(0, 0), *rest]).astype(np.complex64), noise)
        out[...] = answers[:, : out.shape[1], : out.shape[2]]
        return out

    return estimate


def _entry(errors, powers):
    errors, powers = np.concatenate(errors), np.concatenate(powers)
    value = scores.nmse_db(np.maximum(errors.sum(), 1e-12), powers.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"nmse_db": value, "ci95": scores.bootstrap(scores.nmse_db, (errors, powers))}


def _difference(ours, first):
    ours, first = np.concatenate(ours), np.concatenate(first)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"db": scores.difference_db(ours, first), "ci95": scores.bootstrap(scores.difference_db, (ours, first))}


def table(report):
    """The report for people."""
    head = ["SNR, dB", *(f"{v:g}" for v in report["snr_db"])]
    lines_ = [
        f"{report['grids']} grids of looks: " + "; ".join(report["looks"]),
        f"SNR: {report['snr_definition']}",
        "",
    ]
    cells = [[name, *(f"{e['nmse_db']:.2f}" for e in row)] for name, row in report["methods"].items()]
    lines_ += ["NMSE in dB at all looks, half of them shown", *console.table(head, cells)]
    if report["gain_db"]:
        cells = [
            [n, *("{:+.2f} ({:+.2f} .. {:+.2f})".format(e["db"], *e["ci95"]) for e in r)]
            for n, r in report["gain_db"].items()
        ]
        lines_ += ["", f"difference to {report['gain_over']}, dB (95 % interval, paired)", *console.table(head, cells)]
    return "\n".join(lines_)
