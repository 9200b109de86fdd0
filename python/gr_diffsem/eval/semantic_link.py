# SPDX-License-Identifier: GPL-3.0-or-later
"""Photographs over the air: the semantic link against WebP with channel coding, at the same channel uses.

SNR is Es/N0 per data carrier behind the FFT, averaged over the fading. Headers and side information count; preamble,
pilots and prefix are the same for every method. `webp` is in its best mode in hindsight: at each SNR in AWGN, one
mode for all SNRs under fading, where the sender cannot know. `linear` and `webp_capacity` are always shown, and
`webp_ldpc` beside `webp`.
"""

import fractions
import sys
from pathlib import Path

from ..base import console
from ..base.errors import UserError, unknown
from ..base.number_options import Number, real, whole
from ..base.number_options import ratio as ratio_option
from ..base.picture_files import LEAST
from . import photo_receivers, photo_trials

MAX_SIDE = 768
FEATURES = "Feature distance of our classifier (not LPIPS), smaller is nearer"


def add_arguments(parser):
    """argparse arguments of `gr-diffsem eval semantic_link`."""
    parser.add_argument("--images", metavar="DIR", help="photographs, or one (default: scikit-image's)")
    whole(parser, "--count", least=1, metavar="N", help="only the first N of them")
    text = "larger ones are reduced (768)"
    whole(parser, "--max-side", "pixels", least=LEAST, default=MAX_SIDE, metavar="N", help=text)
    text = "channel uses per pixel and colour"
    ratio_option(parser, "--cbr", keep=True, nargs="+", default=["1/48"], metavar="R", help=text)
    real(parser, "--snr", "dB", least=-30, most=60, nargs="+", default=[-5, 0, 5, 10, 15], metavar="dB")
    parser.add_argument("--channel", default="awgn", help="|".join(photo_trials.CHANNELS))
    real(parser, "--loss", least=0, below=1, default=0.0, metavar="P", help="share of frames lost besides")
    text = "dB by which the SNR that receivers of pictures are told lies above the true one (0)"
    real(parser, "--misstated", "dB", least=-30, most=30, default=0.0, metavar="dB", help=text)
    text = "receivers of pictures are told one noise for all equalised symbols (harmonic mean) in place of each one's"
    parser.add_argument("--no-csi", action="store_true", help=text)
    parser.add_argument("--chain", default="symbols", help="symbols: fast; gnuradio: the whole receiver, on samples")
    parser.add_argument(
        "--methods",
        nargs="+",
        metavar="NAME",
        help=f"{' '.join(photo_trials.methods())}, or a package of photographs: NAME/MEMBER, ./folder",
    )
    text = "of the channel, per photograph and SNR"
    whole(parser, "--realisations", least=1, most=10000, default=1, metavar="N", help=text)
    whole(parser, "--seed", default=1, help="of channels, noise and losses")
    parser.add_argument(
        "--save",
        metavar="DIR",
        help="write received pictures as DIR/method/snr/NAME.png (several --cbr: DIR/method/snr/cbr-1-48/NAME.png)",
    )
    parser.add_argument("--features", action="store_true", help="also the feature distance of our classifier")
    parser.add_argument("--lpips", action="store_true", help="also LPIPS, where the package lpips is installed")
    text = (
        "0 (mean) to 1 (draw): the knob of a posterior (the first of --methods that is one; experimental) beside an "
        "unsharp mask and added noise at equal PSNR; brings --features"
    )
    real(parser, "--realism", least=0, most=1, nargs="+", metavar="T", help=text)
    parser.add_argument("--plot", metavar="FILE", help="PSNR against SNR, as PNG")


def ratio(text):
    """ "1/48" or "0.02" -> float."""
    return Number("--cbr", above=0, most=1, ratio=True)(text)


def run(args):
    """The report: one object, or a list of them when several --cbr are given."""
    from tqdm import tqdm

    from ..base import picture_files
    from . import photo_realism

    receivers = chosen(args.methods)
    methods = list(receivers)
    if args.channel not in photo_trials.CHANNELS:
        raise unknown("channel", args.channel, photo_trials.CHANNELS)
    knob = photo_realism.scheme_of(receivers) if args.realism else None
    ratios = [ratio(text) for text in args.cbr]
    net, distances = measures(args)
    chain = chain_of(args.chain)
    pictures = fitting(args, ratios) if args.images else picture_files.bundled(args.max_side, args.count)
    ladders, reports, saved = {}, [], []
    with tqdm(total=len(ratios) * steps(methods, args, len(pictures)), unit="step", disable=None) as bar:

        def tick(text):
            bar.set_postfix_str(text)
            bar.update()

        for text, cbr in zip(args.cbr, ratios, strict=True):
            folder = args.save and Path(args.save)
            part = f"cbr-{text.replace('/', '-')}" if len(ratios) > 1 else ""
            run = photo_trials.Evaluation(
                pictures, cbr, args.snr, args.channel, args.loss, chain, args.realisations, args.seed,
                folder and saver(folder, part), tick, distances, receivers, args.misstated, not args.no_csi,
            )  # fmt: skip
            run.ladders = ladders
            reports.append(photo_trials.report(run, run.run(methods, args.channel == "awgn")))
            reports[-1]["chain"] = args.chain
            if args.realism:
                reports[-1]["realism"] = photo_realism.run(run, sorted(set(args.realism)), net, knob)
                saved += realism_sheets(folder, part, pictures, args, knob) if folder else []
            if folder:
                saved.append(contact_sheet(folder, part, pictures, args.snr, methods))
    if args.plot:
        from . import photo_plot

        photo_plot.psnr_against_snr(reports, args.plot)
    for name in saved:
        print(f"contact sheet: {name}", file=sys.stderr)
    return reports[0] if len(reports) == 1 else reports


def fitting(args, ratios):
    """{name: picture} of --images that can be sent at every ratio; the others are named."""
    from ..base import picture_files
    from ..codec import picture_fit

    def say(text):
        print(text, file=sys.stderr)

    def skip(text):
        skipped.append(text)
        say(f"skipped: {text}")

    pictures, skipped = {}, []
    for name, picture in picture_files.each(args.images, args.max_side, say, skip):
        if len(pictures) == args.count:
            break
        try:
            for cbr in ratios:
                picture_fit.check(name, picture, args.max_side, cbr)
        except UserError as error:
            skip(str(error))
        else:
            pictures[name] = picture
    if not pictures:
        raise UserError(skipped[0] if len(skipped) == 1 else f"--images {args.images}: none can be sent: {skipped[0]}")
    return pictures


def steps(methods, args, pictures):
    """Length of the progress bar, for one ratio."""
    spans = 1 if args.channel == "awgn" and not args.loss else 2
    total = sum(name in methods for name in ("webp", "webp_ldpc")) * 6 * spans
    total += len(args.snr) * ("webp_capacity" in methods)
    passes = bool(set(methods) - set(photo_trials.CLASSICAL)) + bool(args.realism)
    return total + pictures * len(args.snr) * passes


def measures(args):
    """(network of the feature distance or None, {name: distance} that --features and --lpips ask for)."""
    from . import photo_features

    net = photo_features.Features() if args.features or args.realism else None
    distances = {"feature_distance": net.distance} if net else {}
    if args.lpips:
        distances["lpips"] = photo_features.Lpips().distance
    return net, distances


def chosen(given):
    """{method: what its receiver is made from}: those asked for with their yardsticks (the module's text); without
    asking, all whose model is there but denoisers of latents. In the order of photo_trials.methods(), then others as
    they were given."""
    wanted = {}
    for spec in given or [name for name in photo_trials.methods() if not photo_receivers.of_latents(name)]:
        name = photo_receivers.name_of(spec)
        if wanted.setdefault(name, spec) != spec:
            raise UserError(f"--methods {wanted[name]} {spec}: both are called '{name}'; rename one's folder")
    always = {"linear", "webp_capacity"} | ({"webp_ldpc"} if "webp" in (given or ()) else set())
    order = [name for name in photo_trials.methods() if name in wanted or name in always]
    out = {}
    for name in dict.fromkeys([*order, *wanted]):
        spec = wanted.get(name, name)
        try:
            if name not in photo_trials.CLASSICAL:
                photo_receivers.make(spec)
        except UserError as error:
            if given:
                raise
            print(f"left out: {error}", file=sys.stderr)
            continue
        out[name] = spec
    return out


def chain_of(name):
    """The function that brings frames through the air."""
    if name == "symbols":
        return photo_trials.symbols_chain
    if name == "gnuradio":
        from .sample_chain import gnuradio_chain

        return gnuradio_chain
    raise unknown("chain", name, ("symbols", "gnuradio"))


def saver(folder, part=""):
    """Writes pictures as folder/method/snr/part/name.png; those of realisation 1, 2, ... as name-1.png and so on."""

    def save(method, snr_db, name, picture, realisation):
        from PIL import Image

        stem = f"{name}-{realisation}" if realisation else name
        path = folder / method / f"{snr_db:g}" / part / f"{stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)

    return save


def contact_sheet(folder, part, pictures, snr_db, methods):
    """The sheet of what was saved; its path."""
    from . import photo_sheet

    path = folder / (f"contact_sheet-{part}.png" if part else "contact_sheet.png")
    some = dict(list(pictures.items())[: photo_sheet.MOST])
    photo_sheet.from_folder(
        folder, some, photo_sheet.spread(sorted(snr_db)), photo_sheet.shown(methods), path, part=part
    )
    return path


def realism_sheets(folder, part, pictures, args, knob):
    """The sheets of the knob, one for each SNR; their paths."""
    from . import photo_realism

    paths = []
    for snr in args.snr:

        def saved(where, name, snr=snr):
            import numpy as np
            from PIL import Image

            return np.asarray(Image.open(folder / where / f"{snr:g}" / part / f"{name}.png"))

        paths.append(folder / ("realism" + (f"-{part}" if part else "") + f"-{snr:g}dB.png"))
        photo_realism.sheet(pictures, saved, sorted(set(args.realism)), snr, paths[-1], knob)
    return paths


def table(report):
    """The report for people."""
    reports = report if isinstance(report, list) else [report]
    return "\n\n".join(one_table(r) for r in reports)


def per_frame(by_mode):
    """What the ordinary way, a code for each frame, would have had."""
    means = {mode: sum(psnr) / len(psnr) for mode, psnr in by_mode.items() if not mode.endswith("picture")}
    best = max(means, key=means.get)
    return [f"  without interleaving over the picture: {best}, {means[best]:.2f} dB over all SNRs"]


def one_table(report):
    """One bandwidth ratio."""
    methods = report["methods"]
    fading = report["channel"] != "awgn"
    cbr = fractions.Fraction(report["cbr"]).limit_denominator(1000)
    lost = f", {report['loss']:.0%} of frames lost" if report["loss"] else ""
    lost += f", SNR told {report['misstated_db']:+g} dB" if report["misstated_db"] else ""
    lost += "" if report["csi"] else ", told the mean noise alone"
    lines = [
        f"CBR {cbr}, {report['channel']}{lost}: {report['images']} photographs x {report['realisations']}, "
        f"{next(iter(methods.values()))['channel_uses']} channel uses in all, chain {report['chain']}"
    ]
    snrs = report["snr_db"]
    columns = [f"{s:g} dB" for s in snrs] + ["all SNRs", "worst 5 %"]
    parts = [("PSNR, dB", "psnr_db", 2), ("MS-SSIM", "ms_ssim", 3), ("delivered", "delivered", 2)]
    parts += [(FEATURES, "feature_distance", 3), ("LPIPS", "lpips", 3)]
    wide = max(16, *(len(name) + 1 for name in methods))
    for title, key, digits in parts:
        if key not in next(iter(methods.values())):
            continue
        more = key == "psnr_db"
        rows = []
        for name, scores in methods.items():
            rows.append([name, *(f"{x:.{digits}f}" for x in scores[key])])
            if more:
                rows[-1] += [f"{scores['all_snr'][k]:.2f}" for k in ("psnr_db", "psnr_p5_db")]
        lines += ["", title, *console.table(["", *(columns if more else columns[: len(snrs)])], rows)]
    for base in ("webp", "webp_ldpc", "linear", *photo_trials.REFERENCE_CODES):
        rows = [(n, s[f"over_{base}"]) for n, s in methods.items() if f"over_{base}" in s and not n.startswith("webp")]
        if not rows:
            continue
        modes = rows[0][1].get("modes", [""] * len(snrs))
        lines += ["", f"PSNR over {base}, dB [95 % interval over photographs]"]
        for name, gain in rows:
            both = zip([*gain["psnr_db"], gain["all_snr"]], [*gain["ci95"], gain["all_snr_ci95"]], strict=True)
            cells = [f"{x:+.2f}" + (f" [{i[0]:+.2f}, {i[1]:+.2f}]" if i[0] is not None else "") for x, i in both]
            heads = [f"{s:g} dB" + (f" ({m})" if m else "") for s, m in zip(snrs, modes, strict=True)] + ["all"]
            lines.append(f"{name:<{wide}}" + "; ".join(f"{h}: {c}" for h, c in zip(heads, cells, strict=True)))
            lines[-1] += f"; worst 5 %: {gain['p5_db']:+.2f}"
    for name in ("webp", "webp_ldpc"):
        if name in methods:
            found = methods[name]["modes"]
            chosen = found[0] if fading else "; ".join(f"{s:g} dB: {m}" for s, m in zip(snrs, found, strict=True))
            why = "one for all SNRs, best in hindsight" if fading else "best in hindsight at each SNR"
            lines += ["", f"{name}, {why}: {chosen}"]
            lines += per_frame(methods[name]["by_mode_psnr_db"]) if found[0].endswith("picture") else []
    if "webp_capacity" in methods:
        lines.append("webp_capacity: a bound, no link: an ideal code" + (" at the mean capacity" if fading else ""))
    if "realism" in report:
        from . import photo_realism

        lines += ["", photo_realism.table(report, snrs)]
    return "\n".join(lines)
