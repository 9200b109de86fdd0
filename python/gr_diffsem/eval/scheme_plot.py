# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval SCHEME --plot`: of a generator its own picture, of an estimator NMSE against SNR with the published
points of its claims, of a scheme that measures itself each of its quantities against SNR."""

from pathlib import Path

import numpy as np

from ..base.errors import UserError
from . import generated, plots

COLUMNS = 3  # panels in a row


def pictures(schemes, reports, path, seed):
    """One picture for each report; of several the file's name says which: plot_NAME.png."""
    for scheme, report in zip(schemes, reports, strict=True):
        picture(scheme, report, path, seed, named=len(reports) > 1)


def picture(scheme, report, path, seed, named=False):
    """The picture of one report; named: the scheme's name is added to the file's."""
    path = Path(path).with_stem(f"{Path(path).stem}_{scheme.name}") if named else path
    if generated.generates(scheme):
        scheme.picture(generated.drawer(report["package"]), str(path), seed)
    elif "nmse_db" in report:
        nmse(report, str(path))
    elif "measured" in report:
        measured(report, str(path))
    elif "maps" in report:
        maps(report, str(path))
    else:
        raise UserError(f"--plot: scheme '{scheme.name}' has no picture; leave --plot out")


def measured(report, path):
    """Each quantity of every method against SNR, with its intervals; crosses: published numbers of the claims, which
    are of the first quantity or of the one that they name."""
    quantities = report["measured"]
    figure, axes = plots.panels(min(COLUMNS, len(quantities)), -(-len(quantities) // COLUMNS))
    methods = list(dict.fromkeys(name for rows in quantities.values() for name in rows))
    for axis, (quantity, rows) in zip(axes, quantities.items(), strict=False):
        ratio = not quantity.endswith("dB")
        for name, entries in rows.items():
            values = np.array([entry["value"] for entry in entries], float)
            if ratio:  # a rate of nought has no place on a logarithmic axis
                values[values <= 0] = np.nan
            colour = f"C{methods.index(name) % 10}"
            axis.plot(report["snr_db"], values, "o-", ms=4, color=colour, label=name)
            low, high = zip(*(entry["ci95"] for entry in entries), strict=True)
            axis.fill_between(report["snr_db"], low, high, color=colour, alpha=0.15, linewidth=0)
        if ratio and any(entry["value"] > 0 for entries in rows.values() for entry in entries):
            axis.set_yscale("log")
        of = [claim for claim in report["claims"] if claim.get("quantity", next(iter(quantities))) == quantity]
        _crosses(axis, of)
        axis.set(xlabel="SNR, dB", ylabel=quantity)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    for axis in axes[len(quantities) :]:
        axis.set_visible(False)
    figure.suptitle(f"{report['scheme']}: {report['realisations']} realisations, bands of 95 %")
    figure.savefig(path, dpi=110)


def maps(report, path):
    """Error and coverage of every method against the share of cells that were sampled."""
    figure, axes = plots.panels(2)
    shares = [float(share.split()[0]) for share in report["maps"]]
    rows = list(report["maps"].values())
    for name in rows[0]:
        axes[0].plot(shares, [row[name]["rmse_db"] for row in rows], "o-", ms=4, label=name)
        axes[1].plot(shares, [100 * row[name]["coverage90"] for row in rows], "o-", ms=4, label=name)
    axes[1].axhline(90, color="k", lw=0.8, ls="--")
    for axis, text in zip(axes, ("RMSE, dB", "cells within the stated 90 %, in %"), strict=True):
        axis.set(xlabel="share of cells sampled, %", ylabel=text)
        axis.grid(alpha=0.3)
    axes[0].set_title(report["scheme"])
    axes[0].legend()
    figure.savefig(path, dpi=110)


def nmse(report, path):
    """NMSE of every method against SNR; crosses: published numbers of the claims, on their own data."""
    figure, axes = plots.panels(2)
    for name, row in report["nmse_db"].items():
        axes[0].plot(report["snr_db"], row, "o-", ms=4, label=name)
        reference = report["nmse_db"].get("ls") or [-snr for snr in report["snr_db"]]
        gain = [a - b for a, b in zip(row, reference, strict=True)]
        axes[1].plot(report["snr_db"], gain, "o-", ms=4, label=name)
    _crosses(axes[0], report["claims"])
    axes[0].set(xlabel="SNR, dB", ylabel="NMSE, dB", title=report["scheme"])
    axes[1].set(xlabel="SNR, dB", ylabel="NMSE over least squares, dB")
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)


def _crosses(axis, claims):
    """The published numbers of the claims, on their own data."""
    known = [c for c in claims if c["published"] is not None and c.get("snr_db") is not None]
    published = [c for c in known if not c.get("against")]  # a difference is no point of a curve
    if published:
        axis.plot([c["snr_db"] for c in published], [c["published"] for c in published], "kx", label="published")
