# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator of the core's table against its NumPy twin: walks the table, tries each entry's own example."""

import json
from pathlib import Path

import numpy as np
import pytest
from gnuradio.diffsem import core
from gr_diffsem.reference import priors, scheme
from gr_diffsem.reference.operators import OPERATORS

EXAMPLES = core.operator_examples()


FOLDER = Path(__file__).resolve().parents[1] / "data" / "operators"


def twin_keys(name, keys):
    """The example's keys as the twin takes them: in place of a network's files its equations."""
    keys = numbers(json.loads(keys))
    if name != "network":
        return keys
    table = np.load(FOLDER / "weights.npy").astype(float)  # of make_network_operators.py
    w, b = table[:, :-1], table[:, -1]

    def planes(x):
        return np.concatenate([np.real(x), np.imag(x)], axis=1)

    def joined(p):
        return p[:, : p.shape[1] // 2] + 1j * p[:, p.shape[1] // 2 :]

    def forward(x):
        z = planes(x) @ w.T + b
        return joined(z + 0.3 * np.tanh(z))

    def vjp(x, v):
        return joined((planes(v) * (1.3 - 0.3 * np.tanh(planes(x) @ w.T + b) ** 2)) @ w)

    return {"forward": forward, "vjp": vjp}


def numbers(keys):
    """JSON's pairs [re, im] as complex numbers."""
    if "taps" in keys:
        keys["taps"] = [complex(*t) if isinstance(t, list) else t for t in keys["taps"]]
    return keys


def test_every_operator_has_a_twin():
    assert sorted(EXAMPLES) == sorted(OPERATORS)


@pytest.mark.parametrize("name", [n for n in EXAMPLES if n != "transform"])  # of pictures: test_photo_twin.py
def test_core_and_twin_do_the_same(name):
    keys, size = EXAMPLES[name]
    rng = np.random.default_rng(5)

    def draw(*shape):
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64) / np.sqrt(2)

    given = {}
    if name == "matrix":
        given["matrix"] = draw(2, size)
    if name == "mask":
        given["observed"] = np.arange(size) % 3 != 1
    mine = core.operator(
        name,
        keys,
        size,
        matrix=given.get("matrix"),
        observed=list(given.get("observed", np.zeros(0)).astype(int)),
        folder=str(FOLDER),
    )
    twin = OPERATORS[name](size, **given, **twin_keys(name, keys))
    x, z = draw(4, size), draw(4, size)
    clean = twin.apply(x)
    assert mine.rows == clean.shape[1] and mine.cols == size
    np.testing.assert_allclose(mine.apply(x), clean, atol=2e-6)
    y = draw(4, mine.rows) if mine.linear else clean
    np.testing.assert_allclose(mine.adjoint(y), twin.adjoint(y), atol=2e-5 if name == "network" else 2e-6)
    if not mine.has_proximal:
        v = draw(4, mine.rows)
        np.testing.assert_allclose(mine.vjp(x, v), twin.vjp(x, v), atol=1e-5)
        return
    noise, level = rng.uniform(0.1, 1, 4), rng.uniform(0.3, 1.5, 4)
    expected = twin.prox(z, level[:, None] ** 2, y, noise[:, None] ** 2)
    np.testing.assert_allclose(mine.proximal(y, noise, z, level), expected, atol=5e-6)


def package(folder, name, operator, prior):
    import hashlib

    folder = folder / name
    folder.mkdir()
    np.save(folder / "covariance.npy", prior.covariance.astype(np.complex64))
    digest = hashlib.sha256((folder / "covariance.npy").read_bytes()).hexdigest()
    member = {
        "prior": {"type": "gaussian", "covariance": "covariance.npy"},
        "operator": operator,
        "start": {"type": "noise"},
        "sampler": {"type": "posterior_mean"},
        "plan": {"type": "geometric", "steps": 8},
    }
    manifest = {
        "diffsem.contract": 1,
        "name": name,
        "signal": {"domain": "complex", "shape": [len(prior.covariance)]},
        "default": "g",
        "members": {"g": member},
        "files": {"covariance.npy": digest},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return str(folder), member


@pytest.mark.parametrize("operator", ["convolution", "quantiser"])
def test_a_package_of_these_operators_runs(operator, tmp_path):
    """Convolution under a Gaussian prior is exact: linear MMSE. A quantiser beats taking its output as it is;
    half-quadratic splitting is no posterior mean."""
    from gnuradio import diffsem

    rng, n, items = np.random.default_rng(8), 12, 400
    c = 0.8 ** np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    prior = priors.Gaussian(c, np.zeros(n))
    x = rng.standard_normal((items, n)) + 1j * rng.standard_normal((items, n))
    x = x @ np.linalg.cholesky(c).T / np.sqrt(2)
    keys = {"taps": [1, [0.4, 0.5], -0.3], "boundary": "linear"}
    keys = {"type": operator, **(keys if operator == "convolution" else {"bits": 2, "step": 0.6})}
    path, member = package(tmp_path, operator, keys, prior)
    twin = OPERATORS[operator](n, **numbers({k: v for k, v in keys.items() if k != "type"}))
    noise_var = 0.05
    clean = twin.apply(x) if operator == "convolution" else x
    y = clean + np.sqrt(noise_var / 2) * (rng.standard_normal(clean.shape) + 1j * rng.standard_normal(clean.shape))
    y = y if operator == "convolution" else twin.apply(y)
    mean, _, info = diffsem.scheme(path).estimate(y.astype(np.complex64), noise_var)
    assert not info["bypassed"].any()
    member = {**member, "operator": numbers(dict(keys))}
    np.testing.assert_allclose(
        mean[:5], scheme.estimate(prior, y[:5], noise_var, member, size=n)[0], atol=2e-4, rtol=2e-4
    )
    error = np.mean(np.abs(mean - x) ** 2)
    if operator == "convolution":
        a = twin.matrix
        best = y @ np.linalg.solve(a @ c @ a.conj().T + noise_var * np.eye(len(a)), a @ c).conj()
        assert error == pytest.approx(np.mean(np.abs(best - x) ** 2), rel=1e-3)
    else:
        assert error < 0.9 * np.mean(np.abs(y - x) ** 2)
