# SPDX-License-Identifier: GPL-3.0-or-later
"""The ONNX graph of a network that takes the same step many times: one step's graph, repeated with shared weights."""


def graph(step, after, example, levels, seen):
    """An ONNX model x, sigma -> (mean, log variance).

    step(h, before, x, sigma, level [1]) -> (mean, h, a, b), begun at h = before = 0, is taken at each of `levels`;
    after(x, sigma, h, means, as, bs) -> log variance, told those of the steps that `seen` counts from 1, joined along
    axis 1. example: {"x", "sigma"} tensors."""
    import onnx
    import torch

    from .onnx_export import graph_of

    x, sigma = example["x"], example["sigma"]
    batch = {0: torch.export.Dim("batch", min=1, max=1 << 20)}
    told = {"h": x + 1, "before": x - 1, "x": x, "sigma": sigma, "level": torch.full((1,), 0.5)}
    one = graph_of(step.eval(), told, ({**batch},) * 4 + (None,))
    with torch.no_grad():
        mean, _, *others = step(*told.values())
    trace = [torch.cat([value] * len(seen), 1) for value in (mean, *others)]
    last = {"x": x, "sigma": sigma, "h": x + 1, "means": trace[0], "as": trace[1], "bs": trace[2]}
    end = graph_of(after.eval(), last, ({**batch},) * len(last))
    nodes, constants, opened = [], {}, {}

    def put(part, kind, prefix, given):
        """Nodes of `part` with its inputs `given`; its outputs' names. What is constant has one name for each kind."""
        table = {i.name: name for i, name in zip(part.input, given, strict=True)}
        for tensor in part.initializer:
            own = tensor.name if "." in tensor.name else f"{kind}/{tensor.name}"
            table[tensor.name] = opened.setdefault(own, tensor.name if "." in tensor.name else f"c{len(opened)}")
            if table[tensor.name] not in constants:
                constants[table[tensor.name]] = onnx.TensorProto()
                constants[table[tensor.name]].CopyFrom(tensor)
                constants[table[tensor.name]].name = table[tensor.name]
        for node in part.node:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [table.get(name, f"{prefix}/{name}") if name else "" for name in node.input]
            copy.output[:] = [f"{prefix}/{name}" if name else "" for name in node.output]
            copy.name = f"{prefix}/{node.name}"
            nodes.append(copy)
        return [table.get(o.name, f"{prefix}/{o.name}") for o in part.output]

    nodes.append(onnx.helper.make_node("Sub", ["x", "x"], ["nothing"]))
    before = h = "nothing"
    of_seen = [], [], []
    for k, level in enumerate(levels, 1):
        constants[f"level{k}"] = onnx.helper.make_tensor(f"level{k}", onnx.TensorProto.FLOAT, [1], [level])
        found, after_it, a, b = put(one.graph, "step", f"step{k}", [h, before, "x", "sigma", f"level{k}"])
        before, h = h, after_it
        for names, name in zip(of_seen, (found, a, b), strict=True):
            names += [name] if k in seen else []
    for name, names in zip(("means", "as", "bs"), of_seen, strict=True):
        nodes.append(onnx.helper.make_node("Concat", names, [name], axis=1))
    (spread,) = put(end.graph, "after", "after", ["x", "sigma", h, "means", "as", "bs"])
    sizes = ["batch", *x.shape[1:]], ["batch", *sigma.shape[1:]]

    def values(names):
        both = zip(names, sizes, strict=True)
        return [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, size) for name, size in both]

    graph = onnx.helper.make_graph(nodes, "unrolled", values(("x", "sigma")), values((found, spread)))
    graph.initializer.extend(constants.values())
    return onnx.helper.make_model(graph, opset_imports=one.opset_import, ir_version=one.ir_version)
