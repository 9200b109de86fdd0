# SPDX-License-Identifier: GPL-3.0-or-later
"""`gr-diffsem export --int8`: what is written, what is said of it, and what is refused."""

import argparse
import json
import pathlib
import shutil

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.base import model_packages
from gr_diffsem.base.errors import UserError
from gr_diffsem.package import export, onnx_cost, package_writer, quantize

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FOREIGN = pathlib.Path(__file__).parents[1] / "data" / "foreign"
CLASSIFIER = FOREIGN / "torch_iq_classifier_opset18.onnx"


def call(*words):
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return export.run(parser.parse_args([str(w) for w in words]))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(quantize, "TIMED_SECONDS", 0.1)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[:168, :176]
    for i in range(4):
        discs = (rows - 50 - 20 * i) ** 2 + (columns - 80) ** 2 < (30 + 10 * i) ** 2
        image = np.stack([200 * discs, rows / 2 + 40, columns / 2 + 60 * discs], 2).clip(0, 255)
        Image.fromarray(image.astype(np.uint8)).save(path / f"{i}.png")
    return path


def metadata(path):
    return {entry.key: entry.value for entry in onnx.load(str(path)).metadata_props}


def test_a_graph_of_arrays(tmp_path):
    x = np.random.default_rng(1).standard_normal((40, 2, 128)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "small.onnx"
    report = call(CLASSIFIER, out, "--int8", "--calibrate", tmp_path / "x.npy")
    (difference,) = report["difference_db"].values()
    assert -60 < difference < -20
    assert report["written"] and report["time_ratio"] > 0 and report["bytes"] == out.stat().st_size
    assert onnx_cost.cost(out)["macs"] == onnx_cost.cost(CLASSIFIER)["macs"] > 0
    model = onnx.load(str(out))
    assert {o.domain: o.version for o in model.opset_import} == {"": 18}
    assert {i.data_type for i in model.graph.initializer} >= {onnx.TensorProto.INT8, onnx.TensorProto.UINT8}
    facts = json.loads(metadata(out)["diffsem.quantised"])
    assert facts["of"] == model_packages.file_sha256(CLASSIFIER) and facts["type"] == "int8"
    text = export.table(report)
    assert str(out) in text and "on one core" in text and "differs by" in text
    with pytest.raises(UserError, match="quantised already"):
        call(out, tmp_path / "twice.onnx", "--int8", "--calibrate", tmp_path / "x.npy")


def test_a_scheme_s_own_data_and_metadata(models, tmp_path):
    """known_mixture: small and exact, so that 8 bits lose; its package takes no such member, a file does."""
    out = tmp_path / "small.onnx"
    report = call("known_mixture", out, "--int8", "--samples", 256)
    scheme = schemes.get("known_mixture")
    assert len(report["loss_db"]) == len(scheme.validation()) * len(scheme.snr_db)
    assert report["worst_loss_db"] == max(report["loss_db"].values()) > -0.05
    before, after = metadata(models / "known_mixture" / "diffusion.onnx"), metadata(out)
    assert after.pop("diffsem.quantised") and after.pop("diffsem.title").endswith(", int8")
    before.pop("diffsem.title")
    assert after == before


def test_a_package_takes_only_what_is_good_and_quick(models, tmp_path, monkeypatch):
    folder = tmp_path / "known_mixture"
    shutil.copytree(models / "known_mixture", folder)
    before = model_packages.content_hash(folder)
    monkeypatch.setattr(quantize, "LARGEST_LOSS", -1.0)
    report = call(folder, folder, "--int8", "--samples", 64)
    assert not report["written"] and not report["passes"] and "not written" in export.table(report)
    assert model_packages.content_hash(folder) == before and not (folder / "int8.onnx").exists()


def test_photographs_in_a_package(models, tmp_path, pictures, monkeypatch):
    monkeypatch.setattr(quantize, "LARGEST_LOSS", 1.0)  # discs are no photographs
    monkeypatch.setattr(quantize, "LARGEST_TIME", 100.0)  # nor is this a quiet machine
    folder = tmp_path / "photo_mmse"
    shutil.copytree(models / "photo_mmse", folder)
    (folder / "int8.onnx").unlink(missing_ok=True)
    report = call(f"{folder}/net", folder, "--int8", "--calibrate", pictures, "--samples", 2)
    assert set(report["loss_db"]) == {"photographs"} and report["loss_db"]["photographs"] < 1
    manifest = model_packages.read_manifest(folder)
    assert set(manifest["members"]) == {"net", "int8"} and manifest["default"] == "net"
    assert manifest["members"]["int8"]["plan"] == manifest["members"]["net"]["plan"]
    assert model_packages.problems(folder) == [] and model_packages.content_hash(folder) == report["content_hash"]
    assert "`int8`: quantised after" in (folder / "README.md").read_text()

    # Another network takes its place: the twin of the old one is none of the new one.
    model = onnx.load(str(folder / "net.onnx"))
    model.metadata_props.add(key="note", value="trained again")
    onnx.save(model, str(folder / "net.onnx"))
    package_writer.write(schemes.get("photo_mmse"), folder)
    assert set(model_packages.read_manifest(folder)["members"]) == {"net"}


@pytest.mark.parametrize(
    "words, said",
    [
        (["photo_mmse", "x.onnx"], "--calibrate is missing: photo_mmse needs a folder of photographs"),
        (["photo_mmse", "x.onnx", "--calibrate", "/nowhere"], "/nowhere holds no photograph"),
        (["known_mixture", "x.onnx", "--calibrate", "x.npy"], "draws its own data"),
        (["ofdm_chanest/lmmse", "x.onnx"], "member lmmse is no network"),
        (["ofdm_chanest/difusion", "x.onnx"], "did you mean 'diffusion'"),
        (["known_mixture", "elsewhere"], "elsewhere is not the package of"),
        (["known_mixture", "x.bin"], "ends in .onnx"),
        ([CLASSIFIER, "x.onnx"], "--calibrate is missing: give a .npy for"),
        ([CLASSIFIER, "folder"], "belongs to no package"),
        ([CLASSIFIER, "x.onnx", "--calibrate", "/nowhere.npy"], "cannot be read"),
        ([FOREIGN / "gru_time_first_opset14.onnx", "x.onnx", "--calibrate", __file__], "the graph has the inputs"),
    ],
)
def test_what_does_not_fit_is_told(words, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        call(*words, "--int8")
    assert said in str(error.value)


def test_arrays_and_graphs_that_do_not_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((4, 2, 100), np.float32))
    with pytest.raises(UserError, match=r"items of .* are \(1, 2, 100\)"):
        call(CLASSIFIER, tmp_path / "y.onnx", "--int8", "--calibrate", tmp_path / "x.npy")
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 1), np.float32))
    with pytest.raises(UserError, match="is of opset 11"):
        call(
            FOREIGN / "keras_fixed_batch_opset11.onnx", tmp_path / "y.onnx", "--int8", "--calibrate", tmp_path / "x.npy"
        )
    with pytest.raises(UserError, match="--calibrate is for --int8"):
        call("checkpoint.pt", tmp_path / "y.onnx", "--calibrate", tmp_path)
