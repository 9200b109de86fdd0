# SPDX-License-Identifier: GPL-3.0-or-later
"""Shapes of a graph's tensors for one item, by propagation: enough operators for exported networks.

Used where the exporter wrote no shapes of its own. Shapes are tuples of int; a tensor that cannot
be derived has none, and nothing is guessed. Small integer tensors are followed too: graphs for pictures of
any size compute the shapes that they ask for.
"""

import math

from . import onnx_integers

_SAME_SHAPE = (
    "Abs Add And Cast Ceil Clip Cos Div Dropout Elu Equal Erf Exp Floor Gelu Greater HardSigmoid HardSwish "
    "Identity InstanceNormalization BatchNormalization LayerNormalization GroupNormalization LeakyRelu Less Log "
    "Max Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Sigmoid Sign Sin Softmax Softplus Sqrt "
    "Sub Tanh Where QuantizeLinear DequantizeLinear LogSoftmax Hardmax CumSum LRN Celu "
    "LpNormalization ThresholdedRelu Softsign Sinh Cosh Tan Atan IsNaN IsInf GreaterOrEqual LessOrEqual BitShift"
)
_PARAMETRIC = (
    "InstanceNormalization BatchNormalization LayerNormalization GroupNormalization Clip Dropout Softmax "
    "QuantizeLinear DequantizeLinear LogSoftmax Hardmax CumSum"
)
ELEMENTWISE = frozenset(_SAME_SHAPE.split())
FIRST_INPUT_ONLY = frozenset(_PARAMETRIC.split())


def propagate(nodes, shapes, integers):
    """Fill `shapes` {name: tuple} in place, in the order of the nodes.

    nodes: dicts with op, in, out, attributes {name: list of int}. integers: {name: list of int} of
    constant int64 tensors.
    """
    for node in nodes:
        onnx_integers.fold(node, shapes, integers)
        rule = RULES.get(node["op"], _elementwise if node["op"] in ELEMENTWISE else None)
        first = node["in"][0] if node["in"] else None
        if rule is None or shapes.get(first) is None:
            continue
        try:
            found = rule(node, shapes, integers)
        except (KeyError, TypeError, IndexError, ValueError, ArithmeticError):
            continue
        found = found if isinstance(found, list) else [found]
        for name, shape in zip(node["out"], found):  # noqa: B905 (optional outputs may be absent)
            if shape is not None and all(isinstance(n, int) and n >= 0 for n in shape):
                shapes.setdefault(name, tuple(shape))


def broadcast(*shapes):
    """NumPy's rule; ValueError where it does not apply."""
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes]
    out = []
    for sizes in zip(*padded, strict=True):
        wide = {n for n in sizes if n != 1}
        if len(wide) > 1:
            raise ValueError(f"{shapes} do not broadcast")
        out.append(wide.pop() if wide else 1)
    return tuple(out)


def _axis(node, rank, default=None):
    axis = node["attributes"].get("axis", [default])[0]
    return axis + rank if axis < 0 else axis


def _inputs(node, shapes):
    return [shapes[name] for name in node["in"] if name]


def _elementwise(node, shapes, integers):
    if node["op"] in FIRST_INPUT_ONLY:
        return shapes[node["in"][0]]
    return broadcast(*_inputs(node, shapes))


def operands(node, shapes):
    """Shapes of what an operator multiplies: (data, weight). The quantised ones have scales between them."""
    return shapes.get(node["in"][0]), shapes.get(node["in"][WEIGHT.get(node["op"], 1)])


def _matmul(node, shapes, integers):
    a, b = operands(node, shapes)
    a, b = (1, *a) if len(a) == 1 else a, (*b, 1) if len(b) == 1 else b
    if a[-1] != b[-2]:
        raise ValueError("inner sizes differ")
    return (*broadcast(a[:-2], b[:-2]), a[-2], b[-1]) if len(a) > 2 or len(b) > 2 else (a[-2], b[-1])


def _gemm(node, shapes, integers):
    a, b = shapes[node["in"][0]], shapes[node["in"][1]]
    rows = a[1] if node["attributes"].get("transA", [0])[0] else a[0]
    columns = b[0] if node["attributes"].get("transB", [0])[0] else b[1]
    return (rows, columns)


def _conv(node, shapes, integers):
    x, w = operands(node, shapes)
    return (x[0], w[0], *_windows(node, x, w[2:]))


def _windows(node, x, kernel):
    """How many places a window has along each axis of x [B, C, ...]."""
    at, rank = node["attributes"], len(x) - 2
    strides, dilations = at.get("strides", [1] * rank), at.get("dilations", [1] * rank)
    pads = at.get("pads", [0] * 2 * rank)
    same = at.get("auto_pad_same", [0])[0]
    out = []
    up = at.get("ceil_mode", [0])[0]
    for i in range(rank):
        reach = dilations[i] * (kernel[i] - 1) + 1
        whole = x[2 + i] + pads[i] + pads[rank + i] - reach
        steps = -(-whole // strides[i]) if up else whole // strides[i]
        out.append(-(-x[2 + i] // strides[i]) if same else steps + 1)
    return out


def _pool(node, shapes, integers):
    x = shapes[node["in"][0]]
    return (*x[:2], *_windows(node, x, node["attributes"]["kernel_shape"]))


def _global_pool(node, shapes, integers):
    x = shapes[node["in"][0]]
    return (*x[:2], *(1 for _ in x[2:]))


def _pad(node, shapes, integers):
    x = list(shapes[node["in"][0]])
    pads = node["attributes"].get("pads") or integers[node["in"][1]]
    axes = integers[node["in"][3]] if len(node["in"]) > 3 and node["in"][3] else range(len(x))
    for i, axis in enumerate(axes):
        x[axis] += pads[i] + pads[len(axes) + i]
    return tuple(x)


def _tile(node, shapes, integers):
    return tuple(n * k for n, k in zip(shapes[node["in"][0]], integers[node["in"][1]], strict=True))


def _resize(node, shapes, integers):
    """By sizes or by scales; of the latter only whole ones come here, as integers."""
    x, at = shapes[node["in"][0]], node["in"]
    if len(at) > 3 and at[3]:
        wanted = integers[at[3]]
        return tuple(wanted) if len(wanted) == len(x) else None
    return tuple(n * k for n, k in zip(x, integers[at[2] if node["op"] == "Resize" else at[1]], strict=True))


def _recurrent(node, shapes, integers):
    """Y, Y_h and, of an LSTM, Y_c."""
    x, r = shapes[node["in"][0]], shapes[node["in"][2]]
    if node["attributes"].get("layout", [0])[0]:
        batch, steps, last = x[0], x[1], (x[0], r[0], r[2])
        return [(batch, steps, r[0], r[2]), last, last]
    return [(x[0], r[0], x[1], r[2]), (r[0], x[1], r[2]), (r[0], x[1], r[2])]


def labels(node, shapes):
    """Of an Einsum: ({label: size}, labels of the result). Ellipses are not followed: KeyError."""
    terms, _, out = node["texts"]["equation"].replace(" ", "").partition("->")
    if "." in terms or not out:
        raise KeyError("equation")
    sizes = {}
    for term, name in zip(terms.split(","), node["in"], strict=True):
        sizes.update(zip(term, shapes[name], strict=True))
    return sizes, out


def _einsum(node, shapes, integers):
    sizes, out = labels(node, shapes)
    return tuple(sizes[label] for label in out)


def _conv_transpose(node, shapes, integers):
    x, w = shapes[node["in"][0]], shapes[node["in"][1]]
    at, rank = node["attributes"], len(x) - 2
    strides, dilations = at.get("strides", [1] * rank), at.get("dilations", [1] * rank)
    pads, extra = at.get("pads", [0] * 2 * rank), at.get("output_padding", [0] * rank)
    groups = at.get("group", [1])[0]
    out = [
        strides[i] * (x[2 + i] - 1) + extra[i] + dilations[i] * (w[2 + i] - 1) + 1 - pads[i] - pads[rank + i]
        for i in range(rank)
    ]
    return (x[0], w[1] * groups, *out)


def _reshape(node, shapes, integers):
    x, wanted = shapes[node["in"][0]], list(integers[node["in"][1]])
    wanted = [x[i] if n == 0 else n for i, n in enumerate(wanted)]
    if -1 in wanted:
        known = math.prod(n for n in wanted if n != -1)
        wanted[wanted.index(-1)] = math.prod(x) // known
    if math.prod(wanted) != math.prod(x):
        raise ValueError("sizes differ")
    return tuple(wanted)


def _transpose(node, shapes, integers):
    x = shapes[node["in"][0]]
    return tuple(x[i] for i in node["attributes"].get("perm", range(len(x))[::-1]))


def _depth_to_space(node, shapes, integers):
    b, c, h, w = shapes[node["in"][0]]
    r = node["attributes"]["blocksize"][0]
    return (b, c // r**2, h * r, w * r)


def _space_to_depth(node, shapes, integers):
    b, c, h, w = shapes[node["in"][0]]
    r = node["attributes"]["blocksize"][0]
    return (b, c * r**2, h // r, w // r)


def _concat(node, shapes, integers):
    parts = _inputs(node, shapes)
    axis = _axis(node, len(parts[0]))
    out = list(parts[0])
    out[axis] = sum(part[axis] for part in parts)
    return tuple(out)


def _gather(node, shapes, integers):
    x, index = _inputs(node, shapes)
    axis = _axis(node, len(x), 0)
    return (*x[:axis], *index, *x[axis + 1 :])


def _axes(node, integers):
    if "axes" in node["attributes"]:
        return node["attributes"]["axes"]
    return integers[node["in"][1]] if len(node["in"]) > 1 else None


def _unsqueeze(node, shapes, integers):
    x, axes = shapes[node["in"][0]], _axes(node, integers)
    rank = len(x) + len(axes)
    at, rest = {a % rank for a in axes}, iter(x)
    return tuple(1 if i in at else next(rest) for i in range(rank))


def _squeeze(node, shapes, integers):
    x, axes = shapes[node["in"][0]], _axes(node, integers)
    at = {i for i, n in enumerate(x) if n == 1} if axes is None else {a % len(x) for a in axes}
    return tuple(n for i, n in enumerate(x) if i not in at)


def _reduce(node, shapes, integers):
    x, axes = shapes[node["in"][0]], _axes(node, integers)
    at = set(range(len(x))) if axes is None else {a % len(x) for a in axes}
    keep = node["attributes"].get("keepdims", [1])[0]
    return tuple(1 if i in at else n for i, n in enumerate(x) if keep or i not in at)


def _split(node, shapes, integers):
    x, axis = shapes[node["in"][0]], _axis(node, len(shapes[node["in"][0]]), 0)
    sizes = node["attributes"].get("split") or (integers[node["in"][1]] if len(node["in"]) > 1 else None)
    sizes = sizes or [x[axis] // len(node["out"])] * len(node["out"])
    return [(*x[:axis], n, *x[axis + 1 :]) for n in sizes]


def _slice(node, shapes, integers):
    x = list(shapes[node["in"][0]])
    starts, ends = integers[node["in"][1]], integers[node["in"][2]]
    axes = integers[node["in"][3]] if len(node["in"]) > 3 else range(len(starts))
    steps = integers[node["in"][4]] if len(node["in"]) > 4 else [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x[axis] = len(range(x[axis])[slice(start, end, step)])
    return tuple(x)


def _flatten(node, shapes, integers):
    x, axis = shapes[node["in"][0]], node["attributes"].get("axis", [1])[0]
    return (math.prod(x[:axis]), math.prod(x[axis:]))


def _expand(node, shapes, integers):
    return broadcast(shapes[node["in"][0]], integers[node["in"][1]])


WEIGHT = {"QLinearConv": 3, "QLinearMatMul": 3}  # which input the weight is, where it is not the second
RULES = {
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), _matmul),
    **dict.fromkeys(("Conv", "ConvInteger", "QLinearConv"), _conv),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), _pool),
    **dict.fromkeys(("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool"), _global_pool),
    **dict.fromkeys(("Resize", "Upsample"), _resize),
    "Pad": _pad,
    "Tile": _tile,
    "Einsum": _einsum,
    "Gemm": _gemm,
    "ConvTranspose": _conv_transpose,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "Concat": _concat,
    "Gather": _gather,
    "Unsqueeze": _unsqueeze,
    "Squeeze": _squeeze,
    "Split": _split,
    "Slice": _slice,
    "Flatten": _flatten,
    "Expand": _expand,
    **{f"Reduce{kind}": _reduce for kind in ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "SumSquare")},
}
