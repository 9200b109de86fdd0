# SPDX-License-Identifier: GPL-3.0-or-later
"""A table and pictures in two minutes: what a better channel estimate does for an OFDM receiver.

Sends coded QPSK packets through two fading channels, receives them with gr-digital's estimator, with
ours, and with some between. Then sends photographs over a fading channel, beside WebP; and two of them once more
from one process to another, over ZeroMQ. Says where the pictures lie. With a capture, `eval wifi` on it too.
"""

import argparse
from pathlib import Path

import numpy as np

from ..base.errors import UserError
from ..base.number_options import whole

CONFIGS = {"qpsk_short_ideal": "short delay spread", "qpsk_long_ideal": "long delay spread"}
SNR_DB = np.arange(2.0, 17.0, 2.0)
PICTURE_SNR_DB = 14.0  #: of the constellations
ESTIMATE_SNR_DB = 8.0  #: of the one estimate that is drawn
PHOTOGRAPHS = ("--count", "3", "--channel", "tdl", "--snr", "0", "5", "10", "15")
PROCESSES_SNR_DB = (0.0, 5.0, 10.0, 15.0)
SIDE = 768  #: longest of a photograph, pixels, as in `eval semantic_link`


def add_arguments(parser):
    """argparse arguments of `gr-diffsem demo`."""
    parser.add_argument("--capture", metavar="FILE", help="a 20 MS/s recording of 802.11 packets")
    parser.add_argument("--out", metavar="DIR", help="where pictures go (default: build/demo)")
    whole(parser, "--packets", least=1, most=4096, default=200, help="packets per SNR (default: 200)")
    whole(parser, "--seed", default=1, help="of payloads, channels and noise")


def run(args):
    """Everything; the report has the link's, the capture's and the pictures' names."""
    if args.capture and not Path(args.capture).exists():
        raise UserError(f"--capture {args.capture}: there is no such file")
    out = Path(args.out) if args.out else _default_out()
    out.mkdir(parents=True, exist_ok=True)
    entries, pictures = _link(args, out)
    report = {"configs": entries, "photographs": _photographs(args.seed, out, pictures), "pictures": pictures}
    report["two_processes"] = _two_processes(args.seed, out, report["photographs"]["methods"])
    if args.capture:
        report["wifi"] = _wifi(args.capture, out, pictures)
    return report


def table(report):
    """The report for people."""
    lines = []
    for entry in report["configs"]:
        lines += ["", f"{entry['title']} ({entry['channel']}), {entry['packets']} packets per SNR"]
        lines.append(f"  {'':32} {'SNR at 10 % PER':>16} {'better than LS':>15} {'SINR loss':>10}")
        for name, scores in entry["methods"].items():
            cells = [_db(scores["snr_at_per_10"]), _db(scores["gain_over_ls_db"]), _db(scores["loss"])]
            row = f"{cells[0]:>13} dB {cells[1]:>12} dB {cells[2]:>7} dB"
            lines.append(f"  {_label(name):32} {row}")
    lines += ["", "SNR: Es/N0 per carrier behind the FFT. SINR loss: against the true channel, at 10 dB."]
    from ..eval import semantic_link

    lines += ["", "Photographs over a fading channel, WebP in the one mode that would have been best:", ""]
    lines.append(semantic_link.table(report["photographs"]))
    from . import receive, two_processes

    lines += ["", f"The first two once more, sent by one process, received by another, {receive.DEFAULT}:", ""]
    lines.append(two_processes.table(report["two_processes"]))
    if "wifi" in report:
        from ..eval import wifi_eval as wifi

        lines += ["", "the capture:", wifi.table(report["wifi"])]
    lines += ["", "pictures:", *(f"  {name}" for name in report["pictures"])]
    return "\n".join(lines)


def _link(args, out):
    from tqdm import tqdm

    from ..eval import link_plots, link_scores

    everything, entries, names = link_scores.configurations(), [], []
    methods, _ = link_scores.available(link_scores.METHODS)
    with tqdm(total=len(CONFIGS) * len(methods) + 3, unit="run", disable=None) as bar:

        def done(text):
            bar.set_postfix_str(text)
            bar.update()

        for name, title in CONFIGS.items():
            outcome = link_scores.run_config(everything[name], args.packets, SNR_DB, methods, args.seed, done)
            entry = link_scores.score(outcome) | {"title": f"QPSK, {title}"}
            at = int(np.abs(SNR_DB - 10).argmin())
            for scores in entry["methods"].values():
                scores["loss"] = scores["sinr_loss_db"][at]
            entries.append(entry)
        names.append(out / "per.png")
        link_plots.per_against_snr(entries, names[-1])
        names.append(out / "estimate.png")
        _estimate_picture(outcome, names[-1])
        names.append(out / "constellation.png")
        _constellation_picture(args.seed, names[-1], done)
    return entries, [str(name) for name in names]


def _estimate_picture(outcome, path):
    """One packet of ordinary strength: where the error of LS is the median one."""
    from ..eval import link_plots
    from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT

    packets = outcome.packets
    at = int(np.abs(outcome.snr_db - ESTIMATE_SNR_DB).argmin())
    ours, ls = outcome.received["diffusion"], outcome.received["ls"]
    here = np.flatnonzero(outcome.synced.packet // packets == at)
    power = np.mean(np.abs(outcome.truth[here][:, LAYOUT.carrier_bins]) ** 2, -1)
    one = here[np.argsort(power)[power.size // 2]]
    link_plots.estimate_against_truth(
        outcome.truth[one],
        ls.taps[one],
        ours.taps[one],
        ours.error_var[one],
        path,
        f"One channel from one sync word, SNR {outcome.snr_db[at]:g} dB, long delay spread",
    )


def _constellation_picture(seed, path, done):
    """The same packets: gr-digital's receiver as it comes; our estimator and equaliser in it."""
    from ..eval import link_plots, link_scores
    from ..phy import constellation
    from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT

    everything = link_scores.configurations()
    panels = []
    for title, method, config in (
        ("least squares, ofdm_equalizer_simpledfe\n(gr-digital as it comes)", "ls", "_simpledfe"),
        ("least squares,\nequaliser that keeps the estimate", "ls", ""),
        ("diffusion prior,\nequaliser that keeps the estimate", "diffusion", ""),
    ):
        config = everything[f"qpsk_short_ideal{config}"]
        outcome = link_scores.run_config(config, 8, [PICTURE_SNR_DB], [method], seed, done)
        symbols = outcome.received[method].symbols
        here = np.isfinite(symbols).all((1, 2))
        weight = np.abs(outcome.truth[here][:, None, LAYOUT.data_bins]) ** 2
        error = np.sum(weight * np.abs(symbols - outcome.sent)[here] ** 2)
        evm = 10 * np.log10(error / np.sum(weight * np.abs(outcome.sent[here]) ** 2))
        title += f"\nerror {evm:.1f} dB"
        panels.append((title, link_plots.COLOURS[method], symbols))
    link_plots.constellations(
        panels,
        constellation.points(2),
        path,
        f"The same eight packets, equalised; SNR {PICTURE_SNR_DB:g} dB",
    )


def _photographs(seed, out, names):
    """A small `eval semantic_link`; its contact sheet joins the pictures."""
    from ..eval import semantic_link

    folder = out / "photographs"
    parser = argparse.ArgumentParser()
    semantic_link.add_arguments(parser)
    words = [*PHOTOGRAPHS, "--seed", str(seed), "--save", str(folder)]
    report = semantic_link.run(parser.parse_args(words))
    names.append(str(folder / "contact_sheet.png"))
    return report


def _two_processes(seed, out, methods):
    """Through `gr-diffsem send` and `receive`; what came joins the contact sheet as its last rows."""
    from tqdm import tqdm

    from ..base import picture_files
    from ..eval import photo_sheet
    from . import two_processes

    folder = out / "photographs"
    some = picture_files.bundled(SIDE, photo_sheet.MOST)
    with tqdm(total=len(PROCESSES_SNR_DB), unit="SNR", disable=None) as bar:

        def done(text):
            bar.set_postfix_str(text)
            bar.update()

        said = two_processes.run(some, PROCESSES_SNR_DB, folder, "1/48", seed=seed, done=done)
    rows = [*photo_sheet.shown(methods), two_processes.NAME]
    titles = {two_processes.NAME: "over ZeroMQ"}
    photo_sheet.from_folder(folder, some, PROCESSES_SNR_DB, rows, folder / "contact_sheet.png", titles)
    return said


def _wifi(capture, out, names):
    from ..eval import wifi_eval as wifi

    parser = argparse.ArgumentParser()
    wifi.add_arguments(parser)
    names.append(str(out / "wifi.png"))
    return wifi.run(parser.parse_args([capture, "--plot", names[-1]]))


def _label(name):
    from ..eval.link_plots import LABELS

    return LABELS[name]


def _default_out():
    from . import environments

    root = environments.checkout()
    return root / "build" / "demo" if root else Path("gr-diffsem-demo")


def _db(value):
    return "-" if value is None or not np.isfinite(value) else f"{value:.1f}"
