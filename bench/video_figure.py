# SPDX-License-Identifier: GPL-3.0-or-later
"""An animated picture, and a sheet of single frames, of clips that `gr-diffsem eval video --save DIR` wrote.

    gr-diffsem eval video --clips CLIP --skip N --frames 48 --snr 2 8 14 --channel tdl --methods video x264_ldpc --save DIR
    build/env/radio/bin/python bench/video_figure.py --clip CLIP --skip N --save DIR --snr 2 14 \\
        --to docs/images/moving.webp --sheet docs/images/moving.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from gr_diffsem.base import video_files
from PIL import Image, ImageDraw

NAMES = {"x264_ldpc": "H.264, LDPC", "x265_ldpc": "H.265, LDPC", "x264": "H.264, K=7", "video": "gr-diffsem"}
TITLE = 16  #: pixels above each picture
GAP = 4


def panel(frames, titles, width):
    """Frames side by side, each with its title."""
    h = round(frames[0].shape[0] * width / frames[0].shape[1])
    out = Image.new("RGB", (len(frames) * (width + GAP) - GAP, h + TITLE), "white")
    draw = ImageDraw.Draw(out)
    for i, (frame, title) in enumerate(zip(frames, titles, strict=True)):
        out.paste(Image.fromarray(frame).resize((width, h), Image.LANCZOS), (i * (width + GAP), TITLE))
        draw.text((i * (width + GAP), 2), title, fill="black")
    return out


def stacked(rows):
    """Pictures one above the other."""
    return Image.fromarray(np.concatenate([np.asarray(row) for row in rows]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", required=True)
    parser.add_argument("--save", required=True)
    parser.add_argument("--snr", required=True, nargs="+", help="a row of pictures for each, dB, as the folders are named")
    parser.add_argument("--methods", nargs="+", default=["x264_ldpc", "video"])
    parser.add_argument("--skip", type=int, default=0)
    parser.add_argument("--width", type=int, default=256, help="pixels of one picture")
    parser.add_argument("--to", required=True, help="animated .webp")
    parser.add_argument("--sheet", help=".jpg of every --every-th frame")
    parser.add_argument("--every", type=int, default=8)
    args = parser.parse_args()
    name, count, rows = f"{Path(args.clip).stem}.mp4", 0, []
    for snr in args.snr:
        got = [video_files.Video(Path(args.save) / m / snr / name).first(None) for m in args.methods]
        count = len(got[0])
        titles = ["sent", *(f"{NAMES.get(m, m)}, {snr} dB" for m in args.methods)]
        rows.append((titles, got))
    source = video_files.Video(args.clip, 320)
    sent = source.first(args.skip + count)[args.skip :]
    pages = [
        stacked([panel([sent[t], *(g[t] for g in got)], titles, args.width) for titles, got in rows])
        for t in range(count)
    ]
    how = {"save_all": True, "loop": 0, "duration": round(1000 / source.rate), "quality": 60, "method": 6}
    pages[0].save(args.to, append_images=pages[1:], **how)
    if args.sheet:
        chosen = [np.asarray(page) for page in pages[:: args.every]]
        Image.fromarray(np.concatenate(chosen)).save(args.sheet, quality=85)


if __name__ == "__main__":
    main()
