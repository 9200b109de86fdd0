# SPDX-License-Identifier: GPL-3.0-or-later
"""Packages and files: hash, cost, and every kind of damage named with its remedy."""

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import errors, model_packages
from gr_diffsem.package import info, onnx_cost

METADATA = {
    "diffsem.contract": "1",
    "diffsem.role": "denoiser",
    "diffsem.prediction": "eps",
    "diffsem.time_embedding": "sigma",
    "diffsem.shape": "[16]",
}


# --- a minimal writer of the ONNX wire format, for tests alone ------------------------------------


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def weights(name, *shape):
    data = np.zeros(shape, np.float32).tobytes()
    return field(5, b"".join(field(1, n) for n in shape) + field(2, 1) + field(8, name) + field(9, data))


def value_info(number, name, *shape):
    dims = b"".join(field(1, field(2, n) if isinstance(n, str) else field(1, n)) for n in shape)
    return field(number, field(1, name) + field(2, field(1, field(1, 1) + field(2, dims))))


def node(op, inputs, output):
    return field(1, b"".join(field(1, name) for name in inputs) + field(2, output) + field(4, op))


def model(graph, metadata):
    properties = b"".join(field(14, field(1, k) + field(2, v)) for k, v in metadata.items())
    opset = field(8, field(1, "") + field(2, 18))
    return field(1, 8) + opset + field(7, graph) + properties


def small_net(path, metadata=METADATA):
    """Dense 16 -> 32, then a convolution over [B, 2, 16] with 3 taps to 4 channels."""
    graph = b"".join(
        [
            node("MatMul", ["flat", "w"], "hidden"),
            node("Conv", ["x", "k"], "maps"),
            node("Relu", ["maps"], "out"),
            field(2, "toy"),
            weights("w", 16, 32),
            weights("k", 4, 2, 3),
            value_info(11, "x", "batch", 2, 16),
            value_info(11, "sigma", "batch"),
            value_info(12, "out", "batch", 4, 16),
            value_info(13, "flat", "batch", 16),
            value_info(13, "hidden", "batch", 32),
            value_info(13, "maps", "batch", 4, 16),
        ]
    )
    path.write_bytes(model(graph, metadata))
    return path


def report_of(argument):
    parser = argparse.ArgumentParser()
    info.add_arguments(parser)
    return info.run(parser.parse_args([str(argument)]))


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    np.save(folder / "c.npy", np.eye(8, dtype=np.complex64))
    small_net(folder / "net.onnx")
    files = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in ("c.npy", "net.onnx")}
    members = {
        "net": {"title": "a net", "prior": {"type": "onnx", "file": "net.onnx"}},
        "lmmse": {"prior": {"type": "gaussian", "covariance": "c.npy"}, "sampler": {"type": "one_step"}},
    }
    write(folder, {"diffsem.contract": 1, "name": "toy", "default": "net", "members": members, "files": files})
    return folder


def write(folder, manifest):
    (folder / "manifest.json").write_text(json.dumps(manifest))


# --- cost -----------------------------------------------------------------------------------------


def test_cost_counts_dense_and_convolution(tmp_path):
    cost = onnx_cost.cost(small_net(tmp_path / "net.onnx"))
    assert cost == {"parameters": 16 * 32 + 4 * 2 * 3, "macs": 16 * 32 + 4 * 16 * (2 * 3)}


def test_cost_says_none_rather_than_guess(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(model(node("Conv", ["x", "k"], "out") + weights("k", 4, 2, 3), {}))
    assert onnx_cost.cost(path) == {"parameters": 24, "macs": None}


@pytest.mark.parametrize("damage", [b"", b"not a model at all", b"\xff" * 40])
def test_cost_refuses_what_is_not_onnx(tmp_path, damage):
    (tmp_path / "net.onnx").write_bytes(damage)
    with pytest.raises(ValueError):
        onnx_cost.cost(tmp_path / "net.onnx")


def test_cost_refuses_truncated(tmp_path):
    path = small_net(tmp_path / "net.onnx")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ValueError):
        onnx_cost.cost(path)


# --- packages -------------------------------------------------------------------------------------


def test_content_hash_is_the_contract_s(package):
    """SHA-256 of `<sha256>  <path>\\n`, sorted by path, over the manifest and all its files."""
    names = sorted(["manifest.json", "c.npy", "net.onnx"])
    lines = [f"{hashlib.sha256((package / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    assert model_packages.content_hash(package) == hashlib.sha256("".join(lines).encode()).hexdigest()
    one = package / "c.npy"
    assert model_packages.content_hash(one) == hashlib.sha256(one.read_bytes()).hexdigest()


def test_whole_package_has_no_problems(package):
    assert model_packages.problems(package) == []


def test_damage_is_named(package):
    manifest = model_packages.read_manifest(package)
    (package / "c.npy").write_bytes(b"other")
    assert "c.npy has changed" in " ".join(model_packages.problems(package))
    (package / "net.onnx").unlink()
    assert "net.onnx is missing" in " ".join(model_packages.problems(package))
    with pytest.raises(errors.UserError, match="missing"):
        model_packages.content_hash(package)
    write(package, {**manifest, "diffsem.contract": 9, "default": "nett", "files": {}})
    text = " ".join(model_packages.problems(package))
    assert "diffsem.contract is 9" in text and "default member 'nett'" in text
    assert "uses net.onnx, which 'files' does not list" in text


@pytest.mark.parametrize("name", ["a" * 300, "b/" * 3000 + "c", "zero\0", "half\ud800"])
def test_names_that_no_file_can_have_are_refused(package, name):
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (package / "manifest.json").write_text(json.dumps(manifest))
    assert "no file can have" in " ".join(model_packages.problems(package))
    with pytest.raises(errors.UserError, match="no file can have"):
        model_packages.content_hash(package)
    with pytest.raises(errors.UserError):
        model_packages.locate(name)


def test_files_outside_the_package_are_refused(package):
    manifest = model_packages.read_manifest(package)
    write(package, {**manifest, "files": {"../secret": "0"}})
    assert "outside the package" in " ".join(model_packages.problems(package))
    with pytest.raises(errors.UserError, match="outside"):
        model_packages.content_hash(package)


def test_where_models_are_found(package, monkeypatch):
    monkeypatch.setenv("DIFFSEM_MODELS", f"/nowhere:{package.parent}")
    assert model_packages.find_packages()["toy"] == package
    assert model_packages.locate("toy") == (package, None)
    assert model_packages.locate("toy/lmmse:steps=3") == (package, "lmmse")
    assert model_packages.locate(package / "net") == (package, "net")
    assert model_packages.locate(package / "net.onnx") == (package / "net.onnx", None)


def test_preferences_of_gnu_radio_are_read(package, monkeypatch, tmp_path):
    monkeypatch.setenv("GR_PREFS_PATH", str(tmp_path))
    monkeypatch.delenv("DIFFSEM_MODELS", raising=False)
    (tmp_path / "config.conf").write_text(f"[diffsem]\nmodels_path = {package.parent}\n")
    assert "toy" in model_packages.find_packages()
    monkeypatch.setenv("GR_CONF_DIFFSEM_MODELS_PATH", "/nowhere")
    assert "toy" not in model_packages.find_packages()


# --- info -----------------------------------------------------------------------------------------


def header_reader():
    return pytest.importorskip("gr_diffsem.package.onnx_header", reason="the header reader is not there yet")


def test_info_of_a_package(package):
    header_reader()
    report = report_of(package)
    assert report["problems"] == [] and report["default"] == "net"
    assert report["content_hash"] == model_packages.content_hash(package)
    graph = report["members"]["net"]["graph"]
    assert graph["parameters"] == 536 and graph["macs"] == 896
    assert [tensor["name"] for tensor in graph["inputs"]] == ["x", "sigma"]
    assert graph["metadata"]["diffsem.prediction"] == "eps"
    text = info.table(report)
    assert "536 parameters, 896 multiply-adds" in text and "no problems" in text
    assert list(report_of(f"{package}/lmmse")["members"]) == ["lmmse"]


def test_info_says_what_a_member_falls_back_on(package):
    header_reader()
    path = package / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["members"]["net"]["fallback"] = "lmmse"
    path.write_text(json.dumps(manifest))
    report = report_of(package)
    assert report["problems"] == [] and report["members"]["net"]["fallback"] == "lmmse"
    assert "falls back on lmmse" in info.table(report)
    for wrong in ("net", "lmse", 3, ["lmmse"]):
        manifest["members"]["net"]["fallback"] = wrong
        path.write_text(json.dumps(manifest))
        assert any("falls back on" in text and "no other member" in text for text in report_of(package)["problems"])


def test_info_of_a_file_with_sidecar(tmp_path):
    header_reader()
    path = small_net(tmp_path / "net.onnx", metadata={})
    assert "sidecar" in report_of(path)["problems"][0]
    sidecar = {**METADATA, "diffsem.shape": [16]}
    (tmp_path / "net.onnx.json").write_text(json.dumps(sidecar))
    report = report_of(path)
    assert report["problems"] == [] and report["graph"]["metadata"]["diffsem.shape"] == "[16]"
    (tmp_path / "net.onnx.json").write_text("[1, 2")
    assert any("not a JSON object" in text for text in report_of(path)["problems"])


@pytest.mark.parametrize(
    "change, words",
    [
        ({"diffsem.prediction": "epsilon"}, "'epsilon' is not one of x0, eps"),
        ({"diffsem.contract": "7"}, "this version reads 1"),
        ({"diffsem.learned_variance": "log_variance"}, "second output"),
        ({"diffsem.shape": None}, "diffsem.shape is missing"),
        ({"diffsem.shape": "[64]"}, "ask for [batch, 2, 64]"),
        ({"diffsem.layout": "interleaved"}, "ask for [batch, 16, 2]"),
        ({"diffsem.shape": "sixteen"}, "not a JSON list"),
    ],
)
def test_info_names_wrong_metadata(tmp_path, change, words):
    header_reader()
    metadata = {k: v for k, v in {**METADATA, **change}.items() if v is not None}
    report = report_of(small_net(tmp_path / "net.onnx", metadata))
    assert any(words in text for text in report["problems"]), report["problems"]


def test_claims_are_sentences(package, tmp_path):
    """Of a package, of a file, of a scheme; what has another form stands as it is, and none is obeyed by a terminal."""
    nmse = {"name": "a claim", "member": "net", "snr_db": 5, "against": "lmmse", "published": -3.0, "gate": -0.5}
    photo = {"name": "fading", "gate": 0.4, "goal": 0.8, "unit": "dB"}
    claims = [nmse, {**nmse, "published_on": "others"}, photo, {"name": "\x1b[2Jelse"}, 7]
    wanted = [
        "a claim: NMSE of `net` minus that of `lmmse` at 5 dB at most -0.5 dB; published -3.0 dB, on data that the "
        "claim does not name: perhaps others than these",
        "a claim: NMSE of `net` minus that of `lmmse` at 5 dB at most -0.5 dB; published -3.0 dB, on others",
        "fading: at least +0.4 dB over `linear` (goal 0.8)",
        json.dumps(claims[3]),
        "7",
    ]
    write(package, {**json.loads((package / "manifest.json").read_text()), "claims": claims})
    small_net(package / "net.onnx", {**METADATA, "diffsem.claims": json.dumps(claims)})
    for what in (package, package / "net.onnx"):
        said = info.table(report_of(what))
        lines = [line.removeprefix("  claim").strip() for line in said.splitlines() if line.startswith("  claim")]
        assert lines == wanted and "diffsem.claims" not in said and "\x1b" not in said
    write(package, {**json.loads((package / "manifest.json").read_text()), "claims": "none", "title": "\x1b[2Jtitle"})
    assert "?[2Jtitle" in info.table(report_of(package))


def test_open_sizes_take_the_shape_that_the_metadata_say(tmp_path):
    """A convolution over any length, for items of 16: counted for one; without metadata, per step."""
    graph = node("Conv", ["x", "k"], "out") + weights("k", 4, 2, 1) + value_info(11, "x", "batch", 2, "time")
    (tmp_path / "net.onnx").write_bytes(model(graph, METADATA))
    report = report_of(tmp_path / "net.onnx")
    assert report["graph"]["macs"] == 16 * 8 and "128 multiply-adds\n" in info.table(report)
    (tmp_path / "net.onnx").write_bytes(model(graph, {}))
    assert "8 multiply-adds per time" in info.table(report_of(tmp_path / "net.onnx"))


def test_pictures_are_counted_per_pixel():
    models = Path(__file__).resolve().parents[2] / "models"
    for name, macs in (
        ("photo_mmse", "98,592"),
        ("photo_posterior", "98,592"),
        ("photo_features/features.onnx", "4,986"),
    ):
        assert f"parameters, {macs} multiply-adds per pixel" in info.table(report_of(models / name))


def test_what_multiplies_in_an_unknown_way_is_unknown(tmp_path):
    """Another domain's operator, and a loop: not a count without them."""
    known = node("Conv", ["x", "k"], "maps") + weights("k", 4, 2, 1) + value_info(11, "x", "batch", 2, 16)
    for other in (
        node("Loop", ["maps"], "y"),
        field(1, field(1, "maps") + field(2, "y") + field(4, "FusedGemm") + field(7, "com.microsoft")),
    ):
        (tmp_path / "net.onnx").write_bytes(model(known + other, METADATA))
        assert onnx_cost.cost(tmp_path / "net.onnx") == {"parameters": 8, "macs": None}
        assert "unknown multiply-adds" in info.table(report_of(tmp_path / "net.onnx"))
        (tmp_path / "net.onnx").write_bytes(model(known + other, {**METADATA, "diffsem.macs": "123"}))
        assert ", 123 multiply-adds" in info.table(report_of(tmp_path / "net.onnx"))


@pytest.mark.parametrize("name", ["net.onnx", "README.md"])
def test_info_of_garbage_is_an_error(tmp_path, name):
    header_reader()
    (tmp_path / name).write_bytes(b"garbage" * 10)
    with pytest.raises(errors.UserError, match="cannot be read"):
        report_of(tmp_path / name)
