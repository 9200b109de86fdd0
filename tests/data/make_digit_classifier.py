#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes tests/data/digit_classifier.onnx: says which digit a picture is (run in `lab`, with DIFFSEM_DATA).

A judge of what the scheme `digits` draws, so it shares nothing with it but the pictures: a plain convolutional
classifier, cross-entropy, its own loop and its own augmentation (shifts by a pixel or two). Input `x` [n, 28, 28] in
the units of gr_diffsem.models.digit_images, output `scores` [n, 10]. The metadata hold its share of right answers on
the 10,000 test pictures, which it was not trained on; below 98 % nothing is written.
"""

import pathlib
import sys

import numpy as np
import torch
from torch import nn

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
from gr_diffsem.models import digit_images  # noqa: E402

OUT = pathlib.Path(__file__).parent / "digit_classifier.onnx"
SEED, EPOCHS, BATCH = 11, 3, 128
LEAST = 0.98


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 12, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(12, 24, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(24, 32, 3, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * 49, 10),
        )

    def forward(self, x):
        return self.layers(x[:, None])


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    rng = np.random.default_rng(SEED)
    x, y = (torch.from_numpy(part) for part in digit_images.load("train"))
    net = Classifier()
    optimiser = torch.optim.Adam(net.parameters())
    steps = EPOCHS * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.from_numpy(rng.integers(len(x), size=BATCH))
        shift = [int(v) for v in rng.integers(-2, 3, size=2)]
        loss = nn.functional.cross_entropy(net(torch.roll(x[rows], shift, (1, 2))), y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval()
    x, y = (torch.from_numpy(part) for part in digit_images.load("test"))
    with torch.no_grad():
        right = float((net(x).argmax(1) == y).double().mean())
    print(f"{100 * right:.2f} % of the test pictures are right")
    if right < LEAST:
        sys.exit(f"below {100 * LEAST:g} %: not written")
    batch = torch.export.Dim("n", min=1, max=1 << 20)
    names = {"input_names": ["x"], "output_names": ["scores"], "dynamic_shapes": ({0: batch},)}
    model = torch.onnx.export(net, (x[:4],), dynamo=True, opset_version=18, optimize=True, **names).model_proto
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    model.metadata_props.add(key="diffsem.contract", value="1")
    model.metadata_props.add(key="diffsem.role", value="classifier")
    model.metadata_props.add(
        key="diffsem.trained_on", value=f"MNIST, seed {SEED}; {right:.4f} of the test pictures right"
    )
    OUT.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
