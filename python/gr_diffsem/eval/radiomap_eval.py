# SPDX-License-Identifier: GPL-3.0-or-later
"""Radio maps on samples of a real walk or drive: blocks of space are held out, and foretold from the others.

The samples of each cell (base station) are gathered into sites of --site metres; the sites lie in squares of --block
metres, which are dealt into four folds. Each fold is foretold from the other three, so that every site is held out once
and none has a neighbour of its own block. `rmse_db` is the mean over cells of the root mean squared error of a cell's
sites, `coverage90` the share of sites inside the stated interval of 90 %.
"""

import sys
import zlib

import numpy as np

from ..base.errors import UserError
from ..base.number_options import real, whole
from ..radiomap import local_plane, sample_file, sites
from . import map_methods

FOLDS = 4
FEWEST_SITES = 20  #: of a cell that is measured
FEWEST_BLOCKS = 4
MOST_SITES = 1500
Z90 = 1.6448536269514722  # of a normal distribution, its interval of 90 %


def add_arguments(parser):
    parser.add_argument("samples", nargs="+", metavar="CSV", help="files of samples: a phone's, or of rssi_logger")
    sample_options(parser)
    real(parser, "--block", "metres", above=0, most=1e5, default=100.0, help="side of what is held out together")
    real(parser, "--site", "metres", above=0, most=1e4, default=10.0, help="side within which samples are averaged")
    whole(parser, "--cells", least=1, default=8, help="how many cells (base stations), those of most sites")
    whole(parser, "--seed", default=1, help="of the folds")
    parser.add_argument("--methods", metavar="A,B", help=f"of {', '.join(map_methods.names())}; default: all of them")


def sample_options(parser):
    """The options that say how a file of samples is read."""
    for role in ("value", "latitude", "longitude", "cell", "error", "fix"):
        help = {
            "value": "column of the power (RSRP, RSSI, SNR, ...)",
            "error": "column of the position's error, metres",
        }
        parser.add_argument(f"--{role}", metavar="COLUMN", help=help.get(role, f"column of the {role}; else guessed"))
    text = "what the receiver cannot hear below: samples there are bounds"
    real(parser, "--floor", "dBm", least=-400, most=400, default=None, help=text)


def told(args):
    """{role: column} of `sample_options`."""
    return {role: getattr(args, role) for role in ("value", "latitude", "longitude", "cell", "error", "fix")}


def cells_of(samples, site, cells):
    """[(name, Sites)] of the `cells` cells with the most sites of `site` metres. Raises UserError where none can be
    measured."""
    found, names = [], np.unique(samples.cell)
    for name in names:
        own = samples.of(samples.cell == name)
        try:
            plane = local_plane.plane_of(own)
        except UserError as error:
            print(f"cell {name or 'without a name'} is left out: {error}", file=sys.stderr)
            continue
        places = plane.to_metres(own.latitude, own.longitude)
        gathered, _ = sites.gather_at_most(places, own.value, own.censored, site, MOST_SITES, own.error)
        if len(gathered) >= FEWEST_SITES:
            found.append((str(name), gathered))
    if not found:
        raise UserError(
            f"no cell of the {len(names)} has {FEWEST_SITES} sites of {site:g} m: give more samples, or say by --cell "
            f"which column names the cells"
        )
    return sorted(found, key=lambda cell: -len(cell[1]))[:cells]


def folds(places, block, seed):
    """[M] fold of each site: the fold of its block. Raises UserError where there are too few blocks."""
    square = np.floor((places - places.min(0)) / block).astype(int)
    blocks, index = np.unique(square, axis=0, return_inverse=True)
    if len(blocks) < FEWEST_BLOCKS:
        raise UserError(
            f"--block {block:g}: the sites lie in {len(blocks)} blocks, {FEWEST_BLOCKS} are needed: give less"
        )
    return (np.random.default_rng(seed).permutation(len(blocks)) % FOLDS)[index.ravel()]


def foretell(gathered, fold, make):
    """(error [M], standard deviation [M]) in dB of the sites, each foretold from the folds it is not in."""
    error, deviation = np.empty(len(gathered)), np.empty(len(gathered))
    for k in range(FOLDS):
        held = gathered.of(fold == k)
        if not len(held):
            continue
        method = make(gathered.of(fold != k))
        mean, spread = method.predict(held.places)
        error[fold == k] = mean - held.value
        deviation[fold == k] = np.sqrt(spread**2 + method.noise_of(held))
    return error, deviation


def run(args):
    makers = map_methods.chosen(args.methods)
    samples = sample_file.read(args.samples, told(args), args.floor)
    cells = cells_of(samples, args.site, args.cells)
    scores, heldout, measured = {name: [] for name in makers}, 0, 0
    for name, gathered in cells:
        try:
            fold = folds(gathered.places, args.block, [args.seed, zlib.crc32(name.encode())])
        except UserError as error:
            print(f"cell {name} is left out: {error}", file=sys.stderr)
            continue
        counted = ~gathered.censored  # of a bound there is no error
        heldout, measured = heldout + int(counted.sum()), measured + 1
        line = f"cell {name or 'without a name'}: {len(gathered)} sites"
        for method, make in makers.items():
            error, deviation = foretell(gathered, fold, make)
            error, deviation = error[counted], deviation[counted]
            scores[method].append((np.sqrt(np.mean(error**2)), np.abs(error) <= Z90 * deviation))
            line += f", {method} {scores[method][-1][0]:.2f} dB"
        print(line, file=sys.stderr, flush=True)
    if not measured:
        raise UserError(f"--block {args.block:g}: no cell has {FEWEST_BLOCKS} such blocks: give less")
    return {
        "cells": measured,
        "heldout": heldout,
        "methods": {
            name: {
                "rmse_db": float(np.mean([rmse for rmse, _ in parts])),
                "coverage90": float(np.mean(np.concatenate([inside for _, inside in parts]))),
            }
            for name, parts in scores.items()
        },
    }


def table(report):
    lines = [f"{report['cells']} cells, {report['heldout']} sites held out once each", ""]
    lines += [f"{'method':<16} {'RMSE':>8}  in 90 %"]
    for name, said in report["methods"].items():
        lines.append(f"{name:<16} {said['rmse_db']:>5.2f} dB  {100 * said['coverage90']:5.1f} %")
    return "\n".join(lines)
