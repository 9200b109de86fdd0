# SPDX-License-Identifier: GPL-3.0-or-later
"""One picture of an evaluation: two constellations, the NMSE over SNR, and packets one after the other."""

import numpy as np

from ..receivers.wifi import reference_channel, wifi_decoder
from ..receivers.wifi.wifi_tables import DATA, RATES
from . import plots, wifi_scores

#: The SNR whose constellations are shown: the first of the report from here up.
SHOW_DB = 15.0


def _points(packets, name, estimator, snr_db, seed):
    y, noise_var, symbols = wifi_scores.observe(packets, snr_db, seed)
    h, _ = wifi_scores.receive(name, estimator, packets, y, noise_var, symbols)
    points = []
    for i, p in enumerate(packets):
        job = reference_channel.decode_known(p, h[i], 2 * float(noise_var[i]), None, symbols[i])
        points.append(wifi_decoder.equalise(job)[0][1:].ravel())
    return np.concatenate(points)


def _gains(report, ours):
    """The SNR of the report at which most packets are won, by `ours` against least squares."""
    stock = report["methods"].get("ls", report["reference"])["fcs_ok"]
    won = np.subtract(report["methods"][ours]["fcs_ok"], stock)
    return report["snr_db"][int(np.argmax(won))]


def _good(packets, name, estimator, snr_db, seed):
    """Which packets come through, in the order of the recordings."""
    y, noise_var, symbols = wifi_scores.observe(packets, snr_db, seed)
    _, results = wifi_scores.receive(name, estimator, packets, y, noise_var, symbols)
    return np.array([r.fcs_ok and r.psdu == p.psdu for r, p in zip(results, packets, strict=True)])


def picture(path, packets, estimators, report, seed=0):
    """Write a PNG (or what the extension says): least squares beside the last method.

    packets, estimators, report: as given to and returned by `wifi_scores.evaluate`.
    """
    snr = report["snr_db"]
    show = next((s for s in sorted(snr) if s >= SHOW_DB), max(snr))
    # The modulation of most packets.
    orders = [RATES[p.mbps].n_bpsc for p in packets]
    order = max(set(orders), key=lambda o: orders.count(o))
    chosen = [p for p, q in zip(packets, orders, strict=True) if q == order][:20]
    methods = {"ls": wifi_scores.least_squares}
    ours = list(estimators)[-1]
    methods[ours] = estimators[ours]
    figure, axes = plots.panels(4)
    ideal = np.unique(np.round(np.concatenate([p.sent[1:, DATA].ravel() for p in chosen]), 6))
    for ax, (name, estimator) in zip(axes[:2], [("ls", methods["ls"]), (ours, methods[ours])], strict=True):
        z = _points(chosen, name, estimator, show, seed)
        ax.plot(z.real, z.imag, ".", ms=1.5, alpha=0.4, color="tab:blue")
        ax.plot(ideal.real, ideal.imag, "x", ms=5, color="black")
        ax.set(xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
        ax.set_title(f"{name}, {show:g} dB SNR")
        ax.set_xlabel("in phase")
    axes[0].set_ylabel("quadrature")
    for name, m in report["methods"].items():
        axes[2].plot(snr, m["nmse_db"], "o-", ms=4, label=name)
    axes[2].set(xlabel="SNR, dB", ylabel="NMSE of the channel, dB")
    axes[2].set_title(f"{report['packets']} packets")
    axes[2].grid(alpha=0.3)
    axes[2].legend()
    hard = _gains(report, ours)
    known = packets[: wifi_scores.BLOCK]
    for name, estimator in methods.items():
        axes[3].plot(np.cumsum(_good(known, name, estimator, hard, seed)), label=name)
    axes[3].plot([0, len(known)], [0, len(known)], "k--", lw=0.8, label="sent")
    axes[3].set(xlabel="packets sent, one after the other", ylabel="packets with a good FCS")
    axes[3].set_title(f"{hard:g} dB SNR")
    axes[3].grid(alpha=0.3)
    axes[3].legend()
    figure.savefig(path, dpi=110)
