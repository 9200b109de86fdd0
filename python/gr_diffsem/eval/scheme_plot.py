# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem eval SCHEME --plot`: of a generator its own picture, of an estimator NMSE against SNR with the published
points of its claims."""

from pathlib import Path

from ..base.errors import UserError
from . import generated, plots


def pictures(schemes, reports, path, seed):
    """One picture for each report; of several the file's name says which: plot_NAME.png."""
    for scheme, report in zip(schemes, reports, strict=True):
        file = Path(path)
        if len(reports) > 1:
            file = file.with_stem(f"{file.stem}_{scheme.name}")
        if generated.generates(scheme):
            scheme.picture(generated.drawer(report["package"]), str(file), seed)
        elif "nmse_db" in report:
            nmse(report, str(file))
        else:
            raise UserError(f"--plot: scheme '{scheme.name}' measures itself and has no picture; leave --plot out")


def nmse(report, path):
    """NMSE of every method against SNR; crosses: published numbers of the claims, on their own data."""
    figure, axes = plots.panels(2)
    for name, row in report["nmse_db"].items():
        axes[0].plot(report["snr_db"], row, "o-", ms=4, label=name)
        reference = report["nmse_db"].get("ls") or [-snr for snr in report["snr_db"]]
        gain = [a - b for a, b in zip(row, reference, strict=True)]
        axes[1].plot(report["snr_db"], gain, "o-", ms=4, label=name)
    published = [c for c in report["claims"] if c["published"] is not None and c.get("snr_db") is not None]
    if published:
        axes[0].plot([c["snr_db"] for c in published], [c["published"] for c in published], "kx", label="published")
    axes[0].set(xlabel="SNR, dB", ylabel="NMSE, dB", title=report["scheme"])
    axes[1].set(xlabel="SNR, dB", ylabel="NMSE over least squares, dB")
    for axis in axes:
        axis.grid(alpha=0.3)
    axes[0].legend()
    figure.savefig(path, dpi=110)
