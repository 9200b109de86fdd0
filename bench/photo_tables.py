# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures every photograph table and figure of README, docs and bench/results.md again, and prints Markdown.

    build/env/radio/bin/python bench/photo_tables.py [--quick] [--only NAME ...] [--figures]

Each step is a command of its own (printed), whose report is kept as OUT/NAME.json; a step whose report is there is not
run again, so an interrupted run goes on where it was. Two steps run at once (--jobs). Photographs of BSDS500's
validation part where DIFFSEM_DATA (or ../shared/data) has them, else those steps are left out, saying so. --quick: few
small pictures, to see that it works. --figures: draws docs/images/photographs.jpg and realism.jpg too. Look at them.
"""

import argparse
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("DIFFSEM_DATA", ROOT.parent / "shared" / "data")) / "bsds500" / "val"
WIDTH = 1500  #: of the figures, pixels
SCHEMES = "linear photo_mmse photo_posterior"
ALL = f"webp webp_ldpc webp_capacity {SCHEMES}"
AWGN = "0 5 7.5 10.5 15"
LOSS = f"--cbr 1/6 --snr 10 --methods {SCHEMES}"
#: name: (title, whether of BSDS500, arguments of `eval semantic_link`), the longest first. N pictures: --count.
STEPS = {
    "tdl_48": (
        "CBR 1/48, TDL, SNR unknown to the sender",
        True,
        f"--count 42 --realisations 4 --cbr 1/48 --snr 0 5 10 --channel tdl --methods webp {SCHEMES}",
    ),
    "awgn_48_bsds": ("CBR 1/48, AWGN", True, f"--count 10 --cbr 1/48 --snr -5 {AWGN} --methods {ALL}"),
    "awgn_48_skimage": ("CBR 1/48, AWGN", False, f"--cbr 1/48 --snr {AWGN} --methods {ALL}"),
    "awgn_6_bsds": ("CBR 1/6, AWGN", True, f"--count 5 --cbr 1/6 --snr -5 0 5 10 15 --methods {ALL}"),
    "awgn_6_skimage": ("CBR 1/6, AWGN", False, f"--max-side 512 --cbr 1/6 --snr 0 5 10 15 --methods {ALL}"),
    "tdl_6": (
        "CBR 1/6, TDL, SNR unknown to the sender",
        True,
        f"--count 6 --realisations 2 --cbr 1/6 --snr 0 5 10 --channel tdl --methods webp {SCHEMES}",
    ),
    "demo": ("CBR 1/48, TDL, what the README says", False, f"--count 3 --channel tdl --snr 0 5 10 15 --methods {ALL}"),
    "loss_10": ("CBR 1/6, AWGN, 10 % of frames lost", True, f"--count 10 {LOSS} --loss 0.1"),
    "loss_30": ("CBR 1/6, AWGN, 30 % of frames lost", True, f"--count 10 {LOSS} --loss 0.3"),
    "symbols": ("CBR 1/48, AWGN, chain symbols", True, f"--count 3 --cbr 1/48 --snr 0 5 10 15 --methods {SCHEMES}"),
    "gnuradio": (
        "CBR 1/48, AWGN, chain gnuradio",
        True,
        f"--count 3 --cbr 1/48 --snr 0 5 10 15 --methods {SCHEMES} --chain gnuradio",
    ),
    "realism_48": (
        "Realism, CBR 1/48, AWGN",
        True,
        "--count 16 --methods linear --cbr 1/48 --snr 0 5 10 --realism 0 0.5 1",
    ),
    "realism_tdl": (
        "Realism, CBR 1/6, TDL",
        True,
        "--count 16 --methods linear --cbr 1/6 --snr 10 --realism 0 0.5 1 --channel tdl",
    ),
    "realism_loss": (
        "Realism, CBR 1/6, AWGN, 30 % lost",
        True,
        "--count 16 --methods linear --cbr 1/6 --snr 10 --realism 0 0.5 1 --loss 0.3",
    ),
}
SAVED = ("demo", "realism_48")  #: whose pictures the figures show
QUICK = ["--count", "2", "--realisations", "1", "--max-side"]  #: a later option wins
LEAST = {"1/6": "160", "1/48": "384"}  #: the smallest sides that hold a picture's side information
GATES = "bench/photo_gates.py --side 512"


def command(name, out, quick):
    """The step as words."""
    _, bsds, words = STEPS[name]
    line = [sys.executable, "-m", "gr_diffsem", "eval", "semantic_link", *words.split()]
    line += ["--images", str(DATA)] if bsds else []
    line += ["--save", str(out / name)] if name in SAVED else []
    side = LEAST["1/6" if "1/6" in words else "1/48"]
    return [*line, *([*QUICK, side] if quick else []), "--json"]


def measure(name, out, quick):
    """Run a step, unless its report is there; the report, or None where it failed."""
    done = out / f"{name}.json"
    if done.exists():
        return json.loads(done.read_text())
    line = command(name, out, quick)
    print(f"<!-- {name}: {shlex.join(line[1:])} -->", file=sys.stderr, flush=True)
    env = {**os.environ, "PYTHONPATH": str(ROOT / "python"), "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
    began = time.monotonic()
    with (out / f"{name}.log").open("w") as log:
        run = subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        said = run.stdout.read()
        _, status, used = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    if run.returncode:
        print(f"{name} failed: see {out / name}.log", file=sys.stderr)
        return None
    report = json.loads(said)
    report |= {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": round(used.ru_utime + used.ru_stime, 1)}
    half = done.with_suffix(".part")
    half.write_text(json.dumps(report, indent=1))
    half.rename(done)  # whole or not there
    return report


def gates(out, quick):
    """The table of bench/photo_gates.py, which is Markdown already."""
    done = out / "gates.md"
    if not done.exists():
        line = [sys.executable, *GATES.split(), *(["--side", "128", "--count", "1"] if quick else [])]
        run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
        if run.returncode:
            print(f"photo_gates.py failed: {run.stderr[-400:]}", file=sys.stderr)
            return None
        first, *rest = run.stdout.splitlines()
        done.write_text("\n".join([first, "|" + "---|" * (first.count("|") - 1), *rest]) + "\n")
    return done.read_text()


def shown(name):
    """The command for people."""
    _, bsds, words = STEPS[name]
    return f"    gr-diffsem eval semantic_link {'--images DIR ' if bsds else ''}{words}"


def plural(n, what):
    return f"{n} {what}{'' if n == 1 else 's'}"


def interval(pair):
    return "" if pair[0] is None else f" [{pair[0]:.2f}, {pair[1]:.2f}]"


def table(name, report):
    """Markdown of one report: PSNR (MS-SSIM) of each method, and what ours have over webp, webp_ldpc and linear."""
    title, bsds, _ = STEPS[name]
    snrs = report["snr_db"]
    fading = report["channel"] != "awgn"
    whose = "BSDS500's validation part" if bsds else "scikit-image's"
    many = f" x {report['realisations']} realisations" if report["realisations"] > 1 else ""
    lines = [f"### {title}", "", shown(name), ""]
    what = f"{plural(report['images'], 'photograph')} ({whose}){many}"
    lines += [f"{what}, chain {report['chain']}, {report['cpu_seconds']:.0f} s of CPU.", ""]
    more = ["mean", "worst 5 %"] if fading else []
    head = ["PSNR, dB (MS-SSIM)", *(f"{s:g}" for s in snrs), *more]
    lines += [row(head), row(["---"] * len(head))]
    for method, scores in report["methods"].items():
        cells = [f"{p:.2f} ({m:.3f})" for p, m in zip(scores["psnr_db"], scores["ms_ssim"], strict=True)]
        both = [f"{scores['all_snr'][k]:.2f}" for k in ("psnr_db", "psnr_p5_db")] if fading else []
        lines.append(row([method, *cells, *both]))
    for base in ("webp", "webp_ldpc", "linear"):
        for method in SCHEMES.split():
            gain = report["methods"].get(method, {}).get(f"over_{base}")
            if gain is None:
                continue
            cells = [f"{p:+.2f}{interval(c)}" for p, c in zip(gain["psnr_db"], gain["ci95"], strict=True)]
            if fading:
                cells += [f"{gain['all_snr']:+.2f}{interval(gain['all_snr_ci95'])}", f"{gain['p5_db']:+.2f}"]
            lines.append(row([f"{method} over {base}", *cells]))
    for method in ("webp", "webp_ldpc"):
        if method in report["methods"]:
            scores = report["methods"][method]
            modes = dict.fromkeys(scores["modes"]) if fading else scores["modes"]
            came = " / ".join(f"{x:.2f}" for x in scores["delivered"])
            lines += ["", f"`{method}`'s modes: {', '.join(modes)}; delivered {came}."]
    return "\n".join(lines) + "\n"


def realism(name, report):
    """Markdown of the knob beside its controls."""
    lines = [f"### {STEPS[name][0]}", "", shown(name), ""]
    head = ["realism, control", "SNR, dB", "PSNR, mean -> draw", "MS-SSIM over control", "features over control"]
    lines += [row(head), row(["---"] * len(head))]
    psnr_db = {(r["realism"], r["method"]): r["psnr_db"] for r in report["realism"]["rows"]}
    knob = report["realism"]["scheme"]
    for one in report["realism"]["over_controls"]:
        for s, snr in enumerate(report["snr_db"]):
            cells = [f"{one['realism']:g}, {one['control']}", f"{snr:g}"]
            cells.append(f"{psnr_db[0.0, knob][s]:.2f} -> {psnr_db[one['realism'], knob][s]:.2f}")
            for part in ("ms_ssim", "feature_distance"):
                low, high = one[part]["ci95"][s]
                both = "" if low is None else f" [{low:+.4f}, {high:+.4f}]"
                cells.append(f"{one[part]['mean'][s]:+.4f}{both}")
            lines.append(row(cells))
    return "\n".join(lines) + "\n"


def agreement(reports):
    """By how much the whole chain in GNU Radio differs from the symbols."""
    if not all(reports.get(name) for name in ("symbols", "gnuradio")):
        return ""
    lines = ["### Chain gnuradio minus chain symbols, dB (asked: within 0.5)", ""]
    head = ["PSNR", *(f"{s:g}" for s in reports["symbols"]["snr_db"])]
    lines += [row(head), row(["---"] * len(head))]
    for method in SCHEMES.split():
        scores = reports["gnuradio"]["methods"][method]
        other = reports["symbols"]["methods"][method]["psnr_db"]
        lines.append(row([method, *(f"{a - b:+.2f}" for a, b in zip(scores["psnr_db"], other, strict=True))]))
    return "\n".join(lines) + "\n"


def row(cells):
    return "| " + " | ".join(cells) + " |"


def figures(out):
    """The contact sheets, as JPEGs of docs/images."""
    from PIL import Image

    for source, name in (("demo/contact_sheet.png", "photographs"), ("realism_48/realism-5dB.png", "realism")):
        if not (out / source).exists():
            print(f"no {out / source}: {name}.jpg left as it is", file=sys.stderr)
            continue
        picture = Image.open(out / source).convert("RGB")
        if picture.width > WIDTH:
            picture = picture.resize((WIDTH, round(picture.height * WIDTH / picture.width)), Image.Resampling.LANCZOS)
        picture.save(ROOT / "docs" / "images" / f"{name}.jpg", quality=85)
        print(f"docs/images/{name}.jpg: look at it", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few small pictures")
    parser.add_argument("--only", nargs="+", choices=[*STEPS, "gates"], default=[*STEPS, "gates"], metavar="NAME")
    parser.add_argument("--out", type=Path, help="build/photo_tables, with -quick for --quick")
    parser.add_argument("--jobs", type=int, default=2, help="steps at once (2)")
    parser.add_argument("--figures", action="store_true", help="write docs/images too")
    args = parser.parse_args()
    out = args.out or ROOT / "build" / ("photo_tables-quick" if args.quick else "photo_tables")
    out.mkdir(parents=True, exist_ok=True)
    have = [n for n in STEPS if n in args.only and (DATA.is_dir() or not STEPS[n][1])]
    left = [n for n in STEPS if n in args.only and n not in have]
    if left:
        print(f"left out, no {DATA} (set DIFFSEM_DATA): {' '.join(left)}", file=sys.stderr)
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        found = {n: pool.submit(measure, n, out, args.quick) for n in have}
        gate = pool.submit(gates, out, args.quick) if "gates" in args.only else None
        reports = {n: f.result() for n, f in found.items()}
    for name, report in reports.items():
        if report:
            print((realism if "realism" in report else table)(name, report))
    print(agreement(reports))
    if gate and gate.result():
        print(f"### Without the link's symbols\n\n    {GATES}\n\n{gate.result()}")
    if args.figures:
        figures(out)
    return 0 if all(reports.values()) and (gate is None or gate.result()) else 1


if __name__ == "__main__":
    sys.exit(main())
