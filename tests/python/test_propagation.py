# SPDX-License-Identifier: GPL-3.0-or-later
"""Guidances `ep` and `plug_and_play`: the core against its twin, closed forms, what they refuse; the scheme that
stands on `ep`."""

import json
from pathlib import Path

import numpy as np
import pytest
from gr_diffsem.base import model_packages, signal
from gr_diffsem.models.pilot_gains import pilot_basis
from gr_diffsem.reference import scheme
from gr_diffsem.schemes import lowres_chanest as lowres

TOY = Path(__file__).parents[1] / "data" / "goldens" / "toy"
PLAN = {"type": "geometric", "steps": 4, "sigma_min": 0.05, "sigma_max": 20.0}


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def toy():
    member = json.loads((TOY / "manifest.json").read_text())["members"]["gmm"]
    return scheme.load_prior(member["prior"], TOY)


@pytest.mark.parametrize("guidance", ["ep", "plug_and_play"])
@pytest.mark.parametrize("sampler", ["one_step", "posterior_mean"])
@pytest.mark.parametrize("operator", ["matrix", "mask", "quantiser"])
def test_the_core_is_its_twin(diffsem, operator, sampler, guidance):
    prior = toy()
    rng = np.random.default_rng(12)
    x = prior.draw(rng, 3)
    matrix = np.load(TOY / "matrix.npy") if operator == "matrix" else None
    observed = np.arange(8) % 3 != 1 if operator == "mask" else None
    clean = x if matrix is None else x @ matrix.T
    y = (clean + signal.complex_noise(rng, clean.shape, 0.05)).astype(np.complex64)
    kind, text = {"type": operator}, ""
    if operator == "quantiser":
        kind, text = {"type": operator, "bits": 2, "step": 0.7}, ",operator=quantiser,bits=2,step=0.7"
        y = 0.7 * (np.clip(np.floor(y.view(np.float32) / 0.7), -2, 1) + 0.5).astype(np.float32)
        y = np.ascontiguousarray(y).view(np.complex64)
    name = "matrix_gmm" if operator == "matrix" else "gmm"
    text += "" if sampler == "one_step" else ",plan=geometric,steps=4,sigma_max=20,sigma_min=0.05"
    text = f"start=noise,guidance={guidance},guidance_steps=5,guard=off,sampler={sampler}{text}"
    handle = diffsem.scheme(f"{TOY}/{name}:{text}")
    mean, _, info = handle.estimate(y, 0.05, seed=7, matrix=matrix, observed=observed)
    member = {
        "operator": kind,
        "start": {"type": "noise"},
        "guidance": {"type": guidance, "guidance_steps": 5},
        "sampler": {"type": sampler},
        "plan": PLAN,
    }
    expected = scheme.estimate(prior, y, 0.05, member, seed=7, matrix=matrix, observed=observed, size=8)
    np.testing.assert_allclose(mean, expected[0], atol=3e-3)
    assert list(info["steps"]) == list(expected[2])


@pytest.mark.parametrize("guidance", ["ep", "plug_and_play"])
def test_bad_steps_are_refused(diffsem, guidance):
    for steps in ("0", "65", "1.5"):
        with pytest.raises(ValueError, match="guidance_steps"):
            diffsem.scheme(f"{TOY}/gmm:start=noise,guidance={guidance},guidance_steps={steps}").estimate(
                np.ones((1, 8), np.complex64), 0.1
            )


def test_pilots_are_orthogonal_qpsk():
    basis = pilot_basis(64)
    np.testing.assert_allclose(basis @ basis.conj().T, np.eye(64), atol=1e-6)
    np.testing.assert_allclose(np.abs(basis), 1 / 8, atol=1e-6)
    with pytest.raises(ValueError, match="antennas = 48 must be a power of two"):
        pilot_basis(48)


def test_bussgang_gain():
    """One bit of a Gaussian: G = step / sqrt(2 pi variance) (Bussgang 1952), and all power is step^2 / 4."""
    for variance in (0.5, 0.8):
        gain, error = lowres.gain_and_error(1, variance)
        step = lowres.STEPS[1]
        assert gain == pytest.approx(step / np.sqrt(2 * np.pi * variance), rel=1e-3)
        assert error == pytest.approx(step**2 / 4 - gain**2 * variance, rel=1e-3)


def test_bussgang_lmmse_is_linear_mmse_of_what_was_drawn():
    """Behind one bit, the filter by the arcsine law is that of sample covariances (two antennas, many draws)."""
    rng = np.random.default_rng(3)
    basis, lowres_basis = np.eye(2, dtype=complex), lowres.BASIS
    columns = np.array([[1, 0.6], [0.6, 1]], complex)
    lowres.BASIS = basis
    try:
        method = lowres.Bussgang(np.eye(1), columns)
    finally:
        lowres.BASIS = lowres_basis
    x = signal.complex_noise(rng, (200_000, 2), 1.0) @ np.linalg.cholesky(columns).T
    y = lowres.quantise(x + signal.complex_noise(rng, x.shape, 0.1), 1)
    fitted = np.linalg.lstsq(y, x, rcond=None)[0]
    np.testing.assert_allclose(method(np.eye(2), 0.1, 1), fitted, atol=0.02)


@pytest.mark.parametrize("bits, least", [(1, 4.0), (2, 6.0), (3, 6.0)])
def test_no_worse_than_when_shipped(diffsem, bits, least):
    """Through the core at 10 dB, at least so many dB below Bussgang LMMSE."""
    package, _ = model_packages.locate("lowres_chanest", checkout_first=True)

    def estimate(member, y, noise_var):
        return diffsem.scheme(f"{package}/{member}").estimate(y, np.float32(noise_var))

    h = lowres.mimo_chanest.draw("3gpp", np.random.default_rng(17), 12, 16, 64)
    x = (h @ lowres.BASIS).astype(np.complex64)
    y = lowres.quantise(x + signal.complex_noise(np.random.default_rng(18), x.shape, 0.1), bits).reshape(12, -1)
    rows, columns = (np.load(package / f"3gpp_{part}.npy") for part in ("rows", "columns"))
    ours = estimate(f"bits{bits}", y, 0.1)[0].reshape(x.shape)
    linear = lowres.Bussgang(rows, columns)(y, 0.1, bits).reshape(x.shape)
    gained = np.sum(np.abs(linear - x) ** 2) / np.sum(np.abs(ours - x) ** 2)
    assert 10 * np.log10(gained) > least
