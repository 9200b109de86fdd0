# SPDX-License-Identifier: GPL-3.0-or-later
"""The pictures of the demo. Colours after Okabe and Ito: told apart by colour-blind eyes too."""

import numpy as np

from ..phy.ofdm_layout import LAYOUT_64 as LAYOUT

COLOURS = {
    "ls": "#D55E00",
    "lmmse": "#E69F00",
    "gmm": "#56B4E9",
    "mmse_net": "#CC79A7",
    "diffusion": "#0072B2",
    "tracking": "#F0E442",
    "genie_lmmse": "#009E73",
    "perfect": "#000000",
}
MARKERS = {"ls": "s", "lmmse": "v", "gmm": "^", "mmse_net": "D", "diffusion": "o", "tracking": "P"}
LABELS = {
    "ls": "least squares (gr-digital)",
    "lmmse": "LMMSE, average statistics",
    "gmm": "Gaussian mixture",
    "mmse_net": "one-step network",
    "diffusion": "diffusion prior",
    "tracking": "diffusion prior, followed by the data",
    "genie_lmmse": "LMMSE, true statistics (genie)",
    "perfect": "true channel",
}


def _figure(*size, **options):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3})
    return plt.subplots(*size, layout="constrained", **options)


def _save(figure, path):
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=130)
    plt.close(figure)


def per_against_snr(entries, path):
    """Packet error rate of every method, one panel for each configuration of a report."""
    figure, axes = _figure(1, len(entries), figsize=(5.2 * len(entries), 4.6), sharey=True, squeeze=False)
    for axis, entry in zip(axes[0], entries, strict=True):
        floor = 0.5 / entry["packets"]
        for name, scores in entry["methods"].items():
            known = name in ("perfect", "genie_lmmse")
            axis.semilogy(
                entry["snr_db"],
                np.where(np.array(scores["per"]) > 0, scores["per"], np.nan),
                color=COLOURS[name],
                marker=None if known else MARKERS[name],
                linestyle="--" if known else "-",
                linewidth=2.4 if name in ("ls", "diffusion") else 1.3,
                markersize=5,
                label=LABELS[name],
            )
        axis.axhline(0.1, color="0.5", linewidth=0.8, linestyle=":")
        axis.set(title=entry["title"], xlabel="SNR per carrier, Es/N0 (dB)", ylim=(floor, 1.1))
    axes[0, 0].set_ylabel("packet error rate")
    axes[0, 0].legend(loc="lower left", fontsize=8)
    _save(figure, path)


def constellations(panels, points, path, title):
    """Equalised symbols side by side. panels: [(title, colour, complex symbols)]."""
    figure, axes = _figure(1, len(panels), figsize=(4.3 * len(panels), 5.2), sharex=True, sharey=True)
    reach = 1.7
    for axis, (name, colour, symbols) in zip(np.atleast_1d(axes), panels, strict=True):
        symbols = symbols[np.isfinite(symbols)]
        axis.plot(symbols.real, symbols.imag, ".", color=colour, markersize=2.5, alpha=0.5)
        axis.plot(points.real, points.imag, "+", color="black", markersize=12, markeredgewidth=1.6)
        axis.set(xlabel="in-phase", xlim=(-reach, reach), ylim=(-reach, reach))
        axis.set_title(name, fontsize=10)
        axis.set_aspect("equal")
    np.atleast_1d(axes)[0].set_ylabel("quadrature")
    figure.suptitle(title)
    _save(figure, path)


def estimate_against_truth(truth, ls, ours, error_var, path, title):
    """Magnitude and phase over the carriers, with +-2 sigma around our estimate.

    truth, ls, ours: complex [64]; error_var: [64], E|truth - ours|^2. All in the same units.
    """
    bins = LAYOUT.carrier_bins
    carrier = np.array(LAYOUT.carriers)
    scale = np.sqrt(np.mean(np.abs(truth[bins]) ** 2))
    truth, ls, ours = truth[bins] / scale, ls[bins] / scale, ours[bins] / scale
    sigma = np.sqrt(np.maximum(error_var[bins], 0) / 2) / scale  # of one real component
    slope = np.angle(np.sum(truth[1:] * truth[:-1].conj() * (np.diff(carrier) == 1)))
    straight = np.exp(-1j * slope * carrier)  # without the mean delay the phase can be read
    truth, ls, ours = truth * straight, ls * straight, ours * straight
    figure, (top, bottom) = _figure(2, 1, figsize=(8.4, 6.6), sharex=True)
    colour = COLOURS["diffusion"]
    for low, high in ((-26, -1), (1, 26)):  # nothing is sent on DC
        here = (carrier >= low) & (carrier <= high)
        k, first = carrier[here], low < 0
        magnitude, phase = np.abs(ours[here]), np.unwrap(np.angle(ours[here]))
        spread = np.minimum(sigma[here] / np.maximum(magnitude, 1e-9), np.pi / 2)
        around = np.unwrap(np.angle(truth[here]))
        phase = around + np.angle(np.exp(1j * (phase - around)))
        coarse = around + np.angle(np.exp(1j * (np.angle(ls[here]) - around)))
        lower = np.maximum(magnitude - 2 * sigma[here], 0)
        band = {"color": colour, "alpha": 0.2, "linewidth": 0}
        said = _label(first, "±2σ, as the block states it")
        top.fill_between(k, lower, magnitude + 2 * sigma[here], **band, **said)
        bottom.fill_between(k, phase - 2 * spread, phase + 2 * spread, **band)
        curves = {
            "ls": ("s", np.abs(ls[here]), coarse),
            "diffusion": ("-", magnitude, phase),
            "perfect": ("--", np.abs(truth[here]), around),
        }
        for name, (style, *values) in curves.items():
            for axis, value in zip((top, bottom), values, strict=True):
                axis.plot(
                    k,
                    value,
                    style,
                    color=COLOURS[name],
                    markersize=4,
                    linewidth=1.8,
                    **_label(first, LABELS[name]),
                )
    top.set(ylabel="magnitude (relative to RMS)", title=title, ylim=(0, None))
    bottom.set(ylabel="phase less mean delay (radians)", xlabel="carrier")
    top.legend(fontsize=9)
    _save(figure, path)


def _label(first, text):
    return {"label": text} if first else {}
