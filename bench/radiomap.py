#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a map of a city that no training has seen is worth, drawn from 0.5, 1, 5 and 10 % of its outdoor cells.

Each traced map of Florence (`gr_diffsem.air.traced_maps`) gives a square of 64 x 64 cells; the same samples, with 1 dB
of noise, go to all methods. Told is the root mean squared error over the outdoor cells that were not sampled, truth and
answer cut off at the floor of -130 dB; the same where a receiver hears anything; and the share of those cells inside
the stated interval of 90 %. `buildings` and `transmitter` are what a method was told besides; the
transmitter's height is told to none. `map_flow, 8 steps` is the mean of eight draws of eight steps each.

    build/env/radio/bin/python bench/radiomap.py [--maps 40] [--json FILE] [--picture docs/images/radiomap.png]

`--walk examples` writes what examples/city_walk.grc plays: the amplitude a receiver has in each second of a ride
through one of these maps, and its GPS receiver's NMEA, wrong by a few metres.
"""

import argparse
import functools
import itertools
import json
import operator
import sys
import time

import numpy as np
from gr_diffsem.air import traced_maps
from gr_diffsem.eval import map_methods
from gr_diffsem.eval.map_city import GATE, Z90, interval, one
from gr_diffsem.radiomap.city_samples import cut, raster, route
from gr_diffsem.radiomap.local_plane import Plane

SHARES = (0.005, 0.01, 0.05, 0.10)
TOWN, SENDER = "buildings", "transmitter"
MANY = "map_flow, 8 steps"
FLOWN = 8  # draws, and steps of each
FLORENCE = Plane(43.77, 11.25)


def methods():
    """[(name, what it is told)]; the first is what the others are compared with."""
    found, there = [("kriging", ())], map_methods.names()
    found += [(name, ()) for name in ("idw", "log_distance")]
    found += [(name, (SENDER,)) for name in ("kriging", "log_distance")]
    if "map_posterior" in there:
        found += [("map_posterior", told) for told in ((), (TOWN,), (TOWN, SENDER))]
    found += [("map_elect", (TOWN,))] if "map_elect" in there else []
    found += [("map_conditional", (TOWN, SENDER))] if "map_conditional" in there else []
    if "map_flow" in there:
        found += [("map_flow", (TOWN,)), ("map_flow", (TOWN, SENDER)), (MANY, (TOWN, SENDER))]
    return found


def most_told():
    """`methods`, each scheme once, with all that it takes."""
    told = {name: told for name, told in methods() if name not in ("kriging", "idw", "log_distance", MANY)}
    return [(name, ()) for name in ("kriging", "idw", "log_distance")] + list(told.items())


def measured(arrays, share, count, seed, best=False):
    """{method: arrays of (squared error, heard, inside the interval, seconds) over maps}. best: of each scheme with
    all that it takes alone, in one step."""
    results = {method: [] for method in (most_told() if best else methods())}
    for index in range(count):
        truth, outdoor, seen, sites, height, where, sender = one(arrays, index, share, seed)
        asked = outdoor & ~seen
        heard = truth[asked] > traced_maps.FLOOR
        for name, told in results:
            began = time.monotonic()
            known = sender if SENDER in told else None, height if TOWN in told else None
            made = map_methods.make(name.split(",")[0], sites, *known, where)
            mean, deviation = made.predict_raster(where)
            if name == MANY:
                mean = made.draws(where, FLOWN, np.random.default_rng(index), FLOWN).mean(0)
            seconds = time.monotonic() - began
            error = (np.maximum(mean, traced_maps.FLOOR) - truth)[asked]
            results[name, told].append((error**2, heard, np.abs(error) <= Z90 * deviation[asked], seconds))
        print(f"\r{100 * share:g} %: {index + 1} of {count} maps", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return results


def unsampled(arrays, count):
    """What no sample tells: (RMSE in dB, mean error, share inside 90 %) of distance and shadows alone, and of
    map_conditional; over the outdoor cells, the gain absolute."""
    from gr_diffsem.radiomap import expected_maps
    from gr_diffsem.radiomap.shadows import Shadowed

    found = {"distance and shadows": [], "map_conditional": []}
    for index in range(count):
        truth, outdoor, _, _, height, where, sender = one(arrays, index, 0.01, 7)
        for name in found:
            if name == "map_conditional":
                mean, deviation = map_methods.generated(name, sender, height, where)
            else:
                mean, deviation = expected_maps.expected(Shadowed(sender, height, where))
            error = (np.maximum(mean, traced_maps.FLOOR) - truth)[outdoor]
            found[name].append((np.mean(error**2), error.mean(), np.mean(np.abs(error) < Z90 * deviation[outdoor])))
    for name, parts in found.items():
        square, off, inside = np.mean(parts, 0)
        print(f"| {name} | {np.sqrt(square):.2f} dB | {off:+.1f} dB | {100 * inside:.1f} % |")


def scores(parts):
    """Of one method: RMSE in dB over all maps' cells, that of the heard ones, coverage of these, seconds a map."""
    square, heard, inside = (np.concatenate([part[i] for part in parts]) for i in range(3))
    return {
        "rmse_db": float(np.sqrt(square.mean())),
        "rmse_heard_db": float(np.sqrt(square[heard].mean())),
        "coverage90": float(inside[heard].mean()),
        "seconds": float(np.mean([part[3] for part in parts])),
    }


def picture(path, arrays, share, seed, index):
    """Samples, kriging's map, ours, its deviation and the truth of one map."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    truth, outdoor, seen, sites, height, where, sender = one(arrays, index, share, seed)
    kriging = map_methods.make("kriging", sites).predict_raster(where)
    mean, deviation = map_methods.make("map_posterior", sites, sender, height, where).predict_raster(where)
    samples = np.where(seen, truth, np.nan)
    shown = [(f"{len(sites)} samples", samples), ("kriging", kriging[0]), ("map_posterior", mean)]
    shown += [("its standard deviation", deviation), ("truth", truth)]
    figure, axes = pyplot.subplots(1, 5, figsize=(16, 3.5), layout="constrained")
    for axis, (title, field) in zip(axes, shown, strict=True):
        axis.set_facecolor("0.25")
        level = {"cmap": "magma", "vmin": 0} if title.startswith("its") else {"vmin": traced_maps.FLOOR, "vmax": -70}
        image = axis.imshow(np.where(outdoor, np.maximum(field, traced_maps.FLOOR), np.nan), **level)
        axis.set(title=title, xticks=[], yticks=[])
        if title.startswith(("its", "truth")):
            figure.colorbar(image, ax=axis, label="dB", shrink=0.8)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def sentence(clock, latitude, longitude):
    """NMEA's GGA at `clock` seconds, degrees; a dilution of 0.8."""
    time = f"{clock // 3600:02d}{clock // 60 % 60:02d}{clock % 60:02d}.00"
    parts = [
        f"{int(abs(v)):0{width}d}{abs(v) % 1 * 60:08.5f},{letters[v < 0]}"
        for v, width, letters in ((latitude, 2, "NS"), (longitude, 3, "EW"))
    ]
    body = f"GPGGA,{time},{parts[0]},{parts[1]},1,08,0.8,50.0,M,,M,,"
    return f"${body}*{functools.reduce(operator.xor, body.encode()):02X}"


def ride(folder, arrays, index, seconds=900, seed=10):
    """Write city_walk.f32 and city_walk.nmea: a cell a second, 30 dBm sent, 0 dBFS at -60 dBm."""
    rng = np.random.default_rng(seed)
    gain, height, step = cut(arrays, index, 0, 0)
    cells = list(itertools.islice(route(rng, height < traced_maps.GROUND), seconds))
    places = raster(step).centres()[tuple(np.array(cells).T)]
    drift = np.zeros(2)
    with open(f"{folder}/city_walk.nmea", "w", encoding="ascii") as file:
        for second, place in enumerate(places):
            drift = 0.95 * drift + rng.normal(0, 1.0, 2)  # 3.2 m along each axis
            latitude, longitude = FLORENCE.to_degrees(place + drift)
            file.write(sentence(36_000 + second, float(latitude), float(longitude)) + "\r\n")
    amplitude = 10 ** ((np.array([gain[cell] for cell in cells]) + 90) / 20)
    amplitude.astype("<f4").tofile(f"{folder}/city_walk.f32")


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--maps", type=int, default=40)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json")
    parser.add_argument("--picture")
    parser.add_argument("--unsampled", action="store_true", help="maps of no samples instead")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--best", action="store_true", help="each scheme once, with all that it takes")
    parser.add_argument("--walk", metavar="FOLDER")
    parser.add_argument("--index", type=int, default=3, help="which map is shown in the picture, or ridden through")
    args = parser.parse_args()
    arrays = traced_maps.load(traced_maps.HELD_OUT)
    if args.walk:
        ride(args.walk, arrays, args.index)
        return
    if args.unsampled:
        unsampled(arrays, min(args.maps, len(arrays["step"])))
        return
    if args.picture:
        picture(args.picture, arrays, 0.05, args.seed, args.index)
        return
    report = {}
    for share in args.shares:
        parts = measured(arrays, share, min(args.maps, len(arrays["step"])), args.seed, args.best)
        base, report[share] = parts["kriging", ()], []
        print(f"\n{100 * share:g} % of the outdoor cells\n")
        print("| method | told | RMSE | of kriging's | heard cells | in 90 % | s |\n|---|---|---|---|---|---|---|")
        for (name, told), part in parts.items():
            said = scores(part)
            ratio, (low, high) = said["rmse_db"] / scores(base)["rmse_db"], interval(part, base)
            told = " and ".join(told)
            more = {"method": name, "told": told, "ratio": ratio, "ratio95": [low, high], "gate": GATE}
            report[share].append(said | more)
            print(
                f"| {name} | {told} | {said['rmse_db']:.2f} dB | {ratio:.2f} ({low:.2f} .. {high:.2f}) | "
                f"{said['rmse_heard_db']:.2f} dB | {100 * said['coverage90']:.1f} % | {said['seconds']:.2f} |"
            )
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
