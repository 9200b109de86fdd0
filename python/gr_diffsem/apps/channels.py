# SPDX-License-Identifier: GPL-3.0-or-later
"""Measured channels in, drawn channels out: `channels import` makes looks of what cards and receivers logged, `channels
sample` draws from a generator.

`import` reads logs of the Intel 5300, FeitCSI and Nexmon, recordings of Wi-Fi and LTE, and .npz of looks, and writes
one .npz that `gr-diffsem train ofdm_grid --from` and `gr-diffsem eval channels` take (docs/channel_generators.md).
"""

import json
import os
import sys
from pathlib import Path

import numpy as np

from ..air import looks as looks_file
from ..base import model_packages, regular_file, tap_frames
from ..base.errors import UserError
from ..base.number_options import real, whole
from ..eval import generated, recording_looks, scheme_runner
from ..receivers.csi import card_log

MOST_DRAWS = 1 << 20
DATATYPE = "cf32_le"


def add_arguments(parser):
    """Arguments of `gr-diffsem channels`."""
    parser.add_argument("what", choices=("import", "sample"), help="looks of files, or draws of a generator")
    text = "import: logs of Intel 5300, FeitCSI, Nexmon, recordings, .npz of looks; sample: a package or scheme string"
    parser.add_argument("files", nargs="+", metavar="FILE", help=text)
    parser.add_argument("--out", metavar="FILE", help="import: NAME.npz; sample: NAME.npy or NAME.sigmf-meta")
    text = "import: SNR of a card's estimates, where it is known (default: measured, by what a window of delays leaves)"
    real(parser, "--snr", "dB", least=-20, most=60, metavar="DB", help=text)
    whole(parser, "--count", "draws", least=1, most=MOST_DRAWS, default=100, help="sample: how many (100)")
    whole(parser, "--seed", default=1, help="sample: of the draws (1)")
    text = "sample: what the generator is told, vectors between semicolons"
    parser.add_argument("--condition", nargs="+", default=[], metavar="NAME=VALUE", help=text)


def run(args):
    if not args.out:
        raise UserError("--out is missing: give the file to write")
    if args.what == "import":
        if args.condition:
            raise UserError("--condition is for channels sample: leave it out")
        return import_files(args)
    if args.snr is not None:
        raise UserError("--snr is for channels import: leave it out")
    if len(args.files) != 1:
        raise UserError(f"channels sample draws from one generator, {len(args.files)} are given: name one")
    args.scheme = args.files[0]
    return sample(args)


# ---- in ----


def looks_of(path, snr_db=None):
    """A list of `Looks` of one file of any kind that is known."""
    if fault := regular_file.fault(path):
        raise UserError(f"{path}: {fault}; give a log of a card, a recording, or an .npz of looks")
    if os.fspath(path).lower().endswith(".npz"):
        return [looks_file.read(path)]
    if card_log.known(path):
        log = card_log.read(path)
        found = card_log.looks(log, os.path.basename(path), snr_db)
        if log.lost:
            print(f"{path}: {log.lost} records were left out (broken, or of another mode)", file=sys.stderr)
        return [found]
    try:
        return recording_looks.of_recording(path)
    except UserError as error:
        raise type(error)(f"{path}: is no log of Intel 5300, FeitCSI or Nexmon, and as a recording: {error}") from None


def import_files(args):
    """Write the looks of all files; the report."""
    recording_looks.check(args.out, (None, None))
    found = []
    for path in args.files:
        for looks in looks_of(path, args.snr):
            n, symbols, carriers = looks.y.shape
            print(f"{looks.source}: {n} grids of {symbols} x {carriers}", file=sys.stderr)
            found.append(looks)
    size = np.max([looks.y.shape[1:] for looks in found], 0)
    padded = [_padded(looks, size) for looks in found]
    padded[0].source += f" and {len(found) - 1} more" if len(found) > 1 else ""
    report = recording_looks.write(args.out, padded)
    snr = [-10 * np.log10(np.median(looks.noise_var[np.isfinite(looks.noise_var)])) for looks in found]
    sources = [
        {"source": x.source, "grids": len(x), "median_snr_db": float(s)} for x, s in zip(found, snr, strict=True)
    ]
    return {**report, "sources": sources}


def _padded(looks, size):
    """The same looks on grids of a larger size, nothing seen beside them."""
    more = [(0, 0), *((0, int(whole - part)) for whole, part in zip(size, looks.y.shape[1:], strict=True))]
    y, noise_var = np.pad(looks.y, more), np.pad(looks.noise_var, more, constant_values=np.inf)
    return looks_file.Looks(y, noise_var, looks.source)


# ---- out ----


def sample(args):
    """Draw, and write what the name's ending says; the report."""
    path = Path(args.out)
    if path.suffix not in (".npy", ".sigmf-meta"):
        raise UserError(f"--out {path}: give a name that ends in .npy or .sigmf-meta")
    if not path.absolute().parent.is_dir():
        raise UserError(f"--out {path}: there is no folder {path.absolute().parent}")
    _, _, options = args.scheme.partition(":")
    said = scheme_runner.info(args.scheme)
    if said["start"] == "matched":
        raise UserError(
            f"{args.scheme} estimates from a measurement and draws nothing without one: give a generator, or let it "
            f"begin in noise ({args.scheme}{',' if options else ':'}start=noise,sampler=dpmpp_2m,plan=karras,steps=20)"
        )
    drawn, _ = generated.drawn(args.scheme, args.count, args.seed, _conditions(args.condition, args.count))
    report = {"scheme": args.scheme, "count": args.count, "seed": args.seed, "content_hash": said["content_hash"]}
    if path.suffix == ".npy":
        np.save(path, drawn)
        return {**report, "file": str(path), "shape": list(drawn.shape)}
    return {**report, **_write_sigmf(path, drawn, said, args)}


def _conditions(words, count):
    """{name: array [count, ...]} of NAME=VALUE, vectors between semicolons."""
    told = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            numbers = [float(v) for v in value.split(";")]
        except ValueError:
            numbers = []
        if not equals or not numbers or not np.isfinite(numbers).all():
            raise UserError(f"--condition {word}: give NAME=NUMBER, or NAME=1;2;3 for a vector")
        one = np.array(numbers if len(numbers) > 1 else numbers[0])
        told[name] = np.broadcast_to(one, (count, *one.shape))
    return told


def _write_sigmf(path, drawn, said, args):
    """Impulse responses one after the other, an annotation for each draw."""
    axes = model_packages.axes_of(said)
    try:
        layout = tap_frames.TapLayout(said["shape"], axes)
    except ValueError as error:
        raise UserError(f"--out {path}: {error}; write an .npy instead") from None
    frames = [layout.frame(one[None])[: 1 if layout.still else None] for one in drawn]
    data = path.with_suffix(".sigmf-data")
    np.concatenate(frames).astype("<c8").tofile(data)
    each = frames[0].size
    annotations = [
        {"core:sample_start": i * each, "core:sample_count": each, "core:label": f"draw {i}"}
        for i in range(len(frames))
    ]
    meta = {
        "global": {
            "core:datatype": DATATYPE,
            "core:version": "1.0.0",
            "core:description": f"impulse responses drawn from {args.scheme}, seed {args.seed}",
            "core:extensions": [{"name": "diffsem", "version": "1.0.0", "optional": True}],
            "diffsem:taps": layout.taps,
            "diffsem:instants": len(frames[0]),
            "diffsem:content_hash": said["content_hash"],
        },
        "captures": [{"core:sample_start": 0}],
        "annotations": annotations,
    }
    path.write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    return {"file": str(path), "shape": [len(frames), len(frames[0]), layout.taps]}


def table(report):
    """What `run` returned, for people."""
    if "looks" not in report:
        return (
            f"{report['file']}: {' x '.join(map(str, report['shape']))}, {report['count']} draws of {report['scheme']}"
        )
    lines = [f"{x['source']}: {x['grids']} grids, SNR {x['median_snr_db']:.1f} dB" for x in report["sources"]]
    return "\n".join([*lines, recording_looks.table(report), f"      gr-diffsem eval channels {report['looks']}"])
