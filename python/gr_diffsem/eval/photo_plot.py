# SPDX-License-Identifier: GPL-3.0-or-later
"""PSNR against SNR and rate, as a picture. Colours after Okabe and Ito: told apart by colour-blind eyes too."""

import fractions

#: of what is no package: (label, colour, marker, line)
STYLES = {
    "webp": ("WebP, K=7, best mode in hindsight", "#D55E00", "s", "-"),
    "webp_ldpc": ("WebP, LDPC, best mode in hindsight", "#E69F00", "v", "-"),
    "webp_capacity": ("WebP, ideal code (bound)", "#000000", None, "--"),
    "linear": ("linear", "#56B4E9", "^", "-"),
}
#: (colour, marker) of the packages, in the order of photo_receivers.packages(): the shipped ones keep theirs
CYCLE = (
    ("#CC79A7", "D"), ("#0072B2", "o"), ("#009E73", "P"), ("#882255", "X"), ("#999933", "p"), ("#44AA99", "*"),
)  # fmt: skip


def styles(methods):
    """{method: (label, colour, marker, line)}: each of its own style, the same in every figure of one installation."""
    from . import photo_receivers

    ours = [name for name in dict.fromkeys([*photo_receivers.packages(), *methods]) if name not in STYLES]
    found = dict(STYLES)
    for i, name in enumerate(ours):
        lap, place = divmod(i, len(CYCLE))
        found[name] = (name, *CYCLE[place], ("-", "-.", ":")[lap % 3])
    return {name: found[name] for name in methods}


def psnr_against_snr(reports, path):
    """One panel for each report of `eval semantic_link`: means, with each WebP mode by itself behind them; of several
    rates one more, against the rate at the SNR in the middle."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3})
    panels = len(reports) + (len(reports) > 1)
    figure, axes = plt.subplots(1, panels, figsize=(6.2 * panels, 4.8), squeeze=False)
    style = styles([name for report in reports for name in report["methods"]])
    if len(reports) > 1:
        _against_rate(axes[0, -1], reports, style)
    for axis, report in zip(axes[0], reports, strict=False):
        snr_db = report["snr_db"]
        modes = report["methods"].get("webp", {}).get("by_mode_psnr_db", {})
        for i, psnr_db in enumerate(modes.values()):
            label = {"label": "each WebP mode, K=7"} if i == 0 else {}
            axis.plot(snr_db, psnr_db, color="#D55E00", linewidth=0.8, alpha=0.4, **label)
        for name, scores in report["methods"].items():
            label, colour, marker, line = style[name]
            if report["channel"] != "awgn":
                label = label.replace("best mode in hindsight", "one mode, best in hindsight")
            axis.plot(snr_db, scores["psnr_db"], line, color=colour, marker=marker, markersize=5, label=label)
        cbr = fractions.Fraction(report["cbr"]).limit_denominator(1000)
        lost = f", {report['loss']:.0%} of frames lost" if report["loss"] else ""
        lost += f", SNR told {report['misstated_db']:+g} dB" if report.get("misstated_db") else ""
        lost += "" if report.get("csi", True) else ", no CSI"
        axis.set(
            title=f"CBR {cbr}, {report['channel']}{lost}, {report['images']} photographs",
            xlabel="SNR per data carrier, Es/N0 (dB)",
            ylabel="PSNR (dB)",
        )
        axis.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _against_rate(axis, reports, style):
    """PSNR at the SNR in the middle against the channel uses for each pixel and colour."""
    reports = sorted(reports, key=lambda report: report["cbr"])
    middle = len(reports[0]["snr_db"]) // 2
    for name in reports[0]["methods"]:
        label, colour, marker, line = style[name]
        psnr_db = [report["methods"][name]["psnr_db"][middle] for report in reports]
        axis.plot([r["cbr"] for r in reports], psnr_db, line, color=colour, marker=marker, markersize=5, label=label)
    axis.set_xscale("log", base=2)
    axis.set(
        title=f"{reports[0]['snr_db'][middle]:g} dB, {reports[0]['channel']}",
        xlabel="channel uses per pixel and colour",
        ylabel="PSNR (dB)",
    )
    axis.legend(fontsize=8, loc="lower right")
