# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a trained photograph net as a self-describing .onnx (docs/model_contract.md, "Photographs")."""

import numpy as np

from ..base import picture_bands
from .onnx_export import as_metadata, graph_of, save, session


def photo_contract(net, scheme, network, facts, role="image_denoiser"):
    """What an .onnx says of itself, for a network of photographs: {metadata key: string}."""
    bands = bands_of(net)
    values = {
        "contract": "1",
        "role": role,
        "shape": [3, None, None],
        "domain": "image",
        "multiple": picture_bands.MULTIPLE,
        "scale": picture_bands.SCALE,
        "band_edges": list(bands.edges),
        "band_sectors": bands.sectors,
        "window": getattr(net, "window", 0),
        "trained_on": facts,
        "licence": scheme.licence,
        "claims": scheme.claims_json(),
        "title": f"{scheme.title}: {network.title}",
    }
    return as_metadata(values)


def bands_of(net):
    """What its levels are of: octaves unless it says otherwise."""
    return getattr(net, "bands", picture_bands.OCTAVES)


def write(net, path, scheme, network, facts, role="image_denoiser"):
    """Write the .onnx, check it against torch at several sizes; returns the largest difference."""
    import torch

    net = net.for_export()
    example = {"x": torch.randn(2, 3, 48, 64), "level": torch.rand(2, 2 * bands_of(net).count) + 0.1}
    batch = torch.export.Dim("batch", min=1, max=1 << 16)
    sides = [picture_bands.MULTIPLE * torch.export.Dim(name, min=2, max=1 << 12) for name in ("rows", "columns")]
    model = graph_of(net, example, ({0: batch, 2: sides[0], 3: sides[1]}, {0: batch}))
    return save(model, photo_contract(net, scheme, network, facts, role), path, lambda file: compare(net, file))


def compare(net, path):
    """Largest difference between onnxruntime and torch, over sizes, batches and levels."""
    import torch

    graph = session(path)
    rng = np.random.default_rng(0)
    bands = bands_of(net).count
    begin = net.seen.shape[1] - 3 * bands  # the bands' own features come last
    least, largest = net.seen[:, begin : begin + 2 * bands].clamp(-3, 3).numpy()  # of log(level^2) / 4
    worst = 0.0
    for n, h, w in ((1, 16, 40), (3, 64, 64), (2, 128, 72)):
        x = rng.standard_normal((n, 3, h, w)).astype(np.float32)
        place = rng.random((n, 1))
        level = np.exp(2 * (place * least + (1 - place) * largest)).astype(np.float32)
        level[1:, 3] = 0  # beyond what was seen
        with torch.no_grad():
            expected = [t.numpy() for t in net(torch.from_numpy(x), torch.from_numpy(level))]
        actual = graph.run(["mean", "log_variance"], {"x": x, "level": level})
        for a, e in zip(actual, expected, strict=True):
            # A sum of floats is exact to a share of its largest terms.
            axes = tuple(range(1, e.ndim))
            worst = float(np.maximum(worst, np.max(np.abs(a - e).max(axes) / (1 + np.abs(e).max(axes)))))
    return worst
