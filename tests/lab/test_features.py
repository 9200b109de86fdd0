# SPDX-License-Identifier: GPL-3.0-or-later
"""The classifier behind the feature distance: a few steps of training, and a graph that the evaluation can run."""

import json

import numpy as np
import onnx
from gr_diffsem.models import feature_training


def test_a_few_steps_and_an_export(tmp_path):
    rng = np.random.default_rng(0)
    photographs = [
        np.clip(rng.normal(60 + 60 * i, 5 + 20 * i, (170, 160, 3)), 0, 255).astype(np.uint8) for i in range(3)
    ]
    net, facts = feature_training.train(photographs, minutes=0.08, seed=1, batch=16)
    assert facts["steps"] > 5 and facts["right"] > 0.5, "three textures are told apart by chance in a third"
    path = tmp_path / "photo_features" / "features.onnx"
    assert feature_training.export(net, path, facts) < 1e-3
    assert path.stat().st_size < 1_000_000
    said = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert said["diffsem.role"] == "features" and json.loads(said["diffsem.trained_on"])["seed"] == 1


def test_squares_come_from_the_photograph_of_their_class():
    photographs = [np.full((200, 180, 3), value, np.uint8) for value in (10, 120, 240)]
    squares, classes = feature_training.batch_of(np.random.default_rng(1), feature_training.reduced(photographs), 200)
    assert squares.shape == (200, 3, 64, 64) and squares.min() >= 0 and squares.max() <= 1
    means = [squares[classes == c].mean().item() for c in range(3)]
    assert means == sorted(means) and means[2] - means[0] > 0.5
