# SPDX-License-Identifier: GPL-3.0-or-later
"""Shipped int8 members, run by the core, decide as their fp32 twins do."""

import json
from pathlib import Path

import numpy as np
import pytest
from gnuradio.diffsem import core
from gr_diffsem.base import model_packages
from gr_diffsem.codec import picture_codec
from gr_diffsem.package import onnx_cost, onnx_header

MODELS = Path(__file__).parents[2] / "models"
LARGEST_LOSS = 0.1  # dB, what a package takes (gr_diffsem.package.quantize)


def members():
    """(package, int8 member, its fp32 twin) of all packages."""
    for folder in model_packages.find_packages(checkout_first=True).values():
        if folder.parent == MODELS and folder.is_dir():
            manifest = model_packages.read_manifest(folder)
            for name in manifest["members"]:
                if name == "int8" or name.endswith("_int8"):
                    yield folder.name, name, name.removesuffix("_int8") if name != "int8" else manifest["default"]


SHIPPED = sorted(members())


def photograph(h=96, w=128):
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:h, :w]
    image = np.stack([np.sin(x / 9 + k) + np.cos(y / 7) + (x + y > 100) for k in range(3)], -1) * 40 + 110
    return (image + rng.standard_normal(image.shape) * 4).clip(0, 255).astype(np.uint8)


def received(sent, snr_db, lost, rng):
    """Measurement of a picture's code in white noise, a share of its symbols lost."""
    noise = np.full(sent.symbols.size, 10 ** (-snr_db / 10), np.float32)
    n = rng.standard_normal((2, noise.size)) * np.sqrt(noise / 2)
    noise[rng.random(noise.size) < lost] = np.inf
    y, gains, _, v = picture_codec.measurement(sent.plan, sent.symbols + n[0] + 1j * n[1], noise)
    return y, gains, v, sent.plan.variances


def test_some_are_shipped():
    assert ("photo_posterior", "int8", "prior") in SHIPPED


@pytest.mark.parametrize("package, member, twin", SHIPPED)
def test_decides_as_its_twin(package, member, twin):
    """Squared error against the truth, mean over noise levels from -5 to 20 dB and losses, in dB."""
    if not package.startswith("photo"):
        pytest.fail(f"{package}/{member} is shipped and nothing here measures it: add it")
    image, rng = photograph(), np.random.default_rng(4)
    sent = picture_codec.encode(image, image.size // 6)
    nets = [core.picture_estimator(f"{MODELS / package}/{name}") for name in (twin, member)]
    loss = []
    for snr_db in (-5, 0, 5, 10, 20):
        for lost in (0, 0.3):
            measured = received(sent, snr_db, lost, rng)
            answers = [core.estimate_picture(net, *measured) for net in nets]
            assert answers[0][2]["evaluations"] == answers[1][2]["evaluations"] > 0
            old, new = (np.mean((answer[0] - image / 255) ** 2) for answer in answers)
            loss.append(10 * np.log10(new / old))
            assert not np.array_equal(answers[0][0], answers[1][0])
    assert np.mean(loss) < LARGEST_LOSS and max(loss) < 3 * LARGEST_LOSS


@pytest.mark.parametrize("package, member, twin", SHIPPED)
def test_says_what_it_is(package, member, twin):
    small, big = (MODELS / package / f"{name}.onnx" for name in (member, twin))
    told = onnx_header.read_header(small)["metadata"]
    facts = json.loads(told["diffsem.quantised"])
    assert facts["of"] == model_packages.file_sha256(big)
    assert facts["worst_loss_db"] < LARGEST_LOSS
    assert told["diffsem.role"] == onnx_header.read_header(big)["metadata"]["diffsem.role"]
    assert small.stat().st_size < 0.4 * big.stat().st_size
    assert onnx_cost.cost(small)["parameters"] == pytest.approx(onnx_cost.cost(big)["parameters"], rel=0.02)
