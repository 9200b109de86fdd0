# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator of the core's table against its NumPy twin: walks the table, tries each entry's own example."""

import json

import numpy as np
import pytest
from gnuradio.diffsem import core
from gr_diffsem.reference import priors, scheme
from gr_diffsem.reference.operators import OPERATORS

EXAMPLES = core.operator_examples()


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
        name, keys, size, matrix=given.get("matrix"), observed=list(given.get("observed", np.zeros(0)).astype(int))
    )
    twin = OPERATORS[name](size, **given, **numbers(json.loads(keys)))
    x, z = draw(4, size), draw(4, size)
    clean = twin.apply(x)
    assert mine.rows == clean.shape[1] and mine.cols == size
    np.testing.assert_allclose(mine.apply(x), clean, atol=2e-6)
    y = draw(4, mine.rows) if mine.linear else clean
    np.testing.assert_allclose(mine.adjoint(y), twin.adjoint(y), atol=2e-6)
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
