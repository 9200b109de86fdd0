# SPDX-License-Identifier: GPL-3.0-or-later
"""A picture through `send`, what real radios do to it, and `receive`: `gr-diffsem eval impair`, or `make impair`.

Each row has a floor, which was stated before it was measured: what is mild costs at most 2 dB of the PSNR that the same
picture has with the same noise and nothing else, and what is rough still leaves a picture, 15 dB.
"""

import contextlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..air import impairments as air
from ..base import picture_files, picture_metrics
from ..base.errors import UserError
from ..base.number_options import whole

SNR_DB = 15.0  #: of every row
MILD = 2.0  #: dB below the clean picture, at most
ROUGH = 15.0  #: dB of PSNR, at least
CARRIER = 1 / 64  #: cycles a sample


@dataclass(frozen=True)
class Row:
    """what: in words. change: of (samples, generator), before the noise; after: behind it (a converter, lost samples).
    mild: which floor."""

    what: str
    mild: bool
    change: object = None
    after: object = None


def turned(x, carriers):
    return x * air.carrier_turn(x.size, carriers * CARRIER)


def half(x):
    """At half a carrier's offset, where DC lies between two carriers."""
    return turned(x, 0.5)


#: name -> Row. The floors were written before any row was measured.
ROWS = {
    "clean": Row("noise alone", True),
    "dc -10": Row("DC 10 dB below the signal, offset of half a carrier", True, lambda x, _: air.dc(half(x), -10)),
    "dc 0": Row("DC as strong as the signal, offset of half a carrier", True, lambda x, _: air.dc(half(x), 0)),
    "iq image": Row("I and Q 3 dB and 10 degrees apart", True, lambda x, _: air.iq_image(x, 3, 10)),
    "offset 2": Row("carrier offset of two carriers", True, lambda x, _: turned(x, 2)),
    "8 bits": Row("converter of 8 bits", True, None, lambda x, _: air.quantise(x, 8)),
    "clock 20": Row("clocks 20 ppm apart", True, lambda x, _: air.slow_clock(x, 20)),
    "dc 8": Row("DC 8 dB above the signal, offset of half a carrier", False, lambda x, _: air.dc(half(x), 8)),
    "dc 20": Row("DC 20 dB above the signal, offset of half a carrier", False, lambda x, _: air.dc(half(x), 20)),
    "tone 0": Row("carrier in the band as strong as the signal", False, lambda x, _: air.tone(x, 0, 10.3 * CARRIER)),
    "tone 20": Row("carrier in the band 20 dB above it", False, lambda x, _: air.tone(x, 20, -13.6 * CARRIER)),
    "neighbour 10": Row("neighbour at the band's edge 10 dB above", False, lambda x, g: air.neighbour(x, g, 10)),
    "neighbour 20": Row("neighbour at the band's edge 20 dB above", False, lambda x, g: air.neighbour(x, g, 20)),
    "impulses": Row("impulses of +40 dB on 0.1 % of the samples", False, lambda x, g: air.impulses(x, g, 1e-3, 40)),
    "gaps": Row("363 samples lost about every 7,001", False, None, lambda x, g: air.gaps(x, g, 7001, 363)),
    "gain steps": Row(
        "gain steps of 0, 6, -6, 12 dB every 3,000 samples", False, lambda x, _: air.gain_steps(x, 3000, (0, 6, -6, 12))
    ),
    "clipping": Row("clipped at the signal's mean power", False, None, lambda x, _: air.clip(x, 0)),
    "lte": Row("LTE of 1.4 MHz over half the band, 5 dB below", False, lambda x, g: air.lte(x, g, -5, 0.2)),
}


def add_arguments(parser):
    """argparse arguments of `gr-diffsem eval impair`."""
    parser.add_argument("--rows", nargs="+", default=list(ROWS), metavar="NAME", help="which, in quotes; all")
    parser.add_argument("--scheme", default="photo_mmse", help="of `receive` (photo_mmse)")
    text = "of the picture (320 pixels)"
    whole(parser, "--max-side", "pixels", least=picture_files.LEAST, default=320, help=text)
    whole(parser, "--seed", default=1, help="of noise and impairments (1)")


def run(args):
    """{"snr_db", "scheme", "max_side", "rows": [{"name", "what", "psnr", "floor", "held", "frames", "found"}]}."""
    for name in args.rows:
        if name not in ROWS:
            raise UserError(f"--rows {name}: give some of {', '.join(map(repr, ROWS))}")
    rows = measured(args.rows, args.scheme, args.max_side, args.seed)
    return {"snr_db": SNR_DB, "scheme": args.scheme, "max_side": args.max_side, "rows": rows}


def passed(report):
    """Whether every floor held: the exit status is 1 where one did not."""
    return all(row["held"] for row in report["rows"])


def measured(names, scheme, max_side, seed):
    """One dictionary for each name; the clean picture is measured first, whatever is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        picture = next(iter(picture_files.bundled(max_side, 1).values()))
        sent = transmitted(picture, folder)
        clean = None
        rows = []
        for name in dict.fromkeys(["clean", *names]):
            row = ROWS[name]
            psnr, report = received(impaired(row, sent, seed), picture, folder / name.replace(" ", "_"), scheme)
            clean = psnr if name == "clean" else clean
            floor = clean - MILD if row.mild else ROUGH
            entry = {"name": name, "what": row.what, "psnr": psnr, "floor": floor, "held": psnr >= floor}
            rows.append({**entry, "frames": report["frames"], "found": report["found"]})
        return [r for r in rows if r["name"] in names]


def transmitted(picture, folder):
    """Samples of `send`, complex64 [n]."""
    from PIL import Image

    Image.fromarray(picture).save(folder / "photo.png")
    _command("send", str(folder / "photo.png"), "--to", f"file:{folder / 'air.cf32'}", "--cbr", "1/6")
    return np.fromfile(folder / "air.cf32", np.complex64)


def impaired(row, x, seed):
    """What the receiver's antenna and converter make of samples."""
    rng = np.random.default_rng([seed, 5])
    if row.change:
        x = row.change(x, rng)
    # the noise is that of the signal alone, whatever was added
    x = x + air.noise(rng, x.size, air.noise_per_sample(SNR_DB))
    return (row.after(x, rng) if row.after else x).astype(np.complex64)


def received(x, picture, out, scheme):
    """(PSNR of the picture that `receive` makes of samples, dB, 0 without one; its report)."""
    from PIL import Image

    recording = out.with_suffix(".cf32")
    x.tofile(recording)
    report = _command("receive", "--from", f"file:{recording}", "--out", str(out), "--scheme", scheme)
    recording.unlink()
    files = sorted(out.glob("*.png"))
    if not files:
        return 0.0, report
    return picture_metrics.psnr(picture, np.asarray(Image.open(files[0]))), report


def _command(name, *words):
    """The report of a command, run in this process; what it prints is not shown unless it fails."""
    import importlib

    from . import cli

    module = importlib.import_module(f"gr_diffsem.apps.{name}")
    args = cli._parse(name, module, list(words))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return module.run(args)


def table(report):
    """The report for people."""
    out = [
        f"| row | what ({report['snr_db']:g} dB) | PSNR, dB | floor, dB | held | frames of found |",
        "|---|---|---|---|---|---|",
    ]
    for r in report["rows"]:
        held = "yes" if r["held"] else "**no**"
        numbers = f"{r['psnr']:.2f} | {r['floor']:.2f} | {held} | {r['frames']} of {r['found']}"
        out.append(f"| {r['name']} | {r['what']} | {numbers} |")
    return "\n".join(out)
