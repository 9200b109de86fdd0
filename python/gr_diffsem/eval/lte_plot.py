# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of an evaluation: the broadcast channel by two estimates, the error at held-out tones over SNR, and how
often the master information is decoded."""

import numpy as np

from ..base.signal import db_to_linear
from . import lte_scores, plots

SHOW_DB = 10.0  #: whose constellations are shown: the first SNR of the report from here up


def picture(path, reception, methods, report, seed=0):
    """Write a PNG (or what the extension says): the first method beside the last.

    reception, methods, report: as given to and returned by `lte_scores.evaluate`.
    """
    names = list(methods)
    snr = report["methods"][names[0]]["snr_db"]
    show = next((s for s in sorted(snr) if s >= SHOW_DB), max(snr))
    figure, axes = plots.panels(4)
    broadcasts = lte_scores.Broadcasts(reception)
    power = np.mean([lte_scores.Port(reception, p).power for p in range(reception.ports)])
    for ax, name in zip(axes[:2], (names[0], names[-1]), strict=True):
        rng = np.random.default_rng([seed, 99])
        z = broadcasts.equalised(methods[name], power / db_to_linear(show), rng)
        ax.plot(z.real, z.imag, ".", ms=2, alpha=0.5, color="tab:blue")
        ideal = np.array([1 + 1j, 1 - 1j, -1 + 1j, -1 - 1j]) / np.sqrt(2)
        ax.plot(ideal.real, ideal.imag, "x", ms=7, color="black")
        ax.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5), aspect="equal")
        ax.set_title(f"broadcast channel, {name}, {show:g} dB added")
        ax.set_xlabel("in phase")
    axes[0].set_ylabel("quadrature")
    for name, m in report["methods"].items():
        error = np.array([np.nan if v is None else v for v in m["heldout_nmse_db"]], float)
        axes[2].plot(snr, error, "o-", ms=4, label=name)
    axes[2].set(xlabel="SNR of a reference tone, dB", ylabel="NMSE at held-out tones, dB")
    axes[2].set_title(f"cell {report['pci']}, {report['tones']} tones")
    axes[2].grid(alpha=0.3)
    axes[2].legend()
    for name, m in report["methods"].items():
        axes[3].plot(snr, m["mib_ok"], "o-", ms=4, label=name)
    axes[3].axhline(report["mib_of"], color="black", ls="--", lw=0.8)
    axes[3].set(xlabel="SNR of a reference tone, dB", ylabel="broadcast channels decoded")
    axes[3].set_title(f"of {report['mib_of']}")
    axes[3].grid(alpha=0.3)
    figure.savefig(path, dpi=110)
