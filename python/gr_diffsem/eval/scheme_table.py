# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a scheme's evaluation, for people."""

from ..base import console
from . import adaptive, generated, map_city, measured


def table(report):
    """The report for people."""
    if "sizes" in report:
        return "\n\n".join(table(size) for size in report["sizes"].values())
    if "maps" in report:
        return map_city.table(report)
    if "generated" in report:
        return generated.table(report, claims_table)
    if "measured" in report:
        return measured.table(report, claims_table)
    lines = [f"{report['scheme']}: NMSE in dB over {report['realisations']} realisations"]
    lines += [f"SNR: {report['snr_definition']}", f"package: {report['package']}", ""]
    empty, cells = [""] * len(report["snr_db"]), []
    for part, rows in (report["parts"] or {None: report["nmse_db"]}).items():
        cells += [[f"{part}:", *empty]] if part else []
        cells += [[name, *(f"{v:.2f}" for v in row)] for name, row in rows.items()]
    cells += [["all:", *empty]] if report["parts"] else []
    for count, row in report["evaluations"].items():
        cells.append([f"posterior_mean x {count}", *(f"{v:.2f}" for v in row)])
    lines += console.table(["SNR, dB", *(f"{v:g}" for v in report["snr_db"])], cells)
    lines += residual_table(report)
    if report["guarded"]:
        lines += ["", "share of estimates that contradicted their measurement, so that a fallback answered, in %"]
        rows = [[name, *(f"{100 * v:.2g}" for v in row)] for name, row in report["guarded"].items()]
        lines += console.table(["SNR, dB", *(f"{v:g}" for v in report["snr_db"])], rows)
    if report["adaptive"]:
        lines += adaptive.table(report["adaptive"], report["snr_db"])
    for name, entry in report["calibration"].items():
        ratios = " ".join(f"{v:.2f}" for v in entry["ratios"])
        lines += ["", f"{name}: predicted / actual variance by decile: {ratios}"]
        lines.append(
            f"  log-likelihood {entry['log_likelihood']:.3f}, table by SNR {entry['log_likelihood_snr_table']:.3f} nats"
        )
    lines += ["", "claims (dB; lower is better)", *claims_table(report["claims"])]
    return "\n".join(lines)


def residual_table(report):
    """What the answers leave of the measurement, and which leave too much."""
    text = "residual: mean |y - A x|^2 over the noise variance; 1 is the truth's, a mean leaves less"
    limit = report["residual_limit"]
    far = any(value > limit for row in report["residual"].values() for value in row)
    rows = [[name, *(f"{v:.2f}" + "*" * (v > limit) for v in row)] for name, row in report["residual"].items()]
    lines = ["", text, *console.table(["SNR, dB", *(f"{v:g}" for v in report["snr_db"])], rows)]
    return [*lines, f"* above {limit:.2f}: the answer contradicts what was measured"] if far else lines


def claims_table(claims, costs=False):
    """The claims as lines; each published number refers to the data that it was measured on, which stand below. costs:
    with the interval, and what one item cost."""
    verdicts = {True: "holds", False: "FAILS", None: "-"}
    notes = list(dict.fromkeys(c["published_on"] for c in claims if c["published_on"]))

    def row(c):
        note = f" ({notes.index(c['published_on']) + 1})" if c["published_on"] else ""
        ours, gate, published = map(_number, (c["ours"], c["gate"], c["published"]))
        cells = verdicts[c.get("holds")], c["name"], ours, gate, published + note
        return (*cells, *_costs(c)) if costs else cells

    titles = ["", "claim", "ours", "gate", "published"] + (COSTS if costs else [])
    lines = console.table(titles, [row(c) for c in claims], left=(0, 1))
    return lines + [f"({i}) measured on {note}" for i, note in enumerate(notes, 1)]


COSTS = ["95 %", "evaluations", "multiply-adds", "ms an item"]


def _costs(claim):
    """The cells of a claim below COSTS."""
    interval = "-" if claim.get("ci95") is None else "{:.2f} .. {:.2f}".format(*claim["ci95"])
    numbers = [claim.get(key) for key in ("evaluations", "macs", "ms_per_item")]
    forms = ("{:.3g}", "{:,.0f}", "{:.3g}")
    return interval, *("-" if n is None else form.format(n) for n, form in zip(numbers, forms, strict=True))


def _number(value):
    if value is None:
        return "-"
    return f"{value:.2g}" if 0 < abs(value) < 0.01 else f"{value:.2f}"
