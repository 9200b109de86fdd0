# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network as a self-describing .onnx, checked against torch (docs/model_contract.md)."""

import json
import os

import numpy as np

from ..air.measure import SIGMA_RANGE
from ..base.errors import UserError

OPSET = 18
TOLERANCE = 2e-4  # onnxruntime against torch, relative to unit power


def channel_contract(scheme, network, facts):
    """What an .onnx of a denoiser of complex signals says of itself: {metadata key: string}; docs/model_contract.md."""
    values = {
        "contract": "1",
        "role": "denoiser",
        "prediction": "x0",
        "input_scaling": "ve",
        "time_embedding": "sigma",
        "normalisation": {"component_std": 1.0, "applied_by": "runtime"},
        "layout": "planar",
        "shape": list(scheme.shape),
        "domain": "complex",
        "gain": scheme.gain,
        "learned_variance": "log_variance",
        "sigma_range": list(SIGMA_RANGE),
        **alone(scheme.choices(None)),
        "trained_on": facts,
        "licence": scheme.licence,
        "claims": scheme.claims_json(),
        "title": f"{scheme.title}: {network.title}",
    }
    return as_metadata(values)


def alone(choices):
    """Choices without the files of a package: of a graph that stands alone the flowgraph gives the matrix."""
    return {
        noun: {k: v for k, v in keys.items() if not (isinstance(v, str) and v.endswith(".npy"))}
        for noun, keys in choices.items()
    }


def as_metadata(values):
    """{key: str or what JSON can say} -> {diffsem.key: string}, as metadata_props of an .onnx are."""
    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return {f"diffsem.{key}": value for key, value in text.items()}


def write(net, path, scheme, network, facts):
    """Write the .onnx, check it against torch with onnxruntime; returns the largest difference."""
    import torch

    shape = tuple(scheme.shape)
    example = {"x": torch.randn(4, 2, *shape), "sigma": torch.rand(4, 1, *shape) + 0.1}
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    net = net.for_export()
    model = graph_of(net, example, ({0: batch}, {0: batch}))
    return save(model, channel_contract(scheme, network, facts), path, lambda file: compare(net, file, shape))


def graph_of(net, example, open_sizes):
    """A torch module as an ONNX model. example: {input: tensor}; open_sizes: {axis: torch.export.Dim} of each input."""
    import torch

    program = torch.onnx.export(
        net,
        tuple(example.values()),
        dynamo=True,
        opset_version=OPSET,
        input_names=list(example),
        dynamic_shapes=open_sizes,
        optimize=True,
        verbose=False,
    )
    return program.model_proto


def save(model, metadata, path, difference):
    """Put the metadata into an exported graph and write it, if difference(file), from the network, is small."""
    import onnx

    model = fold(model)
    name_outputs(model.graph, ("mean", "log_variance"))
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = "gr-diffsem"
    onnx.checker.check_model(model, full_check=True)
    partial = path.with_suffix(".tmp.onnx")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    try:
        error = difference(partial)
        if not error <= TOLERANCE:  # NaN is no agreement
            raise UserError(
                f"the exported graph differs from the network by {error:.1e} (limit {TOLERANCE:.0e}): "
                f"not written; report this with your versions of torch and onnxruntime"
            )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return error


def fold(model):
    """A copy without what inference does not need: source positions, and node names as comments."""
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
        del value.metadata_props[:]
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    return model


def name_outputs(graph, names):
    """Call the graph's outputs by these names, and what is called so inside it otherwise."""
    table = {name: f"{name}_inside" for name in names}
    table |= {output.name: name for output, name in zip(graph.output, names, strict=True)}
    for node in graph.node:
        for values in (node.input, node.output):
            values[:] = [table.get(value, value) for value in values]
    for value in (*graph.initializer, *graph.output):
        value.name = table.get(value.name, value.name)


def session(path, threads=1):
    """The file in onnxruntime, on the CPU."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def compare(net, path, shape):
    """Largest difference between onnxruntime and torch over levels, batches and masked elements."""
    import torch

    graph = session(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for n in (1, 3, 32):
        sigma = np.exp(rng.uniform(*np.log(SIGMA_RANGE), (n, 1, *([1] * len(shape))))).astype(np.float32)
        sigma = np.broadcast_to(sigma, (n, 1, *shape)).copy()
        hidden = rng.random(sigma.shape) < 0.3
        sigma[hidden] = SIGMA_RANGE[1]
        x = rng.standard_normal((n, 2, *shape)).astype(np.float32)
        x = np.where(hidden, 0, x * np.sqrt(1 + sigma**2)).astype(np.float32)
        with torch.no_grad():
            expected = [t.numpy() for t in net(torch.from_numpy(x), torch.from_numpy(sigma))]
        actual = graph.run(["mean", "log_variance"], {"x": x, "sigma": sigma})
        for a, e in zip(actual, expected, strict=True):
            worst = float(np.maximum(worst, np.max(np.abs(a - e) / (1 + np.abs(e)))))
    return worst
