# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights that a training begins from, out of a network that was exported to .onnx (docs: `train --start`).

An exported graph keeps the names of a network's parameters. What `for_export` joined has to be taken apart again, and
a linear layer's matrix, which the exporter turns over and names anew, is known by the bias that is added behind it.
"""

import json
from pathlib import Path

from ..base.errors import UserError


def fitting(weights, net, path):
    """{name: tensor} from the file `path` as a state dict for `net`; a UserError that names what differs if it is
    another network's. What `net.START_MAY_LACK` names by its beginning may be missing: it stays as it was built."""
    weights, wanted = dict(weights), net.state_dict()
    may_lack = tuple(getattr(net, "START_MAY_LACK", ()))
    faults = []
    for name, value in wanted.items():
        if name not in weights and name.startswith(may_lack):
            weights[name] = value
        elif name not in weights:
            faults.append(f"{name} is missing")
        elif weights[name].shape != value.shape:
            faults.append(f"{name} has shape {list(weights[name].shape)}, not {list(value.shape)}")
        elif not weights[name].isfinite().all():
            faults.append(f"{name} is not finite")
    faults += [f"{name} is not in this one" for name in weights if name not in wanted]
    if faults:
        said = "; ".join(faults[:4]) + (f"; and {len(faults) - 4} more" if len(faults) > 4 else "")
        raise UserError(f"--start {path} holds another network: {said}")
    return weights


def read(path, net):
    """({name: tensor} under the names that `net` gives them, in words where it is from) of an exported .onnx."""
    import onnx
    import torch
    from google.protobuf.message import DecodeError
    from onnx.external_data_helper import uses_external_data

    try:
        model = onnx.load(str(path), load_external_data=False)
    except FileNotFoundError:
        raise UserError(f"--start {path} does not exist: give a checkpoint.pt or an exported .onnx") from None
    except (DecodeError, OSError) as error:
        said = f"--start {path} is no .onnx that can be read ({error}): give one that `gr-diffsem export` wrote"
        raise UserError(said) from None
    tensors = {}
    for tensor in model.graph.initializer:
        if uses_external_data(tensor):
            raise UserError(f"--start {path} keeps {tensor.name} elsewhere: give one that `gr-diffsem export` wrote")
        tensors[tensor.name] = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy())
    tensors |= linear_weights(model.graph, tensors)
    tensors |= group_weights(model.graph, tensors, net)
    try:
        weights = thaw(tensors, net)
    except ValueError as error:
        raise UserError(f"--start {path} holds another network: {error}") from None
    # What has no dot is a constant of the graph, not a parameter; nor is a buffer that a network makes itself.
    made = {name for name, _ in net.named_buffers()} - set(net.state_dict())
    plain = {*net.state_dict(), *getattr(net, "START_NAMES", ())}
    weights |= {name: value for name, value in tensors.items() if ("." in name or name in plain) and name not in made}
    return weights, _where_from(path, model)


def thaw(tensors, net):
    """{name: tensor} of the layers of `net` that an export joins to ordinary ones, whose weights are taken out of
    `tensors`; ValueError where one does not fit."""
    weights = {}
    for prefix, layer in net.named_modules():
        joined = f"{prefix}.weight"
        if not hasattr(layer, "thawed") or joined not in tensors:
            continue
        try:
            parts = layer.thawed(tensors.pop(joined))
        except ValueError as error:
            raise ValueError(f"{joined} {error}") from None
        weights |= {f"{prefix}.{name}": value for name, value in parts.items()}
    return weights


def linear_weights(graph, tensors):
    """{"name.weight": tensor [out, in]} of x W^T + "name.bias", which is a MatMul and an Add."""
    made_by = {node.output[0]: node for node in graph.node}
    found = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for bias, product in (node.input, reversed(node.input)):
            source = made_by.get(product)
            if bias.endswith(".bias") and source is not None and source.op_type == "MatMul":
                matrix = tensors.get(source.input[1])
                if matrix is not None and matrix.ndim == 2:
                    found[bias.removesuffix("bias") + "weight"] = matrix.T.contiguous()
    return found


def group_weights(graph, tensors, net):
    """{"name.weight", "name.bias": tensor [C]} of a network's GroupNorms, which an exported graph has as
    InstanceNormalization, a Mul and an Add whose constants have no name: the n-th of both are the same, where a network
    registers its norms in the order in which it uses them."""
    import torch

    norms = [(name, part) for name, part in net.named_modules() if isinstance(part, torch.nn.GroupNorm)]
    made_by = {node.output[0]: node for node in graph.node}
    found = []
    for node in graph.node:
        source = made_by.get(node.input[0]) if node.op_type == "Add" else None
        if source is None or source.op_type != "Mul" or made_by.get(source.input[0]) is None:
            continue
        reshaped = made_by[source.input[0]]
        before = made_by.get(reshaped.input[0]) if reshaped.op_type == "Reshape" else None
        if before is not None and before.op_type == "InstanceNormalization":
            found.append([tensors.get(part) for part in (source.input[1], node.input[1])])
    if len(found) != len(norms):
        return {}
    out = {}
    for (name, part), values in zip(norms, found, strict=True):
        for kind, value in zip(("weight", "bias"), values, strict=True):
            if value is not None and value.numel() == part.num_channels:
                out[f"{name}.{kind}"] = value.flatten()
    return out


def _where_from(path, model):
    """What the graph says of its training, in words."""
    told = {p.key: p.value for p in model.metadata_props}
    try:
        facts = json.loads(told.get("diffsem.trained_on", "{}"))
    except ValueError:
        facts = {}
    words = Path(path).parent.name + "/" + Path(path).name
    if isinstance(facts, dict) and facts.get("steps"):
        words += f", {facts['steps']} steps"
        words += f" (`{facts['command']}`)" if facts.get("command") else ""
        words += f", from {facts['start']}" if facts.get("start") else ""
    return words
