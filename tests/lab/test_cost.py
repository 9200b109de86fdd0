# SPDX-License-Identifier: GPL-3.0-or-later
"""Multiply-adds: one counter for export, info, card and evaluation, held to what is counted by hand.

Networks as PyTorch exports them, with the sizes that they leave open.
"""

import argparse
import json

import pytest
from gr_diffsem import schemes
from gr_diffsem.apps import train
from gr_diffsem.package import export, info, onnx_cost

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
nn = torch.nn


def call(module, *words):
    parser = argparse.ArgumentParser()
    module.add_arguments(parser)
    return module.run(parser.parse_args([str(w) for w in words]))


def exported(tmp_path, net, *example, **dynamic):
    """The file; dynamic: {input: {axis: name}}."""
    shapes = {
        name: {axis: torch.export.Dim(d, min=2, max=4096) for axis, d in axes.items()} for name, axes in dynamic.items()
    }
    names = list(dynamic) or [f"x{i}" for i in range(len(example))]
    program = torch.onnx.export(
        net.eval(), example, dynamo=True, opset_version=18, input_names=names, verbose=False,
        dynamic_shapes=tuple(shapes[name] for name in names) if dynamic else None,
    )  # fmt: skip
    model = program.model_proto
    del model.graph.value_info[:]  # as our own export leaves it out
    onnx.save(model, tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


class Recurrent(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.core, self.out = kind(5, 8, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.core(x)[0])


class Attention(nn.Module):
    """One head over a sequence: its scores grow with the square of the length."""

    def __init__(self):
        super().__init__()
        self.into = nn.Linear(4, 12)

    def forward(self, x):
        q, k, v = self.into(x).chunk(3, -1)
        return torch.softmax(q @ k.mT, -1) @ v


class Upsampling(nn.Module):
    """A layer behind an upsampling by a scale, which the file holds as floats."""

    def __init__(self):
        super().__init__()
        self.down, self.up, self.out = nn.Conv2d(3, 4, 2, 2), nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.out(self.up(self.down(x)))


class Sizes(nn.Module):
    """What computes shapes inside: padding, pooling, a resize and a reshape."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1)

    def forward(self, x):
        h = self.one(nn.functional.pad(x, (1, 1, 1, 1)))
        h = self.two(nn.functional.max_pool2d(h, 2))
        h = nn.functional.interpolate(h, scale_factor=2, mode="nearest")
        return h.reshape(h.shape[0], 4, -1, h.shape[-1] // 2, 2).mean(-1)


def test_what_is_multiplied_is_counted(tmp_path):
    x = torch.randn(2, 7, 5)
    gates = {nn.LSTM: 4, nn.GRU: 3}
    for kind, n in gates.items():
        path = exported(tmp_path, Recurrent(kind), x)
        # the example's batch of 2 is fixed in the file
        assert onnx_cost.cost(path)["macs"] == 2 * 7 * (n * 8 * (5 + 8) + 8 * 3), kind
    path = exported(tmp_path, Attention(), torch.randn(2, 7, 4))
    assert onnx_cost.cost(path)["macs"] == 2 * 7 * 4 * 12 + 2 * 2 * 7 * 7 * 4


def test_open_sizes_are_said_with_what_is_counted(tmp_path):
    path = exported(tmp_path, Sizes(), torch.randn(2, 2, 16, 24), x={0: "batch", 2: "rows", 3: "columns"})
    cost = onnx_cost.cost(path)
    assert (cost["macs"], cost["per"]) == (4 * 2 * 9 + 4 * 4 // 4, "rows x columns")
    assert onnx_cost.text(cost) == "76 multiply-adds per rows x columns"
    assert onnx_cost.text(cost, pixels=True) == "76 multiply-adds per pixel"
    path = exported(tmp_path, Upsampling(), torch.randn(2, 3, 16, 24), x={0: "batch", 2: "rows", 3: "columns"})
    assert onnx_cost.text(onnx_cost.cost(path), pixels=True) == "24 multiply-adds per pixel"
    path = exported(tmp_path, nn.Conv1d(2, 4, 5, padding=2), torch.randn(2, 2, 32), x={0: "batch", 2: "time"})
    assert onnx_cost.text(onnx_cost.cost(path)) == "40 multiply-adds per time"
    # told the shape of an item, as a scheme's metadata do, there is nothing open
    assert onnx_cost.cost(path, [2, 50])["macs"] == 40 * 50


def test_what_grows_in_another_way_stands_for_a_size(tmp_path):
    path = exported(tmp_path, Attention(), torch.randn(2, 7, 4), x={0: "batch", 1: "time"})
    cost = onnx_cost.cost(path)
    assert cost["per"] == "item of time = 64" and cost["macs"] == 64 * 48 + 2 * 64 * 64 * 4


def test_a_graph_that_cannot_be_counted_carries_what_its_network_says(tmp_path, monkeypatch):
    """Export and info say the same, whether the count is the graph's or the network's own."""
    words = ("known_mixture", "--minutes", 0.001, "--batch", 4, "--out", tmp_path / "train")
    checkpoint = call(train, *words)["networks"][0]["checkpoint"]
    for counts in (True, False):
        if not counts:
            monkeypatch.setattr(onnx_cost, "_macs", lambda node, shapes: None)
        path = tmp_path / f"{counts}.onnx"
        said = call(export, checkpoint, path)
        report = call(info, path)
        assert said["multiply_adds"] == report["graph"]["macs"] == 268_800
        assert "268,800 multiply-adds" in export.table({**said, "scheme_changed": False})
        assert "268,800 multiply-adds" in info.table(report)
        assert ("diffsem.macs" in report["graph"]["metadata"]) == (not counts)


@pytest.mark.parametrize("name", sorted(name for name, scheme in schemes.shipped().items() if scheme.passed_on))
def test_shipped_networks_say_of_themselves_what_their_graphs_hold(models, name):
    scheme = schemes.get(name)
    for member, network in scheme.networks().items():
        cost = info.file_cost(models / name / f"{member}.onnx")
        assert cost["macs"] == network.build().multiply_adds()
        assert cost.get("per") == ("rows x columns" if scheme.domain == "image" else None)
        manifest = json.loads((models / name / "manifest.json").read_text())
        said = manifest["members"][member]
        assert said["prior"].get("file", said.get("codec", {}).get("decoder")) == f"{member}.onnx"
        assert f"| {cost['macs']:,} |" in (models / name / "README.md").read_text()
