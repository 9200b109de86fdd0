# SPDX-License-Identifier: GPL-3.0-or-later
"""The picture of a radio map: samples, expected power, standard deviation, coverage, and the first draws."""

import numpy as np

DRAWS_SHOWN = 2


def write(path, made, threshold):
    """Write a PNG of an `radiomap_maps.Map` to a path or a binary file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    bands, raster, sites, heights, named = made.bands, made.raster, made.gathered, made.heights, made.report["value"]
    east, north = raster.columns * raster.step, raster.rows * raster.step
    box = (0, east, 0, north)
    values = np.empty(0) if sites is None else sites.value
    low, high = np.percentile(np.concatenate((values, bands["mean"].ravel())), (1, 99))
    power = {"cmap": "viridis", "vmin": low, "vmax": max(high, low + 1)}
    panels = [
        ("samples", None, power, "dB"),
        ("expected", bands["mean"], power, "dB"),
        ("standard deviation", bands["deviation"], {"cmap": "magma", "vmin": 0}, "dB"),
        (f"probability of more than {threshold:g} dB", bands["coverage"], {"cmap": "RdYlGn", "vmin": 0, "vmax": 1}, ""),
    ]
    drawn = [name for name in bands if name.startswith("draw_")][:DRAWS_SHOWN]
    panels += [(name.replace("_", " "), bands[name], power, "dB") for name in drawn]
    across = 3 if len(panels) > 4 else 2
    down = -(-len(panels) // across)
    size = (4.6 * across, 4.2 * down * min(max(north / east, 0.5), 1.6))
    figure, axes = pyplot.subplots(down, across, figsize=size, squeeze=False, layout="constrained")
    for axis, (title, band, colours, unit) in zip(axes.ravel(), panels, strict=False):
        axis.set_facecolor("0.92")
        if band is None and sites is None:
            axis.text(0.5, 0.5, "none", transform=axis.transAxes, ha="center")
            shown = axis.imshow(np.full((1, 1), np.nan), extent=box, **colours)
        elif band is None:
            at = sites.places - (raster.west, raster.south)
            shown = axis.scatter(*at.T, c=sites.value, s=6, **colours)
            axis.scatter(*at[sites.censored].T, s=14, facecolors="none", edgecolors="0.3", linewidths=0.5)
        else:
            shown = axis.imshow(band, extent=box, **colours)
        if heights is not None and (heights > 0).any():
            axis.contour(heights[::-1] > 0, [0.5], extent=box, colors="k", linewidths=0.4)
        axis.set(title=f"{named}, {title}" if unit else title, xlim=box[:2], ylim=box[2:], aspect="equal")
        axis.tick_params(labelsize=7)
        figure.colorbar(shown, ax=axis, label=unit, shrink=0.8)
    for axis in axes.ravel()[len(panels) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("metres east")
    axes[0, 0].set_ylabel("metres north")
    figure.savefig(path, dpi=110, format="png")
    pyplot.close(figure)
