# SPDX-License-Identifier: GPL-3.0-or-later
"""Trains the small classifier whose features measure pictures (eval/photo_features.py): which photograph is this from?

    build/env/lab/bin/python -m gr_diffsem.models.feature_training --images DIR \\
        --out models/photo_features/features.onnx

Each of the photographs is a class, and the net tells the class of a 64 x 64 square of it, turned, flipped, reduced
and of changed brightness and contrast (after Dosovitskiy et al., "Discriminative unsupervised feature learning with
exemplar convolutional neural networks", TPAMI 2016, with whole photographs for exemplars). No labels are needed, and
sharpness and texture tell photographs apart, so that the features keep them. Nothing is blurred, no noise is added,
and nothing is compressed: the features must not learn to overlook what they are to measure.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from . import photo_data, provenance

SIDE = 64
SCALES = (1.0, 0.75, 0.5)
WIDTHS = (24, 48, 64, 96)  # of what is given out: at 1/2, 1/4, 1/8 of the resolution, the second inside


class Features(nn.Module):
    """Picture [B, 3, H, W] in 0..1, sides multiples of 8 -> features [B, 24, H/2, W/2], [B, 64, H/4, W/4],
    [B, 96, H/8, W/8], none negative."""

    def __init__(self):
        super().__init__()
        a, b, c, d = WIDTHS
        self.first = nn.Sequential(nn.Conv2d(3, a, 5, 2, 2), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.ReLU(), nn.Conv2d(b, c, 3, 1, 1), nn.ReLU())
        self.third = nn.Sequential(nn.Conv2d(c, d, 3, 2, 1), nn.ReLU(), nn.Conv2d(d, d, 3, 1, 1), nn.ReLU())

    def forward(self, x):
        first = self.first(4 * x - 2)
        second = self.second(first)
        return first, second, self.third(second)


class Classifier(nn.Module):
    """The features' mean over a square, and which of `classes` photographs it is from."""

    def __init__(self, classes):
        super().__init__()
        self.features = Features()
        self.head = nn.Linear(WIDTHS[-1], classes)

    def forward(self, x):
        return self.head(self.features(x)[-1].mean((2, 3)))


def reduced(photographs):
    """Each photograph at every scale: list of lists of uint8 [H, W, 3]."""
    from PIL import Image

    def at(image, scale):
        h, w = (round(scale * n) for n in image.shape[:2])
        return np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BICUBIC)) if scale < 1 else image

    return [[at(image, scale) for scale in SCALES] for image in photographs]


def batch_of(rng, pyramids, size):
    """(squares float32 [B, 3, 64, 64] in 0..1, classes [B])."""
    classes = rng.integers(len(pyramids), size=size)
    out = np.empty((size, SIDE, SIDE, 3), np.float32)
    for i, c in enumerate(classes):
        image = pyramids[c][rng.integers(len(SCALES))]
        row, column = (rng.integers(n - SIDE + 1) for n in image.shape[:2])
        square = np.rot90(image[row : row + SIDE, column : column + SIDE], rng.integers(4))
        out[i] = square[:, ::-1] if rng.random() < 0.5 else square
    out = out / 255 - 0.5
    out = out * rng.uniform(0.7, 1.3, (size, 1, 1, 1)) + rng.uniform(-0.15, 0.15, (size, 1, 1, 1))
    return torch.from_numpy((out + 0.5).clip(0, 1).transpose(0, 3, 1, 2).astype(np.float32)), torch.from_numpy(classes)


def train(photographs, minutes, seed, batch=64, rate=2e-3):
    """(Classifier, {facts}) after so many minutes; the rate falls to 0 over them."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    pyramids = reduced(photographs)
    net = Classifier(len(photographs)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), rate, weight_decay=0.01)
    code = provenance.of()
    began, step, right = time.monotonic(), 0, []
    while (gone := (time.monotonic() - began) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, step / 100) * 0.5 * (1 + np.cos(np.pi * gone))
        x, classes = batch_of(rng, pyramids, batch)
        answer = net(x.contiguous(memory_format=torch.channels_last))
        loss = nn.functional.cross_entropy(answer, classes, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        right.append((answer.argmax(1) == classes).float().mean().item())
        step += 1
        if step % 200 == 0:
            print(f"{gone:5.1%} step {step}: loss {loss:.3f}, right {np.mean(right[-200:]):.3f}", flush=True)
    print(f" 100% step {step}: loss {loss:.3f}, right {np.mean(right[-200:]):.3f}", flush=True)
    facts = {
        "minutes": minutes,
        "steps": step,
        "batch": batch,
        "seed": seed,
        "right": round(float(np.mean(right[-200:])), 3),
        **{key: value for key, value in code.items() if value},
    }
    return net.eval(), facts


def export(net, path, facts):
    """Write the features' graph; returns onnxruntime's largest difference from torch."""
    import onnx
    import onnxruntime

    features = net.features.to(memory_format=torch.contiguous_format)
    names = ["fine", "middle", "coarse"]
    axes = {"x": {0: "batch", 2: "rows", 3: "columns"}} | {n: {0: "batch", 2: n + "_r", 3: n + "_c"} for n in names}
    example = torch.rand(2, 3, 64, 96)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        features, (example,), str(path), input_names=["x"], output_names=names, dynamic_axes=axes, opset_version=18,
        dynamo=False,
    )  # fmt: skip
    model = onnx.load(path)
    values = {
        "contract": "1",
        "role": "features",
        "title": "features of our classifier: which of 200 photographs is this square from",
        "shape": json.dumps([3, None, None]),
        "domain": "image",
        "multiple": "8",
        "trained_on": json.dumps(facts),
        "licence": "GPL-3.0-or-later",
    }
    del model.metadata_props[:]
    for key, value in values.items():
        model.metadata_props.add(key=f"diffsem.{key}", value=value)
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    x = torch.rand(1, 3, 72, 40)
    with torch.no_grad():
        pairs = zip(features(x), session.run(names, {"x": x.numpy()}), strict=True)
        return max(float(np.abs(a.numpy() - b).max()) for a, b in pairs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, help="folder of photographs, one class each")
    parser.add_argument("--out", required=True, type=Path, help="features.onnx to write")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    photographs = [p for p in photo_data.load(args.images) if min(p.shape[:2]) * SCALES[-1] >= SIDE]
    net, facts = train(photographs, args.minutes, args.seed)
    part = f"the {Path(args.images).name} part of {Path(args.images).parent.name}"
    facts = {"data": f"squares of {len(photographs)} photographs of {part}", **facts}
    print(f"differs from torch by {export(net, args.out, facts):.1e}, {args.out.stat().st_size} bytes, {facts}")


if __name__ == "__main__":
    main()
