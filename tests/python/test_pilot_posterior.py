# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels from fewer pilots than antennas, and frames whose symbols are inferred with the channel."""

import numpy as np
import pytest
from gr_diffsem import schemes
from gr_diffsem.base import model_packages
from gr_diffsem.base.signal import complex_noise32
from gr_diffsem.reference import priors
from gr_diffsem.schemes import mimo_chanest
from gr_diffsem.schemes import mimo_pilot_posterior as few

SHIPPED = {  # NMSE at 10 dB on these 16 channels, 0.4 dB and more above what was measured
    ("3gpp", 0.6): -13.8,
    ("3gpp", 0.4): -10.0,
    ("los", 0.6): -18.5,
    ("los", 0.4): -15.0,
}


@pytest.fixture(scope="module")
def diffsem():
    pytest.importorskip("gnuradio", reason="GNU Radio is not in this environment")
    return pytest.importorskip("gnuradio.diffsem", reason="gnuradio.diffsem is not built (make build)")


def measured(kind, density, count=16):
    h = mimo_chanest.draw(kind, np.random.default_rng(17), count, few.RX, few.TX)
    x = (h @ few.BASIS).reshape(count, -1)
    y = x + np.sqrt(0.1) * complex_noise32(np.random.default_rng(18), x.shape)
    seen = few.observed(density).ravel()
    return x, np.where(seen, y, 0).astype(np.complex64), seen


def nmse(found, x):
    return 10 * np.log10(np.sum(np.abs(found - x) ** 2) / np.sum(np.abs(x) ** 2))


def test_average_lmmse_is_the_closed_form():
    """The same as a Gaussian prior of the whole covariance, told the missing elements by infinite noise."""
    rng = np.random.default_rng(2)
    a, b = (rng.standard_normal((n, n, 2)) @ [1, 1j] for n in (few.RX, few.TX))
    rows, columns = a @ a.conj().T / few.RX, b @ b.conj().T / few.TX
    covariance = np.kron(rows, few.BASIS.T @ columns @ few.BASIS.conj())
    _, y, seen = measured("3gpp", 0.4, 2)
    levels = np.where(seen, np.sqrt(0.1), 1e4)
    expected = priors.Gaussian(covariance)(y, levels)[0]
    found = few.AverageLmmse(rows, columns, few.pilots(0.4))(y, 0.1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("kind, density", SHIPPED)
def test_no_worse_than_when_shipped(diffsem, kind, density):
    package, _ = model_packages.locate("mimo_pilot_posterior", checkout_first=True)
    x, y, seen = measured(kind, density)
    found, _, info = diffsem.scheme(f"{package}/diffusion").estimate(y, np.float32(0.1), observed=seen)
    assert set(info["steps"]) == {1} and not np.any(info["guarded"])
    assert nmse(found, x) < SHIPPED[kind, density]


def test_a_draw_leaves_the_noise(diffsem):
    """DDIM from noise in 20 evaluations: it leaves about the noise of y, and errs at most 4 dB more than the mean."""
    package, _ = model_packages.locate("mimo_pilot_posterior", checkout_first=True)
    x, y, seen = measured("3gpp", 0.6, 8)
    drawn, _, info = diffsem.scheme(f"{package}/ddim").estimate(y, np.float32(0.1), observed=seen, seed=5)
    mean = diffsem.scheme(f"{package}/diffusion").estimate(y, np.float32(0.1), observed=seen)[0]
    assert set(info["steps"]) == {20}
    assert 0.6 < np.mean(np.abs(y - drawn)[:, seen] ** 2) / 0.1 < 1.3
    assert nmse(drawn, x) < nmse(mean, x) + 4


def test_symbols_inferred_with_the_channel(diffsem):
    """64 x 32 with 30 pilots at 25 dB: at least 8 dB below the channel of the pilots alone, and no symbol wrong."""
    package, _ = model_packages.locate("joint_detection", checkout_first=True)
    scheme = schemes.get("joint_detection")
    h, x = scheme.draw(np.random.default_rng(5), 1)
    nv = 32 * 10**-2.5
    y = h @ x + np.sqrt(nv) * complex_noise32(np.random.default_rng(6), (1, 64, 80))
    alone, joint = (
        diffsem.scheme(f"{package}/{member}").estimate(y.astype(np.complex64), np.float32(nv))[0]
        for member in ("pilots", "joint")
    )
    assert nmse(joint["H"], h) < nmse(alone["H"], h) - 8
    assert scheme.wrong(joint["X"], x).sum() == 0
