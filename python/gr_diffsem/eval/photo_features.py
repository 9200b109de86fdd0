# SPDX-License-Identifier: GPL-3.0-or-later
"""The feature distance of our classifier: how differently two pictures look to a small network that tells photographs
apart (models/feature_training.py).

It has the form of Zhang et al. ("The unreasonable effectiveness of deep features as a perceptual metric", CVPR 2018),
without the weights that they fitted to people's judgements, and with another network: it is not LPIPS, no person was
asked, and its numbers compare with nothing but themselves. `Lpips` runs the real one where it is installed.
"""

import os

import numpy as np

from ..base.errors import UserError
from ..base.picture_metrics import _pair

NAME = "feature distance of our classifier"
FILE = ("photo_features", "features.onnx")
MULTIPLE = 8
TILE = 8  #: positions of the coarsest features, a side, whose mean is one sample of the Frechet distance: 64 pixels
_SMALL = 1e-6


def _planes(image):
    """uint8 [H, W, 3] -> float32 [1, 3, H', W'] in 0..1, continued by its edge to multiples of 8."""
    h, w, _ = image.shape
    wide = np.pad(image, ((0, -h % MULTIPLE), (0, -w % MULTIPLE), (0, 0)), mode="edge")
    return np.ascontiguousarray(wide.transpose(2, 0, 1)[None], np.float32) / 255


class Features:
    """The network. UserError where its file is missing."""

    def __init__(self, threads=1):
        from ..base.model_packages import search_paths

        found = [p for p in (folder.joinpath(*FILE) for folder in search_paths(checkout_first=True)) if p.is_file()]
        if not found:
            raise UserError(
                f"no {'/'.join(FILE)} in any folder of models: install the module's models, or train it anew "
                "(python/gr_diffsem/models/feature_training.py)"
            )
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(str(found[0]), options, providers=["CPUExecutionProvider"])

    def __call__(self, image):
        """Features of a uint8 [H, W, 3]: three float32 [C, H/2, W/2], [C, H/4, W/4], [C, H/8, W/8]."""
        return [f[0] for f in self._session.run(None, {"x": _planes(image)})]

    def distance(self, a, b):
        """Of two uint8 [H, W, 3]: features of unit length at each position, squared differences, means over the
        positions, sum over the three resolutions. 0 if equal, at most 6 (features are not negative)."""
        a, b = _pair(a, b)
        return self.between(self(a), self(b))

    @staticmethod
    def between(one, other):
        """The same, of features."""
        total = 0.0
        for f, g in zip(one, other, strict=True):
            f, g = (x / (np.linalg.norm(x, axis=0) + _SMALL) for x in (f, g))
            total += float(np.mean(np.sum((f - g) ** 2, 0), dtype=np.float64))
        return total

    @staticmethod
    def samples(features):
        """What the Frechet distance compares: means of the coarsest features over tiles of 64 pixels, [n, C]; what is
        left at the right and lower edge is left out, but in a picture smaller than that."""
        coarse = features[-1]
        c, h, w = coarse.shape
        side = min(TILE, h, w)
        coarse = coarse[:, : h // side * side, : w // side * side]
        return coarse.reshape(c, h // side, side, w // side, side).mean((2, 4)).reshape(c, -1).T


def frechet(one, other):
    """Frechet distance of two sets of samples [n, C], as if Gaussian (Dowson and Landau 1982):

    |m - m'|^2 + tr(S + S' - 2 (S^1/2 S' S^1/2)^1/2). Biased upwards for few samples, alike for all that is compared at
    the same n. ValueError for fewer than two samples.
    """
    one, other = (np.asarray(x, np.float64) for x in (one, other))
    if min(len(one), len(other)) < 2:
        raise ValueError(f"{len(one)} and {len(other)} samples: a Frechet distance needs two of each at least")
    s, t = np.cov(one.T), np.cov(other.T)
    values, vectors = np.linalg.eigh(s)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ t @ root), 0)).sum()
    return float(np.sum((one.mean(0) - other.mean(0)) ** 2) + np.trace(s) + np.trace(t) - 2 * cross)


class Lpips:
    """LPIPS itself, of the package `lpips` (AlexNet), which fetches its weights; UserError without it."""

    def __init__(self):
        try:
            import lpips
            import torch
        except ImportError as error:
            raise UserError(
                f"--lpips needs the packages lpips and torch ({error}): pip install lpips, into the environment that "
                "runs the evaluation; or leave it out: the feature distance of our classifier needs neither"
            ) from None
        self._torch, self._net = torch, lpips.LPIPS(net="alex", verbose=False)

    def distance(self, a, b):
        """LPIPS of two uint8 [H, W, 3]."""
        a, b = (self._torch.from_numpy(2 * _planes(x) - 1) for x in _pair(a, b))
        with self._torch.no_grad():
            return float(self._net(a, b))
