# SPDX-License-Identifier: GPL-3.0-or-later
"""Small integer tensors of a graph, followed where shapes are computed inside it: Shape, Gather, Concat, arithmetic.

Values are flat lists of int of vectors and scalars; what cannot be followed has none.
"""

import operator

MOST = 64  # elements: shapes, axes and pads are short
ARITHMETIC = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "Div": lambda a, b: -(-a // b) if (a < 0) != (b < 0) else a // b,  # towards 0
    "Mod": operator.mod,
    "Max": max,
    "Min": min,
}
SAME = ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape", "Flatten")  # the same elements, in the same order


def fold(node, shapes, integers):
    """Enter the value of the node's output into `integers` {name: list of int}, where it follows."""
    try:
        found = _value(node, shapes, integers)
    except (KeyError, TypeError, IndexError, ValueError, ArithmeticError):
        return
    if found is not None and len(found) <= MOST and node["out"]:
        integers.setdefault(node["out"][0], found)
        if node["op"] not in SAME and node["op"] not in ARITHMETIC:
            scalar = node["op"] == "Gather" and shapes.get(node["in"][1]) == ()
            shapes.setdefault(node["out"][0], () if scalar else (len(found),))


def _value(node, shapes, integers):
    at, op = node["attributes"], node["op"]
    if op == "Constant":
        return at.get("value_ints") or at.get("value_int")
    if op == "Shape":
        shape = shapes[node["in"][0]]
        return list(shape[at.get("start", [0])[0] : at.get("end", [len(shape)])[0]])
    if op == "Size":
        size = 1
        for n in shapes[node["in"][0]]:
            size *= n
        return [size]
    if op == "Concat":
        return [n for name in node["in"] for n in integers[name]]
    first = integers.get(node["in"][0]) if node["in"] else None
    if first is None:
        return None
    if op in SAME:
        return first
    if op in ARITHMETIC:
        second = integers[node["in"][1]]
        size = max(len(first), len(second))
        if {len(first), len(second)} - {1, size}:
            return None
        return [ARITHMETIC[op](first[i % len(first)], second[i % len(second)]) for i in range(size)]
    if op == "Gather":
        return [first[i] for i in integers[node["in"][1]]]
    if op == "Slice":
        starts, ends = integers[node["in"][1]], integers[node["in"][2]]
        step = integers[node["in"][4]][0] if len(node["in"]) > 4 else 1
        return first[starts[0] : ends[0] : step] if len(starts) == 1 else None
    return None
