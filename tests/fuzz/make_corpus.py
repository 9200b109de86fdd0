#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/fuzz/corpus from our own models and by hand; running it again changes nothing.

The targets for .onnx begin from tests/data/priors and tests/data/foreign, which have makers of their own.
"""

import hashlib
import json
import pathlib
import struct
import sys

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "models"
sys.path.insert(0, str(HERE.parents[1] / "python"))


def npy(descr, shape, data, version=1):
    """A .npy file by the format's description (NEP 1)."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    size = "<H" if version == 1 else "<I"
    room = 8 + struct.calcsize(size)
    header += " " * (-(room + len(header) + 1) % 64) + "\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(size, len(header)) + header.encode() + data


def covariance():
    """What fuzz_manifest.cc lays beside the manifest: the unit matrix of size 4, float32."""
    return npy("<f4", (4, 4), struct.pack("<16f", *[float(i % 5 == 0) for i in range(16)]))


def arrays():
    ones = [1.0, -2.0, 0.5, 3.0]
    return {
        "f4": npy("<f4", (2, 2), struct.pack("<4f", *ones)),
        "f8": npy("<f8", (4,), struct.pack("<4d", *ones), 2),
        "c8": npy("<c8", (2,), struct.pack("<4f", *ones), 3),
        "c16": npy("<c16", (1, 2), struct.pack("<4d", *ones)),
        "i8": npy("<i8", (), struct.pack("<q", -7)),
        "empty": npy("<f4", (0, 3), b""),
        "huge": npy("<f4", (1 << 40, 1 << 40), b"1234"),
        "covariance": covariance(),
    }


def documents():
    return {
        "values": '{"a": [1, -2.5e-3, true, null], "b": {"c": "\\u00e9\\ud83d\\ude00\\n"}}',
        "deep": "[" * 32 + "]" * 32,
        "edges": "[1e308, -0, 0.1, 123456789012345678901234567890]",
    }


def sidecars():
    said = {
        "diffsem.contract": "1",
        "diffsem.role": "denoiser",
        "diffsem.shape": [2, 64],
        "diffsem.domain": "complex",
        "diffsem.schedule": {"type": "ve", "sigma_min": 0.01, "sigma_max": 1.0},
        "diffsem.constants": {"t": 0.5},
    }
    return {"full": json.dumps(said), "text": json.dumps({k: json.dumps(v) for k, v in said.items()})}


def roles():
    """Sidecars of a conditional denoiser, and of each graph that stands beside one."""
    condition = [
        {"name": "class", "type": "int64", "shape": [], "null": -1},
        {"name": "before", "type": "float32", "shape": [3], "from": "previous", "null": 0.5},
    ]
    plain = {"diffsem.contract": "1", "diffsem.domain": "real", "diffsem.shape": [3]}
    denoiser = {"prediction": "x0", "time_embedding": "sigma", "input_scaling": "ve", "condition": condition}
    said = {"denoiser": {**plain, "diffsem.role": "denoiser", **{f"diffsem.{k}": v for k, v in denoiser.items()}}}
    for role in ("operator", "operator_vjp", "denoiser_vjp", "encoder", "decoder"):
        said[role] = {**plain, "diffsem.role": role, "diffsem.layout": "planar"}
    return {name: json.dumps(value) for name, value in said.items()}


def manifests():
    signal = {"domain": "complex", "shape": [4], "gain": "unit"}
    rest = {
        "operator": {"type": "identity"},
        "start": {"type": "matched"},
        "sampler": {"type": "one_step"},
        "plan": {"type": "geometric", "steps": 3, "sigma_min": 0.01},
    }
    member = {"prior": {"type": "gaussian", "covariance": "covariance.npy"}, **rest}
    small = {
        "diffsem.contract": 1,
        "name": "small",
        "signal": signal,
        "default": "g",
        "members": {"g": member},
        "files": {"covariance.npy": hashlib.sha256(covariance()).hexdigest()},
    }
    steps = {**member, "sampler": {"type": "ddim", "eta": 0.5}}
    noisy = {**member, "start": {"type": "matched", "noise_updates": 2}}
    two = {**small, "members": {"g": member, "h": steps, "n": noisy}}
    known = json.loads((MODELS / "known_mixture" / "manifest.json").read_text())
    return {"small": json.dumps(small), "two": json.dumps(two), "shipped": json.dumps(known)}


def specs():
    texts = ["ls", "linear", "ofdm_chanest/lmmse:steps=3", "./a.onnx", "ls:seed=1", "x:sampler=ddim,eta=0.5"]
    texts.append("x:noise_updates=1")
    return {str(i): text for i, text in enumerate(texts)}


def number(value):
    """A varint of protobuf."""
    value, out = value % (1 << 64), b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(key, value):
    """A field of a protobuf message: a number, a text, or bytes."""
    if isinstance(value, int):
        return number(key << 3) + number(value)
    value = value.encode() if isinstance(value, str) else value
    return number(key << 3 | 2) + number(len(value)) + value


def many(key, values):
    return b"".join(field(key, v) for v in values)


def info(name, kind, *dims):
    """ValueInfoProto; a dimension that is a text is open."""
    shape = b"".join(field(1, field(2 if isinstance(d, str) else 1, d)) for d in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def node(kind, inputs, outputs, **attributes):
    """NodeProto; attributes are numbers, lists of numbers, or (type, field, bytes)."""
    out = many(1, inputs) + many(2, outputs) + field(4, kind)
    for name, a in attributes.items():
        if isinstance(a, int):
            said = field(3, a) + field(20, 2)
        elif isinstance(a, list):
            said = many(8, a) + field(20, 7)
        else:
            said = field(a[1], a[2]) + field(20, a[0])
        out += field(5, field(1, name) + said)
    return out


def longs(name, *values):
    """TensorProto of int64 [n]."""
    return field(1, len(values)) + field(2, 7) + field(8, name) + field(9, struct.pack(f"<{len(values)}q", *values))


def floats(name, dims, values):
    return many(1, dims) + field(2, 1) + field(8, name) + field(9, struct.pack(f"<{len(values)}f", *values))


def model(nodes, tensors, dims=(1, 2, 4), out=("n", "m", "k")):
    """x float32 dims -> y float32, opset 17."""
    graph = many(1, nodes) + field(2, "g") + many(5, tensors)
    graph += field(11, info("x", 1, *dims)) + field(12, info("y", 1, *out))
    return field(1, 8) + field(7, graph) + field(8, field(2, 17))


def growing():
    """Small models of the operators whose result may be far larger than what goes in."""
    body = many(1, [node("Identity", ["go"], ["go_on"]), node("Add", ["v", "v"], ["w"])]) + field(2, "body")
    body += field(11, info("i", 7)) + field(11, info("go", 9)) + field(11, info("v", 1, "n", "m", "k"))
    body += field(12, info("go_on", 9)) + field(12, info("w", 1, "n", "m", "k"))
    then = field(1, node("Neg", ["x"], ["t"])) + field(2, "then") + field(12, info("t", 1, 1, 2, 4))
    other = field(1, node("Abs", ["x"], ["e"])) + field(2, "else") + field(12, info("e", 1, 1, 2, 4))
    yes = field(1, 1) + field(2, 9) + field(8, "yes") + field(9, b"\1")
    return {
        "constant_of_shape": model(
            [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])], [longs("s", 1, 2, 4)]
        ),
        "expand": model([node("Expand", ["x", "s"], ["y"])], [longs("s", 3, 2, 4)]),
        "tile": model([node("Tile", ["x", "s"], ["y"])], [longs("s", 1, 1, 3)]),
        "pad": model([node("Pad", ["x", "s"], ["y"])], [longs("s", 0, 0, 2, 0, 0, 2)]),
        "resize": model([node("Resize", ["x", "", "", "s"], ["y"])], [longs("s", 1, 2, 8)]),
        "range": model(
            [
                node("Range", ["a", "b", "d"], ["r"]),
                node("Cast", ["r"], ["f"], to=1),
                node("Add", ["x", "f"], ["y"]),
            ],
            [field(2, 7) + field(8, n) + field(9, struct.pack("<q", v)) for n, v in (("a", 0), ("b", 4), ("d", 1))],
        ),
        "conv_transpose": model(
            [node("ConvTranspose", ["x", "w"], ["y"], strides=[2], output_padding=[1], pads=[0, 0], dilations=[1])],
            [floats("w", (2, 3, 3), [0.1] * 18)],
        ),
        "conv": model(
            [node("Conv", ["x", "w"], ["y"], strides=[1], pads=[1, 1], dilations=[1], group=1, kernel_shape=[3])],
            [floats("w", (3, 2, 3), [0.1] * 18)],
        ),
        "pool": model([node("AveragePool", ["x"], ["y"], kernel_shape=[2], strides=[1], pads=[0, 1])], []),
        "one_hot": model(
            [
                node("Cast", ["x"], ["i"], to=7),
                node("OneHot", ["i", "s", "v"], ["y"], axis=-1),
            ],
            [longs("s", 4), floats("v", (2,), [0, 1])],
            out=("n", "m", "k", "o"),
        ),
        "reshape_gather": model(
            [node("Reshape", ["x", "s"], ["r"]), node("Gather", ["r", "i"], ["y"], axis=0)],
            [longs("s", 2, 4, 1), longs("i", 0, 1, 1)],
        ),
        "slice_concat": model(
            [
                node("Slice", ["x", "a", "b", "c", "d"], ["s"]),
                node("Concat", ["s", "x"], ["y"], axis=2),
            ],
            [longs("a", 0), longs("b", 2), longs("c", 2), longs("d", 1)],
        ),
        "scatter": model(
            [node("ScatterND", ["x", "i", "u"], ["y"])],
            [
                many(1, (1, 3)) + field(2, 7) + field(8, "i") + field(9, struct.pack("<3q", 0, 1, 2)),
                floats("u", (1,), [5]),
            ],
        ),
        "loop": model([node("Loop", ["n", "", "x"], ["y"], body=(5, 6, body))], [longs("n", 3)]),
        "branch": model([node("If", ["yes"], ["y"], then_branch=(5, 6, then), else_branch=(5, 6, other))], [yes]),
        "top_k": model([node("TopK", ["x", "k"], ["y", "i"], axis=-1)], [longs("k", 2)]),
        "lstm": model(
            [node("LSTM", ["x", "w", "r"], ["", "h"], hidden_size=2), node("Identity", ["h"], ["y"])],
            [floats("w", (1, 8, 4), [0.1] * 32), floats("r", (1, 8, 2), [0.1] * 16)],
            dims=(3, 1, 4),
        ),
        "mat_mul": model(
            [node("MatMul", ["x", "w"], ["z"]), node("Relu", ["z"], ["y"])],
            [floats("w", (4, 3), [0.1] * 12)],
        ),
    }


def pictures():
    """Digital parts of small photographs, by the package itself."""
    import numpy as np
    from gr_diffsem.codec import picture_codec

    rng = np.random.default_rng(1)
    sizes = {"wide": (16, 40, 10000), "small": (24, 32, 10000), "large": (64, 64, 12000)}
    return {
        k: picture_codec.encode(rng.integers(0, 256, (h, w, 3), np.uint8), uses).digital
        for k, (h, w, uses) in sizes.items()
    }


def soft_bits():
    """Soft bits of three headers, the upper halves of big-endian floats: one clear, one faint, one of noise."""
    import numpy as np
    from gr_diffsem.codec import frame_header

    rng = np.random.default_rng(2)
    sent = [frame_header.modulate(frame_header.Header(3, 150, i, 5)).view(np.float32) for i in (0, 1)]
    three = [20 * sent[0], 2 * sent[1] + rng.standard_normal(192), rng.standard_normal(192)]
    halves = [np.asarray(x, ">f4").tobytes() for x in three]
    cut = [b"".join(h[i : i + 2] for i in range(0, len(h), 4)) for h in halves]
    return {"three": b"".join(cut), "clear": cut[0]}


def main():
    kinds = {"npy": arrays(), "json": documents(), "sidecar": sidecars(), "manifest": manifests(), "spec": specs()}
    kinds["roles"] = roles()
    kinds |= {"picture": pictures(), "header": soft_bits()}
    kinds["mutants"] = {f"{name}.onnx": data for name, data in growing().items()}
    for kind, files in kinds.items():
        folder = HERE / "corpus" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


if __name__ == "__main__":
    main()
