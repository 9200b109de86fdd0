# SPDX-License-Identifier: GPL-3.0-or-later
"""A trained network as a self-describing .onnx, checked against torch (docs/model_contract.md)."""

import json
import os

import numpy as np

from ..air.measure import SIGMA_RANGE
from ..base.errors import UserError

OPSET = 18
TOLERANCE = 2e-4  # onnxruntime against torch, relative to unit power
OUTPUTS = ("mean", "log_variance")


def channel_contract(scheme, network, facts, variance=True):
    """What an .onnx of a denoiser of complex or real signals says of itself: {metadata key: string};
    docs/model_contract.md. variance: whether its second output is one."""
    values = {
        "contract": "1",
        "role": "denoiser",
        "prediction": "x0",
        "input_scaling": "ve",
        "time_embedding": "sigma",
        "normalisation": {"component_std": 1.0, "applied_by": "runtime"},
        "layout": "planar",
        "shape": list(scheme.shape),
        "domain": scheme.domain,
        "gain": scheme.gain,
        "learned_variance": "log_variance" if variance else "none",
        "sigma_range": list(SIGMA_RANGE),
        **({"condition": list(scheme.condition)} if scheme.condition else {}),
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


def write(net, path, scheme, network, facts, difference=None, limit=TOLERANCE):
    """Write the .onnx, check it against torch with onnxruntime; returns the largest difference. difference(net, file):
    another measure than `compare`, where answers are not equal to rounding; it may reach `limit`."""
    import torch

    net = net.for_export()
    rng = np.random.default_rng(0)
    example = {name: torch.from_numpy(value) for name, value in inputs(net, scheme, 4, rng).items()}
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    own = getattr(net, "onnx_graph", None)  # of a network that knows a shorter way
    model = own(example) if own else graph_of(net, example, tuple({0: batch} for _ in example))
    variance = len(model.graph.output) > 1
    contract = channel_contract(scheme, network, facts, variance)
    names = OUTPUTS if variance else OUTPUTS[:1]
    difference = difference or (lambda net, file: compare(net, file, scheme, names))
    return save(model, contract, path, lambda file: difference(net, file), names, limit)


def inputs(net, scheme, n, rng):
    """{input: array} as the runtime may give them: n items of random levels, and elements that nothing is known of
    where the net has a level for each; conditions at random."""
    planes = (2,) if scheme.domain == "complex" else ()
    level = (1,) if planes else ()
    shape, flat = tuple(scheme.shape), [1] * (len(level) + len(scheme.shape))
    sigma = np.exp(rng.uniform(*np.log(SIGMA_RANGE), (n, *flat))).astype(np.float32)
    sigma = np.broadcast_to(sigma, (n, *level, *shape)).copy()
    one_level = getattr(net, "one_level", False)
    hidden = np.zeros(sigma.shape, bool) if one_level else rng.random(sigma.shape) < 0.3
    sigma[hidden] = SIGMA_RANGE[1]
    x = rng.standard_normal((n, *planes, *shape))
    x = np.where(hidden, 0, x * np.sqrt(1 + sigma**2)).astype(np.float32)
    told = {"x": x, "sigma": sigma.reshape(n, -1)[:, 0].copy() if one_level else sigma}
    for said in scheme.condition:  # numbers that any net must take: what stands for nothing, or one of them
        item, null = (n, *said.get("shape", ())), np.asarray(said.get("null", 0))
        if said["type"] == "int64":
            told[said["name"]] = np.where(rng.random(item) < 0.5, null, 0).astype(np.int64)
        else:
            told[said["name"]] = rng.standard_normal(item, np.float32)
    return told


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


def save(model, metadata, path, difference, outputs=OUTPUTS, limit=TOLERANCE, what="network"):
    """Put the metadata into an exported graph and write it, if difference(file), from `what` in torch, is small."""
    import onnx

    model = fold(model)
    name_outputs(model.graph, outputs)
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = "gr-diffsem"
    onnx.checker.check_model(model, full_check=True)
    partial = path.with_suffix(".tmp.onnx")
    partial.write_bytes(model.SerializeToString(deterministic=True))
    try:
        error = difference(partial)
        if not error <= limit:  # NaN is no agreement
            raise UserError(
                f"the exported graph differs from the {what} by {error:.1e} (limit {limit:.0e}): "
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


def compare(net, path, scheme, names=OUTPUTS):
    """Largest difference between onnxruntime and torch over levels, batches, masked elements and conditions."""
    import torch

    graph = session(path)
    rng = np.random.default_rng(0)
    worst = 0.0
    for n in (1, 3, 32):
        told = inputs(net, scheme, n, rng)
        with torch.no_grad():
            out = net(*(torch.from_numpy(value) for value in told.values()))
        expected = [t.numpy() for t in (out if isinstance(out, tuple) else (out,))]
        actual = graph.run(list(names), told)
        for a, e in zip(actual, expected, strict=True):
            worst = float(np.maximum(worst, np.max(np.abs(a - e) / (1 + np.abs(e)))))
    return worst
