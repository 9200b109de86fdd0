#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes tests/fuzz/corpus from our own models and by hand; running it again changes nothing.

The targets for .onnx begin from tests/data/priors and tests/data/foreign, which have makers of their own.
"""

import hashlib
import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
MODELS = HERE.parents[1] / "models"


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
    two = {**small, "members": {"g": member, "h": steps}}
    known = json.loads((MODELS / "known_mixture" / "manifest.json").read_text())
    return {"small": json.dumps(small), "two": json.dumps(two), "shipped": json.dumps(known)}


def specs():
    texts = ["ls", "linear", "ofdm_chanest/lmmse:steps=3", "./a.onnx", "ls:seed=1", "x:sampler=ddim,eta=0.5"]
    return {str(i): text for i, text in enumerate(texts)}


def main():
    kinds = {"npy": arrays(), "json": documents(), "sidecar": sidecars(), "manifest": manifests(), "spec": specs()}
    for kind, files in kinds.items():
        folder = HERE / "corpus" / kind
        folder.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


if __name__ == "__main__":
    main()
