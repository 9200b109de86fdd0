# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of generators: what is drawn beside what is real. Matplotlib is imported when one is drawn."""

import numpy as np


def canvas(rows, columns, width=3.4, height=3.4):
    """(figure, axes [rows, columns]) without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False)


def clouds(path, word, rows):
    """The first two uses: rows {kind: {method: [n, >= 2]}}; a cross where the word lies."""
    figure, axes = canvas(len(rows), len(next(iter(rows.values()))))
    for line, (kind, sets) in zip(axes, rows.items(), strict=True):
        for axis, (name, y) in zip(line, sets.items(), strict=True):
            axis.plot(y[:, 0], y[:, 1], ".", ms=2, alpha=0.3)
            axis.plot(word[0], word[1], "k+", ms=12)
            axis.set(title=f"{kind}: {name}", xlim=(-4, 4), ylim=(-4, 4), aspect="equal")
    figure.savefig(path, dpi=80)


def taps(path, sets, correlation):
    """Four taps over time of each method; below the correlation over the lag, and the Doppler spectrum."""
    figure, axes = canvas(2, len(sets), height=2.8)
    length = len(correlation)
    for axis, (name, h) in zip(axes[0], sets.items(), strict=True):
        axis.plot(20 * np.log10(np.abs(h[:4]).T + 1e-6))
        axis.set(title=name, xlabel="instant", ylabel="dB", ylim=(-35, 10))
    lag, spectrum, density = axes[1][:3]
    lag.plot(correlation, "k--", lw=1, label="J0")
    for name, h in sets.items():
        lag.plot([np.mean(h[:, : length - k] * h[:, k:].conj()).real for k in range(length)], lw=1, label=name)
        window = np.hanning(length)
        power = np.mean(np.abs(np.fft.fftshift(np.fft.fft(h * window, axis=1), 1)) ** 2, 0) / np.sum(window**2)
        spectrum.plot(np.arange(length) / length - 0.5, 10 * np.log10(power + 1e-9), lw=1, label=name)
        level = np.abs(h).ravel()
        density.hist(level, 60, (0, 3), density=True, histtype="step", label=name)
    lag.set(xlabel="lag, instants", title="correlation")
    spectrum.set(xlabel="Doppler, cycles an instant", ylabel="dB", title="spectrum", ylim=(-60, 20))
    density.set(xlabel="|h|", title="amplitude")
    for axis in axes[1]:
        axis.legend(fontsize=7)
        axis.grid(alpha=0.3)
    figure.savefig(path, dpi=90)


def maps(path, rows):
    """Grey maps: rows {name: {method: [times, carriers] dB}}, time to the right."""
    figure, axes = canvas(len(rows), len(next(iter(rows.values()))), height=1.8)
    for line, (kind, sets) in zip(axes, rows.items(), strict=True):
        for axis, (name, one) in zip(line, sets.items(), strict=True):
            axis.imshow(one.T, aspect="auto", cmap="gray", vmin=-8, vmax=8)
            axis.set_title(f"{kind}: {name}", fontsize=8)
            axis.set(xticks=[], yticks=[])
    figure.savefig(path, dpi=80)


def profiles(path, rows):
    """Powers over beam (down) and delay: rows {place: {method: [beams, delays]}}, 30 dB of grey."""
    figure, axes = canvas(len(rows), len(next(iter(rows.values()))), height=1.7)
    for line, (place, sets) in zip(axes, rows.items(), strict=True):
        for axis, (name, power) in zip(line, sets.items(), strict=True):
            level = 10 * np.log10(np.fft.fftshift(power, 0) / power.max() + 1e-9)
            axis.imshow(level, aspect="auto", cmap="gray", vmin=-30, vmax=0)
            axis.set_title(f"{place}: {name}", fontsize=8)
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel("beam", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("delay", fontsize=8)
    figure.savefig(path, dpi=90)
