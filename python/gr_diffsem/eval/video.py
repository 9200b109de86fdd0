# SPDX-License-Identifier: GPL-3.0-or-later
"""Moving pictures over the air: groups of frames under a transform over time, against each frame as a photograph and
against H.264 with channel coding, at the same channel uses.

SNR is Es/N0 per data carrier behind the FFT, averaged over the fading. Headers and side information count; preamble,
pilots and prefix are the same for every method. x264 is in its best mode in hindsight: at each SNR in AWGN, one mode
for all SNRs elsewhere, where the sender cannot know. Whatever did not come is concealed by the last frame shown.
"""

import fractions
import sys

from ..base import console, video_files
from ..base.errors import UserError, unknown
from ..base.number_options import ratio, real, whole
from . import video_trials

MAX_SIDE, FRAMES = 320, 64


def add_arguments(parser):
    """argparse arguments of `gr-diffsem eval video`."""
    parser.add_argument("--clips", nargs="+", required=True, metavar="FILE", help="clips, or a folder of them")
    text = f"of each clip, 0: all ({FRAMES})"
    whole(parser, "--frames", default=FRAMES, metavar="N", help=text)
    whole(parser, "--skip", "frames", default=0, metavar="N", help="frames at the beginning of each clip left out (0)")
    text = f"larger frames are reduced ({MAX_SIDE})"
    whole(parser, "--max-side", "pixels", least=video_files.LEAST, default=MAX_SIDE, metavar="N", help=text)
    text = "channel uses per pixel, colour and frame (1/24)"
    ratio(parser, "--cbr", default=1 / 24, metavar="R", help=text)
    real(parser, "--snr", "dB", least=-30, most=60, nargs="+", default=[0, 5, 10, 15], metavar="dB")
    parser.add_argument("--channel", default="awgn", help="|".join(video_trials.CHANNELS))
    real(parser, "--loss", least=0, below=1, default=0.0, metavar="P", help="share of radio frames lost besides")
    text = "frames of a group: 4, 8, 16, or 0 for what suits the content (8)"
    whole(parser, "--group", "frames", default=8, metavar="N", help=text)
    text = f"of {' '.join(video_trials.METHODS)} (the first {len(video_trials.USUAL)}; a codec takes minutes a clip)"
    parser.add_argument("--methods", nargs="+", metavar="NAME", default=list(video_trials.USUAL), help=text)
    text = "of the channel, per clip and SNR"
    whole(parser, "--realisations", least=1, most=1000, default=1, metavar="N", help=text)
    whole(parser, "--seed", default=1, help="of channels, noise and losses")
    parser.add_argument("--save", metavar="DIR", help="write received clips as DIR/METHOD/SNR/NAME.mp4")


def run(args):
    """The report."""
    from tqdm import tqdm

    from ..codec import video_groups

    if args.channel not in video_trials.CHANNELS:
        raise unknown("channel", args.channel, video_trials.CHANNELS)
    for name in args.methods:
        if name not in video_trials.METHODS:
            raise unknown("method", name, video_trials.METHODS)
    video_groups.check_length(args.group)
    clips = read(args)
    methods = [m for m in video_trials.METHODS if m in args.methods]
    save = saver(args.save) if args.save else None
    with tqdm(unit="step", disable=None) as bar:

        def tick(text):
            bar.set_postfix_str(text)
            bar.update()

        evaluation = video_trials.Evaluation(
            clips, args.cbr, args.snr, args.channel, args.loss, args.realisations, args.seed, args.group, save, tick
        )
        trials = evaluation.run(methods, args.channel == "awgn" and not args.loss)
    ours = next((name for name in video_trials.SEMANTIC if name in trials), None)
    over = {name: video_trials.over(trials[ours], t) for name, t in trials.items() if ours and name != ours}
    return {
        "clips": len(clips),
        "frames": {name: len(clip) for name, (clip, _) in clips.items()},
        "rate": {name: rate for name, (_, rate) in clips.items()},
        "cbr": args.cbr,
        "channel": args.channel,
        "loss": args.loss,
        "group": args.group,
        "realisations": args.realisations,
        "seed": args.seed,
        "snr_db": args.snr,
        "methods": {name: video_trials.summary(evaluation, t) for name, t in trials.items()},
        "over": {"of": ours, **over},
    }


def read(args):
    """{name: (frames, rate)} of --clips."""
    out = {}
    for path in video_files.files(args.clips):
        video = video_files.Video(path, args.max_side, lambda text: print(text, file=sys.stderr))
        frames = video.first(args.skip + args.frames if args.frames else None)[args.skip :]
        if len(frames) < 2:
            raise UserError(f"{path}: {len(frames)} frames are left behind --skip {args.skip}: skip fewer")
        name = path.stem
        while name in out:
            name += "'"
        out[name] = frames, video.rate
    return out


def saver(folder):
    """Writes clips as folder/method/snr/name.mp4, those of realisation 1, 2, ... as name-1.mp4 and so on."""
    from pathlib import Path

    def save(method, snr_db, name, frames, rate, realisation):
        stem = f"{name}-{realisation}" if realisation else name
        path = Path(folder) / method / f"{snr_db:g}" / f"{stem}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = video_files.Writer(path, frames[0].shape[:2], rate)
        for frame in frames:
            writer.add(frame)
        writer.close()

    return save


def table(report):
    """The report for people."""
    methods, snrs = report["methods"], report["snr_db"]
    cbr = fractions.Fraction(report["cbr"]).limit_denominator(1000)
    lost = f", {report['loss']:.0%} of radio frames lost" if report["loss"] else ""
    uses = ", ".join(f"{name} {m['channel_uses']}" for name, m in methods.items())
    lines = [
        f"CBR {cbr}, {report['channel']}{lost}, groups of {report['group'] or 'suitable length'}: "
        f"{report['clips']} clips, {sum(report['frames'].values())} frames, {report['realisations']} realisations",
        f"channel uses: {uses}",
    ]
    parts = [("PSNR, dB", "psnr_db", ".2f"), ("PSNR, worst 5 % of seconds, dB", "psnr_p5_db", ".2f")]
    parts += [("MS-SSIM", "ms_ssim", ".3f"), ("share of time below 20 dB", "below_20_db", ".3f")]
    parts += [("flicker of still pixels, grey levels squared", "flicker", ".1f")]
    for title, key, form in parts:
        rows = [[n, *("-" if x is None else format(x, form) for x in m[key])] for n, m in methods.items()]
        lines += ["", title, *console.table(["", *(f"{s:g} dB" for s in snrs)], rows)]
    if len(report["over"]) > 1:
        rows = []
        for name in methods:
            if name in report["over"]:
                found = report["over"][name]
                each = zip(found["psnr_db"], found["interval_db"], strict=True)
                rows.append([name, *(f"{x:+.2f} ({a:+.2f} .. {b:+.2f})" for x, (a, b) in each)])
        title = f"{report['over']['of']} over, dB of PSNR: mean, 95 % of resampled clips and realisations"
        lines += ["", title, *console.table(["", *(f"{s:g} dB" for s in snrs)], rows)]
    for name, m in methods.items():
        if "modes" in m:
            modes = "; ".join(f"{s:g} dB: {mode}" for s, mode in zip(snrs, m["modes"], strict=True))
            lines.append(f"{name}: {modes if len(set(m['modes'])) > 1 else m['modes'][0]}")
    return "\n".join(lines)
