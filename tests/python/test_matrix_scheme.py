# SPDX-License-Identifier: GPL-3.0-or-later
"""A scheme with operator = "matrix" ships its matrix: writer, runtime, string and evaluation take the same one."""

import numpy as np
import pytest
from gr_diffsem.base import model_packages
from gr_diffsem.base.errors import UserError
from gr_diffsem.eval import scheme_eval
from gr_diffsem.models import onnx_export
from gr_diffsem.package import package_writer
from gr_diffsem.schemes.base import Scheme, TestData

N, M, NOISE = 8, 5, 0.1
RNG = np.random.default_rng(3)
A = (RNG.standard_normal((M, N)) + 1j * RNG.standard_normal((M, N))) / np.sqrt(2 * N)
COVARIANCE = np.diag(np.linspace(0.4, 1.6, N)).astype(complex)


class Compressed(Scheme):
    name, title, shape, axes = "compressed", "random projections", (N,), ("element",)
    operator, start, default = "matrix", "noise", "lmmse"
    matrix = A

    def sample(self, rng, n):
        white = (rng.standard_normal((n, N)) + 1j * rng.standard_normal((n, N))) / np.sqrt(2)
        return (white * np.sqrt(np.diag(COVARIANCE).real)).astype(np.complex64)

    def tensors(self, progress=print):
        shipped = {} if self.matrix is None else {"matrix.npy": self.matrix}
        return {"covariance.npy": COVARIANCE, **shipped}

    def classical(self):
        return {"lmmse": {"title": "LMMSE", "prior": {"type": "gaussian", "covariance": "covariance.npy"}}}


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def written(scheme, folder):
    package_writer.fit_missing(scheme, folder)
    package_writer.write(scheme, folder)
    return folder


def answer(y):
    """Linear MMSE in closed form."""
    gain = COVARIANCE @ A.conj().T @ np.linalg.inv(A @ COVARIANCE @ A.conj().T + NOISE * np.eye(M))
    return y @ gain.T


def measured():
    rng = np.random.default_rng(4)
    return (rng.standard_normal((6, M)) + 1j * rng.standard_normal((6, M))).astype(np.complex64)


def test_the_matrix_is_in_the_package(tmp_path, diffsem):
    folder = written(Compressed(), tmp_path / "compressed")
    manifest = model_packages.read_manifest(folder)
    assert manifest["members"]["lmmse"]["operator"] == {"type": "matrix", "matrix": "matrix.npy"}
    assert "matrix.npy" in manifest["files"] and model_packages.problems(folder) == []
    mean, _, info = diffsem.scheme(str(folder)).estimate(measured(), np.float32(NOISE))
    assert not np.any(info["bypassed"])
    np.testing.assert_allclose(mean, answer(measured()), atol=2e-5)


def test_a_matrix_of_the_flowgraph_by_the_string(tmp_path, diffsem):
    """The same prior, made without: operator=matrix in the string, the matrix with the call."""
    scheme = Compressed()
    scheme.operator, scheme.start, scheme.matrix = "identity", "matched", None
    folder = written(scheme, tmp_path / "plain")
    spec = f"{folder}:operator=matrix,start=noise"
    mean, _, _ = diffsem.scheme(spec).estimate(measured(), np.float32(NOISE), matrix=A)
    np.testing.assert_allclose(mean, answer(measured()), atol=2e-5)
    with pytest.raises(ValueError, match="needs a measurement matrix"):
        diffsem.scheme(spec).estimate(measured(), np.float32(NOISE))


def test_without_one_the_flowgraph_gives_it(tmp_path, diffsem):
    scheme = Compressed()
    scheme.matrix = None
    folder = written(scheme, tmp_path / "open")
    assert model_packages.read_manifest(folder)["members"]["lmmse"]["operator"] == {"type": "matrix"}
    mean, _, _ = diffsem.scheme(str(folder)).estimate(measured(), np.float32(NOISE), matrix=A)
    np.testing.assert_allclose(mean, answer(measured()), atol=2e-5)


def test_from_noise_a_network_estimates_in_many_steps():
    """An estimate, no draw; a closed form answers in one step, and so does whoever begins at the measurement."""
    scheme = Compressed()
    assert scheme.choices("diffusion")["sampler"] == {"type": "posterior_mean"}
    assert scheme.choices("lmmse")["sampler"] == {"type": "one_step"}
    scheme.start = "matched"
    assert scheme.choices("diffusion")["sampler"] == {"type": "one_step"}


def test_another_name_must_be_there(tmp_path):
    scheme = Compressed()
    scheme.operator = {"type": "matrix", "matrix": "sensing.npy"}
    with pytest.raises(UserError, match=r"names sensing\.npy, which tensors\(\) does not return"):
        package_writer.fit_missing(scheme, tmp_path / "named")


def test_a_single_file_names_no_file():
    choices = {"operator": {"type": "matrix", "matrix": "matrix.npy"}, "plan": {"type": "geometric", "steps": 3}}
    assert onnx_export.alone(choices) == {"operator": {"type": "matrix"}, "plan": {"type": "geometric", "steps": 3}}


def test_an_evaluation_measures_through_it(tmp_path):
    folder = written(Compressed(), tmp_path / "compressed")
    np.testing.assert_allclose(scheme_eval.matrix_of(folder, None), A, atol=1e-6)
    np.testing.assert_allclose(scheme_eval.matrix_of(folder, A), A, atol=1e-6)
    with pytest.raises(UserError, match=r"another matrix than .*matrix\.npy"):
        scheme_eval.matrix_of(folder, 2 * A)
    part = TestData(truth=np.eye(N), matrix=scheme_eval.matrix_of(folder, None))
    np.testing.assert_allclose(scheme_eval.measure(part, 0), A.T, atol=1e-6)
