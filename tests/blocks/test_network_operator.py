# SPDX-License-Identifier: GPL-3.0-or-later
"""Inference through a network that measures: the block and Python against Gauss-Newton in closed form.

The network is that of tests/data/make_network_operators.py: y = s + 0.3 tanh(s), s = W x + b over planes, 6 complex
unknowns and 4 complex measurements; the prior is Gaussian.
"""

import hashlib
import json
import shutil
from pathlib import Path

import flow
import numpy as np
import pytest
from gnuradio import blocks, diffsem, gr

OPERATORS = Path(__file__).resolve().parents[1] / "data" / "operators"
TABLE = np.load(OPERATORS / "weights.npy").astype(float)
W, B = TABLE[:, :-1], TABLE[:, -1]
NV = 0.05
COVARIANCE = 0.7 ** np.abs(np.subtract.outer(np.arange(6), np.arange(6)))


def planes(x):
    return np.concatenate([np.real(x), np.imag(x)], axis=-1)


def joined(p):
    return p[..., : p.shape[-1] // 2] + 1j * p[..., p.shape[-1] // 2 :]


def forward(x):
    s = planes(x) @ W.T + B
    return joined(s + 0.3 * np.tanh(s))


def gauss_newton(y, noise_var, steps=12):
    """argmin |y - f(x)|^2 / noise_var + x^H C^-1 x of each item, over planes: the mode, next to the mean here."""
    prior = np.kron(np.eye(2), np.linalg.inv(COVARIANCE))
    target, x = planes(y), np.zeros((len(y), 12))
    for _ in range(steps):
        s = x @ W.T + B
        slope = (1.3 - 0.3 * np.tanh(s) ** 2)[:, :, None] * W
        back = slope.transpose(0, 2, 1)
        left = (target - s - 0.3 * np.tanh(s))[:, :, None]
        gradient = back @ left / noise_var - prior @ x[:, :, None]
        x = x + np.linalg.solve(back @ slope / noise_var + prior, gradient)[:, :, 0]
    return joined(x)


@pytest.fixture
def package(tmp_path):
    """write(**operator keys) -> path of a package that measures through the network."""

    def write(shape=(6,), domain="complex", gain="unit", start="noise", sampler="posterior_mean", **keys):
        folder = tmp_path / "measured"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        operator = {"type": "network", "file": "network.onnx", "vjp": "network_vjp.onnx", **keys}
        operator = {key: value for key, value in operator.items() if value is not None}
        for name in {operator["file"], operator.get("vjp", operator["file"])}:
            shutil.copy(OPERATORS / name, folder)
        np.save(folder / "covariance.npy", COVARIANCE[: shape[-1], : shape[-1]].astype(np.complex64))
        member = {
            "prior": {"type": "gaussian", "covariance": "covariance.npy"},
            "operator": operator,
            "start": {"type": start},
            "sampler": {"type": sampler},
            "plan": {"type": "geometric", "steps": 20, "sigma_min": 0.01, "sigma_max": 30},
        }
        manifest = {
            "diffsem.contract": 1,
            "name": "measured",
            "signal": {"domain": domain, "shape": list(shape), "gain": gain},
            "default": "g",
            "members": {"g": member},
            "files": {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()},
        }
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return str(folder)

    return write


def measured(items=200, seed=4):
    """(x, y) with noise of NV."""
    rng = np.random.default_rng(seed)
    draw = [rng.standard_normal((items, 6)) + 1j * rng.standard_normal((items, 6)) for _ in range(2)]
    x = draw[0] @ np.linalg.cholesky(COVARIANCE).T / np.sqrt(2)
    return x, (forward(x) + np.sqrt(NV / 2) * draw[1][:, :4]).astype(np.complex64)


def nmse_db(estimate, x):
    return 10 * np.log10(np.sum(np.abs(estimate - x) ** 2) / np.sum(np.abs(x) ** 2))


def test_guidance_through_the_derivative_finds_the_mode(package):
    """Its error within 0.3 dB of Gauss-Newton's on the same samples, far below that of the answer without a prior."""
    x, y = measured()
    scheme = diffsem.scheme(package() + ":guidance_steps=8")
    mean, _, info = scheme.estimate(y, NV)
    assert not info["bypassed"].any()
    best = gauss_newton(y, NV)
    operator = diffsem.core.operator(
        "network",
        '{"file": "network.onnx", "vjp": "network_vjp.onnx", "descent": 200}',
        6,
        folder=str(OPERATORS),
    )
    without = operator.classical(y)
    assert nmse_db(mean, x) < nmse_db(best, x) + 0.3
    assert nmse_db(mean, x) < nmse_db(without, x) - 1
    # as near to what was measured as the mode is, which leaves less than the noise
    expected = np.mean(np.abs(y - forward(best)) ** 2) / NV
    assert info["residual"].mean() == pytest.approx(expected, rel=0.2)


def test_an_answer_far_from_its_measurement_is_replaced(package):
    """y = 1e6 is nothing that the prior and f could make: gradient descent answers. Of 2000 right ones, none is."""
    _, y = measured(2000)
    scheme = diffsem.scheme(package() + ":steps=6")
    assert scheme.info()["guard"] and scheme.info()["fallback"] == "ls"
    assert not np.any(scheme.estimate(y, NV)[2]["guarded"])
    y = y[:6].copy()
    y[1] *= 1e6
    y[4] = 1e6
    mean, _, info = scheme.estimate(y, NV)
    assert list(np.flatnonzero(info["guarded"])) == [1, 4] == list(np.flatnonzero(info["bypassed"]))
    assert info["reason"][4] == "guard" and np.isfinite(mean).all()
    operator = diffsem.core.operator(
        "network", '{"file": "network.onnx", "vjp": "network_vjp.onnx"}', 6, folder=str(OPERATORS)
    )
    np.testing.assert_allclose(mean[4], operator.classical(y[4:5])[0], rtol=1e-3)
    off = diffsem.scheme(package() + ":steps=6,guard=off").estimate(y, NV)[2]
    assert not np.any(off["guarded"]) and off["residual"][4] > 16


def test_draws_have_the_noise_as_residual(package):
    """Of a draw of x given y, y - f(x) is a draw of the noise: within 20 %."""
    _, y = measured(400)
    scheme = diffsem.scheme(package(sampler="ddpm") + ":guidance_steps=8,steps=60")
    _, _, info = scheme.estimate(y, NV, seed=3)
    assert 0.8 < info["residual"].mean() < 1.2


def test_block_and_python_agree(package):
    _, y = measured(30)
    path = package()
    expected = diffsem.scheme(path).estimate(y, NV, max_batch=5)[0]
    tb = gr.top_block()
    source = blocks.vector_source_c(y.ravel().tolist(), False, 4)
    block = diffsem.estimate(path, noise_var=NV, baseline_output=True, max_batch=5)
    sinks = [blocks.vector_sink_c(6), blocks.vector_sink_c(6)]
    tb.connect(source, block, sinks[0])
    tb.connect((block, 1), sinks[1])
    flow.run(tb)
    np.testing.assert_allclose(np.array(sinks[0].data()).reshape(-1, 6), expected, atol=2e-4)
    baseline = np.array(sinks[1].data()).reshape(-1, 6)
    miss = np.linalg.norm(forward(baseline) - y), np.linalg.norm(forward(np.zeros((1, 6))) - y)
    assert miss[0] < 0.5 * miss[1]
    assert block.items_in() == block.items_out() == 30


def test_lost_measurements_do_not_count(package):
    x, y = measured(200)
    noise = np.full((200, 4), NV, np.float32)
    noise[:, 2] = np.inf
    spoilt = y.copy()
    spoilt[:, 2] = np.nan
    mean, _, info = diffsem.scheme(package() + ":guidance_steps=8").estimate(spoilt, noise)
    whole = diffsem.scheme(package() + ":guidance_steps=8").estimate(y, NV)[0]
    assert not info["bypassed"].any()
    assert nmse_db(whole, x) < nmse_db(mean, x) < -1


def test_a_coarse_start_is_the_classical_answer(package):
    """`renoise` begins there, for want of a closed form, and gains on it by the prior."""
    x, y = measured()
    scheme = diffsem.scheme(package(start="renoise") + ":guidance_steps=8,sigma=0.5")
    mean, _, info = scheme.estimate(y, NV)
    keys = '{"file": "network.onnx", "vjp": "network_vjp.onnx"}'
    coarse = diffsem.core.operator("network", keys, 6, folder=str(OPERATORS)).classical(y)
    assert not info["bypassed"].any()
    assert nmse_db(mean, x) < nmse_db(coarse, x) - 0.5


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"vjp": "other_vjp.onnx"}, "other_vjp.onnx is not the derivative of"),
        ({"vjp": "doubled_vjp.onnx"}, "is not the derivative of"),
        ({"vjp": "fewer_vjp.onnx"}, "fewer_vjp.onnx"),
        ({"vjp": None}, "'vjp' is missing"),
        ({"file": "real.onnx"}, "real"),
        ({"shape": (5,)}, "complex \\[5\\]"),
        ({"gain": "measured"}, "gain must be 'unit'"),
        ({"start": "matched"}, "use start 'noise'"),
    ],
)
def test_what_does_not_fit_is_refused(package, keys, said):
    with pytest.raises(ValueError, match=said):
        diffsem.estimate(package(**keys), noise_var=NV)


def test_a_guidance_that_needs_a_closed_form_is_refused(package):
    with pytest.raises(ValueError, match="guidance = proximal"):
        diffsem.estimate(package() + ":guidance=proximal", noise_var=NV)
