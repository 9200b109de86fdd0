# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem export CHECKPOINT MODEL`: a trained network as a self-describing .onnx, or in a package.

MODEL ending in .onnx is written as one file. Any other MODEL is a package folder: the network becomes
its member of that name, classical members are fitted where their tensors are missing, and manifest
and card are written anew. With --int8 the network, or one that was exported before, is quantised (quantize.py).
"""

import json
from pathlib import Path

import numpy as np

from . import package, schemes
from .channels.measure import SIGMA_RANGE
from .errors import UserError
from .train import load_checkpoint

OPSET = 18
TOLERANCE = 2e-4  # onnxruntime against torch, relative to unit power


def add_arguments(parser):
    """Arguments of `gr-diffsem export`."""
    parser.add_argument(
        "checkpoint", help="checkpoint.pt that `gr-diffsem train` wrote; with --int8 also PACKAGE[/MEMBER] or an .onnx"
    )
    parser.add_argument("model", help="what to write: NAME.onnx, or a package folder such as models/NAME")
    parser.add_argument("--refit", action="store_true", help="fit the classical members again")
    parser.add_argument("--int8", action="store_true", help="quantise, and say what it costs against fp32")
    parser.add_argument(
        "--calibrate", metavar="DATA", help="for --int8: a folder of photographs, or x.npy or a folder of INPUT.npy"
    )
    parser.add_argument("--samples", type=int, metavar="N", help="for --int8: photographs (24) or signals (1024)")


def run(args):
    """Export; returns what was written."""
    if args.int8:
        from . import quantize

        return quantize.run(args)
    for option in ("calibrate", "samples"):
        if getattr(args, option) is not None:
            raise UserError(f"--{option} is for --int8: add that, or leave it out")
    return export(args.checkpoint, args.model, args.refit)


def export(checkpoint, model, refit=False):
    """Write a checkpoint's network, and the package around it where `model` is a folder; the report."""
    state = load_checkpoint(checkpoint)
    scheme = schemes.get(state["scheme"])
    network = scheme.networks()[state["member"]]
    model = Path(model)
    if model.suffix == ".onnx":
        path = model
    elif model.suffix:
        raise UserError(f"cannot write '{model}': give a name that ends in .onnx, or a folder")
    else:
        path = model / f"{state['member']}.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    net = network.build()
    net.load_state_dict(state["average"])
    error = scheme.write_network(net, path, network, trained_on(scheme, state))
    report = {
        "model": str(path),
        "multiply_adds": net.multiply_adds(),
        "bytes": path.stat().st_size,
        "largest_difference": error,
    }
    if path is not model:
        tensors = package.fit_missing(scheme, model, refit)
        report["package"] = str(model)
        report["fitted"] = tensors
        report["content_hash"] = package.write(scheme, model)
    return report


def table(report):
    """What `run` returned, for people."""
    if "time_ratio" in report:
        from . import quantize

        return quantize.table(report)
    lines = [
        f"{report['model']}: {report['bytes']} bytes, {report['multiply_adds']} multiply-adds, "
        f"differs from torch by {report['largest_difference']:.1e} at most"
    ]
    if "package" in report:
        lines.append(f"{report['package']}: content hash {report['content_hash']}")
    return "\n".join(lines)


def trained_on(scheme, state):
    """The card's facts about a training."""
    return {
        "data": scheme.data,
        "seed": state.get("seed"),
        "commit": state.get("commit"),
        "minutes": round(state.get("elapsed", 0) / 60, 1),
        "steps": state.get("step"),
        "batch": state.get("batch"),
        **{name: state[name] for name in ("start", "device", "command") if state.get(name)},
    }


def metadata(scheme, network, facts):
    """metadata_props of a network, all strings (docs/model_contract.md)."""
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
        "operator": {"type": scheme.operator},
        "start": {"type": "matched"},
        "sampler": {"type": "one_step"},
        "plan": scheme.plan,
        "trained_on": facts,
        "licence": scheme.licence,
        "claims": package.claims(scheme),
        "title": f"{scheme.title}: {network.title}",
    }
    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in values.items()}
    return {f"diffsem.{key}": value for key, value in text.items()}


def write(net, path, scheme, network, facts):
    """Write the .onnx, check it against torch with onnxruntime; returns the largest difference."""
    import torch

    shape = tuple(scheme.shape)
    example = (torch.randn(4, 2, *shape), torch.rand(4, 1, *shape) + 0.1)
    batch = torch.export.Dim("batch", min=1, max=1 << 20)
    net = net.for_export()
    program = torch.onnx.export(
        net,
        example,
        dynamo=True,
        opset_version=OPSET,
        input_names=["x", "sigma"],
        dynamic_shapes=({0: batch}, {0: batch}),
        optimize=True,
        verbose=False,
    )
    facts = metadata(scheme, network, facts)
    return save(program.model_proto, facts, path, lambda file: compare(net, file, shape))


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


def compare(net, path, shape):
    """Largest difference between onnxruntime and torch over levels, batches and masked elements."""
    import os

    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime
    import torch

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
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
        actual = session.run(["mean", "log_variance"], {"x": x, "sigma": sigma})
        for a, e in zip(actual, expected, strict=True):
            worst = float(np.maximum(worst, np.max(np.abs(a - e) / (1 + np.abs(e)))))
    return worst
